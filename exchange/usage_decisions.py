"""Usage records: what members have used of models burns their credits at once, all of an act's or none."""

from __future__ import annotations

from typing import NamedTuple

from exchange.calendar import SECOND_NS, day_of
from exchange.protocol.acts import RecordUsage, UsageRecord
from exchange.redemption_decisions import RedemptionDecision
from exchange.standing import USAGE_NS_MAX, is_reference
from matching.vocabulary import RejectReason
from settlement.layout import HOUSE
from settlement.rows import RedemptionRow
from settlement.terms import AMOUNT_MAX

LOT_THOUSANDTHS = 10**9
"""A lot of a model, a million weighted units, in thousandths of a unit."""


class Use(NamedTuple):
    """What one record comes to: thousandths of a unit, and (instrument, lots) that it burns.

    The first burn tells of the record; it has no lots if one that was begun suffices. `left` is what is left
    of the last lot begun.
    """

    record: UsageRecord
    units: int
    burns: tuple[tuple[int, int], ...]
    left: int


class UsageDecision(RedemptionDecision):
    """An act that records usage."""

    def record_usage(self, act: RecordUsage) -> RejectReason:
        """Burn what members have used, of all records or of none; those with known ids are passed over."""
        fresh: dict[tuple[int, str], UsageRecord] = {}
        for record in act.records:
            reason = self.record_fault(record)
            if reason != RejectReason.NONE:
                return reason
            key = self.id_of(record)
            if not any(key in known for known in self.registry.usage_ids.values()):
                fresh.setdefault(key, record)
        uses = self.uses_of([*fresh.values()])
        if isinstance(uses, RejectReason):
            return uses
        self.forget_old_ids()
        for key, record in fresh.items():
            day = day_of(record.created * SECOND_NS).toordinal()
            self.registry.usage_ids.setdefault(day, set()).add(key)
        for use in uses:
            self.use(use)
        return RejectReason.NONE

    def forget_old_ids(self) -> None:
        """Forget the ids of days whose records are too old by now, every one of them."""
        last = day_of(self.time - USAGE_NS_MAX).toordinal()
        for day in [day for day in self.registry.usage_ids if day < last]:
            del self.registry.usage_ids[day]

    def id_of(self, record: UsageRecord) -> tuple[int, str]:
        """Return the id of a record, and whose it is: its meter's provider's."""
        first = self.registry.meters[record.model][0]
        return int(self.core.ledger.listings[first]["provider"]), record.id

    def record_fault(self, record: UsageRecord) -> RejectReason:
        """Return why a record cannot be taken, whatever its member has, or NONE."""
        usage = record.usage
        cached = usage.prompt_tokens_details.cached_tokens
        if record.member not in self.registry.member_numbers:
            return self.refuse(RejectReason.UNKNOWN_MEMBER, f"{record.id}: {record.member}")
        numbers = self.registry.meters.get(record.model)
        if numbers is None or self.registry.instruments[numbers[0]].kind != "model":
            return self.refuse(RejectReason.UNKNOWN_INSTRUMENT, f"{record.id}: {record.model}")
        if not is_reference(record.id):
            return self.refuse(RejectReason.USAGE_INVALID, f"id {record.id!r}")
        counts = (usage.prompt_tokens, cached, usage.completion_tokens, usage.prompt_tokens - cached)
        if not all(0 <= count <= AMOUNT_MAX for count in counts):
            return self.refuse(RejectReason.USAGE_INVALID, f"{record.id}: {usage}")
        if not 0 <= record.created * SECOND_NS <= self.time:
            return self.refuse(RejectReason.USAGE_INVALID, f"{record.id}: created {record.created}")
        if self.time - record.created * SECOND_NS > USAGE_NS_MAX:
            return self.refuse(RejectReason.TOO_OLD, f"{record.id}: created {record.created}")
        return RejectReason.NONE

    def uses_of(self, records: list[UsageRecord]) -> list[Use] | RejectReason:
        """Return what records come to, one after the other, or why their members cannot use so much."""
        have: dict[tuple[int, int], int] = {}
        begun: dict[tuple[int, str], int] = {}
        uses = []
        for record in records:
            member = self.registry.member_numbers[record.member]
            living = [
                index
                for index in self.registry.meters[record.model]
                if self.time < self.registry.perishes_at(index)
            ]
            for index in living:
                have.setdefault((member, index), self.redeemable(member, index))
            left = begun.get((member, record.model), self.begun_of(member, record.model))
            use = self.use_of(record, {index: have[member, index] for index in living}, left)
            if use is None:
                there = sum(have[member, index] for index in living)
                return self.refuse(RejectReason.CREDITS_NOT_AVAILABLE, record.id, there)
            if use.units > AMOUNT_MAX:
                return self.refuse(RejectReason.USAGE_INVALID, f"{record.id}: {record.usage}")
            begun[member, record.model] = use.left
            for index, lots in use.burns:
                have[member, index] -= lots
            uses.append(use)
        return uses

    def begun_of(self, member: int, meter: str) -> int:
        """Return what is left of a member's lot that is begun, in thousandths of a unit."""
        return self.registry.begun.get(member, {}).get(meter, 0)

    def use_of(self, record: UsageRecord, have: dict[int, int], left: int) -> Use | None:
        """Return what a record comes to, given the lots of each instrument and what is begun; None: too much.

        `have` stands in the order in which lots are burned. The weights are those of what is burned next.
        """
        held = [index for index, lots in have.items() if lots > 0]
        burned_next = next(iter(held or have), None)
        if burned_next is None:
            return None
        units = self.units_of(record, burned_next)
        need = -(-max(units - left, 0) // LOT_THOUSANDTHS)
        rest = left + need * LOT_THOUSANDTHS - units
        burns = []
        for index in held:
            part = min(have[index], need)
            if part:
                burns.append((index, part))
                need -= part
        return None if need else Use(record, units, tuple(burns) or ((burned_next, 0),), rest)

    def units_of(self, record: UsageRecord, index: int) -> int:
        """Return what a record comes to by an instrument's weights, in thousandths of a unit."""
        instrument, usage = self.registry.instruments[index], record.usage
        cached = usage.prompt_tokens_details.cached_tokens
        return (
            (usage.prompt_tokens - cached) * instrument.weight_input
            + cached * instrument.weight_cached
            + usage.completion_tokens * instrument.weight_output
        )

    def use(self, use: Use) -> None:
        """Burn what a record needs; usage is delivered already."""
        member = self.registry.member_numbers[use.record.member]
        self.registry.begun.setdefault(member, {})[use.record.model] = use.left
        for burn, (index, lots) in enumerate(use.burns):
            restricted = vested = reimbursed = 0
            if lots:
                taken = self.take(member, index, lots)
                restricted = taken.restricted
                self.post_taken("burn", member, index, taken, (HOUSE, "outside", index + 1, lots))
                vested, reimbursed = self.burned(member, index, taken)
            self.redemptions.append(
                RedemptionRow(
                    sequence=self.sequence,
                    time=self.time,
                    redemption=self.sequence,
                    number=len(self.redemptions) + 1,
                    member=member,
                    instrument=index,
                    lots=lots,
                    restricted=restricted,
                    state="confirmed",
                    reference=use.record.id,
                    units=0 if burn else use.units,
                    vested=vested,
                    reimbursed=reimbursed,
                )
            )
