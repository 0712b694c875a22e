"""Function: named parameters and results; the unit of everything that is run or rewritten.

A Function is closed: its graph reaches no parameter but its own. Parameters are canonical (a name
and a type), so two Functions with equal text hold the very same nodes, and a Function can serve as
an attribute (the body of a loop) at the price of a hash of identities.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.base.errors import VerifyError, explain
from thalweg.ir.dim import Dim, UndecidedError, is_known_equal, named, solve, symbols
from thalweg.ir.dim import substitute as dim_substitute
from thalweg.ir.leaves import Tag, parameter
from thalweg.ir.node import Node, remake
from thalweg.ir.types import Size, TensorType, tensor_type
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

    def __copy__(self) -> "Function":
        return self

    def __deepcopy__(self, memo: dict) -> "Function":
        return self

    def __repr__(self) -> str:
        types = ", ".join(map(str, self.parameter_types))
        results = ", ".join(map(str, self.result_types))
        return f"<Function {self.name}({types}) -> ({results})>"


def fresh(name: str, type: TensorType) -> Node:
    """A parameter that is equal to no other, for use while a function is being built."""
    return parameter(name=Tag(name), type=type)


def build(
    name: str, types: Sequence[TensorType], body: Callable, names: Sequence[str] = ()
) -> Function:
    """The Function of `body(*parameters) -> node or nodes`, which may use no outer parameter."""
    names = names or [f"x{index}" for index in range(len(types))]
    inner = [fresh(each, type) for each, type in zip(names, types, strict=True)]
    results = body(*inner)
    return close(name, inner, results if isinstance(results, (tuple, list)) else (results,))


def close(name: str, inner: Sequence[Node], results: Sequence[Node]) -> Function:
    """The Function of a traced graph: it and its parameters get names that text can hold.

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
    return Function(_identifier(name), tuple(canonical), tuple(substitute(results, replaced)))


def inline(function: Function, args: Sequence[Node]) -> list[Node]:
    """The results of a Function with nodes in place of its parameters.

    Named sizes of the parameters take the sizes that the nodes have.
    """
    replaced = dict(zip(function.parameters, args, strict=True))
    sizes = fit_sizes(function.parameter_types, [arg.type for arg in args])
    if sizes is None:
        raise VerifyError(
            explain(
                f"inline {function.name}",
                f"nodes of types {', '.join(map(str, function.parameter_types))}",
                ", ".join(str(arg.type) for arg in args),
            )
        )
    if all(str(size) == name for name, size in sizes.items()):
        return substitute(function.results, replaced)
    for node in function.order():
        if node not in replaced:
            own = tuple([replaced[arg] for arg in node.args])
            replaced[node] = remake(node, own, with_sizes(node.attrs, sizes))
    return [replaced[result] for result in function.results]


def inner_functions(value: Any) -> list[Function]:
    """The Functions in an attribute, or in a tuple of attributes."""
    if isinstance(value, Function):
        return [value]
    if isinstance(value, tuple):
        return [function for each in value for function in inner_functions(each)]
    return []


def with_functions(value: Any, change: Callable[[Function], Function]) -> Any:
    """An attribute, or a tuple of attributes, with other Functions in place of those it holds."""
    if isinstance(value, Function):
        return change(value)
    if isinstance(value, tuple) and inner_functions(value):
        return tuple([with_functions(each, change) for each in value])
    return value


def change_all(function: Function, change: Callable[[Function], Function]) -> Function:
    """The Function after a change of every Function among its attributes, and then of itself."""
    known: dict[Function, Function] = {}

    def visit(function: Function) -> Function:
        found = known.get(function)
        if found is None:
            new: dict[Node, Node] = {}
            for node in function.order():
                args = tuple([new[arg] for arg in node.args])
                holds = node.op.higher_order
                attrs = with_functions(node.attrs, visit) if holds else node.attrs
                new[node] = remake(node, args, attrs)
            found = known[function] = change(
                function.with_results(new[y] for y in function.results)
            )
        return found

    return visit(function)


def all_nodes(function: Function) -> Iterator[Node]:
    """The nodes of a Function and of every Function among its attributes, each Function once."""
    seen = {function}
    pending = [function]
    while pending:
        for node in pending.pop().order():
            yield node
            for inner in inner_functions(node.attrs):
                if inner not in seen:
                    seen.add(inner)
                    pending.append(inner)


