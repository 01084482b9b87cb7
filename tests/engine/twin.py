"""The engine's twin in plain Python: `matching.reference` and `settlement.reference` put together.

Here stand the rules that are neither the book's nor the ledger's: whose ids are remembered, what is
checked first, what a refusal tells. `tests.engine.twin_markets` has those of states, phases and fixings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from exchange.memory import IDS_PER_MEMBER, SENT_AHEAD_NS_MAX
from exchange.protocol.acts import (
    Act,
    Admit,
    BlockMember,
    DefineProgramme,
    Deposit,
    Issue,
    ListInstruments,
    SetFees,
)
from exchange.protocol.records import Command as Record
from matching.reference import Command, Event, refusal
from matching.vocabulary import (
    NO_SLOT,
    NOTIONAL_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    SLICES_MAX,
    CommandKind,
    EventKind,
    OrderState,
    OrderType,
    RejectReason,
    Role,
    Side,
    Size,
)
from settlement.layout import HOUSE, NO_PROGRAMME
from settlement.reference import Asked, Listing, Member, Order, Part, ReferenceLedger, Refused
from tests.engine.market import Balance, Budget, Said, Stand, Used
from tests.engine.twin_markets import Markets

UNREAD = ("stop_price", "trail")
"""The fields of a command that no order type of today reads."""

OF_PHASE = (RejectReason.INSTRUMENT_NOT_OPEN, RejectReason.NOT_IN_PHASE)
"""Why a phase refuses: then the event and the detail tell which."""

UNTOUCHING = (EventKind.REJECTED, EventKind.KNOWN, EventKind.MASS_CANCELLED)
"""Events by which no instrument was touched."""

OF_MARKETS = (EventKind.PHASE_CHANGED, EventKind.INDICATIVE)
"""Events that concern a whole market, and no member."""


class Memo(NamedTuple):
    """What a client id named: an order, or a command that was refused."""

    sent_at: int
    record: Record
    order: Order | None = None
    reason: RejectReason = RejectReason.NONE
    detail: int = 0


@dataclass
class Memory:
    """One member's last client ids, oldest first; nothing sent up to `horizon` is taken any more."""

    ids_max: int
    ids: dict[bytes, Memo] = field(default_factory=dict)
    horizon: int = 0

    def remember(self, memo: Memo) -> None:
        """Remember a client id; the oldest is forgotten if there are too many."""
        if len(self.ids) == self.ids_max:
            oldest = self.ids.pop(next(iter(self.ids)))
            self.horizon = max(self.horizon, oldest.sent_at)
        self.ids[memo.record.client_id] = memo


