"""Function: named parameters and results; the unit of everything that is run or rewritten.

A Function is closed: its graph reaches no parameter but its own. Parameters are canonical (a name
and a type), so two Functions with equal text hold the very same nodes, and a Function can serve as
an attribute (the body of a loop) at the price of a hash of identities.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.base.errors import VerifyError, explain
from thalweg.ir.leaves import Tag, parameter
from thalweg.ir.node import Node
from thalweg.ir.types import TensorType
from thalweg.ir.walk import postorder, substitute


@dataclass(frozen=True, slots=True)
class Function:
    """A closed graph with a name. Equal Functions hold the same nodes under the same names."""

    name: str
    parameters: tuple[Node, ...]
    results: tuple[Node, ...]

    @property
    def parameter_types(self) -> tuple[TensorType, ...]:
        return tuple(node.type for node in self.parameters)

    @property
    def result_types(self) -> tuple[TensorType, ...]:
        return tuple(node.type for node in self.results)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(node.attrs[0] for node in self.parameters)

    def order(self) -> list[Node]:
        """All nodes, parameters first, each after its args."""
        return postorder((*self.parameters, *self.results))

    def with_results(self, results: Iterable[Node]) -> "Function":
        return Function(self.name, self.parameters, tuple(results))

    def __repr__(self) -> str:
        types = ", ".join(map(str, self.parameter_types))
        results = ", ".join(map(str, self.result_types))
        return f"<Function {self.name}({types}) -> ({results})>"


def fresh(name: str, type: TensorType, owner: Any = None) -> Node:
    """A parameter that is equal to no other, for use while a function is being built."""
    return parameter(name=Tag(name, owner), type=type)


def build(
    name: str, types: Sequence[TensorType], body: Callable, names: Sequence[str] = ()
) -> Function:
    """The Function of `body(*parameters) -> node or nodes`, which may use no outer parameter."""
    names = names or [f"x{index}" for index in range(len(types))]
    inner = [fresh(each, type) for each, type in zip(names, types, strict=True)]
    results = body(*inner)
    return close(name, inner, results if isinstance(results, (tuple, list)) else (results,))


def close(name: str, inner: Sequence[Node], results: Sequence[Node]) -> Function:
    """The Function of a traced graph: its parameters get canonical names.

    Raises VerifyError when the results reach a parameter that is not among `inner`.
    """
    own = set(inner)
    foreign = [node for node in postorder(results) if node.op is parameter and node not in own]
    if foreign:
        received = ", ".join(f"{node.attrs[0]}: {node.type}" for node in foreign)
        raise VerifyError(explain(name, "results that use its own parameters only", received))
    canonical = [
        parameter(name=each, type=node.type)
        for each, node in zip(_unique_names([_name(node) for node in inner]), inner, strict=True)
    ]
    replaced = dict(zip(inner, canonical, strict=True))
    return Function(name, tuple(canonical), tuple(substitute(results, replaced)))


def inline(function: Function, args: Sequence[Node]) -> list[Node]:
    """The results of a Function with nodes in place of its parameters."""
    return substitute(function.results, dict(zip(function.parameters, args, strict=True)))


def _name(node: Node) -> str:
    name = node.attrs[0]
    return name.name if isinstance(name, Tag) else name


def _unique_names(names: Sequence[str]) -> list[str]:
    taken: set[str] = set()
    result = []
    for name in names:
        base = "".join(c if c.isalnum() or c == "_" else "_" for c in name) or "x"
        if not (base[0].isalpha() or base[0] == "_"):
            base = f"x{base}"
        unique, serial = base, 1
        while unique in taken:
            unique, serial = f"{base}_{serial}", serial + 1
        taken.add(unique)
        result.append(unique)
    return result