def fit_sizes(
    patterns: Sequence[TensorType], types: Sequence[TensorType]
) -> dict[str, Size] | None:
    """The named sizes under which types fit the patterns, or None where they do not."""
    sizes: dict[str, Size] = {}
    waiting: list[tuple[Dim, Size]] = []
    if len(patterns) != len(types):
        return None
    for pattern, type in zip(patterns, types, strict=True):
        if pattern is type and pattern.is_static:
            continue
        if pattern.dtype is not type.dtype or pattern.rank != type.rank:
            return None
        for wanted, found in zip(pattern.shape, type.shape, strict=True):
            if not isinstance(wanted, Dim):
                if not is_known_equal(wanted, found):
                    return None
            elif str(wanted).isidentifier():
                known = sizes.setdefault(str(wanted), found)
                if known is not found and not is_known_equal(known, found):
                    return None
            else:
                waiting.append((wanted, found))
    for wanted, found in waiting:
        missing = symbols(wanted) - sizes.keys()
        if len(missing) == 1 and isinstance(found, int):
            try:
                solved = solve(
                    wanted, found, {k: v for k, v in sizes.items() if isinstance(v, int)}
                )
            except UndecidedError:
                return None
            if solved is None:
                return None
            sizes.update(solved)
        elif is_known_equal(dim_substitute(wanted, sizes), found):
            # Names that no axis decides are those from around the Function.
            sizes.update((name, named(name)) for name in missing)
        else:
            return None
    return sizes


def with_sizes(value: Any, sizes: Mapping[str, Size]) -> Any:
    """An attribute or shape with other sizes in place of named ones.

    A Function keeps the names that an axis of its own parameters has: calling it says what they
    are. Names that it takes from around it are replaced.
    """
    if isinstance(value, Dim):
        return dim_substitute(value, sizes)
    if isinstance(value, tuple):
        return tuple([with_sizes(each, sizes) for each in value])
    if isinstance(value, TensorType):
        return tensor_type(value.dtype, with_sizes(value.shape, sizes))
    if isinstance(value, Function):
        return _with_outer_sizes(value, sizes)
    return value


def _with_outer_sizes(function: Function, sizes: Mapping[str, Size]) -> Function:
    own = own_sizes(function)
    outer = {name: sizes[name] for name in free_sizes(function) if name in sizes}
    if all(str(size) == name for name, size in outer.items()):
        return function
    arriving = {name for size in outer.values() for name in symbols(size)}
    for name in sorted(own & arriving):
        # An own name must not capture one that arrives from around the Function.
        outer[name] = named(_new_name(name, own | arriving | outer.keys()))
    new: dict[Node, Node] = {}
    for node in function.order():
        args = tuple([new[arg] for arg in node.args])
        new[node] = remake(node, args, with_sizes(node.attrs, outer))
    return Function(
        function.name,
        tuple(new[node] for node in function.parameters),
        tuple(new[node] for node in function.results),
    )


def own_sizes(function: Function) -> set[str]:
    """The named sizes that are an axis of a parameter as they stand: each call decides them."""
    sizes = [str(size) for type in function.parameter_types for size in type.shape]
    return {size for size in sizes if size.isidentifier()}


def free_sizes(value: Any, known: dict[Function, set[str]] | None = None) -> set[str]:
    """The named sizes in a size, a type, an attribute, or a Function beside its own ones.

    `known` keeps what was found for Functions, for a caller that asks again and again.
    """
    if isinstance(value, Dim):
        return set(symbols(value))
    known = {} if known is None else known
    if isinstance(value, tuple):
        return {name for each in value for name in free_sizes(each, known)}
    if isinstance(value, TensorType):
        return set() if value.is_static else free_sizes(value.shape)
    if not isinstance(value, Function):
        return set()
    if value not in known:
        used: set[str] = set()
        for node in value.order():
            used |= free_sizes((node.type, *node.attrs), known)
        known[value] = used - own_sizes(value)
    return known[value]


def _new_name(name: str, taken: Iterable[str]) -> str:
    serial = 1
    while f"{name}_{serial}" in taken:
        serial += 1
    return f"{name}_{serial}"


def _name(node: Node) -> str:
    name = node.attrs[0]
    return name.name if isinstance(name, Tag) else name


def _identifier(name: str) -> str:
    """A name of ASCII letters, digits and _: `<lambda>` becomes `_lambda_`."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name) or "x"
    return f"x{kept}" if kept[0].isdecimal() else kept


def _unique_names(names: Sequence[str]) -> list[str]:
    taken: set[str] = set()
    result = []
    for name in names:
        base = _identifier(name)
        unique, serial = base, 1
        while unique in taken:
            unique, serial = f"{base}_{serial}", serial + 1
        taken.add(unique)
        result.append(unique)
    return result
