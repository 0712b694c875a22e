"""Rewriting: a rule is an equation, a table of rules is run to a fixpoint by one driver.

A rule is a generator that yields the left side and then the right side:

    @rules.equation()
    def multiply_one(x):
        yield multiply(x, full_like(x, 1))
        yield x

Positional parameters are holes for nodes, keyword-only ones for attributes; returning between the
two yields is a condition that does not hold. Called with holes, the first yield is the pattern, an
ordinary node; called with what the holes matched, the second is the replacement. So the same text
is matched, fired, and tested as an equation on random data.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, RewriteError, explain
from thalweg.ir.attribute import Hole
from thalweg.ir.function import Function, with_functions
from thalweg.ir.leaves import constant, hole, parameter
from thalweg.ir.node import Node, made_by, remake, type_text
from thalweg.ir.op import Op
from thalweg.ir.types import DType, Literal
from thalweg.ir.walk import postorder

FUEL_PER_NODE = 200
"""Firings allowed for each node of the graph before rewriting is said not to end."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a table: an equation, its pattern, and instances for the machine checks.

    `samples` are the arguments the checks call the equation with: for each, types of the holes and
    values of the attributes. `needed` are the ops that a node must have among its operands' for the
    pattern to match: most rules are passed over by that alone.
    """

    name: str
    equation: Callable
    pattern: Node
    holes: tuple[str, ...]
    samples: tuple[tuple[tuple, Mapping[str, Any]], ...]
    needed: frozenset[Op]

    def instance(self, nodes: Sequence[Node], attrs: Mapping[str, Any]) -> tuple[Node, Node] | None:
        """Both sides for given nodes and attributes, or None where the condition fails.

        The condition sees attributes in the normal form that they have on the left side.
        """
        left = next(self.equation(*nodes, **attrs))
        for bound, normal in matches(self.pattern, left):
            if all(bound[name] is node for name, node in zip(self.holes, nodes, strict=True)):
                right = self._right(bound, normal)
                if right is not None:
                    return left, right
        return None

    def apply(self, node: Node) -> Node | None:
        """The right side where the left matches `node` and the condition holds."""
        for bound, attrs in matches(self.pattern, node):
            with made_by(self.name, node):
                right = self._right(bound, attrs)
            if right is not None:
                if right.type != node.type:
                    wanted = f"a right side of type {type_text(node.type)}"
                    received = type_text(right.type)
                    raise RewriteError(explain(f"rule {self.name}", wanted, received))
                return right
        return None

    def _right(self, bound: dict[str, Node], attrs: dict[str, Any]) -> Node | None:
        sides = self.equation(*(bound[name] for name in self.holes), **attrs)
        next(sides)
        return next(sides, None)


@dataclass(slots=True)
class Rules:
    """A table of rules that assume one arithmetic.

    `arithmetic` is "exact" (equal bit for bit), "finite" (equal unless a value is infinite or NaN,
    or differs in the sign of a zero) or "approximate" (equal within rounding: within `tolerance`,
    in units of the type's epsilon relative to the largest magnitude). `measure` maps the nodes of
    an expression to a number that every rule makes smaller, which is why rewriting ends.
    """

    title: str
    arithmetic: str
    measure: Callable[[Sequence[Node]], Any]
    tolerance: float = 0
    rules: list[Rule] = field(default_factory=list)

    def equation(self, *samples: tuple) -> Callable:
        """Enter a rule; each sample is `(types, attrs)` or `types` alone."""

        def enter(equation: Callable) -> Callable:
            self.rules.append(_rule(equation, samples))
            return equation

        return enter

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)


def _rule(equation: Callable, samples: Sequence[tuple]) -> Rule:
    positional: list[str] = []
    keywords: list[str] = []
    for name, each in inspect.signature(equation).parameters.items():
        (keywords if each.kind is each.KEYWORD_ONLY else positional).append(name)
    pattern = next(
        equation(*(hole(name=name) for name in positional), **{n: Hole(n) for n in keywords})
    )
    paired = tuple(
        (sample[0], sample[1]) if len(sample) == 2 and isinstance(sample[1], dict) else (sample, {})
        for sample in samples
    )
    if pattern.op is hole:
        raise ArgumentError(explain(equation.__name__, "a left side with an operation", "a hole"))
    needed = frozenset(filter(None, map(_needed_op, pattern.args)))
    return Rule(equation.__name__, equation, pattern, tuple(positional), paired, needed)


def _needed_op(pattern: Node) -> Op | None:
    """The op of what a pattern matches; None for a hole that anything fills."""
    if pattern.op is not hole:
        return pattern.op
    return constant if isinstance(pattern.attrs[0], Literal) else None


Bindings = tuple[dict[str, Node], dict[str, Any]]


def matches(pattern: Node, node: Node) -> Iterator[Bindings]:
    """Every way in which a pattern matches a node; commutative ops match in both orders."""
    return _match([(pattern, node)], {}, {})


def _match(
    pairs: list[tuple[Node, Node]], nodes: dict[str, Node], attrs: dict[str, Any]
) -> Iterator[Bindings]:
    if not pairs:
        yield nodes, attrs
        return
    (pattern, node), rest = pairs[0], pairs[1:]
    if pattern.op is hole:
        name = pattern.attrs[0]
        if isinstance(name, Literal):
            if node.op is constant and node.attrs[0] == _number_in(node.attrs[0].dtype, name):
                yield from _match(rest, nodes, attrs)
        elif nodes.get(name, node) is node:
            yield from _match(rest, {**nodes, name: node}, attrs)
        return
    if pattern.op is not node.op or len(pattern.args) != len(node.args):
        return
    bound = attrs
    for wanted, found in zip(pattern.attrs, node.attrs, strict=True):
        if isinstance(wanted, Hole):
            if wanted.name in bound and bound[wanted.name] != found:
                return
            bound = {**bound, wanted.name: found}
        elif wanted != found:
            return
    yield from _match([*zip(pattern.args, node.args, strict=True), *rest], nodes, bound)
    if "commutative" in node.op.laws and node.args[0] is not node.args[1]:
        swapped = list(zip(pattern.args, reversed(node.args), strict=True))
        yield from _match([*swapped, *rest], nodes, bound)


@cache
def _number_in(dtype: DType, number: Literal) -> Literal | None:
    """What `full_like(x, number)` holds for an x of this element type, bit for bit.

    None for a boolean among numbers and the reverse, and for an integer type unless the number is
    an integer that it has.
    """
    if (dtype.kind == "bool") != (number.dtype.kind == "bool"):
        return None
    if dtype.is_integer and number.dtype.is_inexact:
        return None
    try:
        with np.errstate(all="ignore"):
            return Literal.from_numpy(number.scalar(), dtype)
    except (OverflowError, TypeError):
        return None


@dataclass(slots=True)
class Rewriter:
    """Runs tables over Functions; `fired` counts the firings of each rule."""

    tables: Sequence[Rules]
    fuel_per_node: int = FUEL_PER_NODE
    fired: Counter = field(default_factory=Counter)
    _by_op: dict[Op, list[Rule]] = field(default_factory=dict)
    _functions: dict[Function, Function] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for table in self.tables:
            for rule in table:
                self._by_op.setdefault(rule.pattern.op, []).append(rule)

    def function(self, function: Function) -> Function:
        """The Function with every rule applied until none fires, its inner Functions too."""
        found = self._functions.get(function)
        if found is None:
            found = function.with_results(self.nodes(function.results))
            self._functions[function] = self._functions[found] = found
        return found

    def nodes(self, roots: Iterable[Node]) -> list[Node]:
        """The roots in normal form. Raises RewriteError when the fuel runs out."""
        roots = list(roots)
        fuel = self.fuel_per_node * (len(postorder(roots)) + 10)
        normal: dict[Node, Node] = {}
        becomes: dict[Node, Node] = {}
        stack = roots[::-1]
        while stack:
            node = stack[-1]
            if node in normal:
                stack.pop()
                continue
            target = becomes.get(node)
            if target is not None:
                if target not in normal:
                    # What the node became leads back to the node.
                    raise RewriteError(self._endless())
                normal[node] = normal[target]
                stack.pop()
                continue
            pending = [arg for arg in node.args if arg not in normal]
            if pending:
                pending.reverse()
                stack.extend(pending)
                continue
            current = self._rebuild(node, tuple([normal[arg] for arg in node.args]))
            new = self._step(current)
            if new is None:
                normal[current] = normal[node] = current
                stack.pop()
                continue
            fuel -= 1
            if not fuel:
                raise RewriteError(self._endless())
            becomes[node] = new
            stack.append(new)
        return [normal[root] for root in roots]

    def _rebuild(self, node: Node, args: tuple[Node, ...]) -> Node:
        is_plain = not node.op.higher_order
        return remake(
            node, args, node.attrs if is_plain else with_functions(node.attrs, self.function)
        )

    def _step(self, node: Node) -> Node | None:
        ops = {arg.op for arg in node.args}
        for rule in self._by_op.get(node.op, ()):
            found = rule.apply(node) if rule.needed <= ops else None
            if found is not None and found is not node:
                self.fired[rule.name] += 1
                return found
        return None

    def _endless(self) -> str:
        often = ", ".join(
            f"{name} {'once' if count == 1 else f'{count} times'}"
            for name, count in self.fired.most_common(4)
        )
        return explain(
            "rewrite", "rules that come to an end", f"a graph that keeps changing: {often}"
        )


def weight(nodes: Sequence[Node]) -> int:
    """The usual measure: the number of operations, leaves not counted."""
    return sum(node.op not in (parameter, constant) for node in nodes)
