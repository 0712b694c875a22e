"""Counter-based random bits: pure functions of a key, the same on every backend, bit for bit.

    random_bits(key, shape=(2,3), width=32)    key: u32[2] -> u32[2,3]
    split_key(key, count=4)                    key: u32[2] -> u32[4,2]
    fold_in(key, data)                         key: u32[2], u32[] -> u32[2]

A key is two uint32 words, the last axis of `key`; axes before it are keys side by side, which draw
independently: random_bits gives u32[5,2] -> u32[5, shape...]. The generator is Threefry-2x32 with
20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011),
counted as JAX counts it by default, so equal keys give the streams of jax.random.

    unit_interval(key, shape, float32)         floats in [0, 1), made of these ops
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import Integer, Sizes
from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DType,
    Shape,
    Size,
    TensorType,
    as_dtype,
    shape_text,
    tensor_type,
    uint8,
    uint16,
    uint32,
    uint64,
)
from thalweg.ops.definitions import threefry2x32
from thalweg.ops.elementwise import bitcast, bitwise_or, cast, front, right_shift, subtract
from thalweg.ops.samples import a_type

WIDTHS = {8: uint8, 16: uint16, 32: uint32, 64: uint64}

# Twenty rounds of an addition, a rotation and an exclusive or, and six additions of the key.
FLOPS = 120

DISCRETE = Absent("no derivative: keys and bits are integers")


def _check_key(name: str, key: TensorType) -> None:
    if key.dtype is not uint32 or not key.rank or not is_known_equal(key.shape[-1], 2):
        raise (DTypeError if key.dtype is not uint32 else ShapeError)(
            explain(
                name,
                "a key of two uint32 words on the last axis, u32[2]",
                str(key),
                "Make one with key(seed), and new ones from it with split(key).",
            )
        )


def _words(keys: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Threefry for each key at the counters 0 ... count - 1: two arrays [keys..., count]."""
    index = np.arange(count, dtype=np.uint64)
    high, low = (index >> np.uint64(32)).astype(np.uint32), index.astype(np.uint32)
    return threefry2x32(keys[..., 0, None], keys[..., 1, None], high, low)


# Random bits --------------------------------------------------------------------------------------


def _infer_bits(key: TensorType, *, shape: Shape, width: int) -> TensorType:
    _check_key("random_bits", key)
    if width not in WIDTHS:
        raise ArgumentError(
            explain(
                "random_bits",
                "a width of 8, 16, 32 or 64 bits",
                f"{width}",
                "Draw the next wider one and keep its low bits.",
            )
        )
    if not isinstance(shape, tuple) or not all(is_known_at_least(size, 0) for size in shape):
        raise ShapeError(explain("random_bits", "sizes of zero or more", f"{shape}"))
    return tensor_type(WIDTHS[width], (*key.shape[:-1], *shape))


def _evaluate_bits(key: np.ndarray, *, shape: tuple[int, ...], width: int) -> np.ndarray:
    first, second = _words(key, prod(shape))
    if width == 64:
        bits = (first.astype(np.uint64) << np.uint64(32)) | second
    else:
        bits = (first ^ second).astype(WIDTHS[width].numpy)
    return bits.reshape((*key.shape[:-1], *shape))


KEYS = np.array([[0, 0], [0, 1], [0x13198A2E, 0x03707344], [2**32 - 1, 2**32 - 1]], np.uint32)


def _sample_bits():
    for width in WIDTHS:
        for shape in ((), (3,), (2, 3), (0, 2), (2, 1, 3)):
            yield Sample((KEYS[2],), {"shape": shape, "width": width})
        for key in KEYS:
            yield Sample((key,), {"shape": (5,), "width": width})
        yield Sample((KEYS,), {"shape": (3,), "width": width}, "keys side by side")
        yield Sample((KEYS.reshape(2, 2, 2),), {"shape": (), "width": width}, "keys in a matrix")
        yield Sample((KEYS[:0],), {"shape": (3,), "width": width}, "no key")


def _refuse_bits():
    key = a_type("u32[2]")
    good = {"shape": (3,), "width": 32}
    yield Refusal((a_type("i32[2]"),), good, "a key of two uint32 words")
    yield Refusal((a_type("u32[3]"),), good, "a key of two uint32 words")
    yield Refusal((a_type("u32[]"),), good, "Make one with key(seed)")
    yield Refusal((key,), good | {"width": 24}, "a width of 8, 16, 32 or 64 bits")
    yield Refusal((key,), good | {"shape": (-1,)}, "sizes of zero or more")
    yield Refusal((key,), good | {"shape": 3}, "sizes of zero or more")


random_bits: Op = declare(
    Op(
        name="random_bits",
        doc="Random unsigned integers of 8, 16, 32 or 64 bits in a shape, for each key.",
        infer=_infer_bits,
        evaluate=_evaluate_bits,
        arity=1,
        attributes={"shape": Sizes(), "width": Integer(32)},
        gradient=DISCRETE,
        batch=lambda size, mapped, key, *, shape, width: random_bits(key, shape=shape, width=width),
        cost=lambda key, *, result, shape, width: FLOPS * result.size,
        samples=_sample_bits,
        refuses=_refuse_bits,
        tolerance=0,
        family="random",
    )
)