class Twin(Markets):
    """The whole venue without haste: a command in, what is said of it out."""

    def __init__(
        self,
        ids_per_member: int = IDS_PER_MEMBER,
        ledger: Callable[[], ReferenceLedger] = ReferenceLedger,
    ) -> None:
        super().__init__()
        self.ledger = ledger()
        self.ids_per_member = ids_per_member
        self.names: list[str] = []
        self.symbols: list[str] = []
        self.memories: list[Memory] = []
        self.groups: list[str] = []
        self.records: dict[int, Record] = {}
        self.sequence = 0
        self.decide(Admit(member="HOUSE", role="operator", group="HOUSE"))
        self.ledger.members[HOUSE].role = Role.HOUSE

    # --- what the venue decides: acts that were accepted ---------------------------------------

    def decided(self, record: Record, act: Act | None) -> list[Said]:
        """Do an act as the next command, None if it was refused, and tell what happened."""
        said = self.pass_time(record)
        if act is not None:
            said += self.settled(record, self.done(self.decide(act)))
        return [*said, *self.indicated(record, said)]

    def decide(self, act: Act) -> Iterable[Command]:
        """Do an act; return what it asks of the book."""
        ledger = self.ledger
        match act:
            case Admit():
                self.admit(act)
            case ListInstruments():
                self.list_instruments(act)
            case SetFees():
                ledger.set_fees(act.kind, act.maker, act.taker)
            case DefineProgramme():
                ledger.define(act.terms)
            case Deposit():
                ledger.deposit(self.names.index(act.member), act.amount)
            case Issue():
                ledger.issue(self.symbols.index(act.instrument), act.lots)
            case BlockMember():
                ledger.members[self.names.index(act.member)].blocked = act.blocked
            case _:
                return self.decide_of_markets(act)
        return ()

    def admit(self, act: Admit) -> None:
        self.names.append(act.member)
        self.memories.append(Memory(self.ids_per_member))
        member = Member(
            group=act.group or act.member,
            role=Role[act.role.upper()],
            size=Size[act.size.upper()],
            region=act.region,
            domestic_only=act.domestic_only,
            open_orders_max=act.open_orders_max,
            quantity_max=act.quantity_max,
            notional_max=act.notional_max,
            turnover_max=act.turnover_max,
        )
        self.ledger.admit(member)
        if member.group not in self.groups:
            self.groups.append(member.group)

    def list_instruments(self, act: ListInstruments) -> None:
        for one in act.instruments:
            provider = self.names.index(one.provider)
            self.symbols.append(one.symbol)
            self.ledger.list_instrument(
                Listing(one.kind, provider, one.list_price, domestic=one.domestic, filed=one.filed)
            )
            self.open_market(one)

    # --- what members ask ----------------------------------------------------------------------

    def apply(self, record: Record) -> list[Said]:
        """Do what is asked, as the next command, and tell what happened."""
        said = [*self.pass_time(record), *self.do(record)]
        return [*said, *self.indicated(record, said)]

    def pass_time(self, record: Record) -> list[Said]:
        """Begin the next command: the clock comes to its time, and what is due expires."""
        self.sequence += 1
        self.book.clock = max(self.book.clock, record.time)
        self.book.decrements = 0
        return self.settled(record, [*self.book.expire()])

    def do(self, record: Record) -> list[Said]:
        """Do what is asked."""
        try:
            match record.kind:
                case CommandKind.NEW:
                    return self.new_order(record)
                case CommandKind.CANCEL | CommandKind.REDUCE:
                    return self.change(record)
                case CommandKind.MASS_CANCEL:
                    return self.cancel_many(record)
                case CommandKind.END_DAY:
                    self.ledger.end_day()
                    return self.settled(record, self.done([form_of(record, 0)]))
                case CommandKind.CLOCK:
                    return []
            raise Refused(RejectReason.UNKNOWN_KIND)
        except Refused as why:
            order = record.order if record.kind in (CommandKind.CANCEL, CommandKind.REDUCE) else 0
            phase = why.detail if why.reason in OF_PHASE else 0
            event = refusal(form_of(record, order), why.reason, phase)
            return [self.said(record, event, state=OrderState.REJECTED, detail=why.detail)]

    def new_order(self, record: Record) -> list[Said]:
        """Take a new order: is its id known, is it sound, is it allowed, is it covered? Then trade it."""
        self.must_be_member(record)
        if not record.client_id:
            raise Refused(RejectReason.CLIENT_ID_INVALID)
        memory = self.memories[record.member]
        if record.client_id in memory.ids:
            return [self.known(record, memory.ids[record.client_id])]
        if record.sent_at <= memory.horizon:
            raise Refused(RejectReason.TOO_OLD)
        if record.sent_at > record.time + SENT_AHEAD_NS_MAX:
            raise Refused(RejectReason.CLOCK_AHEAD, record.sent_at - record.time)
        memo = Memo(record.sent_at, record)
        try:
            self.must_be_sound(record)
            self.must_be_allowed(record)
            self.must_fit_the_book(record)
            order = self.ledger.enter(asked_of(record), self.sequence)
        except Refused as why:
            memory.remember(memo._replace(reason=why.reason, detail=why.detail))
            raise
        memory.remember(memo._replace(order=order))
        self.records[order.id] = record
        form = form_of(record, order.id)._replace(
            group=self.groups.index(self.ledger.members[record.member].group),
            subsidised=int(record.programme != NO_PROGRAMME),
        )
        return self.settled(record, self.done([form]))

    def change(self, record: Record) -> list[Said]:
        """Take an order back, or lots off it; only its own member may."""
        self.must_be_member(record)
        if record.kind == CommandKind.REDUCE and record.quantity <= 0:
            raise Refused(RejectReason.QUANTITY_NOT_POSITIVE)
        return self.settled(record, self.obeyed(form_of(record, record.order)))

    def cancel_many(self, record: Record) -> list[Said]:
        """Take a member's own orders back, of an instrument, of a side, or all; tell how many they were."""
        self.must_be_member(record)
        form = form_of(record, 0)
        events = self.obeyed(form)
        done = refusal(form, RejectReason.NONE)
        done = done._replace(kind=EventKind.MASS_CANCELLED, price=0, quantity=len(events))
        return [*self.settled(record, events), self.said(record, done)]

    def obeyed(self, form: Command) -> list[Event]:
        """Put a command to the book. Raises `Refused` if the book does."""
        events = self.done([form])
        if events and events[0].kind == EventKind.REJECTED:
            raise Refused(RejectReason(events[0].reason), events[0].phase)
        return events

    def done(self, forms: Iterable[Command]) -> list[Event]:
        """Let the book do what is asked, one after the other, and what that triggers."""
        events = []
        for form in forms:
            events += [*self.book.do(form), *self.book.trigger()]
        return events

    def indicated(self, record: Record, said: list[Said]) -> list[Said]:
        """Tell what auctions would find now, of the instruments that a command has touched."""
        touched = dict.fromkeys(one.instrument for one in said if one.kind not in UNTOUCHING)
        return self.settled(record, [*self.book.indicate(touched)])

    def known(self, record: Record, memo: Memo) -> Said:
        """Answer an id that is known: nothing is done, and its order's state now is told."""
        number = memo.order.id if memo.order else 0
        event = refusal(form_of(memo.record, number), memo.reason)._replace(kind=EventKind.KNOWN)
        asked = {"programme": memo.record.programme, "time_in_force": memo.record.time_in_force}
        if memo.order is None:
            return self.said(record, event, state=OrderState.REJECTED, detail=memo.detail, **asked)
        order = memo.order
        event = event._replace(quantity=order.quantity)
        if order.state == OrderState.OPEN:
            event = event._replace(leaves=order.leaves)
        return self.said(
            record,
            event,
            state=order.state,
            filled=order.filled,
            gross=order.gross,
            paid=order.paid,
            fee=order.fees,
            subsidy=order.reserved if order.state == OrderState.OPEN else 0,
            **asked,
        )

    # --- what is refused -----------------------------------------------------------------------

    def must_be_member(self, record: Record) -> None:
        """Refuse whoever was not admitted, and the house itself."""
        if not HOUSE < record.member < len(self.names):
            raise Refused(RejectReason.UNKNOWN_MEMBER)

    def must_be_sound(self, record: Record) -> None:
        """Refuse what cannot be taken as it is written."""
        if record.type != OrderType.LIMIT:
            raise Refused(RejectReason.UNKNOWN_TYPE)
        if any(getattr(record, name) for name in UNREAD) or record.instructions not in (0, 1):
            raise Refused(RejectReason.FIELD_NOT_SUPPORTED)
        reason = self.book.fault_of(form_of(record, self.sequence))
        if reason in (RejectReason.POST_ONLY_WOULD_CROSS, RejectReason.BOOK_FULL):
            return  # so it stands now: first comes whether this member may place it at all
        if reason == RejectReason.PRICE_TOO_LARGE:
            raise Refused(reason, PRICE_MAX)
        if reason == RejectReason.PRICE_OFF_TICK:
            raise Refused(reason, self.book.markets[record.instrument].tick)
        if reason == RejectReason.QUANTITY_TOO_LARGE:
            raise Refused(reason, QUANTITY_MAX)
        if reason == RejectReason.NOTIONAL_TOO_LARGE:
            raise Refused(reason, NOTIONAL_MAX // record.price)
        if reason == RejectReason.DISPLAY_QUANTITY_INVALID:
            raise Refused(reason, -(-record.quantity // SLICES_MAX))
        if reason in OF_PHASE:
            raise Refused(reason, self.book.markets[record.instrument].phase)
        if reason != RejectReason.NONE:
            raise Refused(reason)

    def must_be_allowed(self, record: Record) -> None:
        """Refuse what this member may not place at all."""
        member = self.ledger.members[record.member]
        notional = record.price * record.quantity
        if member.blocked:
            raise Refused(RejectReason.MEMBER_BLOCKED)
        if member.role not in (Role.FIRM, Role.PROVIDER):
            raise Refused(RejectReason.ROLE_NOT_PERMITTED)
        is_foreign = not self.ledger.listings[record.instrument].domestic
        if member.domestic_only and is_foreign and record.side == Side.BUY:
            raise Refused(RejectReason.DOMESTIC_ONLY)
        if record.quantity > member.quantity_max:
            raise Refused(RejectReason.QUANTITY_ABOVE_LIMIT, member.quantity_max)
        if notional > member.notional_max:
            raise Refused(RejectReason.NOTIONAL_ABOVE_LIMIT, member.notional_max)
        if member.open_orders >= member.open_orders_max:
            raise Refused(RejectReason.OPEN_ORDERS_AT_LIMIT, member.open_orders_max)
        if member.turnover + notional > member.turnover_max:
            raise Refused(RejectReason.TURNOVER_AT_LIMIT, max(member.turnover_max - member.turnover, 0))

    def must_fit_the_book(self, record: Record) -> None:
        """Refuse an order that must not trade at once, and would; and an iceberg too many."""
        reason = self.book.fault_of(form_of(record, self.sequence))
        if reason != RejectReason.NONE:
            raise Refused(reason)

    # --- what is told --------------------------------------------------------------------------

    def settled(self, record: Record, events: list[Event]) -> list[Said]:
        """Settle what the book did for one command, and tell it."""
        for event in events:
            if event.kind == EventKind.ACCEPTED:
                self.group_of[event.order] = self.ledger.members[record.member].group
        self.note(events)
        return [self.told(record, event) for event in events]

    def told(self, record: Record, event: Event) -> Said:
        """Tell one event of the book with what it means in money."""
        if event.kind in OF_MARKETS:
            return self.said(Record(record.kind, time=record.time), event)
        effect = self.ledger.settle(event)
        facts = self.facts_of(effect.own)
        if effect.maker is not None:
            facts |= {f"maker_{name}": value for name, value in self.facts_of(effect.maker).items()}
            del facts["maker_type"], facts["maker_time_in_force"]
        return self.said(
            record, event, **facts, subsidy=effect.subsidy, entry=effect.entry, trade=effect.trade
        )

    def facts_of(self, part: Part) -> dict[str, int | bytes]:
        """Return whose order it is, how it stands, and what it was charged."""
        record = self.records[part.order.id]
        return {
            "member": record.member,
            "programme": record.programme,
            "client_id": record.client_id,
            "type": record.type,
            "time_in_force": record.time_in_force,
            "state": part.state,
            "filled": part.filled,
            "gross": part.gross,
            "paid": part.paid,
            "fee": part.fee,
        }

    def said(self, record: Record, event: Event, **facts: int | bytes) -> Said:
        """Return an event and its effect as one row; what `facts` do not tell is the command's, or 0."""
        blank = dict.fromkeys(Said._fields, 0) | {
            "sequence": self.sequence,
            "time": record.time,
            "member": record.member,
            "programme": record.programme,
            "client_id": record.client_id,
            "type": record.type,
            "time_in_force": record.time_in_force,
            "maker_member": NO_SLOT,
            "maker_programme": NO_PROGRAMME,
            "maker_client_id": b"",
        }
        told = event._asdict()
        del told["command"]
        return Said(**(blank | told | facts))  # type: ignore[arg-type]

    def stand(self) -> Stand:
        """Return how everything stands, as `tests.engine.market.stand_of` tells it of an engine."""
        ledger = self.ledger
        balances = {
            key: Balance(one.available, one.held, one.restricted) for key, one in ledger.balances.items()
        }
        usages = {
            (number, self.groups.index(group)): Used(one.used_money[group], one.used_lots[group])
            for number, one in enumerate(ledger.programmes)
            for group in one.used_money
        }
        return Stand(
            {key: balance for key, balance in balances.items() if any(balance)},
            [Budget(one.uncommitted, one.reserved, one.paid, one.vested) for one in ledger.programmes],
            {key: used for key, used in usages.items() if any(used)},
            [(one.open_orders, one.turnover, int(one.blocked)) for one in ledger.members],
            (ledger.entries, ledger.trades),
            [
                (instrument, side, order.id, order.price, order.leaves, order.shown, order.member)
                for instrument in range(len(self.symbols))
                for side in Side
                for order in self.book.orders_of(instrument, side)
            ],
            [(market.phase, market.reference, market.last) for market in self.book.markets],
        )


def form_of(record: Record, order: int) -> Command:
    """Return a command in the book's words, under the order id that it acts on."""
    alike = {name: getattr(record, name) for name in Command._fields if name in Record._fields}
    return Command(**alike | {"order": order, "post_only": record.instructions & 1})


def asked_of(record: Record) -> Asked:
    """Return a command in the ledger's words."""
    return Asked(**{name: getattr(record, name) for name in Asked._fields})
