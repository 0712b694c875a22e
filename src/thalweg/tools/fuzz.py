"""The fuzzer: random programs, properties that every program must have, and shrinking.

    python -m thalweg.tools.fuzz --count 1000 --seed 0

    random_function(seed, size, dtypes)     a random well-typed Function       (tools/programs.py)
    check(function, seed)                   the properties it lacks
    shrink(function, fails)                 a small Function that still fails

Numbers are compared within rounding. Where a program amplifies rounding (a floor at an integer, a
sort of near equals), no fixed tolerance is right: a difference counts as a fault only if it is
larger than what a last-bit noise on every value of the program does to the same result.
"""

import argparse
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.base.errors import (
    ArgumentError,
    GradientError,
    ThalwegError,
    VerifyError,
    explain,
)
from thalweg.ir.dim import Dim, is_known_at_least
from thalweg.ir.function import (
    Function,
    all_nodes,
    build,
    fresh,
    inline,
    inner_functions,
    with_sizes,
)
from thalweg.ir.leaves import full, item, parameter
from thalweg.ir.node import Node, make
from thalweg.ir.parse import parse
from thalweg.ir.rewrite import Rewriter
from thalweg.ir.show import show
from thalweg.ir.types import DTYPES, DType, Literal, as_dtype, float64, tensor_type
from thalweg.ir.verify import verify
from thalweg.ir.walk import postorder
from thalweg.ops.contract import conv
from thalweg.passes import algebra, movement, numerics
from thalweg.passes.check import EPSILONS, is_close, random_arguments
from thalweg.passes.pipeline import PIPELINE
from thalweg.tools.programs import random_function
from thalweg.transforms.batch import batch
from thalweg.transforms.cost import cost
from thalweg.transforms.evaluate import bind_sizes, call, run
from thalweg.transforms.expand import expand, is_expanded
from thalweg.transforms.gradient import jvp, vjp

NOISE = 16
"""The noise, in units of the last bit, that stands for a program rounded in another order."""

ROUGH = frozenset({"stop_gradient", "bitcast"})
"""Ops whose derivative is not, on purpose, what differences of values show."""

