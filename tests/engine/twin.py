"""The engine's twin in plain Python: `matching.reference` and `settlement.reference` put together.

Here stand the rules that are neither the book's nor the ledger's: whose ids are remembered, what is
checked first, what a refusal tells. `tests.engine.twin_markets` has those of states, phases and fixings,
`tests.engine.twin_money` the acts of money, `tests.engine.twin_members` those about keys and guards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from msgspec.structs import replace

from exchange.memory import IDS_PER_MEMBER, SENT_AHEAD_NS_MAX
from exchange.protocol.acts import (
    Act,
    Admit,
    BlockMember,
    DefineProgramme,
    ListInstruments,
    SetCapacity,
    SetFees,
)
from exchange.protocol.records import Command as Record
from matching.reference import Command, Event, Order, refusal
from matching.reference_faults import fault_of_replacement
from matching.reference_orders import STOP_TYPES, price_of
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
from settlement.reference import Asked, Effect, Listing, Member, Part, ReferenceLedger, Refused
from settlement.reference import Order as Stake
from settlement.reference_orders import must
from settlement.terms import midnight_ns
from tests.engine.market import Said
from tests.engine.stands import Stand
from tests.engine.twin_members import JudgedAct, Members
from tests.engine.twin_stands import stand_of_twin

OF_PHASE = (RejectReason.INSTRUMENT_NOT_OPEN, RejectReason.NOT_IN_PHASE)
"""Why a phase refuses: then the event and the detail tell which."""

AIMED = (CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE)
"""The commands about an order that is there."""

UNTOUCHING = (EventKind.REJECTED, EventKind.KNOWN, EventKind.MASS_CANCELLED)
"""Events by which no instrument was touched."""

OF_MARKETS = (EventKind.PHASE_CHANGED, EventKind.INDICATIVE)
"""Events that concern a whole market, and no member."""


class Memo(NamedTuple):
    """What a client id named: an order, or a command that was refused."""

    sent_at: int
    record: Record
    order: Stake | None = None
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


class Twin(Members):
    """The whole venue without haste: a command in, what is said of it out."""

    def __init__(
        self,
        ids_per_member: int = IDS_PER_MEMBER,
        ledger: Callable[[], ReferenceLedger] = ReferenceLedger,
    ) -> None:
        super().__init__(ledger)
        self.ids_per_member = ids_per_member
        self.memories: list[Memory] = []
        self.records: dict[int, Record] = {}
        self.paid_at_end: dict[int, int] = {}
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

    def judged(self, record: Record, act: JudgedAct, who: str) -> tuple[RejectReason, list[Said]]:
        """Do an act that is judged here as the next command, and tell what happened; or why it is refused."""
        said, reason = self.pass_time(record), RejectReason.NONE
        try:
            events = self.judge(act, who)
            said += self.settled(record, events)
            self.finish()
        except Refused as why:
            reason = why.reason
        return reason, [*said, *self.indicated(record, said)]

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
            case SetCapacity():
                self.capacities[act.instrument] = act.lots
            case BlockMember():
                ledger.members[self.names.index(act.member)].blocked = act.blocked
            case _:
                return self.decide_of_markets(act)
        return ()

    def keep_ids(self, per_member: int) -> None:
        self.ids_per_member = per_member
        for memory in self.memories:
            memory.ids_max = per_member

    def admit(self, act: Admit) -> None:
        if act.owner:
            owner = self.ledger.members[self.names.index(act.owner)]
            size = owner.size.name.lower()
            act = replace(act, size=size, region=owner.region, districts=owner.districts)
        self.names.append(act.member)
        self.memories.append(Memory(self.ids_per_member))
        member = Member(
            group=self.group_named(act),
            role=Role[act.role.upper()],
            size=Size[act.size.upper()],
            region=act.region,
            districts=act.districts,
            owner=self.names.index(act.owner) if act.owner else None,
            domestic_only=act.domestic_only,
            open_orders_max=act.open_orders_max,
            quantity_max=act.quantity_max,
            notional_max=act.notional_max,
            turnover_max=act.turnover_max,
        )
        self.ledger.admit(member)
        if member.group not in self.groups:
            self.groups.append(member.group)

    def group_named(self, act: Admit) -> str:
        """Return the group of a new member: its owner's, or the one that its name means by now."""
        if act.owner:
            return self.ledger.group_of(self.names.index(act.owner))
        group = act.group or act.member
        return self.merged.get(group, group)

    def list_instruments(self, act: ListInstruments) -> None:
        for one in act.instruments:
            provider, *others = (self.names.index(name) for name in one.providers)
            self.symbols.append(one.symbol)
            self.ledger.list_instrument(
                Listing(
                    one.kind,
                    provider,
                    one.list_price,
                    domestic=one.domestic,
                    filed=one.filed,
                    symbol=one.symbol,
                    meter=one.meter,
                    ends=midnight_ns(one.expires + timedelta(days=1)) if one.expires else None,
                    weights=(one.weight_input, one.weight_cached, one.weight_output),
                    providers=tuple(others),
                )
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
        self.ledger.sequence, self.ledger.time = self.sequence, record.time
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
                case CommandKind.REPLACE:
                    return self.replace(record)
                case CommandKind.MASS_CANCEL:
                    return self.cancel_many(record)
                case CommandKind.END_DAY:
                    self.ledger.end_day()
                    return self.settled(record, self.done([form_of(record, 0)]))
                case CommandKind.CLOCK:
                    return []
            raise Refused(RejectReason.UNKNOWN_KIND)
        except Refused as why:
            order = record.order if record.kind in AIMED else 0
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
            order = self.ledger.enter(self.asked_of(record), self.sequence)
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

    def replace(self, record: Record) -> list[Said]:
        """Give an order a new price and total in one act: it is held for before the book changes it."""
        self.must_be_member(record)
        form = form_of(record, record.order)
        order = self.book.order_meant(form)
        must(order is not None, RejectReason.UNKNOWN_ORDER)
        assert order is not None
        price = form.price or order.price
        reason = fault_of_replacement(form, order, self.book.markets[order.instrument])
        if reason == RejectReason.NONE and form.quantity > order.filled:
            reason = self.book.fault_of_replaced(form, order)
            if reason == RejectReason.NONE:
                self.must_be_allowed_to_grow(order, price, form.quantity)
                self.ledger.replace(self.ledger.open[order.id], price, form.quantity, record.time)
        self.must_be_none(reason, order.instrument, price, form.quantity)
        return self.settled(record, self.done([form]))

    def must_be_allowed_to_grow(self, order: Order, price: int, quantity: int) -> None:
        """Refuse what a member may not make of an order. Limits bind only what grows."""
        member, stake = self.ledger.members[order.member], self.ledger.open[order.id]
        leaves = quantity - order.filled
        must(not member.blocked, RejectReason.MEMBER_BLOCKED)
        if quantity > order.quantity:
            must(quantity <= member.quantity_max, RejectReason.QUANTITY_ABOVE_LIMIT, member.quantity_max)
        if price * leaves > stake.price * stake.leaves:
            limit = member.notional_max
            must(price * quantity <= limit, RejectReason.NOTIONAL_ABOVE_LIMIT, limit)
            self.must_have_turnover_left(member, price * leaves)

    def must_have_turnover_left(self, member: Member, notional: int) -> None:
        """Refuse what would lead a member beyond its day's turnover."""
        left = member.turnover_max - member.turnover
        must(notional <= left, RejectReason.TURNOVER_AT_LIMIT, max(left, 0))

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
        event = event._replace(quantity=order.quantity, price=order.price)
        if order.state == OrderState.OPEN:
            event = event._replace(leaves=order.leaves)
        return self.said(
            record,
            event,
            state=order.state,
            filled=order.filled,
            gross=order.gross,
            paid=self.paid_at_end.get(order.id, order.earned),
            fee=order.fees,
            detail=self.waits_at(order.id),
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
        if record.type in tuple(OrderType):
            must(is_bare(record), RejectReason.FIELD_NOT_SUPPORTED)
        reason = self.book.fault_of(form_of(record, self.sequence))
        if reason in (RejectReason.POST_ONLY_WOULD_CROSS, RejectReason.BOOK_FULL):
            return  # so it stands now: first comes whether this member may place it at all
        price = record.price
        if reason == RejectReason.NOTIONAL_TOO_LARGE:
            price = price or self.asked_of(record).price
        self.must_be_none(reason, record.instrument, price, record.quantity)

    def must_be_none(self, reason: RejectReason, instrument: int, price: int, quantity: int) -> None:
        """Refuse what the book refuses, with the number that the refusal speaks of."""
        details = {
            RejectReason.PRICE_TOO_LARGE: lambda: PRICE_MAX,
            RejectReason.PRICE_OFF_TICK: lambda: self.book.markets[instrument].tick,
            RejectReason.QUANTITY_TOO_LARGE: lambda: QUANTITY_MAX,
            RejectReason.NOTIONAL_TOO_LARGE: lambda: NOTIONAL_MAX // price,
            RejectReason.DISPLAY_QUANTITY_INVALID: lambda: -(-quantity // SLICES_MAX),
            **dict.fromkeys(OF_PHASE, lambda: int(self.book.markets[instrument].phase)),
        }
        must(reason == RejectReason.NONE, reason, details.get(reason, int)())

    def must_be_allowed(self, record: Record) -> None:
        """Refuse what this member may not place at all."""
        member = self.ledger.members[record.member]
        notional = self.asked_of(record).price * record.quantity
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
        self.must_have_turnover_left(member, notional)

    def asked_of(self, record: Record) -> Asked:
        """Return a new order in the ledger's words, with the price that it never trades beyond."""
        alike = {name: getattr(record, name) for name in Asked._fields}
        price = price_of(form_of(record, self.sequence), self.book.markets[record.instrument])
        return Asked(**alike | {"price": price})

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
        if event.kind in (EventKind.ACCEPTED, EventKind.REPLACED):
            facts["detail"] = self.waits_at(event.order)
        if effect.maker is not None:
            facts |= {f"maker_{name}": value for name, value in self.facts_of(effect.maker).items()}
            del facts["maker_type"], facts["maker_time_in_force"]
        return self.said(
            record,
            event,
            **facts,
            subsidy=effect.subsidy,
            entry=effect.entry,
            trade=effect.trade,
            terms_version=self.terms_version_of(effect),
        )

    def waits_at(self, number: int) -> int:
        """Return the stop price of an order that is parked; 0 for every other."""
        order = self.book.open.get(number)
        return order.stop_price if order is not None and order.is_parked else 0

    def terms_version_of(self, effect: Effect) -> int:
        """Return by which terms a programme pays for an event's order, or for a trade's maker."""
        parts = [part for part in (effect.own, effect.maker) if part is not None]
        return max(part.order.terms_version for part in parts)

    def facts_of(self, part: Part) -> dict[str, int | bytes]:
        """Return whose order it is, how it stands, and what it was charged."""
        record = self.records[part.order.id]
        if part.state != OrderState.OPEN:
            self.paid_at_end[part.order.id] = part.paid
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
        """Return how everything stands, as `tests.engine.stands.stand_of` tells it of an engine."""
        return stand_of_twin(self.ledger, self.book, self.groups)


def is_bare(record: Record) -> bool:
    """Tell whether a new order leaves out what its type does not read, and bits without meaning."""
    return (
        record.instructions in (0, 1)
        and (record.stop_price == 0 or record.type in STOP_TYPES)
        and (record.trail == 0 or record.type == OrderType.TRAILING_STOP)
    )


def form_of(record: Record, order: int) -> Command:
    """Return a command in the book's words, under the order id that it acts on."""
    alike = {name: getattr(record, name) for name in Command._fields if name in Record._fields}
    return Command(**alike | {"order": order, "post_only": record.instructions & 1})
