"""The acts that make a venue: its members, what is listed, what is charged, who may pay for whom."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

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
from settlement.terms import ProgrammeTerms, Rate

MILLION_YUAN = 10**6 * HAO_PER_YUAN

MAKER_FEE = 2
TAKER_FEE = 5
"""Basis points; the same for every kind until an operator says otherwise."""

PROVIDER_MONEY = 100 * MILLION_YUAN
CAPACITY_LOTS = 50_000_000
ISSUED_LOTS = 5_000_000
"""What each provider of the standard venue begins with: enough to quote both sides of every book."""

OPERATOR = "OPERATOR"
AUDITOR = "AUDITOR"
SANDBOX = "SANDBOX"


def voucher(year: int, budget: int = 250 * MILLION_YUAN) -> ProgrammeTerms:
    """Return the terms of Hangzhou's computing-power voucher, as published for one year.

    Up to 30 % of the actual contract amount on domestic instruments that are filed with the
    regulator or computing power, 20 % otherwise; 250 million yuan a year, 8 million a firm. The cap
    of an order and the ceiling above the list price are the venue's own.
    """
    return ProgrammeTerms(
        code=f"HZ-VOUCHER-{year}",
        version=1,
        fiscal_year=year,
        budget=budget,
        rates=(
            Rate(rate=3_000, sizes=("micro", "small", "medium"), kinds=("compute",), domestic=True),
            Rate(rate=3_000, sizes=("micro", "small", "medium"), filed=True),
            Rate(rate=2_000, sizes=("micro", "small", "medium")),
        ),
        ceiling=1_000,
        order_cap=MILLION_YUAN // 5,
        group_cap=8 * MILLION_YUAN,
        valid_from=date(year, 1, 1),
        valid_through=date(year, 12, 31),
        source="Hangzhou computing-power voucher: up to 30 % of the actual contract amount",
    )


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
