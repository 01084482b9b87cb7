"""What a member is told: orders, fills and accounts, as values that do not change.

An order's later state is another `Order`; ask `ex.order(order.id)` for what was heard of it last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from exchange.client.errors import OrderRejected, UnknownName
from exchange.protocol.messages import Account as AccountAnswer
from exchange.protocol.messages import Balance, ListedProgramme, Obligation, ProgrammeLeft
from matching.vocabulary import OrderState, OrderType, Side, TimeInForce

Outcome: TypeAlias = "Order | OrderRejected"
"""What became of one order of a batch: a refusal is a value there."""


class Order(msgspec.Struct, frozen=True, gc=False):
    """An order as the venue told it. Money in hao, quantities in lots, `time` in ns since 1970 (UTC).

    `price` is the limit, or of an order without one the worst price that it may trade at. `gross` is
    what its trades amount to, `fees` what they were charged, `subsidy` what its programme's part comes to,
    paid at its trades or as its credits are redeemed; `reserved` is what the programme keeps for it, exact
    when it was accepted, replaced or listed, after that at most what is left. `stop_price` is where a stop
    waits, as it was told last (a trailing one moves on by itself); 0 for one that is triggered, and for
    all other orders. All as of `sequence`, the journal's number of the command that the order was last told
    of with. `known` tells that the client id had been used before: nothing was done again. `reason` says in a
    word why it was cancelled or reduced where nobody asked for that, as `self_trade`, `session_lost` or
    `dead_man`; else it is blank. The list of open orders tells no time (0), and its own `sequence` for all.
    """

    id: int
    client_id: str
    instrument: str
    side: Side
    state: OrderState
    price: int
    quantity: int
    filled: int
    leaves: int
    gross: int
    fees: int
    subsidy: int
    reserved: int
    programme: str | None
    time_in_force: TimeInForce
    sequence: int
    time: int
    known: bool = False
    type: OrderType = OrderType.LIMIT
    stop_price: int = 0
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.state is OrderState.OPEN


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One order's share of a trade. Money in hao, `quantity` in lots, `time` in ns since 1970 (UTC).

    `price` is the trade's, `subsidy` what the programme paid at this trade, `fee` what this order
    was charged for it; `maker` tells that the order rested.
    """

    order: int
    client_id: str
    instrument: str
    side: Side
    trade: int
    price: int
    quantity: int
    subsidy: int
    fee: int
    maker: bool
    sequence: int
    time: int


class Credits(dict[str, Balance]):
    """Balances in lots by symbol; nothing of what is listed but not held."""

    def __init__(self, balances: Mapping[str, Balance], symbols: Mapping[str, object]) -> None:
        super().__init__(balances)
        self._symbols = symbols

    def __missing__(self, symbol: str) -> Balance:
        if symbol in self._symbols:
            return Balance(available=0, held=0, restricted=0)
        raise unknown_name("instrument", symbol, self._symbols)


class Account(msgspec.Struct, frozen=True):
    """A member's balances as of `sequence`: money in hao, credits in lots.

    `programmes` tells what each programme still pays for the member's group, `debt` what the member owes
    to programmes, and `obligations` what it owes itself, as a provider, to those who redeem.
    """

    sequence: int
    money: Balance
    credits: Credits
    programmes: tuple[ProgrammeLeft, ...]
    debt: int = 0
    obligations: tuple[Obligation, ...] = ()


def account_of(answer: AccountAnswer, symbols: Mapping[str, object]) -> Account:
    """Return an account as the member's engineer reads it."""
    return Account(
        sequence=answer.sequence,
        money=answer.money,
        credits=Credits(answer.credits, symbols),
        programmes=answer.programmes,
        debt=answer.debt,
        obligations=answer.obligations,
    )


class Programmes(dict[str, ListedProgramme]):
    """Programmes by code, with their budgets as of the logon, in hao."""

    def __missing__(self, code: str) -> ListedProgramme:
        raise unknown_name("programme", code, self)


def unknown_name(field: str, name: object, names: Mapping[str, object]) -> UnknownName:
    """Return the error for a name that is not among `names`, with those that look like it."""
    from difflib import get_close_matches

    by_capitals = {known.upper(): known for known in names}
    close = get_close_matches(str(name).upper(), by_capitals, n=3, cutoff=0.5)
    return UnknownName(
        f"there is no {field} {name!r} here",
        field=field,
        value=name,
        remedy=(
            f"did you mean {' or '.join(by_capitals[match] for match in close)}?"
            if close
            else f"choose one of the {len(by_capitals)} that the venue lists"
        ),
    )
