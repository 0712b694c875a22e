"""What the TensorBoard callback writes: runs, tags, steps and values."""

import numpy as np
import pytest
from tests.keras.callbacks.event_reader import events, fields, summary

from thalweg import keras
from thalweg.keras import layers
from thalweg.keras.callbacks import LambdaCallback, TensorBoard
from thalweg.keras.callbacks.tensorboard import weight_picture

X, Y = np.ones((10, 6, 6, 1), "float32"), np.ones((10, 1), "float32")


def model(optimizer="sgd"):
    made = keras.Sequential(
        [layers.Input((6, 6, 1)), layers.Conv2D(2, 3, name="conv"), layers.Flatten(),
         layers.Dense(1, name="out")],
        name="net",
    )  # fmt: skip
    made.compile(optimizer, "mse")
    return made


def read(folder):
    """{run/tag: [(step, value)]} of all summaries below a folder."""
    found = {}
    for path in sorted(folder.rglob("events.out.tfevents.*"), key=str):
        run = path.parent.relative_to(folder).as_posix()
        for step, what, content in events(path):
            if what == "summary":
                tag, _, value = summary(content)
                found.setdefault(f"{run}/{tag}", []).append((step, value))
    return found


def scalars(found):
    return {tag: [(step, float(value)) for step, value in each] for tag, each in found.items()}


def test_epochs(tmp_path):
    history = model().fit(
        X, Y, batch_size=5, epochs=3, validation_data=(X, Y), verbose=0,
        callbacks=[TensorBoard(tmp_path)],
    ).history  # fmt: skip
    found = scalars(read(tmp_path))
    loss = [float(np.float32(each)) for each in history["loss"]]
    validation = [float(np.float32(each)) for each in history["val_loss"]]
    assert found == {
        "train/epoch_loss": list(enumerate(loss)),
        "train/epoch_learning_rate": [(step, float(np.float32(0.01))) for step in range(3)],
        "validation/epoch_loss": list(enumerate(validation)),
        "validation/evaluation_loss_vs_iterations": list(zip((2, 4, 6), validation, strict=True)),
    }


def test_batches(tmp_path):
    seen = []
    look = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    board = TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True)
    model().fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=[board, look])
    found = scalars(read(tmp_path))
    # Every second batch of each epoch of five, at its number among all.
    steps = [0, 2, 4, 5, 7, 9]
    assert found["train/batch_loss"] == [(step, float(np.float32(seen[step]))) for step in steps]
    assert [step for step, _ in found["train/batch_steps_per_second"]] == list(range(10))
    assert [step for step, _ in found["train/epoch_steps_per_second"]] == [0, 1]
    assert all(value > 0 for _, value in found["train/batch_steps_per_second"])
    assert not any(tag.startswith("validation") for tag in found)


def test_batches_go_on_in_the_next_run(tmp_path):
    board = TensorBoard(tmp_path, update_freq="batch")
    made = model()
    for _ in range(2):
        made.fit(X, Y, batch_size=5, verbose=0, callbacks=[board])
    assert [step for step, _ in read(tmp_path)["train/batch_loss"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("update_freq", ["epoch", 0])
def test_batches_are_left_alone_by_default(tmp_path, update_freq):
    model().fit(X, Y, verbose=0, callbacks=[TensorBoard(tmp_path, update_freq=update_freq)])
    assert not any("batch" in tag for tag in read(tmp_path))


def test_weights(tmp_path):
    made = model()
    before = made.get_weights()
    board = TensorBoard(tmp_path, histogram_freq=2, write_images=True)
    board.set_model(made)
    board.on_train_begin()
    for epoch in range(3):
        board.on_epoch_end(epoch, {"loss": 1.0})
    board.on_train_end()
    found = read(tmp_path)
    paths = ["net/conv/kernel", "net/conv/bias", "net/out/kernel", "net/out/bias"]
    for path, weight in zip(paths, before, strict=True):
        steps, rows = zip(*found[f"train/{path}/histogram"], strict=True)
        assert steps == (0, 2)
        assert rows[0][:, 2].sum() == weight.size
        np.testing.assert_allclose(rows[0][0, 0], weight.min(), atol=0.5)
    sizes = {
        path: found[f"train/{path}/image"][0][1][:2].tolist()
        for path in paths
        if f"train/{path}/image" in found
    }
    assert sizes["net/conv/kernel"] == [b"8", b"4"]  # two tiles of 3 by 3, each with a margin
    assert sizes["net/conv/bias"] == [b"2", b"1"]
    assert sizes["net/out/kernel"] == [b"32", b"1"]


def test_pictures_of_weights():
    random = np.random.default_rng(0)
    assert weight_picture(np.ones(())) is None
    assert weight_picture(np.ones((2, 2, 2, 2, 2))) is None
    assert weight_picture(np.array([np.nan, np.inf])) is None
    assert weight_picture(np.zeros((0, 3))) is None
    assert weight_picture(np.ones(3)).tolist() == [[[128], [128], [128]]]
    assert weight_picture(np.array([[0.0], [1.0], [0.5]])).ravel().tolist() == [0, 255, 128]
    assert weight_picture(random.normal(size=(7, 3))).shape == (3, 7, 1)
    kernel = random.normal(size=(3, 4, 5))
    picture = weight_picture(kernel)
    assert picture.shape == (2 * 4, 3 * 5, 1)
    np.testing.assert_array_equal(picture[:3, :4, 0] == 255, kernel[:, :, 0] == kernel.max())
    assert weight_picture(random.normal(size=(3, 3, 16, 32))).shape == (8 * 4, 8 * 4, 1)


def graph_of(folder):
    (path,) = (folder / "train").glob("events*")
    (content,) = (content for _, what, content in events(path) if what == "graph_def")
    nodes = {}
    for data in fields(content)[1]:
        node = fields(data)
        nodes[node[1][0].decode()] = (
            node[2][0].decode(), [each.decode() for each in node.get(3, [])],
        )  # fmt: skip
    return nodes


def test_the_graph_of_a_model_within_a_model(tmp_path):
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(3, name="d")], name="inner")
    x = layers.Input((4,), name="x")
    y = inner(x)
    total = layers.Add(name="sum")([y, layers.Dense(3, name="e")(x)])
    made = keras.Model(x, total, name="net")
    made.compile("sgd", "mse")
    made.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0, callbacks=[TensorBoard(tmp_path)])
    start = inner._functional.inputs[0]._keras_history.operation.name
    assert graph_of(tmp_path) == {
        "net/x": ("InputLayer", []),
        f"net/inner/{start}": ("InputLayer", ["net/x"]),
        "net/inner/d": ("Dense", [f"net/inner/{start}"]),
        "net/e": ("Dense", ["net/x"]),
        "net/sum": ("Add", ["net/inner/d", "net/e"]),
    }


