"""Random acts about members: keys that come and go, guards, cancels of all that somebody has open."""

from __future__ import annotations

from collections import deque

from exchange.protocol.acts import (
    Act,
    CancelOrders,
    Guard,
    KeepIds,
    Propose,
    RegisterKey,
    RevokeKey,
    SetLimits,
)
from exchange.registry import SESSIONS
from tests.engine.flow_money import AIDE, OPERATOR, MoneyActs
from tests.engine.flow_world import IDS_PER_MEMBER
from tests.engine.market import Step, act_step

HOLDERS = ("ANN", "BEN", "YUN", OPERATOR, AIDE)
"""Whose keys come and go: few, so that the limit of two is met."""


class MemberActs(MoneyActs):
    """Members who change their keys, and a gateway that watches them; sometimes what they may not do."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.keys: deque[tuple[str, str]] = deque(maxlen=12)
        self.numbered_keys = 0

    def member_step(self) -> Step:
        """Return an act about a member, and who decides it: mostly who may."""
        act, who = self.member_act()
        if self.chance.random() < 0.1:
            who = self.chance.choice((*self.names, SESSIONS, "NOBODY"))
        if isinstance(act, Propose):
            self.proposed.append((self.sequence + 1, who))
        return act_step(act, self.time, who)

    def member_act(self) -> tuple[Act, str]:
        """Return an act about a member, and who may decide it."""
        chance = self.chance
        sort = chance.random()
        if sort < 0.3:
            return self.new_key()
        if sort < 0.5:
            return self.gone_key()
        if sort < 0.7:
            name = self.trader()
            guard = Guard(name, chance.random() < 0.5, chance.choice((0, 0, 30, -1, 86_401)))
            return guard, chance.choice((name, OPERATOR, SESSIONS, SESSIONS, SESSIONS))
        if sort < 0.78:
            return self.limits(), OPERATOR
        if sort < 0.95:
            cause = chance.choice(("session_lost", "dead_man", "operator"))
            name = chance.choice((self.trader(), self.trader(), "HOUSE", "NOBODY"))
            return CancelOrders(name, cause), OPERATOR if cause == "operator" else SESSIONS  # type: ignore[arg-type]
        return KeepIds(IDS_PER_MEMBER + chance.choice((-1, 0, 1, 2, 2**20))), OPERATOR

    def limits(self) -> SetLimits:
        """Return other limits for somebody whose orders meet them; sometimes none, or too large ones."""
        chance = self.chance
        return SetLimits(
            member=chance.choice(("LIM", "LIM", "EVE", "ANN-2", "HOUSE", "NOBODY")),
            open_orders_max=chance.choice((None, None, 0, 2, 4, 2**31)),
            quantity_max=chance.choice((None, None, 10, 50, 10**9, -1)),
            notional_max=chance.choice((None, 20_000, 50_000)),
            turnover_max=chance.choice((None, 40_000, 200_000, 2**60 + 1)),
        )

    def new_key(self) -> tuple[Act, str]:
        """Return that a key is registered: by its member, by an operator, or proposed."""
        chance = self.chance
        self.numbered_keys += 1
        name, key = chance.choice(HOLDERS), f"{self.numbered_keys:040}"
        if chance.random() < 0.1:
            key = chance.choice(("short", "~" * 40, *(one for one, _ in self.keys)))
        self.keys.append((key, name))
        act = RegisterKey(name, key)
        if chance.random() < 0.3:
            return Propose(act), chance.choice((OPERATOR, AIDE))
        return act, chance.choice((name, name, OPERATOR))

    def gone_key(self) -> tuple[Act, str]:
        """Return that a key is revoked; of operators seldom."""
        if not self.keys:
            return RevokeKey("k" * 40), OPERATOR
        key, name = self.chance.choice(self.keys)
        if name in (OPERATOR, AIDE) and self.chance.random() < 0.7:
            key, name = self.keys[0]
        return RevokeKey(key), self.chance.choice((name, OPERATOR))
