"""The mutants of one module, as cosmic-ray makes them, and a seeded sample of them."""

from __future__ import annotations

import ast
import random
from pathlib import Path
from typing import NamedTuple

NOT_USED = ("core/RemoveDecorator", "core/VariableReplacer", "core/VariableInserter")
"""A kernel's decorator does nothing where it runs as plain Python; the other two need to be told names."""

IDENTITY = ("_Is", "_IsNot")
"""Nor is equality replaced by identity: which equal integers are one object is the interpreter's affair."""


class Mutant(NamedTuple):
    """One change of one place in a module."""

    operator: str
    occurrence: int
    where: str
    """The function or class that the change is in; empty for the module's own lines."""
    before: str
    after: str
    """The line that changes, as it was and as it is; where a change spans lines, the first that differs."""
    source: str
    """The whole module, changed."""

    def __str__(self) -> str:
        return f"{self.where or 'module'}: {self.before} -> {self.after}"


def sample_of(path: Path, size: int, seed: int) -> list[Mutant]:
    """Return `size` mutants of a module drawn at random, or all that there are, in the drawn order.

    What changes only an annotation is no mutant: nothing reads it at run time.
    """
    from cosmic_ray.mutating import mutate_code  # not in the lock: who tests with mutants installs it
    from cosmic_ray.plugins import get_operator

    source = path.read_text("utf-8")
    plain = _without_annotations(source)
    places = _places(source)
    random.Random(f"{seed} {path.name}").shuffle(places)
    drawn: list[Mutant] = []
    for operator, occurrence, where in places:
        if len(drawn) == size:
            break
        changed = mutate_code(source, get_operator(operator)(), occurrence)
        if changed is not None and _without_annotations(changed) != plain:
            drawn.append(Mutant(operator, occurrence, where, *_lines(source, changed), changed))
    return drawn


def _places(source: str) -> list[tuple[str, int, str]]:
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.ast.ast_query import ASTQuery
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(source)))
    places = []
    for name in sorted(operator_names()):
        if name not in NOT_USED and not name.endswith(IDENTITY):
            operator = get_operator(name)()
            found = [node for node in nodes for _ in operator.mutation_positions(node)]
            definitions = [ASTQuery(node).get_definition_name() or "" for node in found]
            places += [(name, nth, where) for nth, where in enumerate(definitions)]
    return places


def _lines(source: str, changed: str) -> tuple[str, str]:
    for before, after in zip(source.splitlines(), changed.splitlines(), strict=False):
        if before != after:
            return before.strip(), after.strip()
    return "", ""


def _without_annotations(source: str) -> str:
    try:
        tree = ast.parse(source)
    except SyntaxError as broken:
        return f"no Python: {broken}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(value=None)
    return ast.dump(tree)
