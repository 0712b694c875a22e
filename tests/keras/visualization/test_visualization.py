"""`keras.visualization`: boxes, masks and galleries, by their pixels and against real Keras."""

import matplotlib
import numpy as np
import pytest
from PIL import Image
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras import settings, visualization
from thalweg.keras.utils import bounding_boxes
from thalweg.keras.visualization import (
    draw_bounding_boxes,
    draw_segmentation_masks,
    plot_bounding_box_gallery,
    plot_image_gallery,
    plot_segmentation_mask_gallery,
)

matplotlib.use("Agg")


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


BOXES = {"boxes": np.array([[[10, 5, 30, 25], [2, 2, 5, 5]]]), "labels": np.array([[1, -1]])}


def test_a_frame_around_a_box():
    images = np.zeros((1, 40, 50, 3), np.uint8)
    found = draw_bounding_boxes(images, BOXES, "xyxy", color=(255, 0, 9), line_thickness=2)
    assert found.dtype == np.uint8
    assert images.max() == 0
    painted = (found[0] == [255, 0, 9]).all(-1)
    assert painted[5, 10:31].all()
    assert painted[25, 10:31].all()
    assert painted[5:26, 10].all()
    assert painted[5:26, 30].all()
    assert not painted[8:23, 13:28].any()
    assert not painted[:4].any()  # the second box has no label
    rows, columns = np.where(painted)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 26, 9, 31)


@pytest.mark.parametrize("box_format", ["yxyx", "xywh", "rel_xyxy", "center_yxhw"])
def test_boxes_of_other_formats(box_format):
    images = np.zeros((1, 40, 50, 3))
    converted = bounding_boxes.convert_format(BOXES, "xyxy", box_format, 40, 50)
    np.testing.assert_array_equal(
        draw_bounding_boxes(images, converted, box_format),
        draw_bounding_boxes(images, BOXES, "xyxy"),
    )


def test_names_and_confidences():
    images = tw.zeros((2, 90, 90, 3))
    boxes = {
        "boxes": np.array([[[10, 50, 60, 80]], [[10, 5, 80, 80]]], "float32"),
        "labels": np.array([[1], [1]]),
    }
    plain = draw_bounding_boxes(images, boxes, "xyxy")
    named = draw_bounding_boxes(images, boxes, "xyxy", class_mapping={1: "cat"}, font_scale=0.5)
    different = (plain != named).any(-1)
    assert different[0, :49].any()  # above the box
    assert not different[0, 49:].any()
    assert not different[1, :6].any()  # inside the box, where there is no room above
    assert different[1, 6:40].any()
    boxes["confidences"] = np.array([[0.5], [0.25]])
    sure = draw_bounding_boxes(images, boxes, "xyxy", class_mapping={1: "cat"}, font_scale=0.5)
    assert (sure != named).any()
    other = draw_bounding_boxes(images, boxes, "xyxy", class_mapping={2: "dog"})
    np.testing.assert_array_equal(other, plain)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_layouts_and_values(channels):
    images = noise(1, 40, 50, channels)
    expected = draw_bounding_boxes(images, BOXES, "xyxy")
    assert expected.shape == images.shape
    assert (expected != images).any()
    first = draw_bounding_boxes(
        images.transpose(0, 3, 1, 2), BOXES, "xyxy", data_format="channels_first"
    )
    np.testing.assert_array_equal(first, expected.transpose(0, 3, 1, 2))
    shares = draw_bounding_boxes(images / 255, BOXES, "xyxy")
    assert np.abs(shares.astype(int) - expected).max() <= 1
    floats = draw_bounding_boxes(images.astype("float32"), BOXES, "xyxy")
    np.testing.assert_array_equal(floats, expected)


@pytest.mark.parametrize(
    ("images", "boxes", "kind", "message"),
    [
        (np.zeros((4, 4, 3)), BOXES, ValueError, r"batched 4D tensor(.|\n)*images\[None\]"),
        (np.zeros((1, 4, 4, 3)), [], TypeError, "`bounding_boxes` should be a dict"),
        (np.zeros((1, 4, 4, 3)), {"boxes": []}, ValueError, "containing 'boxes' and 'labels' keys"),
    ],
)
def test_boxes_that_cannot_be_drawn(images, boxes, kind, message):
    with pytest.raises(kind, match=message):
        draw_bounding_boxes(images, boxes, "xyxy")


