"""Read the text form of a Function back, exactly: `parse(show(f)) == f`, node for node.

The grammar stands at the head of `show.py`. Values are read by the kind of their attribute. Host
functions have no text: give them by name, `parse(text, host={"name": function})`.
"""

import base64
import binascii
import copyreg
import re
import zlib
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NoReturn

import numpy as np

from thalweg.base.errors import TextError, ThalwegError
from thalweg.ir.attribute import Element, Flag, Integer, Kept, Kind, Sizes, Text, Types, Value
from thalweg.ir.dim import parse_dim
from thalweg.ir.function import Function
from thalweg.ir.leaves import item, parameter
from thalweg.ir.node import Node, type_text
from thalweg.ir.op import vocabulary
from thalweg.ir.show import show
from thalweg.ir.types import DType, Literal, Size, TensorType, by_short, tensor_type

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]{1,40}(?![0-9])")
_INTEGER = re.compile(rf"-?{_NUMBER.pattern}")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")
_SPACE = re.compile(r"\s*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_COMMENT = re.compile(rf"{_STRING.pattern}|;[^\n]*")
_ATOM = re.compile(r"[^\s,()\[\]:;]+")
_NONE = re.compile(r"none(?![A-Za-z0-9_])(?!\s*\()")
_RETURN = re.compile(r"return(?![A-Za-z0-9_])")
_ATTRIBUTE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=")
_ESCAPES = {"\\n": "\n", "\\r": "\r", '\\"': '"', "\\\\": "\\"}


def parse(text: str, host: Mapping[str, Any] | None = None) -> Function:
    """The Function of a text. Raises TextError with the line and column of the first fault."""
    reader = _Reader(text, host or {})
    try:
        function = reader.function()
    except RecursionError:
        reader.fail("functions, tuples and sizes that are not nested this deep")
    reader.skip()
    if reader.position != len(text):
        reader.fail("the end of the text")
    return function


def parse_type(text: str) -> TensorType:
    """The tensor type of a text such as `f32[b,784]`."""
    reader = _Reader(text, {})
    found = reader.type()
    reader.skip()
    if reader.position != len(text):
        reader.fail("the end of the type")
    return found


class _Reader:
    """A position in a text, and what can be read from there."""

    def __init__(self, text: str, host: Mapping[str, Any]):
        self.text = _COMMENT.sub(_blanked, text)
        self.host = host
        self.position = 0

    def fail(self, wanted: str, start: int | None = None) -> NoReturn:
        """Refuse what stands here, or at `start`."""
        if start is not None:
            self.position = start
            self.skip()
        found = self.text[self.position : self.position + 24].split("\n")[0]
        received = repr(found) if found else "the end of the text"
        raise TextError(
            f"[parse] wants {wanted} at {self.place()}.\n"
            f"Received {received}.\nCompare with the text that show() prints."
        )

    def place(self) -> str:
        """The line and column of this position."""
        before = self.text[: self.position]
        column = self.position - (before.rfind("\n") + 1) + 1
        return f"line {before.count(chr(10)) + 1}, column {column}"

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def take(self, pattern: re.Pattern, wanted: str) -> re.Match:
        self.skip()
        match = pattern.match(self.text, self.position)
        if match is None:
            self.fail(wanted)
        self.position = match.end()
        return match

    def match(self, pattern: re.Pattern) -> bool:
        """True, and past it, where the pattern stands here."""
        self.skip()
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found is not None

    def peek(self, token: str) -> bool:
        self.skip()
        return self.text.startswith(token, self.position)

    def accept(self, token: str) -> bool:
        if self.peek(token):
            self.position += len(token)
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.accept(token):
            self.fail(repr(token))

    def name(self) -> str:
        return self.take(_NAME, "a name").group()

    def function(self) -> Function:
        name = self.name()
        self.expect("(")
        nodes: dict[str, Node] = {}
        inputs: list[Node] = []
        while not self.accept(")"):
            if inputs:
                self.expect(",")
            start = self.position
            each = self.name()
            if each in nodes:
                self.fail(f"a name other than {each!r}, which is taken,", start)
            self.expect(":")
            nodes[each] = parameter(name=each, type=self.type())
            inputs.append(nodes[each])
        self.expect("{")
        while not self.match(_RETURN):
            self.line(nodes)
        results: list[Node] = []
        while not self.accept("}"):
            if results:
                self.expect(",")
            results.append(self.reference(nodes))
        return Function(name, tuple(inputs), tuple(results))

    def line(self, nodes: dict[str, Node]) -> None:
        start = self.position
        if not self.accept("%"):
            self.fail("a line or 'return'")
        key = f"%{self.take(_NUMBER, 'a number').group()}"
        if key in nodes:
            self.fail(f"a number other than {key}, which is taken,", start)
        self.expect(":")
        stated = self.types()
        self.expect("=")
        start = self.position
        node = self.call(nodes)
        if node.type != stated:
            wanted = f"an operation of type {type_text(stated)}, not {type_text(node.type)},"
            self.fail(wanted, start)
        nodes[key] = node

    def call(self, nodes: dict[str, Node]) -> Node:
        start = self.position
        name = self.name()
        if name not in vocabulary:
            self.fail("the name of an operation", start)
        op = vocabulary[name]
        self.expect("(")
        args: list[Node] = []
        attrs: dict[str, Any] = {}
        while not self.accept(")"):
            if args or attrs:
                self.expect(",")
            self.skip()
            match = _ATTRIBUTE.match(self.text, self.position)
            if match is not None:
                key = match.group(1)
                if key not in op.attributes or key in attrs:
                    known = ", ".join(each for each in op.attributes if each not in attrs)
                    is_open = f"an attribute of {op.name} among {known}"
                    self.fail(is_open if known else f"no other attribute of {op.name}")
                self.position = match.end()
                attrs[key] = self.value(op.attributes[key])
            else:
                args.append(self.reference(nodes))
        try:
            return op(*args, **attrs)
        except ThalwegError as error:
            self.position = start
            self.skip()
            raise TextError(f"{error.message}\nRead at {self.place()}.") from error

    def reference(self, nodes: dict[str, Node]) -> Node:
        self.skip()
        start = self.position
        if self.accept("%"):
            key = f"%{self.take(_NUMBER, 'a number').group()}"
        else:
            key = self.name()
        if key not in nodes:
            self.fail("a value defined above", start)
        node = nodes[key]
        while self.text.startswith(".", self.position):
            self.position += 1
            index = int(self.take(_NUMBER, "an index").group())
            if not isinstance(node.type, tuple) or index >= len(node.type):
                self.fail("an operation with that many results", start)
            node = item(node, index=index)
        return node

    def types(self) -> Any:
        if not self.accept("("):
            return self.type()
        found: list[TensorType] = []
        while not self.accept(")"):
            if found:
                self.expect(",")
            found.append(self.type())
        return tuple(found)

    def dtype(self) -> DType:
        start = self.position
        name = self.name()
        if name not in by_short:
            self.fail(f"an element type among {', '.join(by_short)}", start)
        return by_short[name]

    def type(self) -> TensorType:
        start = self.position
        dtype = self.dtype()
        self.expect("[")
        shape: list[Size] = []
        while not self.accept("]"):
            if shape:
                self.expect(",")
            shape.append(self.size())
        try:
            return tensor_type(dtype, tuple(shape))
        except ThalwegError:
            self.fail("sizes of zero or more", start)

    def size(self) -> Any:
        self.skip()
        end = self._end_of_item()
        source = self.text[self.position : end]
        try:
            found = parse_dim(source)
        except (ThalwegError, ValueError):
            self.fail("a size")
        self.position = end
        return found

    def _end_of_item(self) -> int:
        depth = 0
        for index in range(self.position, len(self.text)):
            character = self.text[index]
            if character in "([{":
                depth += 1
            elif character in ")]}":
                if depth == 0:
                    return index
                depth -= 1
            elif character == "," and depth == 0:
                return index
        return len(self.text)

    def value(self, kind: Kind) -> Any:
        if self.match(_NONE):
            return None
        if isinstance(kind, Sizes):
            return self.sizes()
        if not isinstance(kind, Value) and self.accept("("):
            found: list[Any] = []
            while not self.accept(")"):
                if found:
                    self.expect(",")
                    if self.accept(")"):
                        break
                found.append(self.value(kind))
            return tuple(found)
        if isinstance(kind, Flag):
            return self.take(re.compile("true|false"), "true or false").group() == "true"
        if isinstance(kind, Text):
            quoted = self.take(_STRING, "a string").group(1)
            return re.sub(r"\\.", lambda match: _ESCAPES.get(match.group(), match.group()), quoted)
        if isinstance(kind, Element):
            return self.dtype()
        if isinstance(kind, Types):
            return self.type()
        if isinstance(kind, Value):
            return self.literal()
        if isinstance(kind, Integer):
            return int(self.take(_INTEGER, "an integer").group())
        if isinstance(kind, Kept) and self.accept("host:"):
            start = self.position
            name = self.name()
            if name not in self.host:
                self.fail(f"the host function {name!r}, given as parse(text, host={{...}}),", start)
            return self.host[name]
        return self.function()

    def sizes(self) -> Any:
        """A size, or a tuple of sizes; `(t+1)//2` is a size and `(t+1,)` is a tuple."""
        self.skip()
        end = self._end_of_item()
        if not self.peek("(") or not self._is_tuple(end):
            return self.size()
        self.expect("(")
        found: list[Any] = []
        while not self.accept(")"):
            if found:
                self.expect(",")
                if self.accept(")"):
                    break
            found.append(self.sizes())
        return tuple(found)

    def _is_tuple(self, end: int) -> bool:
        source = self.text[self.position : end].rstrip()
        if not source[1:-1].strip():
            return source.endswith(")")
        depth = 0
        has_comma = False
        for index, character in enumerate(source):
            if character == "(":
                depth += 1
            elif character == ")":
                depth -= 1
                if depth == 0:
                    return has_comma and index == len(source) - 1
            elif character == "," and depth == 1:
                has_comma = True
        return False

    def literal(self) -> Literal:
        start = self.position
        dtype = self.dtype()
        self.expect("[")
        shape: list[int] = []
        while not self.accept("]"):
            if shape:
                self.expect(",")
            shape.append(int(self.take(_NUMBER, "a number").group()))
        if self.accept("zip:"):
            packed = self.take(_BASE64, "base64").group()
            wanted = prod(shape) * dtype.itemsize
            try:
                # No more is unpacked than the type can hold, whatever the data would become.
                unzip = zlib.decompressobj()
                data = unzip.decompress(base64.b64decode(packed, validate=True), wanted + 1)
            except (zlib.error, binascii.Error, OverflowError):
                self.fail("compressed data of a literal that can be unpacked", start)
            if len(data) != wanted or not unzip.eof or unzip.unused_data:
                self.fail(f"a literal with data of {wanted} bytes", start)
            return Literal(dtype, tuple(shape), data)
        values: list[bytes] = []
        self._numbers(dtype, shape, values)
        return Literal(dtype, tuple(shape), b"".join(values))

    def _numbers(self, dtype: DType, shape: Sequence[int], values: list[bytes]) -> None:
        if not shape:
            values.append(self._number(dtype))
            return
        self.expect("[")
        for index in range(shape[0]):
            if index:
                self.expect(",")
            self._numbers(dtype, shape[1:], values)
        self.expect("]")

    def _number(self, dtype: DType) -> bytes:
        start = self.position
        words = [self.take(_ATOM, "a number").group()]
        if dtype.is_complex:
            self.expect(":")
            words.append(self.take(_ATOM, "a number").group())
        try:
            return b"".join(_bytes_of(word, dtype.real) for word in words)
        except (ValueError, OverflowError):
            self.fail(f"a number of type {dtype}", start)


def _blanked(match: re.Match) -> str:
    """A string as it is; spaces for a comment, so that everything keeps its place."""
    found = match.group()
    return found if found.startswith('"') else " " * len(found)


def _bytes_of(word: str, dtype: DType) -> bytes:
    if dtype.kind == "bool":
        return np.array(("false", "true").index(word), np.bool_).tobytes()
    if dtype.is_integer:
        return np.array(int(word), dtype.numpy).tobytes()
    if word.startswith("0x"):
        return int(word, 16).to_bytes(dtype.itemsize, "little")
    number = float(word)
    with np.errstate(over="ignore"):
        value = np.array(number, dtype.numpy)
    if np.isinf(value) and not np.isinf(number):
        raise OverflowError
    return value.tobytes()


# A Function is pickled as its text: nodes are many, deep, and belong to one process.
copyreg.pickle(Function, lambda function: (parse, (show(function),)))
