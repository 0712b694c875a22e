"""Pictures of models: what boxes tell, where they stand, how arrows run; and the files."""

import inspect
import itertools
import re

import numpy as np
import pytest
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.keras import layers, ops
from thalweg.keras.utils import model_to_dot, plot_model
from thalweg.keras.utils.layered_layout import GAP_X, laid_out
from thalweg.keras.utils.model_graph import model_graph
from thalweg.keras.utils.model_pictures import (
    COLOURS,
    RANKDIRS,
    Shown,
    _arranged,
    _Pen,
    family,
)

NOTHING = Shown(False, False, False, False, False)


def sequential():
    return keras.Sequential(
        [layers.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu", name="conv"),
         layers.Flatten(name="flat"), layers.Dense(2, name="out")],
        name="net",
    )  # fmt: skip


def branched():
    """Two inputs through one layer and one model, an op, and two outputs."""
    one, other = layers.Input((6,), name="one"), layers.Input((6,), name="other")
    tower = keras.Sequential(
        [layers.Input((6,), name="start"), layers.Dense(4, name="first"),
         layers.Dense(3, name="last")],
        name="tower",
    )  # fmt: skip
    both = layers.Concatenate(name="both")([tower(one), tower(other)])
    left = layers.Dense(1, name="left")(both)
    right = layers.Dense(1, name="right")(ops.sqrt(both))
    return keras.Model([one, other], [left, right], name="twins")


def residual():
    x = layers.Input((4,), name="x")
    y = layers.Dense(4, name="a")(x)
    y = layers.Dense(4, name="b")(y)
    return keras.Model(x, layers.Dense(1, name="end")(layers.Add(name="sum")([x, y])), name="skip")


def names(graph):
    return [(start.name, end.name) for start, end in graph.arrows]


# Boxes and arrows ---------------------------------------------------------------------------------


def test_a_chain():
    graph = model_graph(sequential())
    start = graph.boxes[0].name
    assert names(graph) == [(start, "conv"), ("conv", "flat"), ("flat", "out")]
    assert [box.kind for box in graph.boxes] == ["InputLayer", "Conv2D", "Flatten", "Dense"]
    assert [box.outputs[0].shape for box in graph.boxes] == [
        (None, 8, 8, 1), (None, 6, 6, 4), (None, 144), (None, 2),
    ]  # fmt: skip


def test_branches_and_what_is_shared():
    graph = model_graph(branched())
    (root,) = (box.name for box in graph.boxes if box.kind == "Sqrt")
    assert set(names(graph)) == {
        ("one", "tower"), ("other", "tower"), ("tower", "both"), ("both", "left"),
        ("both", root), (root, "right"),
    }  # fmt: skip
    titles = {box.name: box.title for box in graph.boxes}
    assert titles["tower"] == "Sequential ×2" and titles["both"] == "Concatenate"
    assert [box.name for box in graph.sources] == ["one", "other"]
    assert [box.name for box in graph.sinks] == ["left", "right"]


def test_a_model_within_is_opened():
    graph = model_graph(branched(), expand_nested=True)
    found = set(names(graph))
    assert {("one", "start"), ("other", "start"), ("last", "both")} <= found
    (tower,) = (box for box in graph.boxes if box.inner is not None)
    assert names(tower.inner) == [("start", "first"), ("first", "last")]
    paths = [path for path, _ in graph.walk()]
    assert "tower" in paths and "tower/first" in paths


def test_models_without_a_drawing():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.one = layers.Dense(2, name="one")
            self.two = layers.Dense(2, name="two")

        def call(self, x):
            return self.two(self.one(x))

    made = Mine()
    made(np.ones((1, 2)))
    assert [box.name for box in model_graph(made).boxes] == ["mine"]
    opened = model_graph(made, expand_nested=True)
    assert [box.name for box in opened.boxes] == ["one", "two"] and opened.arrows == []
    waiting = keras.Sequential([layers.Dense(1, name="a"), layers.Dense(1, name="b")])
    assert names(model_graph(waiting)) == [("a", "b")]


def test_a_layer_that_wraps_another():
    made = keras.Sequential([layers.Input((5, 2)), layers.TimeDistributed(layers.Dense(3))])
    assert model_graph(made).boxes[1].kind == "TimeDistributed(Dense)"


