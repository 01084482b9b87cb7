"""Memory against ledger: what the postings add up to is what the engine has in its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from settlement.layout import MONEY, Ledger
from settlement.postings import PostingAccount
from settlement.rows import ProgrammeRow
from settlement.store import Store, statement

_Key = tuple[int, int, int]
"""An account's word, a member and an asset, by their numbers."""

_OWNED = {
    PostingAccount.FREE: ("available", "held"),
    PostingAccount.RESTRICTED: ("restricted",),
    PostingAccount.REDEEMING: ("redeeming",),
}
"""The members' accounts, and the fields of an engine's row that together are their balance."""

_LISTED = {"issue": "issued", "burn": "redeemed", "expire": "expired"}
"""Why credits come from outside or go there, and the field of an instrument's row that counts them."""

_STATES = ("budget", "uncommitted", "reserved", "paid", "vested")


class Unreconciled(Exception):
    """The store and the engine part. The process that finds it stops: one of the two is wrong."""

    def __init__(self, sequence: int, differences: list[str]) -> None:
        self.differences = differences
        more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
        super().__init__(
            f"at sequence {sequence} store and engine part: {differences[0]}{more}; "
            "`bourse verify` tells all; if the store is wrong, `bourse settle --rebuild` makes it anew"
        )


class Reconciler:
    """Compares a store with the ledger whose entries it holds.

    It remembers the balances that it found, so that each look reads only the postings since the last.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sequence = 0
        self._balances: Counter[_Key] = Counter()
        self._listed: Counter[tuple[str, int]] = Counter()
        self._programmes: Counter[int] = Counter()

    def differences(self, ledger: Ledger, programmes: list[ProgrammeRow]) -> list[str]:
        """Return in words where store and ledger part; both stand at the store's watermark."""
        self._catch_up()
        return [
            *self._account_differences(ledger),
            *self._listing_differences(ledger),
            *self._programme_differences(programmes),
        ]

    def _catch_up(self) -> None:
        """Add what was posted since the last look."""
        asked = self._store.cursor().execute(statement("reconcile_balances"), [self._sequence])
        for account, member, asset, programme, reason, amount in asked.fetchall():
            if reason:
                self._listed[_LISTED.get(reason, reason), asset - 1] += int(amount)
            elif account == PostingAccount.PROGRAMME:
                self._programmes[programme] += int(amount)
            else:
                self._balances[account, member, asset] += int(amount)
        self._sequence = self._store.watermark.sequence

    def _account_differences(self, ledger: Ledger) -> Iterator[str]:
        rows = ledger.accounts[: int(ledger.totals[0]["accounts"])]
        kept: Counter[_Key] = Counter()
        for owned, fields in _OWNED.items():
            _note(kept, owned, rows, np.sum([rows[field] for field in fields], axis=0))
        _note(kept, PostingAccount.DEBT, rows, -rows["debt"])
        posted = {
            key: amount for key, amount in self._balances.items() if key[0] in (*_OWNED, PostingAccount.DEBT)
        }
        for key in sorted(kept.keys() | posted.keys()):
            if kept[key] != posted.get(key, 0):
                account, member, asset = key
                yield (
                    f"{self._member(member)}, {PostingAccount(account).name.lower()}, {self._asset(asset)}: "
                    f"{kept[key]} in memory, {posted.get(key, 0)} by the postings"
                )

    def _listing_differences(self, ledger: Ledger) -> Iterator[str]:
        told = {
            instrument: dict(zip(_LISTED.values(), map(int, lots), strict=True))
            for instrument, *lots in self._store.cursor()
            .execute(statement("reconcile_obligations"))
            .fetchall()
        }
        for instrument in range(int(ledger.totals[0]["listings"])):
            for field in _LISTED.values():
                kept = int(ledger.listings[instrument][field])
                posted = abs(self._listed[field, instrument])
                owed = told.get(instrument, {}).get(field, 0)
                if not kept == posted == owed:
                    yield (
                        f"{self._asset(instrument + 1)}: {kept} {field} in memory, {posted} by the postings, "
                        f"{owed} by the obligations"
                    )

    def _programme_differences(self, programmes: list[ProgrammeRow]) -> Iterator[str]:
        columns = ", ".join(_STATES)
        asked = self._store.cursor().execute(f"select number, {columns} from base.programmes")  # noqa: S608
        stored = {number: dict(zip(_STATES, states, strict=True)) for number, *states in asked.fetchall()}
        for row in programmes:
            for state in _STATES:
                there = stored.get(row.index, {}).get(state)
                here = getattr(row, state)
                if there != here:
                    yield f"programme {row.programme}: {state} is {here} in memory, {there} in the store"
            left = row.uncommitted + row.reserved
            if left != self._programmes[row.index]:
                yield (
                    f"programme {row.programme}: {left} left to pay in memory, "
                    f"{self._programmes[row.index]} by the postings"
                )

    def _member(self, number: int) -> str:
        return self._name("member", number)

    def _asset(self, number: int) -> str:
        return "money" if number == MONEY else self._name("instrument", number - 1)

    def _name(self, kind: str, number: int) -> str:
        query = f"select {kind} from base.{kind}_names where number = $1"  # noqa: S608
        found = self._store.cursor().execute(query, [number]).fetchone()
        return str(found[0]) if found else f"{kind} {number}"


def _note(balances: Counter[_Key], account: int, rows: np.ndarray, amounts: np.ndarray) -> None:
    """Add the amounts that are not 0, row by row, to what members have in one sort of account."""
    for at in np.flatnonzero(amounts):
        balances[account, int(rows["member"][at]), int(rows["asset"][at])] += int(amounts[at])