Arrays = Sequence[np.ndarray]
Property = Callable[[Function, Arrays, np.random.Generator], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """A property that a Function lacks, and how that shows."""

    property: str
    message: str

    def __str__(self) -> str:
        return f"{self.property}: {self.message}"


# Values -------------------------------------------------------------------------------------------


def arguments(function: Function, seed: int, size: int = 3) -> list[np.ndarray]:
    """Read-only arrays for a Function's parameters: an op that writes to its input is caught."""
    arrays = random_arguments(function, seed, size)
    for array in arrays:
        array.flags.writeable = False
    return arrays


def trace_values(
    function: Function, arrays: Arrays, noise: np.random.Generator | None = None
) -> dict[Node, Any]:
    """The value of every node; with noise, each moved by some last bits."""
    sizes = bind_sizes(function, arrays)
    values: dict[Node, Any] = dict(zip(function.parameters, arrays, strict=True))
    with np.errstate(all="ignore"):
        for node in function.order():
            if node not in values:
                value = call(node, [values[arg] for arg in node.args], sizes)
                values[node] = value if noise is None else _moved(value, noise, _bits(node))
    return values


def _bits(node: Node) -> int:
    """The bits of the narrowest floats inside of a node: those of its Functions count too."""
    inner = [each for body in inner_functions(node.attrs) for each in all_nodes(body)]
    types = [type for each in inner if not isinstance(type := each.type, tuple)]
    return min((type.dtype.real.bits for type in types if type.dtype.is_inexact), default=64)


def _moved(value: Any, noise: np.random.Generator, most: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_moved(each, noise, most) for each in value)
    dtype = as_dtype(value.dtype)
    if not dtype.is_inexact:
        return value
    # Last bits of the largest element too: what cancels to 0 in one order need not in another.
    size = np.max(np.abs(value[np.isfinite(value)]), initial=0).astype(np.float64)
    bits = NOISE * EPSILONS[min(dtype.real.bits, most)]
    wide = value.astype(np.complex128 if dtype.is_complex else np.float64)
    wide = wide * (1 + bits * noise.uniform(-1, 1, value.shape))
    return np.asarray(wide + bits * size * noise.uniform(-1, 1, value.shape)).astype(value.dtype)


def is_left_open(function: Function, arrays: Arrays) -> bool:
    """True where a convolution meets padding with a kernel that is not finite: 0, or NaN."""
    values: dict[Node, Any] = {}
    for node in function.order():
        if node.op is not conv:
            continue
        attrs = node.attributes
        sides = [side for pair in attrs["padding"] for side in pair]
        is_plain = all(is_known_at_least(-side, 0) for side in sides)
        if is_plain and all(step == 1 for step in attrs["input_dilation"]):
            continue
        values = values or trace_values(function, arrays)
        if not np.isfinite(values[node.args[1]]).all():
            return True
    return False


def is_explained_by_rounding(
    function: Function, arrays: Arrays, index: int, found: np.ndarray, wanted: np.ndarray
) -> bool:
    """True where noise on every value moves a result about as far as `found` is from `wanted`."""
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return False
    moved = []
    for seed in range(4):
        values = trace_values(function, arrays, np.random.default_rng(seed))
        moved.append(values[function.results[index]])
    if wanted.dtype.kind in "biu":
        return any(not np.array_equal(each, wanted) for each in moved)
    wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
    base = wanted.astype(wide)
    spread = np.zeros(base.shape)
    with np.errstate(all="ignore"):
        for each in moved:
            if not np.array_equal(np.isfinite(each), np.isfinite(wanted)):
                return True
            spread = np.maximum(spread, np.nan_to_num(np.abs(each.astype(wide) - base)))
        error = np.nan_to_num(np.abs(found.astype(wide) - base))
        if not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
            return False
    return float(np.max(error, initial=0)) <= 8 * float(np.max(spread, initial=0))


def compare(
    function: Function, arrays: Arrays, found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]
) -> None:
    """Raise VerifyError where results differ by more than rounding can explain.

    What the definition of an op leaves to the backend is no difference.
    """
    for index, (new, old) in enumerate(zip(found, wanted, strict=True)):
        if is_close(new, old) or is_explained_by_rounding(function, arrays, index, new, old):
            continue
        if is_left_open(function, arrays):
            continue
        raise VerifyError(
            explain(
                function.name,
                f"result {index} to keep its value, {_few(old)}",
                f"{_few(new)} for arguments {', '.join(map(_few, arrays))}",
            )
        )


def _few(array: np.ndarray) -> str:
    text = np.array2string(array.ravel()[:6], separator=", ", threshold=6)
    return f"{array.dtype}{list(array.shape)} {text}"


# Properties ---------------------------------------------------------------------------------------


def verifies(function: Function, arrays: Arrays, random: np.random.Generator) -> None:
    """Every invariant holds, and what runs has the inferred types."""
    verify(function)
    results = run(function, *arrays)
    sizes = bind_sizes(function, arrays)
    for result, type in zip(results, function.result_types, strict=True):
        wanted = with_sizes(type.shape, sizes)
        if result.dtype != type.dtype.numpy or result.shape != wanted:
            raise VerifyError(explain(function.name, f"a value of type {type}", _few(result)))
    cost(function)


def reads_back(function: Function, arrays: Arrays, random: np.random.Generator) -> None:
    """The text parses to the very same nodes."""
    text = show(function)
    if parse(text) != function:
        raise VerifyError(explain("parse", "the Function that was shown", show(parse(text))))


