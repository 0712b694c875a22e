"""`keras.utils.bounding_boxes` against real Keras, and by what boxes mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras.utils import bounding_boxes as ours
from thalweg.keras.utils.bounding_boxes.formats import FORMATS

theirs = real.utils.bounding_boxes
HEIGHT, WIDTH = 100, 200


def boxes(*shape, seed=0, span=90):
    """Boxes left, top, right, bottom (*shape, 4)."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(0, span, (*shape, 2))
    return np.concatenate([first, first + rng.uniform(1, span, (*shape, 2))], -1).astype("float32")


def same(mine, other, **tolerance):
    tolerance = {"rtol": 1e-5, "atol": 1e-4, **tolerance}
    np.testing.assert_allclose(np.asarray(mine), np.asarray(other), **tolerance)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_convert_format(source, target):
    x = boxes(2, 3) / (100 if source.startswith("rel") else 1)
    size = {"height": HEIGHT, "width": WIDTH}
    mine = ours.convert_format(x, source.upper(), target, **size)
    assert mine.dtype.name == "float32"
    same(mine, theirs.convert_format(x, source, target, **size))
    back = ours.convert_format(mine, target, source, **size)
    same(back, x)


def test_convert_format_of_other_kinds_of_boxes():
    x = boxes(3)
    given_boxes = {"boxes": x, "labels": [1, 2, 3]}
    found = ours.convert_format(given_boxes, "xyxy", "yxyx")
    same(found["boxes"], x[:, [1, 0, 3, 2]])
    assert found["labels"] == [1, 2, 3]
    assert given_boxes["boxes"] is x
    same(ours.convert_format(x.tolist(), "xyxy", "yxyx"), x[:, [1, 0, 3, 2]])
    assert ours.convert_format(x, "xyxy", "xywh", dtype="float16").dtype.name == "float16"
    # Between relative formats the size of the image does not matter.
    same(ours.convert_format(x, "rel_xyxy", "rel_yxyx"), x[:, [1, 0, 3, 2]])
    traced = tw.function(lambda x: ours.convert_format(x, "xyxy", "center_xywh"))
    same(traced(x), theirs.convert_format(x, "xyxy", "center_xywh"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((boxes(2)[:, :3], "xyxy", "xywh"), r"last dimension of 4.\nReceived boxes.shape=\(2, 3\)"),
        ((boxes(2), "xyxy", "boxy"), "Invalid format: 'boxy'"),
        ((boxes(2), "boxy", "xyxy"), "Invalid format: 'boxy'"),
        ((boxes(2), "xyxy", "rel_xyxy"), "must receive `height` and `width`"),
        ((boxes(2), "rel_xyxy", "xyxy", 3), "height=3 and width=None"),
    ],
)
def test_convert_format_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        ours.convert_format(*arguments)


def test_clip_to_image_size():
    x = boxes(2, 4, span=150)
    x[0, 0] = [120, 10, 130, 20]  # to the right of an image 100 wide
    labels = np.arange(8).reshape(2, 4)
    size = {"height": 80, "width": 100}
    mine = ours.clip_to_image_size({"boxes": x, "labels": labels, "other": 1}, **size)
    other = theirs.clip_to_image_size({"boxes": x, "labels": labels, "other": 1}, **size)
    same(mine["boxes"], other["boxes"])
    np.testing.assert_array_equal(mine["labels"].numpy(), np.asarray(other["labels"]))
    assert mine["labels"].numpy()[0, 0] == -1
    assert mine["other"] == 1
    relative = {"boxes": x / 100}
    found = ours.clip_to_image_size(relative, bounding_box_format="rel_xyxy")
    assert set(found) == {"boxes"}
    same(found["boxes"], np.clip(x / 100, 0, 1))


