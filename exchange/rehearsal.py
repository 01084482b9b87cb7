"""A dry run: acts are applied to a copy of the engine, and what came of it is told in numbers.

Pure: no socket, no file, no clock. It is truthful because nothing is worked out beside the rules: the same
engine applies the same acts, and the state before is compared with the state after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, get_args

import numpy as np

from exchange.engine import ActResult, Engine, Outcome
from exchange.protocol.acts import Act, Approve, Propose, SignedAct, TwoPersonsAct
from exchange.protocol.arrays import COMMAND
from exchange.protocol.reasons import MEANINGS, remedy_of
from exchange.protocol.rehearsals import (
    MEMBERS_TOLD_MAX,
    MONEY_NAME,
    AccountChange,
    Budget,
    BudgetChange,
    DebtChange,
    OrdersEnded,
    Rehearsal,
    Released,
    TradesCaused,
    Verdict,
)
from exchange.rehearsed_settings import listings_changed, phases_of, settings_changed, settings_of, states_of
from exchange.standstill import Standstill, engine_from, standstill
from matching.layout import EVENT
from matching.vocabulary import CommandKind, EventKind, Phase, RejectReason, Side
from settlement.layout import EFFECT, HOUSE, MONEY
from settlement.rows import ProgrammeRow

Following = Callable[[Engine, int], Iterable[SignedAct]]
"""Returns what falls due by the clock once acts are done, of a moment in ns: the calendar's part."""

ACCOUNT_FIELDS = ("available", "held", "restricted", "redeeming", "debt")


class Before(NamedTuple):
    """What of an engine's state is compared."""

    accounts: np.ndarray
    programmes: dict[str, ProgrammeRow]
    phases: dict[str, str]
    states: dict[str, str]
    debts: Counter[tuple[str, str]]
    settings: dict[tuple[str, str], int | str]
    members: int


class Part(NamedTuple):
    """The events of one command, and their effects."""

    events: np.ndarray
    effects: np.ndarray


def rehearse(
    engine: Engine, acts: Sequence[tuple[Act, str]], who: str, time: int, follow: Following | None = None
) -> Rehearsal:
    """Tell what acts, each with its reason, would bring about were they the next commands, at `time` (ns).

    `engine` stays as it is. An act that takes two operators is rehearsed as approved by another one.
    """
    return rehearse_on(standstill(engine), acts, who, time, follow)


def rehearse_on(
    still: Standstill, acts: Sequence[tuple[Act, str]], who: str, time: int, follow: Following | None = None
) -> Rehearsal:
    """Rehearse on a copy, which is used up by it."""
    engine = engine_from(still)
    return Trial(engine, max(time, engine.time)).play(acts, who, still.sequence, follow)


