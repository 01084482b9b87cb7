"""The acts that make a venue: its members, what is listed, what is charged, who may pay for whom."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from importlib.resources import files

from msgspec.structs import replace

from exchange.calendar import Calendar
from exchange.instruments import HAO_PER_YUAN, Instrument, standard_catalogue
from exchange.protocol.acts import (
    Act,
    Admit,
    DefineProgramme,
    Deposit,
    Issue,
    ListInstruments,
    RegisterKey,
    SetCalendar,
    SetCapacity,
    SetFees,
    SignedAct,
)
from exchange.server.folder import KeyPair
from settlement.classes import KINDS
from settlement.terms import VENUE_ZONE, ProgrammeTerms
from settlement.terms_file import read_terms

MILLION_YUAN = 10**6 * HAO_PER_YUAN

MAKER_FEE = 2
TAKER_FEE = 5
"""Basis points; the same for every kind until an operator says otherwise."""

PROVIDER_MONEY = 100 * MILLION_YUAN
CAPACITY_LOTS = 50_000_000
ISSUED_LOTS = 5_000_000
"""What each provider of the standard venue begins with: enough to quote both sides of every book."""

OPERATOR = "OPERATOR"
SECOND_OPERATOR = "OPERATOR-2"
"""What needs two persons one of them proposes and the other approves."""

AUDITOR = "AUDITOR"
SANDBOX = "SANDBOX"


VOUCHER, TOKEN_GRANT, AWARD = SAMPLES = ("hz-voucher", "token-grant", "fujian-award")
"""The sample programmes, by the names of their files in `exchange/programmes`."""


def sample_terms(name: str, year: int) -> ProgrammeTerms:
    """Return the terms of a sample programme, moved to a year: `hz-voucher` becomes HZ-VOUCHER-<year>."""
    text = files("exchange.programmes").joinpath(f"{name}.toml").read_text("utf-8")
    terms = read_terms(text)
    return replace(
        terms,
        code=f"{name.upper()}-{year}",
        fiscal_year=year,
        valid_from=terms.valid_from.replace(year=year),
        valid_through=terms.valid_through.replace(year=year),
    )


def this_year() -> int:
    """Return the year at the venue: at its midnight, not at that of UTC, another one begins."""
    return datetime.fromtimestamp(time.time(), VENUE_ZONE).year


def voucher(year: int, budget: int = 250 * MILLION_YUAN) -> ProgrammeTerms:
    """Return the terms of Hangzhou's computing-power voucher, as published for one year."""
    return replace(sample_terms(VOUCHER, year), budget=budget)


def standard_acts(
    firms: Iterable[tuple[Admit, int]],
    keys: Iterable[KeyPair],
    programmes: Iterable[ProgrammeTerms],
    catalogue: tuple[Instrument, ...] | None = None,
) -> tuple[SignedAct, ...]:
    """Return the acts that found a venue on a catalogue (the standard one unless given).

    `firms` come with the money, in hao, that each deposits. Every provider named in the catalogue is
    admitted, has money, and issues credits of each of its instruments.
    """
    listed = catalogue or standard_catalogue()
    providers = {instrument.provider: instrument.region for instrument in listed}
    acts: list[Act] = [
        Admit(member=OPERATOR, role="operator"),
        Admit(member=SECOND_OPERATOR, role="operator"),
        Admit(member=AUDITOR, role="auditor"),
    ]
    for provider, region in providers.items():
        acts.append(Admit(member=provider, role="provider", region=region))
        acts.append(Deposit(provider, PROVIDER_MONEY))
    for firm, money in firms:
        acts.append(firm)
        acts.append(Deposit(firm.member, money))
    acts.extend(SetFees(kind, MAKER_FEE, TAKER_FEE) for kind in KINDS)  # type: ignore[arg-type]
    acts.append(ListInstruments(listed))
    for instrument in listed:
        acts.append(SetCapacity(instrument.symbol, CAPACITY_LOTS))
        acts.append(Issue(instrument.symbol, ISSUED_LOTS))
    acts.extend(DefineProgramme(terms) for terms in programmes)
    acts.extend(RegisterKey(pair.member, pair.public_key) for pair in keys)
    return tuple(SignedAct(OPERATOR, "founding", act) for act in acts)


def calendar_acts(calendar: Calendar | None) -> tuple[SignedAct, ...]:
    """Return the acts that come first where a venue is founded with a calendar: it opens what they list."""
    return () if calendar is None else (SignedAct(OPERATOR, "founding", SetCalendar(calendar)),)


def sandbox_firms() -> list[tuple[Admit, int]]:
    """Return the firm that a new venue admits, so that there is somebody to trade as at once."""
    firm = Admit(member=SANDBOX, role="firm", size="small", region="HANGZHOU")
    return [(firm, 10 * MILLION_YUAN)]