def passes_keep_values(function: Function, arrays: Arrays, random: np.random.Generator) -> None:
    """Every step of the pipeline keeps values and makes well-formed Functions."""
    for stage in PIPELINE:
        for step in stage.steps:
            after = verify(step(function))
            if after.parameter_types != function.parameter_types:
                raise VerifyError(
                    explain(step.__name__, f"the types of {function!r}", f"{after!r}")
                )
            try:
                compare(function, arrays, run(after, *arrays), run(function, *arrays))
            except VerifyError as error:
                raise VerifyError(f"{step.__name__} {error.message}") from None
            function = after


def exact_rules_keep_bits(function: Function, arrays: Arrays, random: np.random.Generator) -> None:
    """Rules that claim to be exact keep the sign of a zero, infinities and NaN.

    Only pointwise ops and moves are asked: sums may change their order with the layout of memory.
    """
    exact = {"pointwise", "movement", "leaf", "mark"}
    if any(node.op.family not in exact for node in function.order()):
        return
    after = Rewriter([algebra.rules, movement.rules]).function(function)
    for _ in range(4):
        special = [_with_special_values(array, random) for array in arrays]
        pairs = zip(run(after, *special), run(function, *special), strict=True)
        for index, (new, old) in enumerate(pairs):
            if not _same_bits(new, old):
                raise VerifyError(
                    explain(
                        f"exact rules on {function.name}",
                        f"result {index} to be {_few(old)} bit for bit",
                        f"{_few(new)} for arguments {', '.join(map(_few, special))}",
                    )
                )


def _with_special_values(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if array.dtype.kind in "biu":
        return array
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0]).astype(array.dtype)
    chosen = special[random.integers(0, len(special), array.shape)]
    return np.where(random.random(array.shape) < 0.7, chosen, array)