class Trial:
    """One rehearsal, on an engine of its own."""

    def __init__(self, engine: Engine, time: int) -> None:
        self.engine = engine
        self._time = time
        self._parts: list[Part] = []
        if engine.next_expiry <= time:  # what ends by the clock is not of the acts' doing
            self._tell_time()

    def play(
        self, acts: Sequence[tuple[Act, str]], who: str, sequence: int, follow: Following | None
    ) -> Rehearsal:
        """Apply the acts, then what follows of them by the clock, and tell what has changed."""
        self._follow(follow)  # what is due already is not of the acts' doing either
        self._parts.clear()
        before = look(self.engine)
        verdicts = tuple(self._judge(act, why, who) for act, why in acts)
        self._follow(follow)
        return self._told(before, verdicts, who, sequence)

    def _follow(self, follow: Following | None) -> None:
        for due in follow(self.engine, self._time) if follow is not None else ():
            self._apply(due)

    def _judge(self, act: Act, why: str, who: str) -> Verdict:
        """Apply one act, by two operators where it takes two; tell whether it was done."""
        name = type(act).__name__
        if isinstance(act, Propose):
            return self._judge_proposed(act.act, why, who)
        result = self._apply(SignedAct(who, why, act))
        if result.reason == RejectReason.TWO_PERSONS_NEEDED and isinstance(act, get_args(TwoPersonsAct)):
            return self._judge_proposed(act, why, who)
        return verdict_of(name, result)

    def _judge_proposed(self, act: TwoPersonsAct, why: str, who: str) -> Verdict:
        """Propose an act and have it approved by another operator, if there is one."""
        name = type(act).__name__
        approver = self._approver(who)
        if not approver:
            remedy = "there is no second operator who could approve it: admit one, and give it a key"
            code = RejectReason.TWO_PERSONS_NEEDED.name.lower()
            return Verdict(name, False, reason=code, field="member", value=who, remedy=remedy)
        proposal = self._apply(SignedAct(who, why, Propose(act)))
        if proposal.reason != RejectReason.NONE:
            return verdict_of(name, proposal)
        result = self._apply(SignedAct(approver, why, Approve(proposal.sequence)))
        return verdict_of(name, result, approver)

    def _approver(self, who: str) -> str:
        """Return an operator who is another person than `who`; with a key, if one has one. Blank: none."""
        registry = self.engine.registry
        owner = registry.owner_of(registry.member_numbers.get(who, HOUSE))
        others = [
            number
            for number, admitted in enumerate(registry.members)
            if number != HOUSE and admitted.role == "operator" and registry.owner_of(number) != owner
        ]
        keyed = set(registry.keys.values())
        chosen = [number for number in others if number in keyed] or others
        return registry.members[chosen[0]].member if chosen else ""

    def _apply(self, signed: SignedAct) -> ActResult:
        """Apply an act as the next command, and keep what it has brought about."""
        commands = np.zeros(1, COMMAND)
        commands["kind"], commands["time"] = CommandKind.ACT, self._time
        outcome = self.engine.apply(commands, (signed,))
        self._keep(outcome)
        return outcome.acts[0]

    def _keep(self, outcome: Outcome) -> None:
        self._parts.append(Part(outcome.events.copy(), outcome.effects.copy()))

    def _tell_time(self) -> None:
        commands = np.zeros(1, COMMAND)
        commands["kind"], commands["time"] = CommandKind.CLOCK, self._time
        self.engine.apply(commands)

    # --- what has changed ----------------------------------------------------------------------

    def _told(self, before: Before, verdicts: tuple[Verdict, ...], who: str, sequence: int) -> Rehearsal:
        engine, after = self.engine, look(self.engine)
        events = np.concatenate([np.zeros(0, EVENT), *(part.events for part in self._parts)])
        effects = np.concatenate([np.zeros(0, EFFECT), *(part.effects for part in self._parts)])
        changes = list(account_changes(engine, before.accounts, after.accounts))
        concerned = {change.member for change in changes}
        symbols = [one.symbol for one in engine.registry.instruments]
        return Rehearsal(
            sequence=sequence,
            time=self._time,
            who=who,
            verdicts=verdicts,
            cancelled=orders_ended(engine, events, effects, EventKind.CANCELLED),
            expired=orders_ended(engine, events, effects, EventKind.EXPIRED),
            released=released(events, effects, symbols, changes),
            trades=tuple(trades_caused(events, symbols)),
            phases=tuple(listings_changed(before.phases, after.phases, "phase")),
            states=tuple(listings_changed(before.states, after.states, "state")),
            listed=tuple(symbol for symbol in symbols if symbol not in before.states),
            admitted=tuple(one.member for one in engine.registry.members[before.members :]),
            programmes=tuple(budget_changes(before.programmes, after.programmes)),
            accounts=tuple(summed(engine, changes)),
            members=tuple(changes) if len(concerned) <= MEMBERS_TOLD_MAX else (),
            debts=tuple(debt_changes(before.debts, after.debts)),
            settings=tuple(settings_changed(before.settings, after.settings)),
        )


def verdict_of(act: str, result: ActResult, approver: str = "") -> Verdict:
    """Return what an operator is told of an act."""
    reason = RejectReason(result.reason)
    if reason == RejectReason.NONE:
        return Verdict(act, True, approver)
    remedy = remedy_of(reason, result.detail)
    return Verdict(act, False, approver, reason.name.lower(), MEANINGS[reason].field, result.value, remedy)


def look(engine: Engine) -> Before:
    """Return what is compared, as it stands now; a copy."""
    ledger, registry = engine.core.ledger, engine.registry
    return Before(
        accounts=ledger.accounts[: int(ledger.totals[0]["accounts"])].copy(),
        programmes={row.programme: row for row in engine.programmes()},
        phases=phases_of(engine),
        states=states_of(engine),
        debts=debts_of(engine),
        settings=settings_of(engine),
        members=len(registry.members),
    )


def debts_of(engine: Engine) -> Counter[tuple[str, str]]:
    """Return what each member owes to each programme, in hao."""
    registry = engine.registry
    owed: Counter[tuple[str, str]] = Counter()
    for member, debts in registry.debts.items():
        for debt in debts:
            owed[registry.members[member].member, registry.programmes[debt.ground.programme].code] += (
                debt.amount
            )
    return owed


