"""The text of Functions: read back to the very same nodes, golden, and refused with a place."""

import base64
import re
import zlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import TextError
from thalweg.ir.dim import ceil_div, dim_max, named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import constant, full, item, items, literal, parameter
from thalweg.ir.node import made_by
from thalweg.ir.parse import parse
from thalweg.ir.show import LONGEST_PLAIN_LITERAL, show
from thalweg.ir.types import (
    DTYPES,
    Literal,
    as_dtype,
    bfloat16,
    bool_,
    complex64,
    float16,
    float32,
    float64,
    int32,
    int64,
    tensor_type,
    uint8,
)
from thalweg.ops.contract import dot
from thalweg.ops.control import HostFunction, call, callback, check, scan, switch, while_
from thalweg.ops.elementwise import add, cast, less, maximum, multiply, negative, sin
from thalweg.ops.movement import concatenate, iota, pad, reshape, reverse, size, slice, transpose
from thalweg.transforms.evaluate import run

b, t = named("b"), named("t")


def of(shape, dtype=float32):
    return tensor_type(dtype, shape)


def assert_reads_back(function, **host):
    text = show(function)
    again = parse(text, **host)
    assert again == function
    pairs = zip(again.results, function.results, strict=True)
    assert all(mine is theirs for mine, theirs in pairs), "the same node objects"
    assert show(again) == text


# ---- Functions that hold everything --------------------------------------------------------------


def layers():
    def body(x, w, index):
        y = dot(x, w, contract=((1,), (0,)), batch=((), ()))
        y = maximum(y, full(0, float32, y.shape))
        y = transpose(reshape(y, shape=(b, 2, 5)), axes=(1, 0, 2))
        rows = cast(size(dim=2 * b + 1, dtype=int32), dtype=float32)
        return y, add(rows, full(0.1, float32)), cast(index, dtype=float64)

    types = [of((b, 784)), of((784, 10)), of((b,), int32)]
    return build("layers", types, body, ["x", "w", "index"])


