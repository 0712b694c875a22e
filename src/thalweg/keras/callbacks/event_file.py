"""Event files: what TensorBoard reads. One record for each event, appended, never changed.

    record   length u64 | masked crc32c of length u32 | event | masked crc32c of event u32
    event    wall_time=1 double, step=2 int64, then one of
             file_version=3 text, graph_def=4 bytes, summary=5 Summary
    Summary  value=1 (repeated): tag=1, metadata=9, tensor=8

Scalars, histograms, images and texts are tensors that name the part of TensorBoard which shows
them, as TensorFlow 2 writes them. Messages are protocol buffers, encoded here: a field is its
number and wire type in one varint, then the value; lengths come before what has no fixed size.

Sources: the TFRecord format, event.proto, summary.proto, tensor.proto and graph.proto of
TensorFlow; CRC-32C of RFC 3720, appendix B.4.
"""

import os
import platform
import struct
import threading
import time
import zlib
from collections.abc import Iterable, Sequence
from typing import IO, Any

import numpy as np

# ---- records -------------------------------------------------------------------------------------


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes."""
    crc, table = 0xFFFFFFFF, _CRC
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """The checksum that records hold: rotated and moved, so that it is none of its own bytes."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """A record of a file around some bytes."""
    length = struct.pack("<Q", len(data))
    head, tail = struct.pack("<I", masked_crc32c(length)), struct.pack("<I", masked_crc32c(data))
    return length + head + data + tail


# ---- messages ------------------------------------------------------------------------------------

VARINT, DOUBLE, BYTES = 0, 1, 2


def varint(value: int) -> bytes:
    """An integer in groups of seven bits, the lowest first; negative ones as 64 bits."""
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def field(number: int, value: Any) -> bytes:
    """One field of a message: an integer, a float as double, a text, bytes or a message."""
    if isinstance(value, (bool, int)):
        return varint(number << 3 | VARINT) + varint(int(value))
    if isinstance(value, float):
        return varint(number << 3 | DOUBLE) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def event(wall_time: float, step: int = 0, **what: bytes | str) -> bytes:
    """An event: `file_version`, `graph_def` or `summary` at a step."""
    numbers = {"file_version": 3, "graph_def": 4, "summary": 5}
    found = field(1, float(wall_time))
    if step:
        found += field(2, step)
    for name, value in what.items():
        found += field(numbers[name], value)
    return found


DT_FLOAT, DT_DOUBLE, DT_STRING = 1, 2, 7
SCALAR, TENSOR, BLOBS = 1, 2, 3
"""Classes of data: how TensorBoard keeps it."""


def _shape(shape: Sequence[int]) -> bytes:
    return b"".join(field(2, field(1, size)) for size in shape)


def _numbers(array: np.ndarray) -> bytes:
    dtype = DT_DOUBLE if array.dtype == np.float64 else DT_FLOAT
    array = array.astype("<f8" if dtype == DT_DOUBLE else "<f4")
    return field(1, dtype) + field(2, _shape(array.shape)) + field(4, array.tobytes())


def _strings(values: Sequence[bytes], shape: Sequence[int]) -> bytes:
    found = field(1, DT_STRING) + field(2, _shape(shape))
    return found + b"".join(field(8, value) for value in values)


def _value(tag: str, tensor: bytes, plugin: str, data_class: int) -> bytes:
    metadata = field(1, field(1, plugin)) + field(4, data_class)
    return field(1, field(1, tag) + field(8, tensor) + field(9, metadata))


def scalar(tag: str, value: Any) -> bytes:
    """A summary with one number, kept as float32."""
    return _value(tag, _numbers(np.asarray(value, np.float32)), "scalars", SCALAR)


def text(tag: str, value: str) -> bytes:
    """A summary with a text, shown as Markdown."""
    return _value(tag, _strings([value.encode()], ()), "text", TENSOR)


def histogram(tag: str, values: Any, bins: int = 30) -> bytes:
    """A summary with the distribution of some values: rows of left edge, right edge, count.

    Values that are not finite have no place in it.
    """
    array = np.asarray(values, np.float64).ravel()
    array = array[np.isfinite(array)]
    if not array.size:
        rows = np.zeros((0, 3))
    elif array.min() == array.max():
        rows = np.array([[array[0] - 0.5, array[0] + 0.5, array.size]])
    else:
        counts, edges = np.histogram(array, bins)
        rows = np.stack([edges[:-1], edges[1:], counts.astype(np.float64)], axis=1)
    return _value(tag, _numbers(rows), "histograms", TENSOR)


def images(tag: str, pictures: Iterable[np.ndarray]) -> bytes:
    """A summary with pictures, u8[h,w,1] in grey or u8[h,w,3] in colour, all of one size."""
    found = list(pictures)
    height, width = found[0].shape[:2]
    sizes = [str(width).encode(), str(height).encode()]
    strings = _strings(sizes + [png(each) for each in found], (len(found) + 2,))
    return _value(tag, strings, "images", BLOBS)


def graph(nodes: Iterable[tuple[str, str, Sequence[str], Sequence[tuple[int, ...]]]]) -> bytes:
    """A graph to look at, from nodes: name, kind, names of those before, shapes of the outputs.

    A name with slashes stands in boxes of the names before them; a size of -1 is not known.
    """
    found = b""
    for name, kind, sources, shapes in nodes:
        node = field(1, name) + field(2, kind)
        node += b"".join(field(3, source) for source in sources)
        if shapes:
            listed = b"".join(field(7, _shape(shape)) for shape in shapes)
            node += field(5, field(1, "_output_shapes") + field(2, field(1, listed)))
        found += field(1, node)
    return found + field(4, field(1, 22))  # the version of GraphDef that has nothing newer


def png(picture: np.ndarray) -> bytes:
    """A picture u8[h,w,1] or u8[h,w,3] as a PNG file."""
    height, width, channels = picture.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)
    lines[:, 1:] = picture.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


# ---- files ---------------------------------------------------------------------------------------

_count = 0
_count_lock = threading.Lock()


class EventFile:
    """Writes events to a new file in a folder; the file is made with the first event."""

    def __init__(self, folder: str):
        self.folder = folder
        self._file: IO[bytes] | None = None

    def add(self, step: int, **what: bytes | str) -> None:
        """Append an event: `summary` or `graph_def` at a step."""
        if self._file is None:
            self._file = _new_file(self.folder)
            self._file.write(record(event(time.time(), file_version="brain.Event:2")))
        self._file.write(record(event(time.time(), step, **what)))

    def flush(self) -> None:
        """Hand all events to the system, so that TensorBoard sees them."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Finish the file; the next event begins another."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()  # after a run that was interrupted


def _new_file(folder: str) -> IO[bytes]:
    global _count
    os.makedirs(folder, exist_ok=True)
    with _count_lock:
        number, _count = _count, _count + 1
    name = f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}"
    return open(os.path.join(folder, f"{name}.{number}.v2"), "xb")