def test_what_boxes_tell():
    frozen = sequential()
    frozen.get_layer("conv").trainable = False
    boxes = {box.name: box for box in model_graph(frozen).boxes}
    everything = Shown(True, True, True, True, True)
    assert everything.lines(boxes["conv"]) == [
        "conv", "(None, 8, 8, 1) → (None, 6, 6, 4)", "float32  relu  frozen",
    ]  # fmt: skip
    assert everything.lines(boxes["flat"]) == ["flat", "(None, 6, 6, 4) → (None, 144)", "float32"]
    assert everything.lines(boxes["out"])[-1] == "float32  linear  trainable"
    assert NOTHING.lines(boxes["conv"]) == []
    both = next(box for box in model_graph(branched()).boxes if box.name == "both")
    assert Shown(True, False, False, False, False).lines(both) == ["(None, 3) → (None, 6)"]


def test_kinds_of_layers_have_colours():
    mixed = [*branched().operations, *sequential().layers, residual().get_layer("sum")]
    found = [family(each) for each in mixed]
    assert set(found) <= set(COLOURS)
    assert {"input", "core", "convolutional", "reshaping", "merging", "model", "ops"} <= set(found)

    class Own(layers.Layer):
        pass

    assert family(Own()) == "other"


# Places -------------------------------------------------------------------------------------------


def overlaps(sizes, layout):
    found = []
    for i, ((w, h), (x, y)) in enumerate(zip(sizes, layout.centres, strict=True)):
        for j in range(i):
            (v, k), (a, b) = sizes[j], layout.centres[j]
            if abs(x - a) < (w + v) / 2 - 0.01 and abs(y - b) < (h + k) / 2 - 0.01:
                found.append((j, i))
    return found


@pytest.mark.parametrize("seed", range(25))
def test_boxes_stand_apart_and_arrows_go_down(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 25))
    sizes = [(float(w), float(h)) for w, h in random.uniform(20, 120, (count, 2))]
    arrows = sorted(
        {
            tuple(sorted(map(int, random.choice(count, 2, replace=False))))
            for _ in range(int(random.integers(1, 40)))
        }
    )
    layout = laid_out(sizes, arrows)
    assert overlaps(sizes, layout) == []
    for (width, height), (x, y) in zip(sizes, layout.centres, strict=True):
        assert width / 2 - 0.06 <= x <= layout.width - width / 2 + 0.06
        assert height / 2 - 0.06 <= y <= layout.height - height / 2 + 0.06
    for (start, end), route in zip(arrows, layout.routes, strict=True):
        (x, y), (a, b) = layout.centres[start], layout.centres[end]
        assert route[0] == (x, y + sizes[start][1] / 2)
        assert route[-1] == (a, b - sizes[end][1] / 2)
        for (x, y), (a, b) in itertools.pairwise(route):
            assert b >= y - 0.01 and (x == a or abs(b - y) < 0.01)  # down or sideways
        for point, other in itertools.pairwise(route):
            for number, ((w, h), (x, y)) in enumerate(zip(sizes, layout.centres, strict=True)):
                if number in (start, end):
                    continue
                low, high = sorted((point[0], other[0]))
                inside_x = low < x + w / 2 - 0.1 and high > x - w / 2 + 0.1
                inside_y = point[1] < y + h / 2 - 0.1 and other[1] > y - h / 2 + 0.1
                assert not (inside_x and inside_y), f"{start}->{end} passes through {number}"


def test_a_chain_is_straight_and_a_fork_is_even():
    chain = laid_out([(50.0, 20.0), (90.0, 20.0), (30.0, 20.0)], [(0, 1), (1, 2)])
    assert len({x for x, _ in chain.centres}) == 1
    assert all(len(route) == 2 for route in chain.routes)
    fork = laid_out([(50.0, 20.0)] * 4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    (top, _), (left, _), (right, _), (bottom, _) = fork.centres
    assert right - left == pytest.approx(50 + GAP_X, abs=0.2)
    assert top == bottom == pytest.approx((left + right) / 2, abs=0.2)


def test_an_arrow_past_a_chain_keeps_the_chain_straight():
    layout = laid_out([(60.0, 20.0)] * 5, [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4)])
    assert len({x for x, _ in layout.centres[1:3]}) == 1
    past = layout.routes[3]
    assert max(x for x, _ in past) > layout.centres[1][0] + 30


def test_what_has_no_arrows():
    assert laid_out([], []).centres == []
    alone = laid_out([(10.0, 10.0), (20.0, 10.0)], [])
    assert overlaps([(10.0, 10.0), (20.0, 10.0)], alone) == []