def attributes():
    """Every kind of attribute: sizes nested and symbolic, flags, texts, types, integers."""

    def body(x):
        y = slice(x, start=(0, 1), limit=(b, 4), stride=(1, 2))
        y = concatenate(y, y, axis=1)
        y = pad(y, full(-0.0, float32), low=(0, 1), high=(1, -1), interior=(0, 2))
        y = reverse(y, axes=(0,))
        y = check(y, full(True, bool_), message='a "quoted" \\ text;\r\nover two lines, (é)')
        sizes = [
            size(dim=dim, dtype=int64)
            for dim in (3, b // 2, (t - 1) * b, dim_max(b, t), ceil_div(t, 3) - b)
        ]
        return y, iota(dtype=uint8, shape=(b // 2, 0), axis=1), *sizes

    return build("attributes", [of((b, 4)), of((t,))], lambda x, y: body(x))


def loops():
    def step(w, state, count, x):
        new = sin(add(multiply(w, state), x))
        return new, add(count, full(1, int32)), multiply(new, x)

    vector, number = of((3,)), of((), int32)
    body = build("step", [vector, vector, number, vector], step, ["w", "state", "count", "x"])
    one = build("none", [vector], sin, ["x"])
    other = build("returning", [vector], negative, ["return_"])
    goes_on = build("goes_on", [number], lambda n: less(n, full(9, int32)), ["n"])
    double = build("double", [number], lambda n: add(n, n), ["n"])

    def program(w, xs, n):
        scanned = scan(w, w, n, xs, body=body, constants=1, carries=2, length=t, reverse=True)
        state, count, ys = items(scanned)
        (chosen,) = items(switch(count, state, branches=(one, other)))
        (only,) = items(switch(count, chosen, branches=(one,)))
        (last,) = items(while_(count, condition=goes_on, body=double))
        return last, ys, only, count

    return build("loops", [vector, of((t, 3)), number], program, ["w", "xs", "n"])


def nested():
    """A loop whose body holds a loop whose body holds a call."""
    inner = build("inner", [of((2,))], lambda x: (sin(x), x))
    middle = build("middle", [of((2,))], lambda x: item(call(x, function=inner), index=0))

    def repeat(body, length):
        return lambda x: items(scan(x, body=body, carries=1, length=length))[0]

    outer = build("outer", [of((2,))], repeat(middle, 3))
    return build("nested", [of((2,)), of((b,))], lambda x, y: repeat(outer, b)(x))


def empty():
    return Function("empty", (), ())


def plain():
    x = parameter(name="x", type=of(()))
    return Function("plain", (x,), (x, x))


FUNCTIONS = (layers, attributes, loops, nested, empty, plain)


@pytest.mark.parametrize("make", FUNCTIONS, ids=lambda make: make.__name__)
def test_text_reads_back_to_the_same_nodes(make):
    assert_reads_back(make())


@pytest.mark.parametrize("make", FUNCTIONS, ids=lambda make: make.__name__)
def test_layout_and_comments_do_not_count(make):
    function = make()
    text = show(function)
    strings = re.compile(r'("(?:[^"\\]|\\.)*")')
    parts = strings.split(text)
    loose = "".join(
        part if index % 2 else re.sub(r"([(){},:=])", " \\1 ; a comment, with ) } =\n ", part)
        for index, part in enumerate(parts)
        for part in [part.replace("zip:", "zip@")]
    ).replace("zip@", "zip:")
    assert parse(loose) == function
    assert parse(f"; before\n\n{text}\n; after\n") == function


def test_the_text_of_a_representative_function(golden):
    golden("loops", show(loops()))
    golden("layers", show(layers()))
    golden("attributes", show(attributes()))


def test_numbers_may_be_chosen_freely():
    text = "f(x: f32[]) {\n  %7: f32[] = sin(x)\n  %3: f32[] = add(%7, x)\n  return %3, %7, x }"
    function = parse(text)
    x = parameter(name="x", type=of(()))
    assert function == Function("f", (x,), (add(sin(x), x), sin(x), x))


def test_several_results_are_referred_to_by_position():
    x = parameter(name="x", type=of(()))
    pair = build("pair", [of(())], lambda x: (sin(x), x))
    both = call(x, function=pair)
    function = Function("f", (x,), (item(both, index=1), add(*items(both))))
    assert "%0: (f32[], f32[]) = call(x, function=pair(x0: f32[])" in show(function)
    assert "%1: f32[] = add(%0.0, %0.1)" in show(function)
    assert "return %0.1, %1" in show(function)
    assert_reads_back(function)


def test_names_that_text_cannot_hold_are_changed_when_a_function_is_made():
    function = build(
        "<lambda>", [of(()), of(()), of(())], lambda x, y, z: add(x, z), ["é", "2x", ""]
    )
    assert function.name == "_lambda_"
    assert function.parameter_names == ("_", "x2x", "x")
    assert_reads_back(function)


@pytest.mark.parametrize(
    "name", ["none", "return", "host", "true", "f32", "zip", "max", "nonesuch"]
)
def test_words_of_the_grammar_are_names_too(name):
    inner = build(name, [of(())], sin, [name])
    assert_reads_back(build(name, [of(())], lambda x: items(call(x, function=inner))[0], [name]))


# ---- literals ------------------------------------------------------------------------------------


def constant_function(array):
    value = Literal.from_numpy(np.asarray(array))
    return build("f", [], lambda: constant(value=value, shape=value.shape))


def special_values():
    for dtype in DTYPES:
        if dtype.kind == "bool":
            yield np.array([True, False])
        elif dtype.is_integer:
            info = np.iinfo(dtype.numpy)
            yield np.array([info.min, info.max, 0, 1], dtype.numpy)
        else:
            info = ml_dtypes.finfo(dtype.real.numpy)
            real = np.array(
                [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 0.1, -1 / 3, 1e3, 12345.0]
            ).astype(dtype.real.numpy)
            edges = [info.max, info.min, info.tiny, info.smallest_subnormal, info.eps]
            real = np.concatenate([real, np.array(edges).astype(dtype.real.numpy)])
            if dtype.is_float:
                yield real
                continue
            both = np.empty((len(real), len(real)), dtype.numpy)
            both.real, both.imag = real[:, None], real[None, :]
            yield both[:3, :10]
            yield both


@pytest.mark.parametrize("array", list(special_values()), ids=lambda a: f"{a.dtype}{list(a.shape)}")
def test_numbers_are_exact(array):
    function = constant_function(array)
    assert_reads_back(function)
    (found,) = run(parse(show(function)))
    assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.is_float], ids=str)
def test_the_bits_of_every_kind_of_nan_are_kept(dtype):
    bits = {16: np.uint16, 32: np.uint32, 64: np.uint64}[dtype.bits]
    ones = np.array([-1], np.int64).astype(bits)
    quiet = np.array([np.nan], dtype.numpy).view(bits)
    patterns = np.concatenate([ones, quiet, quiet | bits(1), ones ^ bits(2)])
    array = patterns.view(dtype.numpy)
    assert np.isnan(array).all()
    assert_reads_back(constant_function(array))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8))
def test_any_bits_are_kept(numbers):
    words = np.array(numbers, np.uint64)
    for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.complex64, np.int8):
        assert_reads_back(constant_function(words.view(dtype)))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (1, 1, 1), (2, 3), ()])
def test_shapes_of_literals(shape):
    for dtype in (float32, bool_, complex64, bfloat16):
        assert_reads_back(constant_function(np.ones(shape, dtype.numpy)))


