"""Event files byte by byte, and read back by a decoder that knows nothing of the encoder."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from tests.keras.callbacks.event_reader import events, fields, shape, summary

from thalweg.keras.callbacks import event_file as ef

# RFC 3720, appendix B.4.
CHECKSUMS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


@pytest.mark.parametrize(("data", "wanted"), CHECKSUMS)
def test_checksums(data, wanted):
    assert ef.crc32c(data) == wanted


def test_a_record():
    # As TensorFlow's TFRecordWriter writes b"abc".
    assert ef.record(b"abc").hex() == (
        "0300000000000000"
        + struct.pack("<I", ef.masked_crc32c(b"\3" + bytes(7))).hex()
        + "616263"
        + struct.pack("<I", ef.masked_crc32c(b"abc")).hex()
    )
    assert ef.masked_crc32c(b"") == 0xA282EAD8


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (-1, "ff" * 9 + "01"),
        (2**63, "80" * 9 + "01"),
    ],
)
def test_integers(value, wanted):
    assert ef.varint(value).hex() == wanted


# What TensorBoard's own classes for these messages write, protobuf 7.36, deterministic.
GOLDEN = {
    "version": (
        lambda: ef.event(1.5, file_version="brain.Event:2"),
        "09000000000000f83f1a0d627261696e2e4576656e743a32",
    ),
    "scalar": (
        lambda: ef.event(1.5, 3, summary=ef.scalar("epoch_loss", 0.25)),
        "09000000000000f83f10032a290a270a0a65706f63685f6c6f7373420a0801120022040000803e4a0d"
        "0a090a077363616c6172732001",
    ),
    "histogram": (
        lambda: ef.histogram("k", [2.0, 2.0]),
        "0a3d0a016b42260802120812020801120208032218000000000000f83f000000000000044000000000"
        "000000404a100a0c0a0a686973746f6772616d732002",
    ),
    "text": (
        lambda: ef.text("note", "**hi**"),
        "0a200a046e6f7465420c0807120042062a2a68692a2a4a0a0a060a04746578742002",
    ),
    "graph": (
        lambda: ef.graph([("in", "Input", [], [(-1, 3)]), ("net/out", "Dense", ["in"], [])]),
        "0a340a02696e1205496e7075742a270a0e5f6f75747075745f73686170657312150a133a11120b08ff"
        "ffffffffffffffff01120208030a140a076e65742f6f7574120544656e73651a02696e22020816",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes(name):
    make, wanted = GOLDEN[name]
    assert make().hex() == wanted


def test_a_file(tmp_path):
    writer = ef.EventFile(str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    writer.add(0, summary=ef.scalar("a", 1.0))
    writer.add(300, summary=ef.scalar("a", np.float32(2.5)))
    writer.flush()
    (path,) = (tmp_path / "run").iterdir()
    assert path.name.startswith("events.out.tfevents.") and path.name.endswith(".v2")
    found = list(events(path))
    assert found[0][1:] == ("file_version", b"brain.Event:2")
    assert [(step, *summary(content)) for step, _, content in found[1:]] == [
        (0, "a", "scalars", 1.0), (300, "a", "scalars", 2.5),
    ]  # fmt: skip
    writer.close()
    writer.close()
    writer.add(1, summary=ef.text("t", "x"))
    writer.close()
    assert len(list((tmp_path / "run").iterdir())) == 2


def test_histograms_count_all_that_is_finite():
    values = np.random.default_rng(0).normal(size=1000)
    values[:10] = np.nan
    values[10:15] = -np.inf
    tag, plugin, rows = summary(ef.histogram("k", values))
    assert (tag, plugin, rows.shape) == ("k", "histograms", (30, 3))
    assert rows[:, 2].sum() == 985
    np.testing.assert_array_equal(rows[1:, 0], rows[:-1, 1])
    assert rows[0, 0] == values[15:].min() and rows[-1, 1] == values[15:].max()
    assert summary(ef.histogram("k", [np.nan]))[2].shape == (0, 3)
    assert summary(ef.histogram("k", np.zeros(7)))[2].tolist() == [[-0.5, 0.5, 7.0]]


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures(channels):
    random = np.random.default_rng(1)
    given = [random.integers(0, 256, (5, 9, channels), np.uint8) for _ in range(2)]
    tag, plugin, found = summary(ef.images("p", given))
    assert (tag, plugin) == ("p", "images")
    assert found[:2].tolist() == [b"9", b"5"]
    for data, picture in zip(found[2:], given, strict=True):
        read = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(read.reshape(picture.shape), picture)


def test_graphs():
    nodes = [("net/in", "Input", [], [(-1, 3)]), ("net/a/out", "Dense", ["net/in"], [(-1, 4), ()])]
    found = fields(ef.graph(nodes))
    decoded = []
    for data in found[1]:
        node = fields(data)
        attribute = fields(node[5][0])
        assert attribute[1] == [b"_output_shapes"]
        shapes = fields(fields(attribute[2][0])[1][0]).get(7, [])
        decoded.append((node[1], node[2], node.get(3, []), [shape(each) for each in shapes]))
    unknown = 2**64 - 1
    assert decoded == [
        ([b"net/in"], [b"Input"], [], [(unknown, 3)]),
        ([b"net/a/out"], [b"Dense"], [b"net/in"], [(unknown, 4), ()]),
    ]
    assert fields(found[4][0]) == {1: [22]}