def test_no_graph(tmp_path):
    model().fit(X, Y, verbose=0, callbacks=[TensorBoard(tmp_path, write_graph=False)])
    (path,) = (tmp_path / "train").glob("events*")
    assert all(what != "graph_def" for _, what, _ in events(path))


def test_a_model_of_ones_own(tmp_path):
    class Mine(keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.out = layers.Dense(1)

        def call(self, x):
            return self.out(x)

    made = Mine()
    made.compile("sgd", "mse")
    made.fit(X[:, 0, :, 0], Y, verbose=0, callbacks=[TensorBoard(tmp_path)])
    assert graph_of(tmp_path) == {f"mine/{made.out.name}": ("Dense", [])}


def test_evaluation_alone(tmp_path):
    made = model()
    board = TensorBoard(tmp_path)
    made.evaluate(X, Y, verbose=0, callbacks=[board])
    made.evaluate(X, Y, verbose=0, callbacks=[board])
    found = read(tmp_path)
    assert list(found) == ["validation/evaluation_loss_vs_iterations"]
    assert [step for step, _ in found["validation/evaluation_loss_vs_iterations"]] == [0, 0]


def test_metrics_with_several_values_are_left_out(tmp_path):
    board = TensorBoard(tmp_path)
    board.set_model(model())
    board.on_epoch_end(0, {"loss": 1.0, "f1": np.ones(3), "val_f1": np.ones(3)})
    board.on_train_end()
    assert set(read(tmp_path)) == {"train/epoch_loss", "train/epoch_learning_rate"}


def test_a_profile(tmp_path):
    board = TensorBoard(tmp_path, profile_batch=(2, 3))
    model().fit(X, Y, batch_size=2, verbose=0, callbacks=[board])
    ((step, text),) = read(tmp_path)["train/batch_3"]
    assert step == 3 and b"function calls" in text.item() and b"cumulative" in text.item()


@pytest.mark.parametrize("value", [-1, (3, 2), "a", (1,), 1.5, None])
def test_a_profile_of_no_batches(value):
    with pytest.raises(ValueError, match="profile_batch"):
        TensorBoard(profile_batch=value)


def test_another_frequency():
    with pytest.raises(ValueError, match="update_freq='never'"):
        TensorBoard(update_freq="never")


def test_embeddings(tmp_path):
    made = keras.Sequential(
        [layers.Input((3,)), layers.Embedding(5, 4, name="words"), layers.Flatten(),
         layers.Dense(1)]
    )  # fmt: skip
    made.compile("sgd", "mse")
    (tmp_path / "labels.tsv").write_text("\n".join("abcde"))
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": "labels.tsv"})
    made.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0, callbacks=[board])
    name = "layer_with_weights-0/embeddings/.ATTRIBUTES/VARIABLE_VALUE"
    assert (tmp_path / "projector_config.pbtxt").read_text().split() == [
        "embeddings", "{", "tensor_name:", f'"{name}"', "metadata_path:", '"labels.tsv"', "}",
    ]  # fmt: skip
    assert (tmp_path / "train/projector_config.pbtxt").read_text().split()[2:-1] == [
        "tensor_name:", '"words"', "metadata_path:", '"labels.tsv"', "tensor_path:", '"words.tsv"',
    ]  # fmt: skip
    assert (tmp_path / "train/labels.tsv").read_text() == "a\nb\nc\nd\ne"
    table = np.loadtxt(tmp_path / "train/words.tsv", delimiter="\t")
    np.testing.assert_allclose(table, made.layers[0].embeddings.numpy(), rtol=1e-6)


def test_embeddings_that_are_not_there(tmp_path):
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"nouns": "a.tsv"})
    with pytest.raises(ValueError, match=r"Unrecognized `Embedding` layer names \['nouns'\]"):
        board.set_model(model())


def test_optimizers_without_one_rate(tmp_path):
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1, name="slow"))
    )
    model(several).fit(X, Y, verbose=0, callbacks=[TensorBoard(tmp_path)])
    assert set(read(tmp_path)) == {"train/epoch_loss", "train/epoch_learning_rate_slow"}
