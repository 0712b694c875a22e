"""Typed LLVM IR text, one operation a line: scalars and vectors of the vocabulary's element types.

A `Value` is an SSA name with an element type and a number of lanes; a `Block` appends lines to the
function being written and hands out names. Booleans are i1 in registers and i8 in memory. 16-bit
floats are float32 in registers: they widen when loaded and round once when stored. A complex number
is two neighbouring floats in registers as it is in memory: eight lanes of complex64 are a vector of
sixteen floats.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from thalweg.backends.llvm.targets import Target
from thalweg.ir.types import DType, bfloat16, bool_, float16, float32, float64, int32, int64

NAMES = {
    "bool": "i1",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "i8",
    "uint16": "i16",
    "uint32": "i32",
    "uint64": "i64",
    "float16": "half",
    "bfloat16": "bfloat",
    "float32": "float",
    "float64": "double",
}
"""The LLVM name of each element type that fits one register value."""


@dataclass(frozen=True, slots=True)
class Value:
    """An SSA value or constant: its text, element type, and lanes (1 for a scalar)."""

    name: str
    dtype: DType
    lanes: int = 1

    @property
    def type(self) -> str:
        """The LLVM type."""
        return type_name(self.dtype, self.lanes)

    @property
    def typed(self) -> str:
        """Type and name, as operands are written."""
        return f"{self.type} {self.name}"


def type_name(dtype: DType, lanes: int = 1) -> str:
    """The LLVM type of a register value."""
    if dtype.is_complex:
        return f"<{2 * lanes} x {NAMES[dtype.real.name]}>"
    return NAMES[dtype.name] if lanes == 1 else f"<{lanes} x {NAMES[dtype.name]}>"


def memory_name(dtype: DType) -> str:
    """The LLVM name of an element in memory: a byte for a boolean, plain bits for bfloat16."""
    if dtype.is_complex:
        return type_name(dtype)
    return {"bool": "i8", "bfloat16": "i16"}.get(dtype.name) or NAMES[dtype.name]


def memory_kind(dtype: DType, lanes: int) -> str:
    """The LLVM type of neighbouring elements in memory."""
    if dtype.is_complex:
        return type_name(dtype, lanes)
    return memory_name(dtype) if lanes == 1 else f"<{lanes} x {memory_name(dtype)}>"


def number(value: complex | int | bool, dtype: DType, lanes: int = 1) -> Value:
    """A constant, the same in every lane; floats are written as their exact bits."""
    if dtype.is_complex:
        value, half = complex(value), dtype.real
        pair = [
            f"{NAMES[half.name]} {_float_text(each, half)}" for each in (value.real, value.imag)
        ]
        return Value(f"<{', '.join(pair * lanes)}>", dtype, lanes)
    assert not isinstance(value, complex)
    if dtype is bool_:
        text = "true" if value else "false"
    elif dtype.is_float:
        text = _float_text(float(value), dtype)
    else:
        text = str(int(value))
    if lanes > 1:
        element = f"{NAMES[dtype.name]} {text}"
        text = f"splat ({element})"
    return Value(text, dtype, lanes)


def _float_text(value: float, dtype: DType) -> str:
    # LLVM writes float constants as the bits of the double with the same value.
    if dtype is float32 and math.isfinite(value):
        value = struct.unpack("f", struct.pack("f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class Block:
    """Writes the body of one function for a target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self._serial = 0
        self._label = 0

    def name(self) -> str:
        """A new SSA name."""
        self._serial += 1
        return f"%v{self._serial}"

    def label(self, hint: str) -> str:
        """A new label."""
        self._label += 1
        return f"{hint}{self._label}"

    def emit(self, text: str) -> None:
        """Append a line."""
        self.lines.append(f"  {text}")

    def assign(self, text: str, dtype: DType, lanes: int = 1) -> Value:
        """A new value computed by an instruction."""
        value = Value(self.name(), dtype, lanes)
        self.emit(f"{value.name} = {text}")
        return value

    # Arithmetic -----------------------------------------------------------------------------------

    def binary(self, instruction: str, x: Value, y: Value) -> Value:
        """An instruction on two values of one type."""
        return self.assign(f"{instruction} {x.type} {x.name}, {y.name}", x.dtype, x.lanes)

    def add(self, x: Value, y: Value) -> Value:
        return self.binary("fadd" if x.dtype.is_inexact else "add", x, y)

    def subtract(self, x: Value, y: Value) -> Value:
        return self.binary("fsub" if x.dtype.is_inexact else "sub", x, y)

    def multiply(self, x: Value, y: Value) -> Value:
        if x.dtype.is_complex:
            along, across, turned = self._turned(x, y)
            return self.add(self.binary("fmul", along, y), self.binary("fmul", across, turned))
        return self.binary("fmul" if x.dtype.is_float else "mul", x, y)

    def _turned(self, x: Value, y: Value) -> tuple[Value, Value, Value]:
        """The parts of x, each in both places of a number, and i y.

        x y is the first times y and the second times i y.
        """
        lanes = range(2 * x.lanes)
        along, across = (self._shuffled(x, [lane // 2 * 2 + part for lane in lanes])
                         for part in (0, 1))  # fmt: skip
        swapped = self._shuffled(y, [lane ^ 1 for lane in lanes])
        opposite = self.assign(f"fneg {swapped.typed}", y.dtype, y.lanes)
        mask = ", ".join(f"i32 {lane if lane % 2 else len(lanes) + lane}" for lane in lanes)
        turned = self.assign(
            f"shufflevector {swapped.typed}, {opposite.typed}, <{len(lanes)} x i32> <{mask}>",
            y.dtype, y.lanes,
        )  # fmt: skip
        return along, across, turned

    def _shuffled(self, x: Value, places: Sequence[int], dtype: DType | None = None) -> Value:
        """The registers' own elements of x at some places; of a complex number each has two."""
        mask = ", ".join(f"i32 {place}" for place in places)
        text = f"shufflevector {x.typed}, {x.type} poison, <{len(places)} x i32> <{mask}>"
        dtype = dtype or x.dtype
        return self.assign(text, dtype, len(places) // (2 if dtype.is_complex else 1))

    def divide(self, x: Value, y: Value) -> Value:
        instruction = {"float": "fdiv", "int": "sdiv", "uint": "udiv"}[x.dtype.kind]
        return self.binary(instruction, x, y)

    def negative(self, x: Value) -> Value:
        if x.dtype.is_inexact:
            return self.assign(f"fneg {x.typed}", x.dtype, x.lanes)
        return self.subtract(self.like(x, 0), x)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z, rounded once; without such an instruction, as if once but for rare ties."""
        if self.target.has_fma:
            return self.intrinsic("fma", x, y, z)
        if x.dtype is float32:
            # The product of two is exact in float64.
            wide = [self.convert("fpext", each, float64) for each in (x, y, z)]
            total = self.add(self.multiply(wide[0], wide[1]), wide[2])
            return self.convert("fptrunc", total, float32)
        return self._fma_in_parts(x, y, z)

    def _fma_in_parts(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z of float64: what rounding the product and the sum left over is added again.

        T. J. Dekker, "A floating-point technique for extending the available precision", 1971.
        """
        high, low = [], []
        for each in (x, y):
            bits = self.bitcast(each, int64)
            # Half of the digits, to the nearest: then no product of halves has to be rounded.
            near = self.add(bits, self.like(bits, 1 << 26))
            head = self.binary("and", near, self.like(bits, -(1 << 27)))
            high.append(self.bitcast(head, float64))
            low.append(self.subtract(each, high[-1]))
        product = self.multiply(x, y)
        rest = self.subtract(self.multiply(high[0], high[1]), product)
        for one, other in ((high[0], low[1]), (low[0], high[1]), (low[0], low[1])):
            rest = self.add(rest, self.multiply(one, other))
        total = self.add(product, z)
        added = self.subtract(total, product)
        lost = self.subtract(product, self.subtract(total, added))
        lost = self.add(lost, self.subtract(z, added))
        rest = self.add(lost, rest)
        size = self.intrinsic("fabs", rest)
        # Infinite products and sums leave no number; and nothing must not be added to -0.0.
        is_some = self.binary(
            "and",
            self.compare("gt", size, self.like(size, 0)),
            self.compare("lt", size, self.like(size, math.inf)),
        )
        return self.select(is_some, self.add(total, rest), total)

    def multiply_add(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z of a sum of products: rounded once where that takes one instruction."""
        if x.dtype.is_complex and self.target.has_fma:
            along, across, turned = self._turned(x, y)
            return self._fused(across, turned, self._fused(along, y, z))
        if x.dtype.is_float and self.target.has_fma:
            return self.intrinsic("fma", x, y, z)
        return self.add(z, self.multiply(x, y))

    def _fused(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z of what stands in each place of complex numbers."""
        kind, half = x.type, x.dtype.real
        function = f"@llvm.fma.{_vector_suffix(NAMES[half.name], 2 * x.lanes)}"
        self.declarations.add(f"declare {kind} {function}({kind}, {kind}, {kind})")
        text = f"call {kind} {function}({x.typed}, {y.typed}, {z.typed})"
        return self.assign(text, x.dtype, x.lanes)

    # Complex numbers ------------------------------------------------------------------------------

    def half(self, z: Value, part: int) -> Value:
        """The real parts (0) or the imaginary parts (1) of complex numbers."""
        if z.lanes == 1:
            return self.assign(f"extractelement {z.typed}, i64 {part}", z.dtype.real)
        return self._shuffled(z, range(part, 2 * z.lanes, 2), z.dtype.real)

    def complex_of(self, re: Value, im: Value, dtype: DType) -> Value:
        """Complex numbers of their parts."""
        if re.lanes == 1:
            kind = type_name(dtype)
            one = self.assign(f"insertelement {kind} poison, {re.typed}, i64 0", dtype)
            return self.assign(f"insertelement {one.typed}, {im.typed}, i64 1", dtype)
        mask = ", ".join(f"i32 {lane}, i32 {re.lanes + lane}" for lane in range(re.lanes))
        text = f"shufflevector {re.typed}, {im.typed}, <{2 * re.lanes} x i32> <{mask}>"
        return self.assign(text, dtype, re.lanes)

    def _of_parts(self, condition: Value, dtype: DType, lanes: int) -> str:
        """A mask as its elements want it, with its type: twice for each complex number."""
        if not dtype.is_complex or condition.lanes == 1:
            return condition.typed
        places = [lane // 2 for lane in range(2 * lanes)]
        return self._shuffled(condition, places).typed

    def like(self, x: Value, value: float | int | bool) -> Value:
        """A constant of the type of x."""
        return number(value, x.dtype, x.lanes)

    def intrinsic(
        self, name: str, *args: Value, result: DType | None = None, tail: str = ""
    ) -> Value:
        """A call of `llvm.<name>`, overloaded on the first operand, or on `result` and it."""
        first = args[0]
        dtype = result or first.dtype
        suffix = _suffix(first)
        if result:
            suffix = f"{_suffix(Value('', result, first.lanes))}.{suffix}"
        types = ", ".join(arg.type for arg in args)
        function = f"@llvm.{name}.{suffix}"
        extra = f", {tail.split()[0]}" if tail else ""
        self.declarations.add(f"declare {type_name(dtype, first.lanes)} {function}({types}{extra})")
        operands = ", ".join(arg.typed for arg in args) + (f", {tail}" if tail else "")
        return self.assign(
            f"call {type_name(dtype, first.lanes)} {function}({operands})", dtype, first.lanes
        )

    def reduce(self, name: str, x: Value) -> Value:
        """The one scalar of all lanes: name is or, and, add, smax, ... of `llvm.vector.reduce`."""
        if x.lanes == 1:
            return x
        element = NAMES[x.dtype.name]
        function = f"@llvm.vector.reduce.{name}.{_suffix(x)}"
        self.declarations.add(f"declare {element} {function}({x.type})")
        return self.assign(f"call {element} {function}({x.typed})", x.dtype)

    # Comparison and choice ------------------------------------------------------------------------

    def compare(self, relation: str, x: Value, y: Value) -> Value:
        """A boolean: relation is eq, ne, lt, le, gt or ge; NaN compares unequal to everything."""
        if x.dtype.is_float:
            code = {"ne": "une"}.get(relation, f"o{relation}")
            text = f"fcmp {code}"
        elif relation in ("eq", "ne"):
            text = f"icmp {relation}"
        else:
            text = f"icmp {'s' if x.dtype.kind == 'int' else 'u'}{relation}"
        return self.assign(f"{text} {x.type} {x.name}, {y.name}", bool_, x.lanes)

    def select(self, condition: Value, x: Value, y: Value) -> Value:
        mask = self._of_parts(condition, x.dtype, x.lanes)
        return self.assign(f"select {mask}, {x.typed}, {y.typed}", x.dtype, x.lanes)

    # Types ----------------------------------------------------------------------------------------

    def bitcast(self, x: Value, dtype: DType) -> Value:
        if x.dtype is dtype:
            return x
        return self.assign(f"bitcast {x.typed} to {type_name(dtype, x.lanes)}", dtype, x.lanes)

    def convert(self, instruction: str, x: Value, dtype: DType) -> Value:
        """One of LLVM's conversions: sitofp, fptosi, zext, trunc, fpext, ..."""
        target = type_name(dtype, x.lanes)
        return self.assign(f"{instruction} {x.typed} to {target}", dtype, x.lanes)

    def splat(self, x: Value, lanes: int) -> Value:
        """A scalar in every lane."""
        if lanes == x.lanes:
            return x
        if x.dtype.is_complex:
            return self._shuffled(x, [0, 1] * lanes)
        one = self.assign(
            f"insertelement {type_name(x.dtype, lanes)} poison, {x.typed}, i64 0", x.dtype, lanes
        )
        mask = f"<{lanes} x i32> zeroinitializer"
        return self.assign(f"shufflevector {one.typed}, {one.type} poison, {mask}", x.dtype, lanes)

    def part(self, x: Value, start: int, count: int) -> Value:
        """Some neighbouring lanes."""
        if x.dtype.is_complex:
            return self._shuffled(x, range(2 * start, 2 * (start + count)))
        if count == 1:
            return self.assign(f"extractelement {x.typed}, i64 {start}", x.dtype)
        mask = ", ".join(f"i32 {start + lane}" for lane in range(count))
        text = f"shufflevector {x.typed}, {x.type} poison, <{count} x i32> <{mask}>"
        return self.assign(text, x.dtype, count)

    def transposed(self, rows: Sequence[Value]) -> list[Value]:
        """As many vectors as each has lanes, turned: lane i of vector j becomes lane j of vector i.

        Rounds of shuffles, each of which puts the lanes of two vectors alternately into two.
        """
        lanes, found = rows[0].lanes, list(rows)
        width = 2 if rows[0].dtype.is_complex else 1
        taken = [
            [half + lane // 2 + lanes * (lane % 2) for lane in range(lanes)]
            for half in (0, lanes // 2)
        ]
        masks = [
            ", ".join(f"i32 {width * lane + part}" for lane in each for part in range(width))
            for each in taken
        ]
        for _ in range(lanes.bit_length() - 1):
            pairs = zip(found[: lanes // 2], found[lanes // 2 :], strict=True)
            found = [
                self.assign(
                    f"shufflevector {x.typed}, {y.typed}, <{width * lanes} x i32> <{mask}>",
                    x.dtype,
                    lanes,
                )
                for x, y in pairs
                for mask in masks
            ]
        return found

    def steps(self, lanes: int, dtype: DType = int64) -> Value:
        """0, 1, 2, ... in the lanes."""
        if lanes == 1:
            return number(0, dtype)
        element = NAMES[dtype.name]
        text = ", ".join(f"{element} {lane}" for lane in range(lanes))
        return Value(f"<{text}>", dtype, lanes)

    def hidden(self, x: Value) -> Value:
        """The same integer, of which the compiler knows nothing."""
        return self.assign(f'call {x.type} asm "", "=r,0"({x.typed})', x.dtype)

    # Memory ---------------------------------------------------------------------------------------

    def element(self, pointer: str, dtype: DType, position: Value) -> str:
        """The address of an element, counted in elements."""
        memory = memory_name(dtype)
        name = self.name()
        self.emit(f"{name} = getelementptr inbounds {memory}, ptr {pointer}, {position.typed}")
        return name

    def load(self, address: str, dtype: DType, lanes: int = 1, mask: Value | None = None) -> Value:
        """`lanes` consecutive elements, as they are computed with; masked-out lanes are zero."""
        if dtype.is_complex and lanes == 1:
            # One by one, so that each part alone can be broadcast from memory.
            parts = [self.element(address, dtype.real, number(part, int64)) for part in (0, 1)]
            re, im = (self.load(part, dtype.real) for part in parts)
            return self.complex_of(re, im, dtype)
        kind = memory_kind(dtype, lanes)
        align = dtype.real.itemsize
        name = self.name()
        if mask is None:
            self.emit(f"{name} = load {kind}, ptr {address}, align {align}")
        else:
            chosen = self._of_parts(mask, dtype, lanes)
            function = f"@llvm.masked.load.{_memory_suffix(dtype, lanes)}.p0"
            self.declarations.add(f"declare {kind} {function}(ptr, {_mask_type(kind)}, {kind})")
            self.emit(
                f"{name} = call {kind} {function}(ptr align {align} {address}, {chosen}, "
                f"{kind} zeroinitializer)"
            )
        return self._widened(name, kind, dtype, lanes)

    def _widened(self, name: str, kind: str, dtype: DType, lanes: int) -> Value:
        if dtype is bool_:
            zero = "0" if lanes == 1 else "zeroinitializer"
            return self.assign(f"icmp ne {kind} {name}, {zero}", bool_, lanes)
        if dtype is float16:
            return self.assign(
                f"fpext {kind} {name} to {type_name(float32, lanes)}", float32, lanes
            )
        if dtype is bfloat16:
            wide = self.assign(f"zext {kind} {name} to {type_name(int32, lanes)}", int32, lanes)
            bits = self.binary("shl", wide, number(16, int32, lanes))
            return self.bitcast(bits, float32)
        return Value(name, dtype, lanes)

    def prefetch(self, address: str) -> None:
        """Ask for the line of an address, which may lie past the end of an array."""
        self.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.emit(f"call void @llvm.prefetch.p0(ptr {address}, i32 0, i32 3, i32 1)")

    def gather(
        self, pointer: str, dtype: DType, positions: Value, mask: Value | None = None
    ) -> Value:
        """Elements at positions of their own, counted in elements; masked-out lanes are zero."""
        if dtype.is_complex:
            first = self.add(positions, positions)
            places = (first, self.add(first, number(1, int64, positions.lanes)))
            re, im = (self.gather(pointer, dtype.real, each, mask) for each in places)
            return self.complex_of(re, im, dtype)
        memory = memory_name(dtype)
        lanes = positions.lanes
        kind = f"<{lanes} x {memory}>"
        addresses = self.name()
        self.emit(
            f"{addresses} = getelementptr inbounds {memory}, ptr {pointer}, {positions.typed}"
        )
        chosen = mask.typed if mask is not None else f"<{lanes} x i1> splat (i1 true)"
        function = f"@llvm.masked.gather.{_vector_suffix(memory, lanes)}.v{lanes}p0"
        self.declarations.add(f"declare {kind} {function}(<{lanes} x ptr>, <{lanes} x i1>, {kind})")
        name = self.name()
        self.emit(
            f"{name} = call {kind} {function}(<{lanes} x ptr> align {dtype.itemsize} {addresses}, "
            f"{chosen}, {kind} zeroinitializer)"
        )
        return self._widened(name, kind, dtype, lanes)

    def store(self, value: Value, address: str, dtype: DType, mask: Value | None = None) -> None:
        """Write consecutive elements of a memory type; only the lanes of the mask, if given."""
        lanes = value.lanes
        kind = memory_kind(dtype, lanes)
        name = value.name
        if dtype is bool_:
            name = self.name()
            self.emit(f"{name} = zext {value.typed} to {kind}")
        elif dtype is float16:
            name = self.name()
            self.emit(f"{name} = fptrunc {value.typed} to {kind}")
        elif dtype is bfloat16:
            name = self._upper_half(value, kind)
        align = dtype.real.itemsize
        if mask is None:
            self.emit(f"store {kind} {name}, ptr {address}, align {align}")
            return
        chosen = self._of_parts(mask, dtype, lanes)
        function = f"@llvm.masked.store.{_memory_suffix(dtype, lanes)}.p0"
        self.declarations.add(f"declare void {function}({kind}, ptr, {_mask_type(kind)})")
        self.emit(f"call void {function}({kind} {name}, ptr align {align} {address}, {chosen})")

    def _upper_half(self, value: Value, kind: str) -> str:
        """The bits of a float32 rounded to bfloat16, ties to even; NaN stays NaN.

        Written out, because the CPU's own instruction takes denormals for zero.
        """
        lanes = value.lanes

        def whole(bits: int) -> Value:
            return number(bits, int32, lanes)

        bits = self.bitcast(value, int32)
        odd = self.binary("and", self.binary("lshr", bits, whole(16)), whole(1))
        near = self.add(bits, self.add(odd, whole(0x7FFF)))
        quiet = self.binary("or", bits, whole(0x400000))
        chosen = self.select(self.compare("ne", value, value), quiet, near)
        upper = self.binary("lshr", chosen, whole(16))
        name = self.name()
        self.emit(f"{name} = trunc {upper.typed} to {kind}")
        return name

    # Control --------------------------------------------------------------------------------------

    @contextmanager
    def loop(self, start: Value, limit: Value, step: Value) -> Iterator[Value]:
        """A counted loop over int64; the body may be left out when start >= limit."""
        head, body, latch, done = (self.label(each) for each in ("head", "body", "latch", "done"))
        before = self.label("before")
        self.emit(f"br label %{before}")
        self.lines.append(f"{before}:")
        self.emit(f"br label %{head}")
        self.lines.append(f"{head}:")
        index = Value(self.name(), int64)
        following = self.name()
        self.emit(f"{index.name} = phi i64 [ {start.name}, %{before} ], [ {following}, %{latch} ]")
        more = self.compare("lt", index, limit)
        self.emit(f"br i1 {more.name}, label %{body}, label %{done}")
        self.lines.append(f"{body}:")
        yield index
        self.emit(f"br label %{latch}")
        self.lines.append(f"{latch}:")
        self.emit(f"{following} = add i64 {index.name}, {step.name}")
        self.emit(f"br label %{head}")
        self.lines.append(f"{done}:")

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """A block that runs only when a scalar condition holds."""
        inside, after = self.label("then"), self.label("after")
        self.emit(f"br i1 {condition.name}, label %{inside}, label %{after}")
        self.lines.append(f"{inside}:")
        yield
        self.emit(f"br label %{after}")
        self.lines.append(f"{after}:")

    def register(self, initial: Value) -> str:
        """A place for a value that changes in loops; promoted to a register by LLVM."""
        name = self.name()
        # Allocations belong to the entry block, else they grow the stack in every round.
        self.lines.insert(0, f"  {name} = alloca {initial.type}")
        self.emit(f"store {initial.typed}, ptr {name}")
        return name

    def array(self, count: int, like: Value) -> str:
        """Memory of the function's own for so many values."""
        name = self.name()
        self.lines.insert(0, f"  {name} = alloca [{count} x {like.type}], align 64")
        return name

    def place(self, array: str, index: Value, like: Value) -> str:
        """The address of a value in such memory."""
        name = self.name()
        self.emit(f"{name} = getelementptr {like.type}, ptr {array}, {index.typed}")
        return name

    def get(self, register: str, like: Value) -> Value:
        return self.assign(f"load {like.type}, ptr {register}", like.dtype, like.lanes)

    def set(self, register: str, value: Value) -> None:
        self.emit(f"store {value.typed}, ptr {register}")


def _suffix(value: Value) -> str:
    return _vector_suffix(NAMES[value.dtype.name], value.lanes)


def _memory_suffix(dtype: DType, lanes: int) -> str:
    if dtype.is_complex:
        return _vector_suffix(NAMES[dtype.real.name], 2 * lanes)
    return _vector_suffix(memory_name(dtype), lanes)


def _mask_type(kind: str) -> str:
    """The type of a mask for a vector of some type."""
    count = kind[1:].split(" ", 1)[0]
    return f"<{count} x i1>"


def _vector_suffix(element: str, lanes: int) -> str:
    short = {"float": "f32", "double": "f64", "half": "f16", "bfloat": "bf16"}.get(element, element)
    return short if lanes == 1 else f"v{lanes}{short}"


def function_text(name: str, parameters: Sequence[str], block: Block) -> str:
    """A whole function, after the declarations it needs."""
    head = f"define void @{name}({', '.join(parameters)}) {{\nentry:"
    return "\n".join([*sorted(block.declarations), head, *block.lines, "  ret void", "}"]) + "\n"
