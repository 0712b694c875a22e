"""Read the text form of a Function back, exactly: `parse(show(f)) == f`, node for node.

The grammar stands at the head of `show.py`. Values are read by the kind of their attribute. Host
functions have no text: give them by name, `parse(text, host={"name": function})`.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.base.errors import TextError, ThalwegError
from thalweg.ir.attribute import Element, Flag, Integer, Kept, Kind, Sizes, Text, Types, Value
from thalweg.ir.dim import parse_dim
from thalweg.ir.function import Function
from thalweg.ir.leaves import item, parameter
from thalweg.ir.node import Node, type_text
from thalweg.ir.op import vocabulary
from thalweg.ir.types import DType, Literal, TensorType, by_short, tensor_type

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+")
_SPACE = re.compile(r"(?:\s|;[^\n]*)*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ATOM = re.compile(r"[^\s,()\[\]:;]+")
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parse(text: str, host: Mapping[str, Any] | None = None) -> Function:
    """The Function of a text. Raises TextError with the line and column of the first fault."""
    reader = _Reader(text, host or {})
    function = reader.function()
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
        self.text = text
        self.host = host
        self.position = 0

    def fail(self, wanted: str) -> Any:
        before = self.text[: self.position]
        line = before.count("\n") + 1
        column = self.position - (before.rfind("\n") + 1) + 1
        found = self.text[self.position : self.position + 24].split("\n")[0]
        raise TextError(
            f"[parse] wants {wanted} at line {line}, column {column}.\n"
            f"Received {found!r}.\nCompare with the text that show() prints."
        )

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def take(self, pattern: re.Pattern, wanted: str) -> re.Match:
        self.skip()
        match = pattern.match(self.text, self.position)
        if match is None:
            return self.fail(wanted)
        self.position = match.end()
        return match

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
            each = self.name()
            if each in nodes:
                self.fail(f"a name other than {each!r}, which is taken")
            self.expect(":")
            nodes[each] = parameter(name=each, type=self.type())
            inputs.append(nodes[each])
        self.expect("{")
        while not self.accept("return"):
            self.line(nodes)
        results: list[Node] = []
        while not self.accept("}"):
            if results:
                self.expect(",")
            results.append(self.reference(nodes))
        return Function(name, tuple(inputs), tuple(results))

    def line(self, nodes: dict[str, Node]) -> None:
        self.expect("%")
        key = f"%{self.take(_NUMBER, 'a number').group()}"
        self.expect(":")
        stated = self.types()
        self.expect("=")
        start = self.position
        node = self.call(nodes)
        if node.type != stated:
            self.position = start
            self.fail(f"an operation of type {type_text(stated)}, not {type_text(node.type)},")
        nodes[key] = node

    def call(self, nodes: dict[str, Node]) -> Node:
        start = self.position
        name = self.name()
        if name not in vocabulary:
            self.position = start
            self.skip()
            self.fail("the name of an operation")
        op = vocabulary[name]
        self.expect("(")
        args: list[Node] = []
        attrs: dict[str, Any] = {}
        while not self.accept(")"):
            if args or attrs:
                self.expect(",")
            self.skip()
            match = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=").match(self.text, self.position)
            if match and match.group(1) in op.attributes:
                self.position = match.end()
                attrs[match.group(1)] = self.value(op.attributes[match.group(1)])
            else:
                args.append(self.reference(nodes))
        try:
            return op(*args, **attrs)
        except ThalwegError as error:
            self.position = start
            self.skip()
            raise TextError(f"{error.message}\nRead from the text of a function.") from error

    def reference(self, nodes: dict[str, Node]) -> Node:
        self.skip()
        start = self.position
        if self.accept("%"):
            key = f"%{self.take(_NUMBER, 'a number').group()}"
        else:
            key = self.name()
        if key not in nodes:
            self.position = start
            self.fail("a value defined above")
        node = nodes[key]
        while self.text.startswith(".", self.position):
            self.position += 1
            index = int(self.take(_NUMBER, "an index").group())
            if not isinstance(node.type, tuple) or index >= len(node.type):
                self.position = start
                self.fail("an operation with that many results")
            node = item(node, index=index)
        return node

    def types(self) -> Any:
        if not self.accept("("):
            return self.type()
        found = []
        while not self.accept(")"):
            if found:
                self.expect(",")
            found.append(self.type())
        return tuple(found)

    def dtype(self) -> DType:
        start = self.position
        name = self.name()
        if name not in by_short:
            self.position = start
            self.skip()
            self.fail(f"an element type among {', '.join(by_short)}")
        return by_short[name]

    def type(self) -> TensorType:
        dtype = self.dtype()
        self.expect("[")
        shape = []
        while not self.accept("]"):
            if shape:
                self.expect(",")
            shape.append(self.size())
        return tensor_type(dtype, tuple(shape))

    def size(self) -> Any:
        self.skip()
        end = self._end_of_item()
        source = self.text[self.position : end]
        try:
            found = parse_dim(source)
        except ThalwegError as error:
            raise TextError(error.message) from error
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
        self.skip()
        if self.text.startswith("none", self.position):
            self.position += 4
            return None
        if isinstance(kind, Sizes):
            return self.sizes()
        if not isinstance(kind, Value) and self.accept("("):
            found = []
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
            return int(self.take(re.compile("-?[0-9]+"), "an integer").group())
        if isinstance(kind, Kept) and self.accept("host:"):
            name = self.name()
            if name not in self.host:
                self.fail(f"the host function {name!r}, given as parse(text, host={{...}}),")
            return self.host[name]
        return self.function()

    def sizes(self) -> Any:
        """A size, or a tuple of sizes; `(t+1)//2` is a size and `(t+1,)` is a tuple."""
        self.skip()
        end = self._end_of_item()
        if not self.peek("(") or not self._is_tuple(end):
            return self.size()
        self.expect("(")
        found = []
        while not self.accept(")"):
            if found:
                self.expect(",")
                if self.accept(")"):
                    break
            found.append(self.sizes())
        return tuple(found)

    def _is_tuple(self, end: int) -> bool:
        source = self.text[self.position : end].rstrip()
        if source == "()":
            return True
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
        type = self.type()
        if self.accept("zip:"):
            packed = self.take(re.compile("[A-Za-z0-9+/=]+"), "base64").group()
            wanted = int(type.bytes)
            try:
                unzip = zlib.decompressobj()
                data = unzip.decompress(base64.b64decode(packed), wanted + 1)
            except (zlib.error, binascii.Error) as error:
                raise TextError(f"[parse] cannot unpack the data of a literal: {error}.") from None
            if len(data) != wanted:
                self.fail(f"a literal of {wanted} bytes before here")
            return Literal(type.dtype, type.shape, data)  # type: ignore[arg-type]
        values: list[bytes] = []
        self._numbers(type, 0, values)
        return Literal(type.dtype, type.shape, b"".join(values))  # type: ignore[arg-type]

    def _numbers(self, type: TensorType, axis: int, values: list[bytes]) -> None:
        if axis == type.rank:
            values.append(self._number(type.dtype))
            return
        self.expect("[")
        for index in range(type.shape[axis]):  # type: ignore[arg-type]
            if index:
                self.expect(",")
            self._numbers(type, axis + 1, values)
        self.expect("]")

    def _number(self, dtype: DType) -> bytes:
        words = [self.take(_ATOM, "a number").group()]
        if dtype.is_complex:
            self.expect(":")
            words.append(self.take(_ATOM, "a number").group())
        part = dtype.real.numpy
        try:
            return b"".join(_bytes_of(word, part) for word in words)
        except (ValueError, OverflowError):
            return self.fail(f"a number of type {dtype} before here")


def _bytes_of(word: str, dtype: np.dtype) -> bytes:
    if word in ("true", "false"):
        return np.array(word == "true", dtype).tobytes()
    if word.startswith("0x"):
        return int(word, 16).to_bytes(dtype.itemsize, "little")
    if dtype.kind in "iu":
        return np.array(int(word), dtype).tobytes()
    return np.array(float(word), dtype).tobytes()
