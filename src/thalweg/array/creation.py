"""Creation: tensors from numbers, from arrays of other libraries, and from rules.

Names, argument order and results are those of the Python Array API standard 2024.12, section
"Creation functions"; what stands after the second headline goes beyond it. Shapes may hold named
sizes while a function is traced.

Who owns memory: a tensor never changes, so memory that somebody may write to is copied. With
`copy=False` it is shared, and not writing to it is the caller's promise.
"""

import math
from typing import Any

import numpy as np

from thalweg.array.data_types import astype
from thalweg.array.manipulation import diagonal
from thalweg.array.operands import (
    broadcast_to,
    cast_array,
    check_device,
    default_dtype,
    from_array,
    from_lists,
    is_number,
    is_weak,
    native,
    number,
    of_size,
    pointwise,
    result_dtype,
    shape_of,
    to_tensor,
    unchanging,
)
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ExchangeError,
    ProtocolError,
    ShapeError,
    explain,
)
from thalweg.engine.context import current_trace
from thalweg.engine.tensor import Tensor, from_buffer, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim, ceil_div, dim_max, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full as constant_of
from thalweg.ir.leaves import full_like as constant_like
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DEFAULT_FLOAT,
    DEFAULT_INT,
    DType,
    Shape,
    Size,
    as_dtype,
    bool_,
    complex128,
    int64,
    shape_text,
    tensor_type,
)
from thalweg.ops import elementwise as ops
from thalweg.ops import movement

CPU_MEMORY = (1, 3)
"""DLPack's device types whose memory this process can read: the CPU's, and CUDA's pinned host."""

# Conversion ---------------------------------------------------------------------------------------