@pytest.mark.parametrize("rankdir", RANKDIRS)
@pytest.mark.parametrize("make", [sequential, branched, residual])
def test_directions(make, rankdir):
    graph = model_graph(make(), expand_nested=True)
    picture = _arranged(graph, Shown(True, False, True, False, False), rankdir, _Pen("test"))
    places = {id(item.box): item for item in picture.items}
    axis, sign = {"TB": ("y", 1), "BT": ("y", -1), "LR": ("x", 1), "RL": ("x", -1)}[rankdir]
    for start, end in graph.arrows:
        assert sign * (getattr(places[id(end)], axis) - getattr(places[id(start)], axis)) > 0
    for item in picture.items:
        assert item.x >= -0.1 and item.x + item.width <= picture.width + 0.1
        assert item.y >= -0.1 and item.y + item.height <= picture.height + 0.1
        if item.box.inner is not None:
            for inner in item.box.inner.boxes:
                place = places[id(inner)]
                assert item.x < place.x and place.x + place.width < item.x + item.width
                assert item.y < place.y and place.y + place.height < item.y + item.height
    for route in picture.routes:
        gaps = [abs(x - a) + abs(y - b) for (x, y), (a, b) in itertools.pairwise(route)]
        assert gaps[-1] > 5  # room for the arrow's head
    assert len(picture.routes) == sum(1 for _ in graph.arrows) + sum(
        len(box.inner.arrows) for box in graph.boxes if box.inner is not None
    )


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("splines", ["ortho", "curved", "line"])
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_pictures(tmp_path, ending, splines):
    path = tmp_path / f"model.{ending}"
    assert plot_model(branched(), path, show_shapes=True, dpi=60, splines=splines) is None
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(head)


def test_the_size_of_a_picture_follows_the_dots(tmp_path):
    from_pixels = {}
    for dpi in (50, 100):
        plot_model(sequential(), tmp_path / "m.png", dpi=dpi)
        data = (tmp_path / "m.png").read_bytes()
        from_pixels[dpi] = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    for small, large in zip(from_pixels[50], from_pixels[100], strict=True):
        assert abs(large - 2 * small) <= 2


def test_a_picture_that_would_be_too_large(tmp_path):
    deep = keras.Sequential([layers.Input((2,)), *(layers.Dense(2) for _ in range(40))])
    plot_model(deep, tmp_path / "deep.png", dpi=2000)
    height = int.from_bytes((tmp_path / "deep.png").read_bytes()[20:24])
    assert 29_000 < height <= 30_001


def test_the_language_of_graphviz(tmp_path):
    text = model_to_dot(branched(), show_shapes=True, expand_nested=True).to_string()
    assert text.startswith('digraph "twins" {')
    assert text.count("->") == 8 and text.count("subgraph") == 1
    assert 'label="Dense\\nfirst\\n(None, 6) → (None, 4)"' in text
    assert text.count("{") == text.count("}")
    labels = dict(re.findall(r'(layer_\d+) \[label="(?:[^\\]*)\\n([^"\\]*)', text))
    arrows = {(labels[a], labels[b]) for a, b in re.findall(r"(layer_\d+) -> (layer_\d+)", text)}
    assert {("one", "start"), ("first", "last"), ("last", "both")} <= arrows
    plot_model(branched(), tmp_path / "m.dot", rankdir="LR")
    assert "rankdir=LR" in (tmp_path / "m.dot").read_text()
    part = model_to_dot(sequential(), subgraph=True).to_string()
    assert part.startswith('subgraph "cluster_net" {')


def test_names_with_quotes():
    made = keras.Sequential([layers.Input((2,)), layers.Dense(1, name='a"b\\c')])
    assert 'Dense\\na\\"b\\\\c' in model_to_dot(made).to_string()


@pytest.mark.parametrize("name", ["plot_model", "model_to_dot"])
def test_arguments_and_defaults(name):
    ours, theirs = (
        [(each.name, each.default, each.kind) for each in inspect.signature(f).parameters.values()]
        for f in (getattr(keras.utils, name), getattr(real.utils, name))
    )
    assert ours == theirs


@pytest.mark.parametrize("draw", [plot_model, model_to_dot])
def test_bad_input(draw):
    waiting = keras.Sequential([layers.Dense(1)])
    with pytest.raises(ValueError, match="This model has not yet been built"):
        draw(waiting)
    with pytest.raises(ValueError, match="rankdir='up'"):
        draw(sequential(), rankdir="up")
    with pytest.raises(ValueError, match="Unrecognized keyword arguments"):
        draw(sequential(), colour=1)
