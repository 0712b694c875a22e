"""Reads event files for the tests, by the definition of their format; asks the encoder nothing but
the checksums, which have tests of their own.
"""

import struct

import numpy as np

from thalweg.keras.callbacks.event_file import masked_crc32c


def number(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """A message as {field: [values]}: integers, eight or four bytes, or bytes."""
    found, at = {}, 0
    while at < len(data):
        key, at = number(data, at)
        kind = key & 7
        if kind == 0:
            value, at = number(data, at)
        elif kind == 2:
            size, at = number(data, at)
            value, at = data[at : at + size], at + size
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = data[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def shape(data):
    return tuple(fields(each).get(1, [0])[0] for each in fields(data).get(2, []))


def tensor(data):
    found = fields(data)
    kind = found[1][0]
    if kind == 7:
        return np.array(found.get(8, []), object).reshape(shape(found[2][0]))
    dtype = {1: "<f4", 2: "<f8"}[kind]
    return np.frombuffer(found[4][0], dtype).reshape(shape(found[2][0]))


def summary(data):
    """(tag, plugin, tensor) of a summary with one value."""
    value = fields(fields(data)[1][0])
    metadata = fields(value[9][0])
    plugin = fields(metadata[1][0])[1][0].decode()
    return value[1][0].decode(), plugin, tensor(value[8][0])


def events(path):
    """(step, what, content) of each event in a file; the checksums are compared."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        length, head = struct.unpack_from("<QI", data, at)
        assert head == masked_crc32c(data[at : at + 8])
        body = data[at + 12 : at + 12 + length]
        (tail,) = struct.unpack_from("<I", data, at + 12 + length)
        assert tail == masked_crc32c(body)
        at += 16 + length
        found = fields(body)
        ((what, content),) = (
            (name, found[key][0])
            for key, name in ((3, "file_version"), (4, "graph_def"), (5, "summary"))
            if key in found
        )
        yield found.get(2, [0])[0], what, content