def orders_ended(engine: Engine, events: np.ndarray, effects: np.ndarray, kind: EventKind) -> OrdersEnded:
    """Return which orders were cancelled, or have expired."""
    rows = np.flatnonzero(events["kind"] == kind)
    registry = engine.registry
    instruments = sorted(set(events["instrument"][rows].tolist()))
    members = sorted(set(effects["member"][rows].tolist()))
    return OrdersEnded(
        orders=len(rows),
        lots=int(events["quantity"][rows].sum()),
        instruments=tuple(registry.instruments[index].symbol for index in instruments),
        members=tuple(registry.members[number].member for number in members),
    )


def trades_caused(events: np.ndarray, symbols: Sequence[str]) -> Iterator[TradesCaused]:
    """Yield what was traded, instrument by instrument."""
    traded = events[events["kind"] == EventKind.TRADED]
    for index in sorted(set(traded["instrument"].tolist())):
        rows = traded[traded["instrument"] == index]
        prices, lots = rows["price"].tolist(), rows["quantity"].tolist()
        amount = sum(price * quantity for price, quantity in zip(prices, lots, strict=True))
        yield TradesCaused(symbols[index], len(rows), sum(lots), amount, min(prices), max(prices))


def released(
    events: np.ndarray, effects: np.ndarray, symbols: Sequence[str], changes: Iterable[AccountChange]
) -> Released:
    """Return what orders hold no longer, but for what they have paid or delivered in trades."""
    money = 0
    lots: Counter[str] = Counter()
    for change in changes:
        if change.account != "held":
            continue
        if change.asset == MONEY_NAME:
            money -= change.amount
        else:
            lots[change.asset] -= change.amount
    for at in np.flatnonzero(events["kind"] == EventKind.TRADED):
        event, effect = events[at], effects[at]
        is_buy = event["phase"] == Phase.AUCTION or event["side"] == Side.BUY
        fee = effect["fee"] if is_buy else effect["maker_fee"]
        money -= int(event["price"]) * int(event["quantity"]) + int(fee) - int(effect["subsidy"])
        lots[symbols[event["instrument"]]] -= int(event["quantity"])
    return Released(money, {symbol: count for symbol, count in sorted(lots.items()) if count})


def account_changes(engine: Engine, before: np.ndarray, after: np.ndarray) -> Iterator[AccountChange]:
    """Yield by how much each account has changed, member by member; accounts never move in their table."""
    registry = engine.registry
    was = np.zeros_like(after)
    was[: len(before)] = before
    differ = np.zeros(len(after), bool)
    for field in ACCOUNT_FIELDS:
        differ |= after[field] != was[field]
    rows = np.flatnonzero(differ)
    for at in rows[np.lexsort((after["asset"][rows], after["member"][rows]))]:
        asset, member = int(after[at]["asset"]), int(after[at]["member"])
        name = MONEY_NAME if asset == MONEY else registry.instruments[asset - 1].symbol
        for field in ACCOUNT_FIELDS:
            amount = int(after[at][field]) - int(was[at][field])
            if amount:
                yield AccountChange(registry.members[member].member, field, name, amount)


def summed(engine: Engine, changes: Iterable[AccountChange]) -> Iterator[AccountChange]:
    """Yield the changes of all members together, without the venue's own."""
    house = engine.registry.members[HOUSE].member
    sums: Counter[tuple[str, str]] = Counter()
    for change in changes:
        if change.member != house:
            sums[change.asset, change.account] += change.amount
    for (asset, account), amount in sorted(sums.items(), key=_money_first):
        if amount:
            yield AccountChange("", account, asset, amount)


def _money_first(item: tuple[tuple[str, str], int]) -> tuple[bool, str, int]:
    (asset, account), _ = item
    return asset != MONEY_NAME, asset, ACCOUNT_FIELDS.index(account)


def budget_changes(before: dict[str, ProgrammeRow], after: dict[str, ProgrammeRow]) -> Iterator[BudgetChange]:
    """Yield the programmes whose budget has changed."""
    for code, row in after.items():
        was = budget_of(before[code]) if code in before else None
        if was != budget_of(row):
            yield BudgetChange(code, was, budget_of(row))


def budget_of(row: ProgrammeRow) -> Budget:
    """Return a programme's budget in its four states."""
    return Budget(*(getattr(row, name) for name in Budget.__struct_fields__))


def debt_changes(before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]) -> Iterator[DebtChange]:
    """Yield by how much members owe more, or less, to programmes."""
    for member, programme in sorted(before.keys() | after.keys()):
        amount = after[member, programme] - before[member, programme]
        if amount:
            yield DebtChange(member, programme, amount)