def test_a_number_fills_a_shape_with_named_sizes():
    function = build("f", [of((b,))], lambda x: add(x, full(2.5, float32, (b,))))
    assert "constant(value=f32[] 2.5, shape=(b,))" in show(function)
    assert_reads_back(function)


@pytest.mark.parametrize("count", [LONGEST_PLAIN_LITERAL, LONGEST_PLAIN_LITERAL + 1, 5000])
def test_large_literals_are_packed(count):
    function = constant_function(np.arange(count, dtype=np.float32))
    assert ("zip:" in show(function)) == (count > LONGEST_PLAIN_LITERAL)
    assert_reads_back(function)


def test_numbers_are_written_as_short_as_they_can_be():
    def text(value, dtype):
        return (
            show(constant_function(np.array(value, dtype.numpy))).split("value=")[1].split(",")[0]
        )

    assert text(0.1, float32) == "f32[] 0.1"
    assert text(0.1, float64) == "f64[] 0.1"
    assert text(0.1, float16) == "f16[] 0.0999756"
    assert text(1 / 3, float32) == "f32[] 0.333333343"
    assert text(1 / 3, float64) == "f64[] 0.3333333333333333"
    assert text(-0.0, bfloat16) == "bf16[] -0"
    assert text(1 - 2j, complex64) == "c64[] 1:-2"
    assert text(True, bool_) == "bool[] true"


# ---- the host ------------------------------------------------------------------------------------


def test_host_functions_are_given_by_name():
    double = HostFunction("double", lambda x: 2 * x)
    types = (of((3,)), of((b,)))
    function = build("f", [of((3,))], lambda x: items(callback(x, function=double, types=types))[0])
    assert "function=host:double, types=(f32[3], f32[b])" in show(function)
    assert_reads_back(function, host={"double": double})
    with pytest.raises(TextError, match="the host function 'double', given as parse"):
        parse(show(function))


# ---- comments ------------------------------------------------------------------------------------


def test_comments_name_the_line_the_layer_and_the_rule():
    x = parameter(name="commented", type=of((5,)))
    y = sin(x)
    with made_by("a_rule", y):
        z = negative(y)
    function = Function("f", (x,), (z,))
    text = show(function, comments=True)
    lines = text.splitlines()
    assert re.fullmatch(r"  %0: f32\[5\] = sin\(commented\)  ; .*test_text.py:\d+", lines[1])
    assert re.fullmatch(r"  %1: .* = negative\(%0\)  ; .*test_text.py:\d+  a_rule", lines[2])
    assert parse(text) == function
    assert ";" not in show(function)


# ---- what cannot be read -------------------------------------------------------------------------

BIG = base64.b64encode(zlib.compress(bytes(10_000_000))).decode()
SMALL = base64.b64encode(zlib.compress(bytes(8))).decode()
SHORT = base64.b64encode(zlib.compress(bytes(8))[:-4]).decode()
LONGER = base64.b64encode(zlib.compress(bytes(8)) + b"more").decode()
TORN = base64.b64encode(zlib.compress(bytes(range(160)))[:-6]).decode()


def line(text, parameters="x: f32[2], p: f32[3]"):
    return f"f({parameters}) {{\n  %0: f32[2] = sin(x)\n  {text}\n  return %0 }}"


