"""Tempers: which deeds a member does, and how often. A row a deed, its weight in front."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from exchange.simulation import deeds_credits as credit
from exchange.simulation import deeds_members as members
from exchange.simulation import deeds_operator as operator
from exchange.simulation import deeds_orders as orders
from exchange.simulation.callers import Caller

Deed: TypeAlias = Callable[[Caller, Random], str]
"""Something that a member does; it returns the shape's name, blank where there was nothing to be done."""

_TRADING: tuple[tuple[int, Deed], ...] = (
    (4, orders.limit),
    (4, orders.cross),
    (1, orders.market),
    (1, orders.stop),
    (2, orders.cancel),
    (1, orders.replace),
    (1, credit.ask_account),
)
"""What everybody who trades does."""

_BY_HAND: tuple[tuple[int, Deed], ...] = (
    (3, operator.halt),
    (5, operator.hold_call),
    (9, operator.open_all),
    (3, operator.state),
    (3, operator.collars),
    (2, operator.fees),
    (2, operator.modes),
    (2, operator.capacity),
    (3, operator.list_one),
    (1, operator.calendar),
    (3, operator.fixing),
    (2, operator.due),
    (2, operator.reweight),
    (4, operator.revise),
    (6, members.deposit),
    (4, members.block),
    (4, members.limits),
    (3, members.cancel_orders),
    (1, members.keep_ids),
    (3, members.admit),
    (2, members.enrol),
    (6, members.rotate),
    (3, members.rotate_operator),
    (6, members.propose_bust),
    (3, members.propose_adjustment),
    (4, members.propose_award),
    (6, members.close_year),
    (1, members.define),
    (4, members.resolve),
    (7, members.find_ineligible),
    (1, members.find_related),
    (2, members.settle_for),
    (9, members.mistake),
    (1, credit.ask_anything),
)
"""What an operator decides."""

TEMPERS: dict[str, tuple[tuple[int, Deed], ...]] = {
    "maker": (
        (20, orders.quote),
        (6, orders.replace),
        (3, orders.iceberg),
        (3, orders.post_only),
        (3, orders.cancel),
        (3, credit.issue),
        (2, credit.offer),
        (4, orders.meet_own),
        (2, credit.subsidised),
        *_TRADING,
    ),
    "taker": (
        (5, orders.cross),
        (5, orders.market),
        (6, orders.at_once),
        (4, orders.minimum),
        (8, orders.stop),
        (1, credit.transfer),
        (1, credit.withdraw),
        *_TRADING,
    ),
    "saver": (
        (20, credit.subsidised),
        (14, credit.redeem),
        (10, credit.next_of_redemption),
        (5, credit.pay_debt),
        (1, credit.transfer),
        (1, credit.ask_listing),
        *_TRADING,
    ),
    "nervous": (
        (6, orders.cancel),
        (6, orders.replace),
        (6, orders.reduce),
        (4, orders.mass_cancel),
        (4, orders.cancel_all_after),
        (2, orders.quote),
        (2, credit.ask_orders),
        (2, credit.subsidised),
        *_TRADING,
    ),
    "stutterer": (
        (8, orders.same_again),
        (5, orders.other_again),
        (5, orders.mistake),
        (2, orders.ahead),
        (2, credit.withdraw),
        (2, credit.subsidised),
        *_TRADING,
    ),
    "flooder": (
        (5, orders.burst),
        (2, orders.flood_of_questions),
        (3, orders.mass_cancel),
        (3, orders.mistake),
        (2, credit.subsidised),
        *_TRADING,
    ),
    "silent": ((4, orders.limit), (3, orders.iceberg), (1, orders.cancel_all_after), *_TRADING),
    "provider": (
        (12, credit.offer),
        (3, orders.quote),
        (3, orders.meet_own),
        (5, credit.issue),
        (16, credit.deliver),
        (6, credit.usage),
        (2, orders.replace),
        (2, orders.cancel),
        (1, credit.ask_account),
        (1, credit.ask_orders),
    ),
    "operator": ((150, members.undo), (20, members.approve), *_BY_HAND),
    "office": ((3, members.enrol), (1, credit.ask_anything)),
    "auditor": ((1, credit.ask_anything), (1, credit.ask_account), (1, credit.ask_listing)),
}
"""By temper, each deed with its weight; one that stands twice has both."""

_CHOICES = {
    temper: ([deed for _, deed in rows], [weight for weight, _ in rows]) for temper, rows in TEMPERS.items()
}


def deeds_of(temper: str) -> tuple[list[Deed], list[int]]:
    """Return the deeds of a temper, and beside them how often each is done."""
    return _CHOICES[temper]