# ---- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("colors", [None, {0: (1, 2, 3), 1: (255, 0, 0), 2: (0, 255, 0)}])
@pytest.mark.parametrize("ignore_index", [-1, 1])
@pytest.mark.parametrize("alpha", [0.8, 0.25])
def test_masks_are_those_of_keras(colors, ignore_index, alpha):
    images = noise(2, 6, 7, 3)
    masks = np.random.default_rng(1).integers(-1, 4, (2, 6, 7, 1)).astype("int32")
    arguments = {"num_classes": 3, "color_mapping": colors, "alpha": alpha}
    ours, theirs = (
        module.visualization.draw_segmentation_masks(
            images, masks, **arguments, ignore_index=ignore_index
        )
        for module in (tw.keras, real)
    )
    assert ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    flat = draw_segmentation_masks(images, masks[..., 0], **arguments, ignore_index=ignore_index)
    np.testing.assert_array_equal(flat, ours)
    first = draw_segmentation_masks(
        images.transpose(0, 3, 1, 2), masks.transpose(0, 3, 1, 2), **arguments,
        ignore_index=ignore_index, data_format="channels_first",
    )  # fmt: skip
    np.testing.assert_array_equal(first, ours.transpose(0, 3, 1, 2))


def test_masks_without_blending():
    images = noise(1, 2, 2, 3)
    masks = tw.asarray(np.array([[[0, 1], [2, 5]]], "int32"))
    found = draw_segmentation_masks(
        images, masks, color_mapping={1: (9, 8, 7), 2: (1, 1, 1)}, blend=False, ignore_index=2
    )
    expected = images.copy()
    expected[0, 0, 1] = (9, 8, 7)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("images", "masks", "kind", "message"),
    [
        (np.zeros((4, 4, 3)), np.zeros((4, 4), int), ValueError, "batched 4D tensor"),
        (np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4)), TypeError, "must be in integer dtype"),
        (np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 5), int), ValueError, "a class for each pixel"),
    ],
)
def test_masks_that_cannot_be_drawn(images, masks, kind, message):
    with pytest.raises(kind, match=message):
        draw_segmentation_masks(images, masks)


# ---- galleries -----------------------------------------------------------------------------------


def saved(tmp_path, plot, *args, **kwargs):
    """The pixels (H, W, 4) of a gallery."""
    path = tmp_path / "gallery.png"
    assert plot(*args, **kwargs, path=path) is None
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGBA")).astype(int)


def colors_in(pixels):
    return {tuple(color) for color in pixels[..., :3].reshape(-1, 3)}


def test_a_gallery_shows_every_image(tmp_path):
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])
    images = np.broadcast_to(colors[:, None, None], (5, 8, 8, 3)).astype("uint8")
    for kwargs in ({}, {"rows": 1}, {"cols": 2}, {"rows": 1, "cols": 5}):
        found = saved(tmp_path, plot_image_gallery, images, **kwargs)
        assert colors_in(found) >= {tuple(color) for color in colors}
        wide = found.shape[1] > 2 * found.shape[0]
        assert wide == (kwargs.get("rows") == 1)
    few = saved(tmp_path, plot_image_gallery, images, rows=1, cols=2)
    assert (0, 0, 255) not in colors_in(few)
    shares = saved(tmp_path, plot_image_gallery, images / 255, value_range=(0, 1))
    signed = saved(tmp_path, plot_image_gallery, images / 127.5 - 1, value_range=(-1, 1))
    first = saved(
        tmp_path, plot_image_gallery, images.transpose(0, 3, 1, 2), data_format="channels_first"
    )
    whole = saved(tmp_path, plot_image_gallery, images)
    for other in (shares, signed, first):
        np.testing.assert_array_equal(other, whole)


def test_a_gallery_of_grey_images(tmp_path):
    images = np.array([0, 128, 255], np.uint8)[:, None, None, None] * np.ones(
        (1, 4, 4, 1), np.uint8
    )
    assert colors_in(saved(tmp_path, plot_image_gallery, images)) >= {
        (0, 0, 0), (128, 128, 128), (255, 255, 255)
    }  # fmt: skip


