"""What a block of commands will touch, fetched before it is done: each row would be waited for alone.

With 100,000 accounts nearly every command meets rows that no cache holds: where its client id is noted,
its order and what that has at stake, its accounts. What an earlier command of the block changes meanwhile
makes a fetch useless, never wrong.
"""

from __future__ import annotations

import numpy as np

from exchange.forms import aims_at_order
from exchange.memory import key_of_id
from exchange.state import Core
from matching.ids import head_of
from matching.kernel import fetch, kernel
from matching.layout import Row
from matching.places import home_of
from matching.rows import head_at
from matching.vocabulary import NO_SLOT, CommandKind
from settlement.balances import account_key

BLOCK = 32
"""How many commands are looked at together: enough to hide a miss, and what is fetched is there still."""


@kernel
def fetch_block(core: Core, commands: np.ndarray, start: int, stop: int) -> None:
    """Fetch what the commands from row `start` to `stop` will touch, one step after the other."""
    for row in range(start, stop):
        fetch_places(core, commands[row])
    for row in range(start, stop):
        fetch_rows(core, commands[row])
    for row in range(start, stop):
        fetch_stake(core, commands[row])


@kernel
def is_known(core: Core, command: Row) -> bool:
    """Tell whether a command's member and instrument are there, so that their rows can be looked at."""
    is_member: bool = 0 < command.member < core.ledger.totals[0].members
    return is_member and 0 <= command.instrument < len(core.book.markets)


@kernel
def fetch_places(core: Core, command: Row) -> None:
    """Fetch where a command's ids are looked for."""
    if aims_at_order(command):
        fetch(core.book.heads, head_of(command.order, len(core.book.heads) - 1))
    elif command.kind == CommandKind.NEW and is_known(core, command):
        marks = core.memory.marks
        fetch(marks, key_of_id(command.member, command.client_id) & (len(marks) - 1))
        accounts = core.ledger.account_places
        fetch(accounts, home_of(account_key(command.member, command.instrument + 1), len(accounts) - 1))
        fetch(core.ledger.members, command.member)
        fetch(core.memory.recalls, command.member)


@kernel
def fetch_rows(core: Core, command: Row) -> None:
    """Fetch the order that a command is about, or a new order's accounts."""
    if aims_at_order(command):
        slot = head_at(core.book, head_of(command.order, len(core.book.heads) - 1))
        if slot != NO_SLOT:
            fetch(core.book.orders, slot)
            fetch(core.ledger.stakes, slot)
    elif command.kind == CommandKind.NEW and is_known(core, command):
        ledger = core.ledger
        fetch(ledger.accounts, ledger.members[command.member].money)
        ids = core.memory.recalls[command.member]
        if ids.count > 0:
            fetch(core.memory.memos, ids.newest)
        places = ledger.account_places
        at = home_of(account_key(command.member, command.instrument + 1), len(places) - 1)
        if places[at].slot != NO_SLOT:
            fetch(ledger.accounts, places[at].slot)


@kernel
def fetch_stake(core: Core, command: Row) -> None:
    """Fetch what an order that a command is about has at stake, and what is remembered of it."""
    if aims_at_order(command):
        slot = head_at(core.book, head_of(command.order, len(core.book.heads) - 1))
        if slot != NO_SLOT:
            stake = core.ledger.stakes[slot]
            fetch(core.memory.memos, stake.memo)
            fetch(core.ledger.accounts, stake.money)
            fetch(core.ledger.accounts, stake.credits)
            fetch(core.ledger.members, core.book.orders[slot].member)
            if stake.parcel != NO_SLOT:
                fetch(core.ledger.parcels, stake.parcel)
