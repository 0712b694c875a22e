"""The reference interpreter: each op's own NumPy definition, node by node.

    run(function, *arrays) -> list of arrays

It does not recurse over nodes, frees each intermediate after its last use, binds named sizes from
the arrays' shapes, and checks that every value has the inferred type when checking is on. With the
option `stop_at_nonfinite` it stops at the first NaN or infinity that an operation makes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, VerifyError, explain
from thalweg.base.options import options
from thalweg.ir.dim import Dim, solve, substitute, symbols
from thalweg.ir.function import Function, own_sizes
from thalweg.ir.leaves import parameter
from thalweg.ir.node import Node, type_text
from thalweg.ir.types import TensorType, shape_text
from thalweg.ir.walk import postorder
from thalweg.transforms.finite import check_given, check_made

Sizes = dict[str, int]


def run(function: Function, *arrays: np.ndarray, sizes: Mapping[str, int] | None = None) -> list:
    """The values of a Function's results for arrays that fit its parameters' types.

    Raises ShapeError or DTypeError when an array does not fit, or two disagree about a named size.
    """
    bound = bind_sizes(function, arrays, sizes)
    environment = dict(zip(function.parameters, arrays, strict=True))
    return interpret(function.results, environment, bound)


def bind_sizes(
    function: Function, arrays: Sequence[np.ndarray], outer: Mapping[str, int] | None = None
) -> Sizes:
    """The named sizes of a Function, solved from the shapes of its arguments."""
    if len(arrays) != len(function.parameters):
        count = len(function.parameters)
        wanted = f"{count} argument" if count == 1 else f"{count} arguments"
        raise ShapeError(explain(function.name, wanted, f"{len(arrays)}"))
    # What a parameter names is its own, though the same name may mean another size around it.
    sizes = dict(outer or {})
    for name in own_sizes(function) if sizes else ():
        sizes.pop(name, None)
    waiting: list[tuple[Any, int, Node]] = []
    for node, array in zip(function.parameters, arrays, strict=True):
        type = node.type
        if array.dtype != type.dtype.numpy:
            raise DTypeError(_mismatch(function, node, array))
        if len(array.shape) != type.rank:
            raise ShapeError(_mismatch(function, node, array))
        for wanted, found in zip(type.shape, array.shape, strict=True):
            if wanted.__class__ is int:
                if wanted != found:
                    raise ShapeError(_mismatch(function, node, array))
            else:
                waiting.append((wanted, found, node))
    # Plain names first: they decide the composite sizes.
    for wanted, found, node in sorted(waiting, key=lambda entry: len(str(entry[0]))):
        solved = solve(wanted, found, sizes)
        if solved is None:
            array = arrays[function.parameters.index(node)]
            raise ShapeError(_mismatch(function, node, array, sizes))
        sizes.update(solved)
    return sizes


def interpret(
    roots: Sequence[Node],
    environment: Mapping[Node, np.ndarray],
    sizes: Mapping[str, int],
    keep: Callable[[Node, np.ndarray], None] | None = None,
) -> list[np.ndarray]:
    """The values of some nodes, given those of others; nothing below a given node is computed.

    `keep` is shown every value as it is computed.
    """
    order = postorder(roots, environment)
    values: dict[Node, Any] = {}
    uses: dict[Node, int] = {}
    for node in order:
        for arg in node.args:
            uses[arg] = uses.get(arg, 0) + 1
    for root in roots:
        uses[root] = uses.get(root, 0) + 1
    check = options().check > 0
    stop = options().stop_at_nonfinite
    with np.errstate(all="ignore"):
        for node in order:
            if node in environment:
                values[node] = environment[node]
                if stop:
                    check_given(node, values[node])
                continue
            if node.op is parameter:
                raise VerifyError(
                    explain("evaluate", "a value for every parameter", f"none for {node.attrs[0]}")
                )
            args = [values[arg] for arg in node.args]
            value = call(node, args, sizes)
            if check:
                _check(node, value, sizes)
            if stop:
                check_made(node, value, args)
            values[node] = value
            if keep is not None:
                keep(node, value)
            for arg in node.args:
                uses[arg] -= 1
                if not uses[arg]:
                    del values[arg]
    return [values[root] for root in roots]


def call(node: Node, args: Sequence[Any], sizes: Mapping[str, int]) -> Any:
    """The value of one node, given the values of its args."""
    return prepared(node, sizes)(*args)


def prepared(node: Node, sizes: Mapping[str, int]) -> Callable[..., Any]:
    """What computes one node, within known sizes, from the values of its args."""
    op = node.op
    attrs: dict[str, Any] = {}
    if node.attrs:
        attrs = dict(zip(op.attribute_names, node.attrs, strict=True))
        if sizes:
            attrs = {name: concrete(value, sizes) for name, value in attrs.items()}
    if op.higher_order:
        attrs["run"] = _Runner(sizes)
    evaluate = op.evaluate
    has_several = isinstance(node.type, tuple)

    def definition(*args: Any) -> Any:
        value = evaluate(*args, **attrs)
        if has_several:
            return tuple([np.asarray(each) for each in value])
        return value if value.__class__ is np.ndarray else np.asarray(value)

    return definition


class _Runner:
    """What a higher-order op runs its Functions with: the interpreter, within known sizes."""

    def __init__(self, sizes: Mapping[str, int]):
        self.sizes = sizes

    def __call__(self, function: Function, *arrays: np.ndarray) -> list[np.ndarray]:
        return run(function, *arrays, sizes=self.sizes)

    def sizes_of(self, shape: tuple) -> tuple[int, ...]:
        return concrete(shape, self.sizes)


def concrete(value: Any, sizes: Mapping[str, int]) -> Any:
    """An attribute with numbers in place of named sizes."""
    if isinstance(value, Dim):
        found = substitute(value, sizes)
        if not isinstance(found, int):
            missing = ", ".join(sorted(symbols(found)))
            raise ShapeError(explain("evaluate", f"a value for the size {missing}", "none"))
        return found
    if isinstance(value, tuple) and any(each.__class__ is not int for each in value):
        return tuple([concrete(each, sizes) for each in value])
    if isinstance(value, TensorType) and not value.is_static:
        return value.with_shape(concrete(value.shape, sizes))
    return value


def _check(node: Node, value: Any, sizes: Mapping[str, int]) -> None:
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    found = value if isinstance(node.type, tuple) else (value,)
    for type, array in zip(types, found, strict=True):
        if array.dtype != type.dtype.numpy or array.shape != concrete(type.shape, sizes):
            raise VerifyError(
                explain(
                    f"evaluate {node.op.name}",
                    f"a value of type {type_text(node.type)}",
                    f"{array.dtype}{list(array.shape)}",
                )
            )


def _mismatch(
    function: Function, node: Node, array: np.ndarray, sizes: Mapping[str, int] | None = None
) -> str:
    known = ", ".join(f"{name}={size}" for name, size in (sizes or {}).items())
    received = f"{array.dtype}{shape_text(array.shape)}" + (f" with {known}" if known else "")
    is_empty = 0 in array.shape and not node.type.is_static
    do = "A named size stands for 1 or more: trace for an empty array by itself." * is_empty
    return explain(function.name, f"{node.attrs[0]} of type {node.type}", received, do)