def test_a_gallery_with_names(tmp_path):
    images = noise(2, 8, 8, 3)
    plain = saved(tmp_path, plot_image_gallery, images)
    names = {0: "cat", 1: "dog"}
    true = saved(tmp_path, plot_image_gallery, images, y_true=[0, 1], label_map=names)
    both = saved(
        tmp_path, plot_image_gallery, images, y_true=tw.asarray([0, 1]), y_pred=np.array([1, 7]),
        label_map=names,
    )  # fmt: skip
    assert plain.shape[0] < true.shape[0]
    assert true.shape != both.shape or (true != both).any()


def test_a_gallery_is_shown(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    calls = []
    monkeypatch.setattr(pyplot, "show", lambda: calls.append(1))
    plot_image_gallery(noise(2, 8, 8, 3))
    assert calls == [1]
    assert not pyplot.get_fignums()
    plot_image_gallery(noise(2, 8, 8, 3), show=False)
    assert calls == [1]
    assert len(pyplot.get_fignums()) == 1  # the program goes on with it
    pyplot.close("all")


def test_a_gallery_of_boxes(tmp_path):
    images = np.zeros((2, 40, 50, 3), np.uint8)
    boxes = {"boxes": np.array([[[10, 5, 30, 25]]] * 2), "labels": np.array([[1], [1]])}
    other = {"boxes": np.array([[[20, 15, 45, 35]]] * 2), "labels": np.array([[1], [1]])}
    found = saved(
        tmp_path, plot_bounding_box_gallery, images, "xyxy", y_true=boxes, y_pred=other,
        scale=6, legend=True, class_mapping={1: "cat"}, rows=1, cols=2,
    )  # fmt: skip
    assert {(0, 188, 212), (255, 235, 59)} <= colors_in(found)
    first = saved(
        tmp_path, plot_bounding_box_gallery, images.transpose(0, 3, 1, 2) / 255, "xyxy",
        y_true=boxes, y_pred=other, scale=6, legend=True, class_mapping={1: "cat"}, rows=1, cols=2,
        data_format="channels_first", value_range=(0, 1),
    )  # fmt: skip
    np.testing.assert_array_equal(first, found)
    with pytest.raises(ValueError, match="Only pass `legend` OR `legend_handles`"):
        plot_bounding_box_gallery(images, "xyxy", legend=True, legend_handles=[1])


def test_a_gallery_of_masks(tmp_path):
    images = np.full((2, 8, 8, 3), 255, np.uint8)
    masks = np.ones((2, 8, 8, 1), int)
    arguments = {"y_true": masks, "y_pred": 2 * masks, "blend": False}
    colors = {1: (255, 0, 0), 2: (0, 0, 255)}
    found = saved(
        tmp_path, plot_segmentation_mask_gallery, images, 3, color_mapping=colors, **arguments
    )
    assert {(255, 255, 255), (255, 0, 0), (0, 0, 255)} <= colors_in(found)
    assert found.shape[1] > found.shape[0]
    settings.set_image_data_format("channels_first")
    try:
        first = saved(
            tmp_path, plot_segmentation_mask_gallery, images.transpose(0, 3, 1, 2), 3,
            color_mapping=colors, y_true=masks.transpose(0, 3, 1, 2),
            y_pred=2 * masks.transpose(0, 3, 1, 2), blend=False,
        )  # fmt: skip
    finally:
        settings.set_image_data_format("channels_last")
    np.testing.assert_array_equal(first, found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((4, 4, 3))}, "batched 4D tensor"),
        ({"path": "x.png", "show": True}, "either `path` to be set, or `show`"),
        ({"y_true": [1]}, "a `label_map` must also be provided"),
        ({"y_pred": [1]}, "a `label_map` must also be provided"),
    ],
)
def test_galleries_that_cannot_be_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_image_gallery(**{"images": np.zeros((1, 4, 4, 3)), **arguments})


def test_the_names_are_those_of_keras():
    names = {name for name in dir(real.visualization) if not name.startswith("_")}
    assert set(visualization.__all__) == names
