"""The text form of a Function. `parse` reads it back to the very same nodes.

    function  = name "(" parameters ")" "{" line* "return" reference, ... "}"
    parameter = name ":" type
    line      = "%" number ":" type "=" op "(" reference, ... , attribute "=" value, ... ")"
    reference = name | "%" number | "%" number "." index
    type      = f32[b,784] | "(" type, ... ")"
    value     = 7 | 2*b+1 | true | "text" | f32 | (value, ...) | none
              | literal | function | host:name
    literal   = type numbers | type "zip:" base64;  numbers = number | "[" numbers, ... "]"
    number    = 1.5 | nan | -inf | 0x7fc00001 (the bits of another NaN) | 1:2 (complex) | true

A comment runs from ";" to the end of the line. Attributes that have their default are left out.
"""

import base64
import zlib
from typing import Any

import numpy as np

from thalweg.base.frames import describe
from thalweg.ir.attribute import Element, Flag, Kept, Kind, Sizes, Text, Types, Value
from thalweg.ir.dim import Dim, text
from thalweg.ir.function import Function
from thalweg.ir.leaves import item, parameter
from thalweg.ir.node import Node, provenance, type_text
from thalweg.ir.types import DType, Literal, shape_text

LONGEST_PLAIN_LITERAL = 32
"""Literals with more elements than this are written as compressed bytes."""

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}


def show(function: Function, comments: bool = False) -> str:
    """The canonical text of a Function; with `comments`, the user's line behind each node."""
    return "\n".join(_lines(function, "", comments))


def _lines(function: Function, indent: str, comments: bool) -> list[str]:
    names: dict[Node, str] = {}
    for node in function.parameters:
        names[node] = str(node.attrs[0])
    inputs = ", ".join(f"{names[node]}: {node.type}" for node in function.parameters)
    lines = [f"{function.name}({inputs}) {{"]
    number = 0
    for node in function.order():
        if node in names:
            continue
        if node.op is parameter:
            names[node] = repr(node.attrs[0])
            continue
        if node.op is item:
            names[node] = f"{names[node.args[0]]}.{node.attrs[0]}"
            continue
        names[node] = f"%{number}"
        number += 1
        body = _call(node, names, indent + "  ", comments)
        line = f"{indent}  {names[node]}: {type_text(node.type)} = {body}"
        if comments:
            line += _comment(node)
        lines.append(line)
    results = ", ".join(names[node] for node in function.results)
    lines.append(f"{indent}  return {results}".rstrip())
    lines.append(f"{indent}}}")
    return lines


def _call(node: Node, names: dict[Node, str], indent: str, comments: bool) -> str:
    parts = [names[arg] for arg in node.args]
    for (name, kind), value in zip(node.op.attributes.items(), node.attrs, strict=True):
        if value != kind.default:
            parts.append(f"{name}={value_text(kind, value, indent, comments)}")
    return f"{node.op.name}({', '.join(parts)})"


def _comment(node: Node) -> str:
    origin = provenance(node)
    words = [describe(origin.place)] if origin.place else []
    words += [word for word in (origin.layer, origin.rule) if word]
    return f"  ; {'  '.join(words)}" if words else ""


def value_text(kind: Kind, value: Any, indent: str = "", comments: bool = False) -> str:
    """The text of an attribute's value."""
    if value is None:
        return "none"
    if isinstance(value, Function):
        return "\n".join(_lines(value, indent, comments))
    if isinstance(value, tuple):
        inner = ", ".join(value_text(kind, each, indent, comments) for each in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(kind, Flag):
        return "true" if value else "false"
    if isinstance(kind, Text):
        return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'
    if isinstance(kind, Element):
        return value.short if isinstance(value, DType) else str(value)
    if isinstance(kind, Value):
        return literal_text(value)
    if isinstance(kind, Types):
        return str(value)
    if isinstance(kind, Sizes):
        return text(value) if isinstance(value, Dim) else str(value)
    if isinstance(kind, Kept) and not isinstance(value, (int, str)):
        return f"host:{getattr(value, 'name', type(value).__name__)}"
    return str(value)


def literal_text(value: Literal) -> str:
    """A literal's numbers, exact for its type."""
    array = value.numpy()
    if array.size > LONGEST_PLAIN_LITERAL:
        packed = base64.b64encode(zlib.compress(value.data, 9)).decode()
        return f"{value.dtype.short}{shape_text(value.shape)} zip:{packed}"
    return f"{value.dtype.short}{shape_text(value.shape)} {_nested(array)}"


def _nested(array: np.ndarray) -> str:
    if array.ndim:
        return "[" + ", ".join(_nested(row) for row in array) + "]"
    kind = array.dtype.kind
    if kind == "b":
        return "true" if array else "false"
    if kind in "iu":
        return str(int(array))
    if kind == "c":
        return f"{_real(array.real)}:{_real(array.imag)}"
    return _real(array)


def _real(array: np.ndarray) -> str:
    number = float(array)
    if number != number:
        plain = np.array(np.nan, array.dtype)
        if plain.tobytes() != array.tobytes():
            return f"0x{int.from_bytes(array.tobytes(), 'little'):x}"
        return "nan"
    # repr of the double is exact for every narrower type; the shortest text of the type is nicer.
    for digits in (6, 9):
        short = f"{number:.{digits}g}"
        if array.dtype.type(float(short)) == array[()]:
            return short
    return repr(number)
