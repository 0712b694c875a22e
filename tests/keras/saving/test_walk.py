"""The way through a model: which objects are saved, in which order, under which paths."""

from typing import Any

import numpy as np
import pytest

from thalweg import keras
from thalweg.keras.saving.stores import FlatWriter
from thalweg.keras.saving.walk import Saveable, children, load_state, members, save_state

Dense = keras.layers.Dense


def paths_of(model: Any) -> list[str]:
    """The objects of a model in the order in which they are saved."""

    class Noting(FlatWriter):
        def make(self, path: str, name: str | None = None) -> Any:
            found.append(path)
            return super().make(path, name)

    found: list[str] = []
    save_state(model, Noting())
    return found


class Chain(keras.layers.Layer):
    """A layer that holds what it is given as attributes."""

    def __init__(self, **parts: Any):
        super().__init__(name=parts.pop("name", None))
        for name, part in parts.items():
            setattr(self, name, part)


def test_attributes_come_by_name_and_private_ones_last() -> None:
    layer = Chain(b=Dense(1), _a=Dense(1), c=[Dense(1)], a=Dense(1), B=Dense(1))
    assert paths_of(layer) == ["", "B", "a", "b", "c/dense", "_a"]


def test_members_are_named_by_their_classes() -> None:
    parts = [Dense(1), keras.layers.ReLU(), Dense(1), 5, "text", Dense(1), (Dense(1), [Dense(1)])]
    names = [name for name, _ in members(parts)]
    assert names == ["dense", "re_lu", "dense_1", "dense_2", "container"]
    assert paths_of(Chain(parts=parts))[1:] == [
        "parts/dense",
        "parts/re_lu",
        "parts/dense_1",
        "parts/dense_2",
        "parts/container/dense",
        "parts/container/container/dense",
    ]


def test_dicts_go_by_their_order_and_sets_are_left_out() -> None:
    layer = Chain(parts={"z": Dense(1), "a": keras.layers.ReLU()}, others={Dense(1)})
    assert paths_of(layer) == ["", "parts/dense", "parts/re_lu"]


def test_an_object_is_saved_once_and_still_counts() -> None:
    shared = Dense(1)
    layer = Chain(a=shared, b=[shared, Dense(1)], c=shared)
    assert paths_of(layer) == ["", "a", "b/dense_1"]


def test_models_give_their_layers_first() -> None:
    class Whole(keras.Model):
        def __init__(self) -> None:
            x = keras.Input((2,))
            inner = Dense(2, name="inner")
            super().__init__(x, inner(x))
            self.again = inner
            self.extra = Dense(3)

        @property
        def failing(self) -> Any:
            raise RuntimeError("no walk's concern")

    assert paths_of(Whole()) == ["", "layers/input_layer", "layers/dense", "extra"]


def test_a_subclassed_model_gives_attributes_before_private_layers() -> None:
    class Whole(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self._hidden = Dense(1)
            self.zed = Dense(1)
            self.early = Dense(1)

    # The public list of layers has them all, and comes before `zed`.
    assert paths_of(Whole()) == ["", "early", "layers/dense", "layers/dense_1"]


def test_optimizers_metrics_and_losses() -> None:
    class Judge(keras.metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="judge")
            self.encoder = Dense(2)

    class Looking(keras.losses.Loss):
        def __init__(self) -> None:
            super().__init__()
            self.eye = Dense(2)

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.mean(self.eye(y_true) - self.eye(y_pred))

    model = keras.Sequential([keras.Input((2,)), Dense(2)])
    model.compile("adam", Looking(), metrics=[Judge()])
    model.optimizer.build(model.trainable_variables)
    model.judge = Judge()
    found = paths_of(model)
    assert found == ["", "layers/dense", "judge/encoder", "loss/eye", "optimizer"]


def test_a_scaled_optimizer_holds_another() -> None:
    model = keras.Sequential([keras.Input((2,)), Dense(2)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "mse")
    assert paths_of(model)[-2:] == ["optimizer", "optimizer/inner_optimizer"]


def test_loops_of_containers_and_objects_end() -> None:
    parts: list[Any] = [Dense(1)]
    layer = Chain(parts=parts)
    layer.parts.append(layer.parts)
    layer.parts[0].__dict__["owner"] = layer
    assert paths_of(layer) == ["", "parts/dense"]
    writer = FlatWriter()
    save_state(layer, writer)
    loading = load_state(layer, None)
    assert not loading.failures


def test_other_classes_may_be_walked_through() -> None:
    class Part(Saveable):
        def __init__(self) -> None:
            self.inner = Dense(1)

    class Not:
        def __init__(self) -> None:
            self.inner = Dense(1)

    assert paths_of(Chain(part=Part(), other=Not())) == ["", "part/inner"]


def test_attributes_of_all_layers_are_no_part() -> None:
    names = [name for name, _ in children(keras.Sequential([keras.Input((2,)), Dense(2)]))]
    assert names[0] == "layers"
    assert not {"_layers", "trainable_variables", "_functional", "_tracker", "variables"} & set(
        names
    )


# ---- loading -------------------------------------------------------------------------------------


class Plain(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)


class Renamed(keras.Model):
    """The same layer under a name that comes first, and under the old one."""

    def __init__(self) -> None:
        super().__init__()
        self.a_dense = Dense(3)

    @property
    def dense(self) -> Any:
        return self.a_dense

    def call(self, x: Any) -> Any:
        return self.dense(x)


def test_an_object_is_found_at_any_of_its_paths(tmp_path: Any) -> None:
    path = tmp_path / "m.weights.h5"
    one, other = Plain(), Renamed()
    for model in (one, other):
        model(np.ones((2, 2)))
    one.save_weights(path)
    other.load_weights(path)
    np.testing.assert_array_equal(one.dense.kernel.numpy(), other.dense.kernel.numpy())


class Nested(keras.Model):
    def __init__(self, is_old: bool = False) -> None:
        super().__init__()
        self.pairs = [(Dense(2), Dense(2))]
        self.is_old = is_old

    @property
    def layers(self) -> Any:
        return []

    def call(self, x: Any) -> Any:
        for layer in self.pairs[0]:
            x = layer(x)
        return x


def test_files_without_nested_containers_are_loaded_with_a_warning(
    tmp_path: Any, monkeypatch: Any
) -> None:
    path = tmp_path / "m.weights.h5"
    model = Nested()
    model(np.ones((1, 2)))
    kept = [weight.numpy() for weight in model.weights]
    pairs, model.pairs = model.pairs, []
    model.save_weights(path)
    model.pairs = pairs
    with pytest.warns(UserWarning, match="Skipping nested container at 'pairs/container'"):
        model.load_weights(path)
    for before, weight in zip(kept, model.weights, strict=True):
        np.testing.assert_array_equal(before, weight.numpy())


def test_a_whole_file_gives_no_such_warning(tmp_path: Any) -> None:
    x = keras.Input((5,))
    model = keras.Model(x, keras.layers.EinsumDense("ab,bc->ac", output_shape=(7,))(x))
    model.save(tmp_path / "m.keras")
    keras.saving.load_model(tmp_path / "m.keras")