def test_crop_and_pad():
    x = boxes(2, 3)
    same(ours.crop(x, 10, 20, 40, 30), theirs.crop(x, 10, 20, 40, 30))
    same(ours.pad(x, 10, 20), theirs.pad(x, 10, 20))
    same(ours.pad(x, 10, 20, 5, 5), x + np.array([20, 10, 20, 10]))
    same(ours.crop(ours.pad(x, 10, 20), 10, 20, 500, 500), x)


@pytest.mark.parametrize("name", ["crop", "pad", "clip_to_image_size", "affine_transform"])
def test_only_corners_are_taken(name):
    count = {"crop": 4, "pad": 2, "clip_to_image_size": 0, "affine_transform": 8}[name]
    value = {"boxes": boxes(2)} if name == "clip_to_image_size" else boxes(2)
    with pytest.raises(NotImplementedError, match="bounding_box_format='xywh'"):
        getattr(ours, name)(value, *[1] * count, bounding_box_format="xywh")
    with pytest.raises(ValueError, match="`height` and `width` must be set"):
        ours.clip_to_image_size({"boxes": boxes(2)})


def test_affine_transform():
    rng = np.random.default_rng(0)
    x = boxes(3, 2)
    values = [
        rng.uniform(low, high, 3).astype("float32")
        for low, high in ((-90, 90), (-0.2, 0.2), (-0.2, 0.2), (0.5, 2), (-20, 20), (-20, 20))
    ]
    for centers in ({}, {"center_x": 0.2, "center_y": 0.9}):
        mine = ours.affine_transform(x, *values, HEIGHT, WIDTH, **centers)
        same(mine, theirs.affine_transform(x, *values, HEIGHT, WIDTH, **centers), atol=1e-3)
    single = ours.affine_transform(x[0], *[value[0] for value in values], HEIGHT, WIDTH)
    same(single, ours.affine_transform(x, *values, HEIGHT, WIDTH).numpy()[0])


def test_a_turn_by_a_right_angle():
    # About the middle of a square picture of 101 pixels, whose middle is at 50.
    found = ours.affine_transform([[40.0, 10.0, 60.0, 30.0]], 90, 0, 0, 1, 0, 0, 101, 101)
    same(found, [[10, 40, 30, 60]], atol=1e-3)
    with pytest.raises(ValueError, match=r"boxes \(N, 4\) or \(batch, N, 4\)"):
        ours.affine_transform([1.0, 2, 3, 4], 90, 0, 0, 1, 0, 0, 101, 101)


RANKS = [((3,), (4,)), ((2, 3), (2, 4)), ((2, 3), (4,)), ((3,), (2, 4))]


@pytest.mark.parametrize(("first", "second"), RANKS)
@pytest.mark.parametrize("name", ["xyxy", "yxyx", "xywh", "rel_xyxy"])
def test_compute_iou(first, second, name):
    a, b = boxes(*first), boxes(*second, seed=1)
    b[..., 0, :] = a[..., 0, :] if len(first) <= len(second) else a[0, 0]
    kwargs = {"image_shape": (HEIGHT, WIDTH, 3)} if name.startswith("rel") else {}
    same(ours.compute_iou(a, b, name, **kwargs), theirs.compute_iou(a, b, name, **kwargs))


def test_compute_iou_with_masks():
    a, b = boxes(3), boxes(2, seed=1)
    a[1], b[0] = -1, [-5, -4, -3, -2]
    found = ours.compute_iou(a, b, "xyxy", use_masking=True, mask_val=-7)
    same(found, theirs.compute_iou(a, b, "xyxy", use_masking=True, mask_val=-7))
    assert (found.numpy()[1] == -7).all()
    assert (found.numpy()[:, 0] == -7).all()
    mixed = ours.compute_iou(a, b[None], "xyxy", use_masking=True, mask_val=-7)
    same(mixed, found.numpy()[None])


