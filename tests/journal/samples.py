"""A value of any type of the state, in which nothing is empty and nothing is what it would be by default."""

from __future__ import annotations

import datetime
from itertools import count
from typing import Any

import msgspec
from msgspec import inspect


class Samples:
    """Makes values: no two numbers and no two texts are the same, unions take each of their types in turn."""

    def __init__(self) -> None:
        self._numbers = count(1_001)
        self._turns: dict[str, int] = {}

    def of(self, kind: type) -> Any:
        return self._of(inspect.type_info(kind))

    def _of(self, kind: inspect.Type) -> Any:
        number = next(self._numbers)
        match kind:
            case inspect.IntType():
                return number * 10**14
            case inspect.StrType():
                return f"名 {number}"
            case inspect.BoolType():
                return True
            case inspect.BytesType():
                return number.to_bytes(32, "big")
            case inspect.DateType():
                return datetime.date(2026, 1, 1) + datetime.timedelta(days=number)
            case inspect.TimeType():
                return datetime.time(number % 24, number % 60, 59, number)
            case inspect.LiteralType(values):
                return self._in_turn(values, str(values))
            case inspect.UnionType(types):
                some = [one for one in types if not isinstance(one, inspect.NoneType)]
                return self._of(self._in_turn(some, str([type(one) for one in some])))
            case _:
                return self._of_many(kind)

    def _of_many(self, kind: inspect.Type) -> Any:
        match kind:
            case inspect.DictType(key, value):
                return {self._of(key): self._of(value) for _ in range(3)}
            case inspect.ListType(item):
                return [self._of(item) for _ in range(3)]
            case inspect.SetType(item):
                return {self._of(item) for _ in range(3)}
            case inspect.FrozenSetType(item):
                return frozenset(self._of(item) for _ in range(2))
            case inspect.VarTupleType(item):
                return tuple(self._of(item) for _ in range(2))
            case inspect.TupleType(items):
                return tuple(self._of(item) for item in items)
            case inspect.NamedTupleType(cls, fields):
                return cls(*(self._of(field.type) for field in fields))
            case inspect.StructType(cls, fields):
                return cls(**{field.name: self._of(field.type) for field in fields})
        raise AssertionError(f"no sample of {kind}")

    def _in_turn(self, some: Any, name: str) -> Any:
        turn = self._turns[name] = self._turns.get(name, -1) + 1
        return some[turn % len(some)]


def shape_of(value: Any) -> Any:
    """Return a value with the types of all its parts, and of dicts the order: equal shapes are the same."""
    name = type(value).__name__
    if isinstance(value, msgspec.Struct):
        return name, [(field, shape_of(getattr(value, field))) for field in value.__struct_fields__]
    if isinstance(value, dict):
        return name, [(shape_of(key), shape_of(part)) for key, part in value.items()]
    if isinstance(value, set | frozenset):
        return name, sorted(map(repr, map(shape_of, value)))
    if isinstance(value, tuple | list):
        return name, [shape_of(part) for part in value]
    return name, repr(value)