def asarray(
    obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Tensor:
    """The tensor of a tensor, array, number, buffer, or nested lists of numbers and tensors.

    Arrays keep their element type; Python numbers become bool, int64, float32 or complex64. Nested
    tensors are stacked, not computed. Memory that somebody may write to is copied, unless `copy` is
    False: then it is shared, or refused with ArgumentError where it cannot be.

    Raises ShapeError for ragged lists and ArgumentError for numbers that do not fit `dtype`.
    """
    check_device("asarray", device)
    target = None if dtype is None else as_dtype(dtype)
    if isinstance(obj, (Tensor, Variable)):
        if copy is False and target not in (None, obj.dtype):
            raise _needs_copy("asarray", f"{obj.dtype} for {target}")
        return to_tensor(obj) if target is None else astype(obj, target)
    if is_number(obj) or isinstance(obj, (list, tuple, range)):
        if copy is False:
            raise _needs_copy("asarray", f"{type(obj).__name__}")
        return from_lists(list(obj) if isinstance(obj, range) else obj, "asarray", target)
    if isinstance(obj, (np.ndarray, np.generic)):
        return _adopt("asarray", obj, target, copy)
    if hasattr(obj, "__array__"):
        return _adopt("asarray", np.asarray(obj), target, copy)
    if copy is False:
        return _adopt("asarray", np.asarray(memoryview(obj)), target, copy)
    found = to_tensor(obj)
    return found if target is None else astype(found, target)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """The tensor of an array of another library, by the DLPack protocol.

    Memory that somebody may write to is copied; the protocol does not say who may, so that is all
    but frozen NumPy arrays and tensors. With `copy=False` it is shared, and whoever writes to it
    afterwards breaks the tensor. Memory of an accelerator is refused.
    """
    check_device("from_dlpack", device)
    if isinstance(x, (Tensor, Variable)):
        return to_tensor(x)
    if isinstance(x, np.ndarray):
        return _adopt("from_dlpack", x, None, copy)
    if not (hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")):
        raise ProtocolError(
            explain(
                "from_dlpack",
                "an array with __dlpack__ and __dlpack_device__",
                f"{x!r:.80} of {type(x).__name__}",
                "Write asarray(x) for numbers and lists.",
            )
        )
    if x.__dlpack_device__()[0] not in CPU_MEMORY:
        raise ExchangeError(
            explain(
                "from_dlpack",
                "an array in the CPU's memory",
                f"{type(x).__name__} on device {tuple(map(int, x.__dlpack_device__()))}",
                "Move it first, for instance with x.cpu().",
            )
        )
    try:
        array = np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ExchangeError(
            explain(
                "from_dlpack",
                "an array that exports its memory in an element type of NumPy's",
                f"{type(x).__name__} that says: {str(error).splitlines()[0]}",
                "Detach it from its graph, or convert bfloat16 to float32, first.",
            )
        ) from None
    return _adopt("from_dlpack", array, None, copy)


def from_numpy(array: np.ndarray, /) -> Tensor:
    """The tensor that shares an array's memory.

    Warning: whoever writes to the array afterwards breaks the tensor, and every result that was not
    yet computed. Write `asarray(array)` unless the array is large and yours alone.
    """
    if not isinstance(array, np.ndarray):
        raise ArgumentTypeError(
            explain("from_numpy", "a NumPy array", type(array).__name__, "Write asarray(x).")
        )
    return _adopt("from_numpy", array, None, copy=False)


def _adopt(name: str, array: Any, dtype: DType | None, copy: bool | None) -> Tensor:
    """The tensor of an array, shared or copied; memory that another library owns is not frozen."""
    found = native(array, name)
    if dtype is not None:
        found = cast_array(name, found, dtype)
    is_same = found is array
    if copy is False:
        if not (is_same and found.flags.c_contiguous and found.flags.aligned):
            wanted = "" if dtype is None else f" for {dtype}"
            layout = "contiguous" if found.flags.c_contiguous else "not contiguous"
            raise _needs_copy(name, f"{np.asarray(array).dtype} ({layout}){wanted}")
        return from_buffer(found)
    if is_same:
        found = np.array(found, order="C") if copy else unchanging(found)
    return from_array(found)


def _needs_copy(name: str, received: str) -> ArgumentError:
    return ArgumentError(
        explain(
            name,
            "a contiguous array of the wanted element type for copy=False",
            received,
            "Leave out copy=False.",
        )
    )


# Constants ----------------------------------------------------------------------------------------


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of a shape. Its values are 0, so that programs repeat."""
    return _filled("empty", shape, 0, dtype, device)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor with the shape and element type of x. Its values are 0."""
    return _filled_like("empty_like", x, 0, dtype, device)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros, float32 by default."""
    return _filled("zeros", shape, 0, dtype, device)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros with the shape and element type of x."""
    return _filled_like("zeros_like", x, 0, dtype, device)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones, float32 by default."""
    return _filled("ones", shape, 1, dtype, device)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones with the shape and element type of x."""
    return _filled_like("ones_like", x, 1, dtype, device)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One value everywhere, in its default element type; a tensor's values are broadcast.

    Raises ArgumentError or DTypeError when a Python number does not fit `dtype`.
    """
    value = fill_value if is_weak(fill_value) else to_tensor(fill_value, "full")
    target = result_dtype("full", [value]) if dtype is None else as_dtype(dtype)
    return _filled("full", shape, value, target, device)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One value everywhere, with the shape and element type of x."""
    value = fill_value if is_weak(fill_value) else to_tensor(fill_value, "full_like")
    return _filled_like("full_like", x, value, dtype, device)


def _filled_like(name: str, x: Any, value: Any, dtype: Any, device: Any) -> Tensor:
    like = to_tensor(x, name)
    return _filled(name, like.shape, value, like.dtype if dtype is None else dtype, device)


def _filled(name: str, shape: Any, value: Any, dtype: Any, device: Any) -> Tensor:
    check_device(name, device)
    target = DEFAULT_FLOAT if dtype is None else as_dtype(dtype)
    sizes = _shape(name, shape)
    if is_number(value):
        return wrap(number(name, value, target, sizes))
    node = node_of(astype(value, target))
    wanted = tensor_type(target, sizes)
    offset = len(sizes) - node.type.rank
    if offset < 0 or not all(
        size == 1 or is_known_equal(size, sizes[axis + offset])
        for axis, size in enumerate(node.shape)
    ):
        raise ShapeError(explain(name, f"a value that broadcasts to {wanted}", str(node.type)))
    return wrap(broadcast_to(node, sizes))


def _shape(name: str, shape: Any) -> Shape:
    """A shape whose named sizes, if any, belong to a trace."""
    sizes = shape_of(name, shape)
    if current_trace() is None and not all(isinstance(size, int) for size in sizes):
        raise ShapeError(
            explain(
                name,
                "integer sizes outside of traced functions",
                shape_text(sizes),
                "Named sizes have values only while a function runs.",
            )
        )
    return sizes


# Ranges -------------------------------------------------------------------------------------------


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """start, start + step, ... up to but not including stop; arange(n) counts from 0.

    Integers give int64, floats float32. Integers, named sizes among them, are exact in every
    element type that holds them; floats are computed as start + i * step in float64.
    """
    check_device("arange", device)
    first, limit = (0, start) if stop is None else (start, stop)
    given = [_scalar("arange", each) for each in (first, limit, step)]
    first, limit, stride = given
    if isinstance(stride, Dim) or stride == 0:
        raise ArgumentError(explain("arange", "a step that is a number other than 0", f"{stride}"))
    is_exact = all(isinstance(each, (int, Dim)) for each in given)
    target = (DEFAULT_INT if is_exact else DEFAULT_FLOAT) if dtype is None else as_dtype(dtype)
    if target is bool_:
        raise DTypeError(explain("arange", "a type of numbers", str(target)))
    if is_exact:
        count = _count(first, limit, stride)
        ends = [] if isinstance(first, Dim) else [first]
        if ends and isinstance(count, int) and count:
            ends.append(first + (count - 1) * stride)
        if target.is_integer:
            for end in ends if count != 0 else []:
                number("arange", end, target)
        if target.is_integer or all(-(2**63) <= end < 2**63 for end in ends):
            return wrap(_count_up(first, count, stride, target))
    if any(isinstance(each, Dim) for each in given):
        raise ArgumentTypeError(
            explain("arange", "integers beside named sizes", ", ".join(map(str, given)))
        )
    return from_array(cast_array("arange", _count_up_in_double(first, limit, stride), target))


def _count(start: Size, stop: Size, step: int) -> Size:
    """How many integers there are from start, by step, before stop."""
    count = ceil_div(stop - start, step) if step > 0 else ceil_div(start - stop, -step)
    if is_known_at_least(count, 0):
        return count
    return 0 if isinstance(count, int) else dim_max(count, 0)


def _count_up(start: Size, count: Size, step: int, dtype: DType) -> Node:
    """Integers by iota in int64. Arithmetic wraps around, so values that fit come out exact."""
    shape = _shape("arange", count)
    if isinstance(start, int) and start == 0 and step == 1 and dtype.is_integer:
        return movement.iota(dtype=dtype, shape=shape, axis=0)
    node = movement.iota(dtype=int64, shape=shape, axis=0)
    if step != 1:
        node = ops.multiply(node, constant_like(node, _wrapped(step)))
    if isinstance(start, Dim):
        node = ops.add(node, broadcast_to(movement.size(dim=start, dtype=int64), shape))
    elif start:
        node = ops.add(node, constant_like(node, _wrapped(start)))
    return node if dtype is int64 else ops.cast(node, dtype=dtype)


def _wrapped(value: int) -> int:
    """An integer modulo 2**64, as int64."""
    return (value + 2**63) % 2**64 - 2**63


def _count_up_in_double(start: float, stop: float, step: float) -> np.ndarray:
    try:
        count = max(0, math.ceil((stop - start) / step))
    except (OverflowError, ValueError):
        raise ArgumentError(
            explain("arange", "a range with an end", f"{start}, {stop}, {step}")
        ) from None
    return float(start) + np.arange(count) * float(step)


def _scalar(name: str, value: Any) -> Any:
    """A real Python number or a named size, from anything that holds one number."""
    if isinstance(value, Dim):
        return value
    if isinstance(value, (Tensor, Variable)) and value.dtype.is_integer:
        return value.__index__()
    if isinstance(value, (Tensor, Variable, np.ndarray, np.generic)) and value.ndim == 0:
        value = to_tensor(value, name).item() if isinstance(value, Variable) else value.item()
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float):
        return value
    raise ArgumentTypeError(explain(name, "real numbers", f"{value!r} of {type(value).__name__}"))


def linspace(
    start: Any, stop: Any, /, num: int, *,
    dtype: Any = None, device: Any = None, endpoint: bool = True,
) -> Tensor:  # fmt: skip
    """`num` numbers at equal distances from start to stop, which is met exactly, or left out.

    Computed in float64; an integer `dtype` rounds down. start and stop may be scalar tensors.
    """
    check_device("linspace", device)
    count = _how_many("linspace", num)
    target = None if dtype is None else as_dtype(dtype)
    if any(isinstance(each, (Tensor, Variable)) for each in (start, stop)):
        return _between_tensors(start, stop, count, endpoint, target)
    first, last = _end("linspace", start), _end("linspace", stop)
    kind = complex if isinstance(first, complex) or isinstance(last, complex) else float
    target = target or default_dtype(kind)
    row = _between(first, last, count, endpoint)
    return from_array(cast_array("linspace", np.floor(row) if target.is_integer else row, target))


def _how_many(name: str, num: Any) -> int:
    (count,) = shape_of(name, num)
    if not isinstance(count, int):
        raise ArgumentTypeError(explain(name, "an integer num", f"the named size {count}"))
    return count


def _end(name: str, value: Any) -> Any:
    if isinstance(value, (complex, np.complexfloating)):
        return complex(value)
    found = _scalar(name, value)
    if isinstance(found, Dim):
        raise ArgumentTypeError(explain(name, "numbers", f"the named size {found}"))
    return float(found)


def _between(start: Any, stop: Any, count: int, endpoint: bool) -> np.ndarray:
    """The numbers in double precision."""
    gaps = count - 1 if endpoint else count
    steps = np.arange(count, dtype=np.float64)
    with np.errstate(all="ignore"):
        # i * (stop - start) / gaps is exact wherever the result is a small integer.
        row = start + steps * (stop - start) / max(gaps, 1)
        if not np.isfinite(np.sum(row)):
            share = steps / max(gaps, 1)
            row = start * (1 - share) + stop * share
    if count and (start == stop or not gaps):
        row[:] = start
    if endpoint and count > 1:
        row[-1] = stop
    return row


def _between_tensors(
    start: Any, stop: Any, count: int, endpoint: bool, dtype: DType | None
) -> Tensor:
    share = _between(0.0, 1.0, count, endpoint)
    ends = [end if is_weak(end) else to_tensor(end, "linspace") for end in (start, stop)]
    if any(isinstance(end, Tensor) and end.ndim for end in ends):
        received = " and ".join(str(getattr(end, "shape", end)) for end in ends)
        raise ShapeError(explain("linspace", "scalars as start and stop", f"shapes {received}"))
    found = result_dtype("linspace", [DEFAULT_FLOAT if _is_whole(end) else end for end in ends])
    weights = [from_array(cast_array("linspace", each, found)) for each in (1 - share, share)]

    def mix(a: Node, b: Node, rest: Node, part: Node) -> Node:
        return ops.add(ops.multiply(a, rest), ops.multiply(b, part))

    row = pointwise("linspace", mix, *ends, *weights)
    return row if dtype is None else astype(row, dtype)


def _is_whole(end: Any) -> bool:
    return not is_weak(end) and not end.dtype.is_inexact


# Matrices -----------------------------------------------------------------------------------------


def eye(
    n_rows: Any, n_cols: Any = None, /, *, k: int = 0, dtype: Any = None, device: Any = None
) -> Tensor:
    """Ones on the k-th diagonal of a matrix, zeros elsewhere; float32 by default."""
    check_device("eye", device)
    row, column = _positions("eye", n_rows, n_rows if n_cols is None else n_cols, k)
    return wrap(_as_numbers(ops.equal(row, column), dtype))


def tril(x: Any, /, *, k: int = 0) -> Tensor:
    """x with zeros above the k-th diagonal of its last two axes."""
    return _triangle("tril", x, k, ops.less_equal)


def triu(x: Any, /, *, k: int = 0) -> Tensor:
    """x with zeros below the k-th diagonal of its last two axes."""
    return _triangle("triu", x, k, ops.greater_equal)


def _positions(name: str, rows: Any, columns: Any, k: Any) -> tuple[Node, Node]:
    """For each place of a matrix, its row number shifted by k, and its column number."""
    shape = _shape(name, (rows, columns))
    row = movement.iota(dtype=int64, shape=shape, axis=0)
    shift = _scalar(name, k)
    if not isinstance(shift, int):
        raise ArgumentTypeError(explain(name, "an integer k", f"{k!r}"))
    if shift:
        row = ops.add(row, constant_like(row, shift))
    return row, movement.iota(dtype=int64, shape=shape, axis=1)


def _as_numbers(mask: Node, dtype: Any) -> Node:
    return ops.cast(mask, dtype=DEFAULT_FLOAT if dtype is None else as_dtype(dtype))


def _triangle(name: str, x: Any, k: Any, keeps: Any) -> Tensor:
    node = node_of(to_tensor(x, name))
    if node.type.rank < 2:
        raise ShapeError(explain(name, "a tensor of two or more axes", str(node.type)))
    row, column = _positions(name, node.shape[-2], node.shape[-1], k)
    mask = broadcast_to(keeps(column, row), node.shape)
    return wrap(ops.select(mask, node, constant_like(node, 0)))


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of a grid: one tensor for each axis, each as large as the grid.

    `ij` puts the axes in the order of the arguments, `xy` swaps the first two.
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(explain("meshgrid", "indexing of 'xy' or 'ij'", repr(indexing)))
    nodes = [node_of(to_tensor(each, "meshgrid")) for each in arrays]
    if any(node.type.rank > 1 for node in nodes):
        received = " and ".join(str(node.type) for node in nodes)
        raise ShapeError(explain("meshgrid", "tensors of one axis", received))
    order = list(range(len(nodes)))
    if indexing == "xy" and len(nodes) > 1:
        order[:2] = 1, 0
    sizes = tuple(nodes[place].type.size for place in order)
    result = []
    for place, node in zip(order, nodes, strict=True):
        inner = tuple(size if axis == place else 1 for axis, size in enumerate(sizes))
        result.append(wrap(broadcast_to(movement.reshape(node, shape=inner), sizes)))
    return result


# Beyond the standard ------------------------------------------------------------------------------


def identity(n: Any, /, *, dtype: Any = None) -> Tensor:
    """The square identity matrix."""
    return eye(n, dtype=dtype)


def tri(n_rows: Any, n_cols: Any = None, /, *, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on and below the k-th diagonal of a matrix, zeros above."""
    row, column = _positions("tri", n_rows, n_rows if n_cols is None else n_cols, k)
    return wrap(_as_numbers(ops.less_equal(column, row), dtype))


def diag(x: Any, /, *, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix; for a vector, the matrix that has it there."""
    node = node_of(to_tensor(x, "diag"))
    shift = _scalar("diag", k)
    if node.type.rank not in (1, 2) or not isinstance(shift, int):
        raise ShapeError(explain("diag", "a vector or a matrix, and an integer k", f"{node.type}"))
    above, below = max(shift, 0), max(-shift, 0)
    if node.type.rank == 1:
        matrix = _matrix_of(node)
        return wrap(_pad(matrix, (below, above), (above, below)) if shift else matrix)
    return diagonal(wrap(node), offset=shift)


def _matrix_of(vector: Node) -> Node:
    """In rows of one more element, a matrix laid out flat has its diagonal in the first column."""
    count = vector.shape[0]
    rows = _pad(movement.reshape(vector, shape=(count, 1)), (0, 0), (0, count))
    flat = movement.reshape(rows, shape=(count * (count + 1),))
    square = movement.slice(flat, start=(0,), limit=(count * count,), stride=(1,))
    return movement.reshape(square, shape=(count, count))


def _pad(node: Node, low: Shape, high: Shape) -> Node:
    zero = constant_of(0, node.dtype)
    return movement.pad(node, zero, low=low, high=high, interior=(0,) * len(low))


def logspace(
    start: Any, stop: Any, /, num: int = 50, *,
    base: float = 10.0, dtype: Any = None, endpoint: bool = True,
) -> Tensor:  # fmt: skip
    """base**start to base**stop, `num` numbers with equal distances between their logarithms."""
    count = _how_many("logspace", num)
    exponents = _between(_end("logspace", start), _end("logspace", stop), count, endpoint)
    with np.errstate(all="ignore"):
        row = np.power(base, exponents)
    return from_array(_rounded("logspace", row, dtype))


def geomspace(
    start: Any, stop: Any, /, num: int = 50, *, dtype: Any = None, endpoint: bool = True
) -> Tensor:
    """`num` numbers from start to stop, each the same multiple of the one before."""
    count = _how_many("geomspace", num)
    first, last = _end("geomspace", start), _end("geomspace", stop)
    if isinstance(first, complex) or isinstance(last, complex) or first * last <= 0:
        raise ArgumentError(
            explain("geomspace", "two real numbers of one sign, not 0", f"{start}, {stop}")
        )
    logarithms = _between(math.log(abs(first)), math.log(abs(last)), count, endpoint)
    row = math.copysign(1.0, first) * np.exp(logarithms)
    if count:
        row[0] = first
    if endpoint and count > 1:
        row[-1] = last
    return from_array(_rounded("geomspace", row, dtype))


def _rounded(name: str, row: np.ndarray, dtype: Any) -> np.ndarray:
    default = default_dtype(complex if row.dtype == complex128.numpy else float)
    return cast_array(name, row, default if dtype is None else as_dtype(dtype))


def size(dim: Any, /, *, dtype: Any = None) -> Tensor:
    """A size, named or not, as a scalar tensor; weak like a Python number unless `dtype` is given.

    >>> import thalweg as tw
    >>> float(tw.asarray([3.0, 5.0]) @ tw.ones(2) / tw.size(2))
    4.0
    """
    if dtype is None and isinstance(dim, Dim):
        return of_size(dim)
    (found,) = _shape("size", dim)
    target = DEFAULT_INT if dtype is None else as_dtype(dtype)
    return wrap(movement.size(dim=found, dtype=target), weak=dtype is None)
