"""Functions of complex numbers spelled out as real functions of their parts.

    exp(z)  ->  complex(exp(real(z)) * cos(imag(z)), exp(real(z)) * sin(imag(z)))

A kernel moves complex elements, adds and multiplies them; all other mathematics it does on their
parts. The formulas are those of `ops/parts.py`, each within a few units of the last place of the
modulus of what the definition gives, with the same zeros, infinities and NaN.
"""

from collections.abc import Callable

from thalweg.ir.function import Function, all_nodes, change_all
from thalweg.ir.leaves import full_like, item, splat
from thalweg.ir.node import Node, made_by, make
from thalweg.ir.types import bool_, float32, uint32, uint64
from thalweg.ir.walk import rebuild
from thalweg.ops import parts
from thalweg.ops.elementwise import (
    bitcast,
    bitwise_or,
    cast,
    complex_of,
    equal,
    hypot,
    imag,
    isfinite,
    isinf,
    isnan,
    left_shift,
    logical_and,
    logical_not,
    logical_or,
    negative,
    not_equal,
    real,
    right_shift,
    select,
)
from thalweg.ops.movement import iota, size
from thalweg.ops.parts import Pair, Real
from thalweg.ops.sort import sort


def spell_parts(function: Function) -> Function:
    """The Function with what no kernel does with complex numbers in terms of their parts, in loops
    too."""
    return change_all(function, _spell) if any(map(_is_complex, all_nodes(function))) else function


def _spell(function: Function) -> Function:
    def visit(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op is item and node.args[0].op is sort and _has_complex_key(node.args[0]):
            return item(args[0], index=_place(node.args[0], node.attrs[0]))
        new = node if args == node.args else make(node.op, args, node.attrs)
        if not any(map(_is_complex, (new, *args))):
            return new
        rule = RULES.get(node.op.name)
        if rule is None:
            return new
        with made_by("parts", node):
            found = rule(new)
        return new if found is None else found

    return function.with_results(rebuild(function.results, visit))


def _is_complex(node: Node) -> bool:
    return not isinstance(node.type, tuple) and node.dtype.is_complex


def halves(z: Node) -> tuple[Node, Node]:
    """The real and the imaginary part."""
    return (z.args[0], z.args[1]) if z.op is complex_of else (real(z), imag(z))


def _pair(z: Node) -> Pair:
    re, im = halves(z)
    return Real(re), Real(im)


def _joined(pair: Pair) -> Node:
    return complex_of(pair[0].node, pair[1].node)


def _elementwise(formula: Callable[..., Pair]) -> Callable[[Node], Node]:
    return lambda node: _joined(formula(*map(_pair, node.args)))


def _power(node: Node) -> Node:
    base, exponent = node.args
    known = splat(exponent)
    if known is not None:
        return _joined(parts.power_of(_pair(base), known))
    return _joined(parts.power(_pair(base), _pair(exponent)))


def _part(node: Node) -> Node | None:
    (z,) = node.args
    return halves(z)[node.op is imag] if z.op is complex_of else None


def _test(test: Callable, join: Callable) -> Callable[[Node], Node]:
    return lambda node: join(*(test(half) for half in halves(node.args[0])))


def _relation(test: Callable, join: Callable) -> Callable[[Node], Node]:
    return lambda node: join(*map(test, *map(halves, node.args)))


def _conj(node: Node) -> Node:
    re, im = halves(node.args[0])
    return complex_of(re, negative(im))


def _cast(node: Node) -> Node | None:
    (x,), dtype = node.args, node.dtype
    if not x.dtype.is_complex:
        re = cast(x, dtype=dtype.real)
        return complex_of(re, full_like(re, 0))
    if x.dtype is dtype:
        return x
    if dtype is bool_:
        return logical_or(*(not_equal(half, full_like(half, 0)) for half in halves(x)))
    if dtype.is_complex:
        return None
    return cast(halves(x)[0], dtype=dtype)


def _bitcast(node: Node) -> Node:
    """Of the 64 bits of a number the lower half is the real part."""
    (x,), dtype = node.args, node.dtype
    if x.dtype is dtype:
        return x
    if x.dtype.is_complex:
        low, high = (cast(bitcast(half, dtype=uint32), dtype=uint64) for half in halves(x))
        whole = bitwise_or(low, left_shift(high, full_like(high, 32)))
        return whole if dtype is uint64 else bitcast(whole, dtype=dtype)
    whole = x if x.dtype is uint64 else bitcast(x, dtype=uint64)
    pair = (whole, right_shift(whole, full_like(whole, 32)))
    return complex_of(*(bitcast(cast(half, dtype=uint32), dtype=float32) for half in pair))


def _has_complex_key(node: Node) -> bool:
    return any(map(_is_complex, node.args[: node.attributes["keys"]]))


def _sort(node: Node) -> Node | None:
    """By what is NaN, which is last, then by real parts, then by imaginary parts."""
    if not _has_complex_key(node):
        return None
    attrs = node.attributes
    keys: list[Node] = []
    for key in node.args[: attrs["keys"]]:
        if not _is_complex(key):
            keys.append(key)
            continue
        missing = logical_or(*map(isnan, halves(key)))
        numbers = [select(missing, full_like(half, 0), half) for half in halves(key)]
        keys += [logical_not(missing) if attrs["descending"] else missing, *numbers]
    return sort(*keys, *node.args, **(attrs | {"keys": len(keys)}))


def _place(node: Node, index: int) -> int:
    """Where a result of a sort is among those of the sort that stands for it."""
    keys = node.args[: node.attributes["keys"]]
    return index + sum(3 if _is_complex(key) else 1 for key in keys)


def _iota(node: Node) -> Node:
    attrs = node.attributes | {"dtype": node.dtype.real}
    re = iota(**attrs)
    return complex_of(re, full_like(re, 0))


def _size(node: Node) -> Node:
    re = size(**(node.attributes | {"dtype": node.dtype.real}))
    return complex_of(re, full_like(re, 0))


RULES: dict[str, Callable[[Node], Node | None]] = {
    **{name: _elementwise(formula) for name, formula in parts.FUNCTIONS.items()},
    "power": _power,
    "real": _part,
    "imag": _part,
    "conj": _conj,
    "abs": lambda node: hypot(*halves(node.args[0])),
    "equal": _relation(equal, logical_and),
    "not_equal": _relation(not_equal, logical_or),
    "isnan": _test(isnan, logical_or),
    "isinf": _test(isinf, logical_or),
    "isfinite": _test(isfinite, logical_and),
    "cast": _cast,
    "bitcast": _bitcast,
    "sort": _sort,
    "iota": _iota,
    "size": _size,
}
"""What is spelled out, where an operand or the result is complex; None leaves a node as it is."""