BAD = {
    "unknown op": line("%1: f32[2] = sine(x)"),
    "wrong type": line("%1: f32[3] = sin(x)"),
    "wrong element type": line("%1: f64[2] = sin(x)"),
    "one type for several": line("%1: f32[2] = call(x, function=g(y: f32[2]) { return y })"),
    "undefined value": line("%1: f32[2] = sin(%4)"),
    "undefined name": line("%1: f32[2] = sin(z)"),
    "value of a later line": line("%1: f32[2] = sin(%2)\n  %2: f32[2] = sin(x)"),
    "number taken": line("%0: f32[2] = negative(x)"),
    "name taken": line("", "x: f32[2], x: f32[3]"),
    "shapes that do not fit": line("%1: f32[2] = add(x, p)"),
    "number of operands": line("%1: f32[2] = add(x)"),
    "unknown attribute": line("%1: f32[2] = sin(x, axis=1)"),
    "attribute twice": line("%1: f32[2,1] = reshape(x, shape=(2, 1), shape=(2, 1))"),
    "missing attribute": line("%1: f32[2,1] = reshape(x)"),
    "bad size": line("%1: f32[2,1] = reshape(x, shape=(2, 1+))"),
    "bad integer": line("%1: f32[4] = concatenate(x, x, axis=b)"),
    "endless integer": line(f"%1: f32[4] = concatenate(x, x, axis={'9' * 5000})"),
    "bad element type": line("%1: f32[2] = cast(x, dtype=f33)"),
    "negative size": line("", "x: f32[-2]"),
    "no such result": line("%1: f32[2] = sin(%0.1)"),
    "truncated in a line": line("")[:30],
    "truncated before return": "f(x: f32[2]) {\n  %0: f32[2] = sin(x)\n",
    "truncated in return": "f(x: f32[2]) { return x",
    "empty": "",
    "only a comment": "; nothing",
    "trailing text": "f(x: f32[2]) { return x }\ng(x: f32[2]) { return x }",
    "word run together": "f(x: f32[2]) { returnx }",
    "bad float": line("%1: f32[] = constant(value=f32[] 1.5x, shape=())"),
    "bad bool": line("%1: bool[] = constant(value=bool[] 1, shape=())"),
    "integer out of range": line("%1: u8[] = constant(value=u8[] 256, shape=())"),
    "float out of range": line("%1: f16[] = constant(value=f16[] 1e9, shape=())"),
    "too many bits": line("%1: f16[] = constant(value=f16[] 0x12345, shape=())"),
    "one part of complex": line("%1: c64[] = constant(value=c64[] 1, shape=())"),
    "too few numbers": line("%1: i32[3] = constant(value=i32[3] [1, 2], shape=(3,))"),
    "too many numbers": line("%1: i32[2] = constant(value=i32[2] [1, 2, 3], shape=(2,))"),
    "literal of another shape": line("%1: i32[2] = constant(value=i32[3] [1, 2, 3], shape=(2,))"),
    "symbolic literal": line("%1: i32[b] = constant(value=i32[b] [1], shape=(b,))"),
    "zip too short": line(f"%1: f32[9] = constant(value=f32[9] zip:{SMALL}, shape=(9,))"),
    "zip bomb": line(f"%1: f32[9] = constant(value=f32[9] zip:{BIG}, shape=(9,))"),
    "zip torn": line(f"%1: f32[40] = constant(value=f32[40] zip:{TORN}, shape=(40,))"),
    "zip without its checksum": line(
        f"%1: f32[2] = constant(value=f32[2] zip:{SHORT}, shape=(2,))"
    ),
    "zip with more": line(f"%1: f32[2] = constant(value=f32[2] zip:{LONGER}, shape=(2,))"),
    "zip no base64": line("%1: f32[9] = constant(value=f32[9] zip:abc=d, shape=(9,))"),
    "zip no zlib": line("%1: f32[9] = constant(value=f32[9] zip:aGVsbG8=, shape=(9,))"),
}


def test_what_cannot_be_read_is_refused_with_its_place(golden):
    texts = []
    for name, text in BAD.items():
        with pytest.raises(TextError) as caught:
            parse(text)
        assert re.search(r"at line \d+, column \d+", caught.value.message), name
        texts.append(f"# {name}\n{caught.value.message}")
    golden("text_errors", "\n\n".join(texts))


@pytest.mark.parametrize("make", FUNCTIONS, ids=lambda make: make.__name__)
def test_a_text_cut_anywhere_is_refused(make):
    text = show(make())
    for end in range(0, len(text) - 1, 7):
        with pytest.raises(TextError):
            parse(text[:end])


def test_text_that_nests_too_deep_is_refused():
    deep = "call(x, function=f(x: f32[]) { %0: f32[] = " * 3000
    with pytest.raises(TextError, match="not nested this deep"):
        parse("f(x: f32[]) { %0: f32[] = " + deep)
    with pytest.raises(TextError):
        parse(f"f(x: f32[{'(' * 5000}b{')' * 5000}]) {{ return x }}")


def test_a_packed_literal_unpacks_no_more_than_its_type_holds(monkeypatch):
    """The bound is given to the decompressor, so a bomb is never unpacked."""
    limits = []
    original = zlib.decompressobj

    class Spy:
        def __init__(self):
            self.inner = original()

        def decompress(self, data, limit):
            limits.append(limit)
            return self.inner.decompress(data, limit)

        eof = property(lambda self: self.inner.eof)
        unused_data = property(lambda self: self.inner.unused_data)

    monkeypatch.setattr("thalweg.ir.parse.zlib.decompressobj", Spy)
    text = BAD["zip bomb"]
    with pytest.raises(TextError):
        parse(text)
    assert limits == [37]


def test_every_element_type_has_its_short_name_in_text():
    for dtype in DTYPES:
        function = build("f", [of((b,), dtype)], lambda x: cast(x, dtype=float32))
        assert f"x0: {dtype.short}[b]" in show(function)
        assert parse(show(function)).parameter_types[0].dtype is as_dtype(dtype.name)


def test_small_arrays_made_by_literal_are_constants():
    function = build("f", [], lambda: literal(np.arange(3, dtype=np.int32)))
    assert show(function) == (
        "f() {\n  %0: i32[3] = constant(value=i32[3] [0, 1, 2], shape=(3,))\n  return %0\n}"
    )
    assert_reads_back(function)
