"""Who may decide what: one table, for the gateway before an act is sequenced and for the engine after."""

from __future__ import annotations

from collections.abc import Iterable

from exchange.protocol.acts import (
    Accept,
    Act,
    BeginFixing,
    CancelOrders,
    CloseWindows,
    Deliver,
    Dispute,
    Enrol,
    ExpireCredits,
    FixPrices,
    Guard,
    Issue,
    Recall,
    RecordUsage,
    Redeem,
    RegisterKey,
    RevokeKey,
    SetPhase,
    SettleDebt,
    Transfer,
    Withdraw,
)
from exchange.registry import CALENDAR, SESSIONS, Registry
from matching.vocabulary import NO_SLOT
from settlement.layout import HOUSE

CALENDAR_ACTS = (SetPhase, BeginFixing, FixPrices, CloseWindows, ExpireCredits)
"""What falls due by the clock; an operator may do it by hand."""


def may_decide(registry: Registry, who: str, act: Act) -> bool:
    """Tell whether somebody may decide this: an operator everything, members what is theirs.

    Whoever founds a venue may do so until it has an operator. What an act names and the venue does not know
    is for the act to refuse.
    """
    if who == CALENDAR:
        return isinstance(act, CALENDAR_ACTS)
    if isinstance(act, CancelOrders) and (act.cause == "operator") == (who == SESSIONS):
        return False  # nobody tells a member another cause than the true one
    if isinstance(act, Guard) or who == SESSIONS:
        return who == SESSIONS and isinstance(act, CancelOrders | Guard)
    if is_operator(registry, who) or registry.operators == 0:
        return True
    return who in registry.member_numbers and who in deciders(registry, act)


def is_operator(registry: Registry, who: str) -> bool:
    """Tell whether somebody is one of the venue's operators."""
    number = registry.member_numbers.get(who, HOUSE)
    return number != HOUSE and registry.members[number].role == "operator"


def deciders(registry: Registry, act: Act) -> Iterable[str]:
    """Return the names of the members who may decide an act, beside operators."""
    match act:
        case Redeem() | Withdraw() | SettleDebt() | RegisterKey():
            return (act.member,)
        case RevokeKey():
            number = registry.keys.get(act.public_key)
            return () if number is None else names(registry, number)
        case Enrol():
            return [one.member for one in registry.members if one.role == "programme_office"]
        case Transfer():
            owner = registry.owner_of(registry.member_numbers.get(act.source, NO_SLOT))
            return (act.source,) if owner == NO_SLOT else (act.source, registry.members[owner].member)
        case Recall() | Accept() | Dispute():
            redemption = registry.redemptions.get(act.redemption)
            return registry.member_numbers if redemption is None else names(registry, redemption.member)
        case Deliver():
            redemption = registry.redemptions.get(act.redemption)
            return (
                registry.member_numbers if redemption is None else providers(registry, redemption.instrument)
            )
        case Issue():
            index = registry.instrument_numbers.get(act.instrument, NO_SLOT)
            return issuers(registry, index, act.provider)
        case RecordUsage():
            meters = {record.model for record in act.records} & registry.meters.keys()
            allowed = [
                {name for index in registry.meters[meter] for name in providers(registry, index)}
                for meter in meters
            ]
            return set(registry.member_numbers).intersection(*allowed)
        case _:
            return ()


def names(registry: Registry, member: int) -> tuple[str, ...]:
    """Return the one name of a member."""
    return (registry.members[member].member,)


def providers(registry: Registry, instrument: int) -> tuple[str, ...]:
    """Return who may issue an instrument, its own provider first."""
    return registry.instruments[instrument].providers


def issuers(registry: Registry, instrument: int, provider: str) -> tuple[str, ...]:
    """Return who may issue credits for this provider of an instrument (blank: its own): that one alone."""
    if instrument == NO_SLOT:
        return ()
    everyone = providers(registry, instrument)
    return tuple(name for name in everyone if name == (provider or everyone[0]))