# New keys -----------------------------------------------------------------------------------------


def _infer_split(key: TensorType, *, count: Size) -> TensorType:
    _check_key("split_key", key)
    if isinstance(count, tuple) or not is_known_at_least(count, 0):
        raise ShapeError(explain("split_key", "a count of zero or more", f"{count}"))
    return key.with_shape((*key.shape[:-1], count, 2))


def _sample_split():
    for count in (0, 1, 2, 5):
        for key in KEYS[:3]:
            yield Sample((key,), {"count": count})
        yield Sample((KEYS,), {"count": count}, "keys side by side")
    yield Sample((KEYS[:0],), {"count": 2}, "no key")


split_key: Op = declare(
    Op(
        name="split_key",
        doc="New keys from each key, whose streams are independent of it and of one another.",
        infer=_infer_split,
        evaluate=lambda key, *, count: np.stack(_words(key, count), axis=-1),
        arity=1,
        attributes={"count": Sizes(2)},
        gradient=DISCRETE,
        batch=lambda size, mapped, key, *, count: split_key(key, count=count),
        cost=lambda key, *, result, count: FLOPS * result.size,
        samples=_sample_split,
        refuses=lambda: [
            Refusal((a_type("u64[2]"),), {}, "a key of two uint32 words"),
            Refusal((a_type("u32[2,3]"),), {}, "a key of two uint32 words"),
            Refusal((a_type("u32[2]"),), {"count": -1}, "a count of zero or more"),
            Refusal((a_type("u32[2]"),), {"count": (2,)}, "a count of zero or more"),
        ],
        tolerance=0,
        family="random",
    )
)


def _infer_fold(key: TensorType, data: TensorType) -> TensorType:
    _check_key("fold_in", key)
    lead = key.shape[:-1]
    fits = data.rank == len(lead) and all(map(is_known_equal, data.shape, lead))
    if data.dtype is not uint32 or not fits:
        raise (DTypeError if data.dtype is not uint32 else ShapeError)(
            explain(
                "fold_in",
                f"data of type u32{shape_text(lead)}, one number for each key",
                f"{data} for key {key}",
                "Cast first: data.astype('uint32').",
            )
        )
    return key


def _evaluate_fold(key: np.ndarray, data: np.ndarray) -> np.ndarray:
    return np.stack(threefry2x32(key[..., 0], key[..., 1], np.uint32(0), data), axis=-1)


def _sample_fold():
    for number in (0, 1, 2**32 - 1):
        yield Sample((KEYS[2], np.array(number, np.uint32)))
    yield Sample((KEYS, np.arange(4, dtype=np.uint32)), name="keys side by side")
    yield Sample((KEYS[:0], np.arange(0, dtype=np.uint32)), name="no key")


fold_in: Op = declare(
    Op(
        name="fold_in",
        doc="A new key from each key and a number, one for each number.",
        infer=_infer_fold,
        evaluate=_evaluate_fold,
        arity=2,
        gradient=DISCRETE,
        batch=lambda size, mapped, key, data: fold_in(*front(size, mapped, (key, data))),
        cost=lambda key, data, *, result: FLOPS * data.size,
        samples=_sample_fold,
        refuses=lambda: [
            Refusal((a_type("i32[2]"), a_type("u32[]")), {}, "a key of two uint32 words"),
            Refusal((a_type("u32[2]"), a_type("i64[]")), {}, "data of type u32[]"),
            Refusal((a_type("u32[2]"), a_type("u32[1]")), {}, "data of type u32[]"),
            Refusal((a_type("u32[3,2]"), a_type("u32[2]")), {}, "data of type u32[3]"),
        ],
        tolerance=0,
        family="random",
    )
)

# Floats from bits ---------------------------------------------------------------------------------

# Bits of the mantissa, which are random where the exponent is that of 1.
_MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}


def unit_interval(key: Node, shape: Sequence[Size], dtype: DType) -> Node:
    """Floats in [0, 1), equally spaced by 2**-10, 2**-7, 2**-23 or 2**-52 and equally likely.

    The mantissa is drawn for the exponent of 1, and 1 taken away: bit for bit what
    jax.random.uniform draws. float16 draws 16 bits and bfloat16 draws 8.
    """
    mantissa = _MANTISSA[dtype.name]
    width = 8 if mantissa < 8 else dtype.bits
    bits = random_bits(key, shape=tuple(shape), width=width)
    container = as_dtype(f"uint{dtype.bits}")
    if bits.dtype is not container:
        bits = cast(bits, dtype=container)
    one = int(np.asarray(1, dtype.numpy).view(container.numpy))
    kept = right_shift(bits, full_like(bits, width - mantissa))
    floats = bitcast(bitwise_or(kept, full_like(bits, one)), dtype=dtype)
    return subtract(floats, full(1, dtype, floats.shape))