@given(st.lists(st.integers(0, 5), min_size=8, max_size=8))
def test_an_overlap_is_a_share(numbers):
    a, b = np.array(numbers, "float32").reshape(2, 1, 4)
    a[:, 2:] += a[:, :2] + 1
    b[:, 2:] += b[:, :2] + 1
    cells = [
        {(x, y) for x in range(int(x1), int(x2)) for y in range(int(y1), int(y2))}
        for ((x1, y1, x2, y2),) in (a, b)
    ]
    expected = len(cells[0] & cells[1]) / len(cells[0] | cells[1])
    same(ours.compute_iou(a, b, "xyxy"), [[expected]])


@pytest.mark.parametrize(
    ("first", "second"), [((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), ())]
)
def test_compute_ciou(first, second):
    a, b = boxes(*first), boxes(*second, seed=1)
    same(ours.compute_ciou(a, b, "xyxy"), theirs.compute_ciou(a, b, "xyxy"))
    same(ours.compute_ciou(a, a, "yxyx"), np.ones(first))
    size = (HEIGHT, WIDTH, 3)
    relative = ours.convert_format(a, "xyxy", "rel_xyxy", *size[:2])
    same(ours.compute_ciou(relative, relative, "rel_xyxy", image_shape=size), np.ones(first))


def test_overlaps_say_what_is_wrong():
    for function in (ours.compute_iou, ours.compute_ciou):
        with pytest.raises(ValueError, match="`image_shape` argument must be provided"):
            function(boxes(2), boxes(2), "rel_xyxy")
        with pytest.raises(ValueError, match="Invalid format"):
            function(boxes(2), boxes(2), "boxy")
    for pair in ((boxes(), boxes(2)), (boxes(2), boxes(1, 2, 3))):
        with pytest.raises(ValueError, match="to be batched, or to be unbatched"):
            ours.compute_iou(*pair, "xyxy")


@pytest.mark.parametrize("encoding", ["center_xywh", "center_yxhw"])
@pytest.mark.parametrize("variance", [None, [0.1, 0.1, 0.2, 0.2]])
@pytest.mark.parametrize("formats", [("xyxy", "xywh"), ("rel_xyxy", "yxyx"), ("yxyx", "rel_xywh")])
def test_deltas(encoding, variance, formats):
    anchors, x = boxes(5), boxes(2, 5, seed=1)
    kwargs = {"variance": variance, "image_shape": (HEIGHT, WIDTH, 3)}
    mine = ours.encode_box_to_deltas(anchors, x, *formats, encoding_format=encoding, **kwargs)
    other = theirs.encode_box_to_deltas(anchors, x, *formats, encoding_format=encoding, **kwargs)
    same(mine, other, rtol=1e-4)
    back = ours.decode_deltas_to_boxes(anchors, mine, *formats, encoded_format=encoding, **kwargs)
    same(back, x, rtol=1e-3, atol=1e-2)
    small = np.random.default_rng(0).normal(size=(5, 4)).astype("float32") / 10
    mine = ours.decode_deltas_to_boxes(anchors, small, *formats, encoded_format=encoding, **kwargs)
    other = theirs.decode_deltas_to_boxes(
        anchors, small, *formats, encoded_format=encoding, **kwargs
    )
    same(mine, other, rtol=1e-4)
    levels = ours.decode_deltas_to_boxes(
        {"P3": anchors}, {"P3": small}, *formats, encoded_format=encoding, **kwargs
    )
    same(levels["P3"], mine)


@pytest.mark.parametrize("name", ["encode_box_to_deltas", "decode_deltas_to_boxes"])
def test_deltas_say_what_is_wrong(name):
    function = getattr(ours, name)
    with pytest.raises(ValueError, match="`variance` must be length 4"):
        function(boxes(2), boxes(2), "xyxy", "xyxy", variance=[1, 2])
    with pytest.raises(ValueError, match="one of 'center_xywh' or 'center_yxhw'"):
        function(boxes(2), boxes(2), "xyxy", "xyxy", "xyxy")