def _same_bits(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Equal with the signs of zeros; any NaN equals any other."""
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return False
    if found.dtype.kind in "biu":
        return bool(np.array_equal(found, wanted))
    if found.dtype.kind == "c":
        return _same_bits(np.array(found.real), np.array(wanted.real)) and _same_bits(
            np.array(found.imag), np.array(wanted.imag)
        )
    number = ~np.isnan(wanted)
    return (
        np.array_equal(np.isnan(found), np.isnan(wanted))
        and np.array_equal(found[number], wanted[number])
        and np.array_equal(np.signbit(found[number]), np.signbit(wanted[number]))
    )


def rough_rules_keep_finite_values(
    function: Function, arrays: Arrays, random: np.random.Generator
) -> None:
    """Rules for finite numbers keep the values of a program whose every value is finite."""
    with np.errstate(all="ignore"):
        for value in trace_values(function, arrays).values():
            for each in value if isinstance(value, tuple) else (value,):
                if each.dtype.kind not in "biu" and not np.isfinite(each).all():
                    return
    tables = [algebra.rules, movement.rules, numerics.finite, numerics.approximate]
    after = verify(Rewriter(tables).function(function))
    compare(function, arrays, run(after, *arrays), run(function, *arrays))


def expansion_keeps_values(function: Function, arrays: Arrays, random: np.random.Generator) -> None:
    """Composites may be spelled out: in the program, and each on the values that it meets there."""
    if not any(node.op.expand for node in function.order()):
        return
    spelled = verify(expand(function))
    if not is_expanded(spelled):
        raise VerifyError(explain("expand", "no composite to be left", show(spelled)))
    compare(function, arrays, run(spelled, *arrays), run(function, *arrays))


def batch_equals_a_loop(function: Function, arrays: Arrays, random: np.random.Generator) -> None:
    """A batch of two computes what two calls compute."""
    mask = random.random(len(arrays)) < 0.7
    mask[int(random.integers(0, len(mask)))] = True
    try:
        batched = batch(function, mask.tolist(), 2)
    except ArgumentError as error:
        if "cannot be batched" in str(error) or "can be batched" in str(error):
            return
        raise
    other = [np.flip(array) if array.ndim else array for array in arrays]
    stacked = [
        np.stack([first, second]) if is_mapped else first
        for first, second, is_mapped in zip(arrays, other, mask, strict=True)
    ]
    whole = run(verify(batched), *stacked)
    for example in range(2):
        args = [
            np.array(array[example]) if is_mapped else array
            for array, is_mapped in zip(stacked, mask, strict=True)
        ]
        compare(function, args, [each[example] for each in whole], run(function, *args))


def named_sizes_may_be_numbers(
    function: Function, arrays: Arrays, random: np.random.Generator
) -> None:
    """A program with a named size equals the program for that very size."""
    sizes = bind_sizes(function, arrays)
    if not sizes:
        return
    types = [tensor_type(as_dtype(array.dtype), array.shape) for array in arrays]
    fixed = verify(build(function.name, types, lambda *args: inline(function, args)))
    compare(function, arrays, run(fixed, *arrays), run(function, *arrays))


def derivatives_agree(function: Function, arrays: Arrays, random: np.random.Generator) -> None:
    """The pullback survives the pipeline, is the transpose of the pushforward, and is the slope."""
    if not any(type.dtype.is_inexact for type in function.parameter_types):
        return
    try:
        pulled, pushed = verify(vjp(function)), verify(jvp(function))
    except GradientError:
        return
    weights = _directions(random, [y for y in run(function, *arrays) if _is_inexact(y)])
    tangents = _directions(random, [array for array in arrays if _is_inexact(array)])
    passes_keep_values(pulled, [*arrays, *weights], random)
    with np.errstate(all="ignore"):
        cotangents = run(pulled, *arrays, *weights)
        outputs = run(pushed, *arrays, *tangents)[len(function.results) :]
        if not all(np.isfinite(each).all() for each in (*cotangents, *outputs)):
            return
        left, right = _inner(weights, outputs), _inner(cotangents, tangents)
        scale = _inner([np.abs(w) for w in weights], [np.abs(y) for y in outputs])
        scale += _inner([np.abs(x) for x in cotangents], [np.abs(t) for t in tangents])
    epsilon = max(_epsilons(pulled), default=0.0)
    if abs(left - right) > 4096 * epsilon * (scale + 1):
        raise VerifyError(
            explain(
                f"forward mode of {function.name}",
                f"to be the transpose of reverse mode: {right:.9g}",
                f"{left:.9g}",
            )
        )
    _compare_with_differences(function, arrays, weights, tangents, right)


def _compare_with_differences(
    function: Function, arrays: Arrays, weights: Arrays, tangents: Arrays, slope: float
) -> None:
    """Central differences at two steps; where they disagree the program is not smooth there."""
    if any(_is_rough(node) for node in all_nodes(function)):
        return
    found = [_difference(function, arrays, weights, tangents, step) for step in (1e-5, 5e-6)]
    if not all(np.isfinite(found)):
        return
    values = trace_values(function, arrays)
    size = max(
        (float(np.max(np.abs(each), initial=0)) for each in _inexact_values(values)), default=0.0
    )
    rounding = 64 * 2.0**-52 * size * max(1.0, sum(w.size for w in weights)) / 5e-6
    scale = max(abs(slope), *map(abs, found))
    error = abs(found[0] - found[1]) * 16 + rounding + 1e-6 * scale
    if error > 1e-2 * max(scale, 1e-3):
        return
    if abs(slope - found[1]) > error:
        raise VerifyError(
            explain(
                f"derivative of {function.name}",
                f"a pullback that agrees with differences, {found[1]:.9g} +- {error:.1g}",
                f"{slope:.9g} for arguments {', '.join(map(_few, arrays))}",
            )
        )


def _inexact_values(values: Mapping[Node, Any]) -> Iterator[np.ndarray]:
    for value in values.values():
        for each in value if isinstance(value, tuple) else (value,):
            if _is_inexact(each):
                yield each


def _is_rough(node: Node) -> bool:
    """True where differences in float64 cannot show what the derivative is."""
    if node.op.name in ROUGH:
        return True
    return any(type.dtype.is_inexact and type.dtype.real is not float64 for type in _types_of(node))


def _types_of(node: Node) -> tuple:
    return node.type if isinstance(node.type, tuple) else (node.type,)


def _difference(
    function: Function, arrays: Arrays, weights: Arrays, tangents: Arrays, step: float
) -> float:
    ends = []
    for sign in (1, -1):
        moves = iter(tangents)
        moved = [
            array + sign * step * next(moves) if _is_inexact(array) else array for array in arrays
        ]
        ends.append([y for y in run(function, *moved) if _is_inexact(y)])
    slopes = [(up - down) / (2 * step) for up, down in zip(*ends, strict=True)]
    return _inner(weights, slopes)


def _is_inexact(array: np.ndarray) -> bool:
    return as_dtype(array.dtype).is_inexact


def _epsilons(function: Function) -> set[float]:
    """The last bits of the element types that a program computes in."""
    types = [type for node in all_nodes(function) for type in _types_of(node)]
    return {EPSILONS[type.dtype.real.bits] for type in types if type.dtype.is_inexact}


def _directions(random: np.random.Generator, arrays: Arrays) -> list[np.ndarray]:
    found = []
    for array in arrays:
        step = np.asarray(random.standard_normal(array.shape))
        if array.dtype.kind == "c":
            step = step + 1j * random.standard_normal(array.shape)
        found.append(np.asarray(step).astype(array.dtype))
    return found


def _inner(xs: Arrays, ys: Arrays) -> float:
    wide = [(x.astype(np.complex128), y.astype(np.complex128)) for x, y in zip(xs, ys, strict=True)]
    return sum(float(np.sum((np.conj(x) * y).real)) for x, y in wide)


PROPERTIES: tuple[Property, ...] = (
    verifies,
    reads_back,
    passes_keep_values,
    exact_rules_keep_bits,
    rough_rules_keep_finite_values,
    expansion_keeps_values,
    batch_equals_a_loop,
    named_sizes_may_be_numbers,
    derivatives_agree,
)


def check(
    function: Function, seed: int = 0, properties: Sequence[Property] = PROPERTIES
) -> list[Failure]:
    """The properties that a Function lacks on random arguments; an empty list when all is well."""
    failures = []
    with np.errstate(all="ignore"):
        arrays = arguments(function, seed)
        for each in properties:
            try:
                each(function, arrays, np.random.default_rng(seed))
            except Exception as error:
                failures.append(Failure(each.__name__, _first_lines(error)))
                if each is verifies:
                    break
    return failures


def _first_lines(error: Exception) -> str:
    if isinstance(error, ThalwegError):
        return error.message
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}   at {place.filename}:{place.lineno}"


# Shrinking ----------------------------------------------------------------------------------------


def shrink(function: Function, fails: Callable[[Function], bool], tries: int = 4000) -> Function:
    """A smaller Function that fails too, by greedy steps until none succeeds.

    Steps, from the boldest: one result or one inner node alone; a node becomes a parameter, one of
    its operands or a constant; an inner Function is reduced likewise; sizes get smaller.
    """
    for _ in range(tries):
        for smaller in _smaller(function):
            tries -= 1
            if tries <= 0:
                return function
            if _weight(smaller) < _weight(function) and fails(smaller):
                function = smaller
                break
        else:
            return function
    return function


def _weight(function: Function) -> tuple[int, int, int]:
    """What shrinking makes smaller: operations, then elements, then leaves."""
    order = function.order()
    operations = [node for node in order if node.args or node.op.attributes]
    inner = sum(_weight(each)[0] for node in order for each in inner_functions(node.attrs))
    weight = sum(1 for node in operations if node.op is not parameter and node.op is not item)
    elements = 0
    for node in order:
        for type in _types_of(node):
            elements += sum(size if isinstance(size, int) else 50 for size in type.shape)
    return weight + inner, elements, len(order) + len(function.results)


def _smaller(function: Function) -> Iterator[Function]:
    if len(function.results) > 1:
        for result in function.results:
            yield _trimmed(function.name, [result])
    order = [node for node in function.order() if node.op is not parameter]
    for node in order:
        if not isinstance(node.type, tuple):
            yield _trimmed(function.name, [node])
    for node in reversed(order):
        for new in _substitutes(node):
            yield from _attempt(function, {node: new})
    for node in reversed(order):
        for position, value in enumerate(node.attrs):
            for other in _smaller_attributes(value):
                attrs = (*node.attrs[:position], other, *node.attrs[position + 1 :])
                yield from _attempt(function, {node: attrs})
    for size in sorted(_sizes(function), reverse=True):
        for target in (1, 2, size - 1):
            if target < size:
                yield from _resized(function, size, target)
    names = {str(size) for type in function.parameter_types for size in type.shape
             if isinstance(size, Dim)}  # fmt: skip
    if names:
        types = [with_sizes(type, dict.fromkeys(names, 3)) for type in function.parameter_types]
        yield from _tried(lambda: build(function.name, types, lambda *a: inline(function, a)))


def _substitutes(node: Node) -> Iterator[Node]:
    """Simpler nodes of the same type: a parameter, an operand, zeros, ones."""
    if isinstance(node.type, tuple):
        return
    if node.args or node.type.rank:
        yield fresh("p", node.type)
    for arg in node.args:
        if arg.type is node.type:
            yield arg
    if node.args and node.type.is_static:
        for number in (0, 1):
            yield full(number, node.dtype, node.shape)


def _smaller_attributes(value: Any) -> Iterator[Any]:
    if isinstance(value, Function):
        yield from _smaller_body(value)
    elif isinstance(value, tuple) and value and isinstance(value[0], Function):
        for position, each in enumerate(value):
            yield (*value[:position], *value[position + 1 :])
            for smaller in _smaller_body(each):
                yield (*value[:position], smaller, *value[position + 1 :])
    elif isinstance(value, Literal) and not value.is_scalar:
        array = value.numpy()
        yield Literal.from_numpy(np.zeros_like(array))


def _smaller_body(body: Function) -> Iterator[Function]:
    """A Function of the same types with one node replaced by something simpler."""
    for node in reversed(body.order()):
        if node.op is parameter or isinstance(node.type, tuple):
            continue
        simpler = [x for x in body.parameters if x.type is node.type]
        simpler += [arg for arg in node.args if arg.type is node.type]
        if node.args and node.type.is_static:
            simpler.append(full(0, node.dtype, node.shape))
        for new in simpler:
            yield from _attempt(body, {node: new}, trim=False)


def _attempt(
    function: Function, changes: Mapping[Node, Any], trim: bool = True
) -> Iterator[Function]:
    """The Function with one node replaced, or given other attributes, where that is well typed."""

    def rebuilt() -> Function:
        new: dict[Node, Node] = {}
        for node in function.order():
            change = changes.get(node)
            args = tuple([new[arg] for arg in node.args])
            if isinstance(change, Node):
                new[node] = new.get(change, change)
            elif change is not None:
                new[node] = make(node.op, args, change)
            else:
                new[node] = node if args == node.args else make(node.op, args, node.attrs)
        results = [new[root] for root in function.results]
        return _trimmed(function.name, results) if trim else function.with_results(results)

    yield from _tried(rebuilt)


def _tried(attempt: Callable[[], Function]) -> Iterator[Function]:
    try:
        yield verify(attempt())
    except (ThalwegError, TypeError, ValueError, IndexError):
        return


def _trimmed(name: str, results: Sequence[Node]) -> Function:
    """The Function of some results with the parameters they use, renamed x0, x1, ..."""
    used = [node for node in postorder(results) if node.op is parameter]
    if not used:
        used = [fresh("x", tensor_type(float64, ()))]
    return build(
        name,
        [node.type for node in used],
        lambda *inner: _replace(results, dict(zip(used, inner, strict=True))),
    )


def _replace(results: Sequence[Node], new: dict[Node, Node]) -> list[Node]:
    for node in postorder(results):
        if node not in new:
            args = tuple([new[arg] for arg in node.args])
            new[node] = node if args == node.args else make(node.op, args, node.attrs)
    return [new[result] for result in results]


SIZED = frozenset({"shape", "limit", "sizes", "length", "k", "count", "dim", "window"})
"""Attributes that hold sizes, as opposed to axes or positions."""


def _sizes(function: Function) -> set[int]:
    return {
        size
        for node in function.order()
        for type in _types_of(node)
        for size in type.shape
        if isinstance(size, int) and size > 1
    }


def _resized(function: Function, size: int, target: int) -> Iterator[Function]:
    """The Function with one size everywhere replaced by a smaller one, where that is well typed."""

    def changed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(changed(each) for each in value)
        return target if type(value) is int and value == size else value

    def literal_of(value: Literal) -> Literal:
        cut = tuple(np.s_[: changed(n)] for n in value.shape)
        return Literal.from_numpy(np.ascontiguousarray(value.numpy()[cut]))

    def rebuilt() -> Function:
        new: dict[Node, Node] = {}
        for node in function.order():
            if node.op is parameter:
                new[node] = fresh(node.attrs[0], node.type.with_shape(changed(node.shape)))
                continue
            attrs = []
            for name, value in zip(node.op.attribute_names, node.attrs, strict=True):
                if name in SIZED:
                    value = changed(value)
                elif isinstance(value, Literal):
                    value = literal_of(value)
                attrs.append(value)
            new[node] = make(node.op, tuple([new[arg] for arg in node.args]), tuple(attrs))
        return _trimmed(function.name, [new[root] for root in function.results])

    yield from _tried(rebuilt)


# The command line ---------------------------------------------------------------------------------


def dtypes_of(seed: int) -> tuple[DType, ...]:
    """The element types that the program of a seed draws from: all, a few, or float64 alone."""
    if seed % 3 == 0:
        return (float64,)
    if seed % 3 == 1:
        random = np.random.default_rng(seed)
        return tuple(DTYPES[index] for index in random.permutation(len(DTYPES))[:3])
    return DTYPES


def try_seed(seed: int, size: int = 12) -> tuple[Function, list[Failure]]:
    """The program of a seed, and the properties that it lacks."""
    function = random_function(seed, size, dtypes_of(seed))
    return function, check(function, seed)


def report(seed: int, failure: Failure, function: Function) -> str:
    """A failure as text to paste into a test: the seed, the property, the smallest program."""
    lines = "\n".join(f"# {line}" for line in str(failure).splitlines())
    return f"{lines}\n# seed {seed}\n{show(function)}\n"


def smallest(function: Function, failure: Failure, seed: int) -> Function:
    """The Function shrunk while the same property fails."""
    wanted = [each for each in PROPERTIES if each.__name__ == failure.property]

    def fails(smaller: Function) -> bool:
        return bool(check(smaller, seed, wanted))

    return shrink(function, fails)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try many seeds and print every failure, shrunk; the number of failures is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="the number of programs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--size", type=int, default=12, help="operations in a program, about")
    parser.add_argument("--no-shrink", action="store_true", help="print failures as they are")
    options = parser.parse_args(arguments)
    count = 0
    for seed in range(options.seed, options.seed + options.count):
        function, failures = try_seed(seed, options.size)
        for failure in failures:
            count += 1
            if not options.no_shrink:
                function = smallest(function, failure, seed)
                failure = next(iter(check(function, seed)), failure)
            print(report(seed, failure, function), flush=True)
    print(f"{options.count} programs, {count} failures")
    return min(count, 125)


if __name__ == "__main__":
    sys.exit(main())
