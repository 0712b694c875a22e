"""Losses: values, derivatives, weights, masks, reductions, configs and names against real Keras."""

import copy
import functools
import inspect
import pickle
import warnings

import jax
import numpy as np
import pytest
from tests.keras.oracle import keras as real
from tests.keras.programs import run_by_jax

import thalweg as tw
from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.keras import losses, ops
from thalweg.keras.saving.serialization import deserialize_keras_object

GENERATOR = np.random.default_rng(7)


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype("float32")


def floats(*shape, low=0.05, high=0.95):
    return GENERATOR.uniform(low, high, shape).astype("float32")


def shares(*shape):
    x = floats(*shape)
    return x / x.sum(-1, keepdims=True)


def one_hot(*shape):
    return np.eye(shape[-1], dtype="float32")[GENERATOR.integers(0, shape[-1], shape[:-1])]


POSITIVE = (floats(4, 3, low=0.1, high=2), floats(4, 3, low=0.1, high=2))
ANY = (floats(4, 3, low=-2, high=2), floats(4, 3, low=-2, high=2))
YES = (np.array([[0, 1, 1], [1, 0, 0], [1, 1, 1], [0, 0, 1]], "float32"), floats(4, 3))
LOGITS = (YES[0], floats(4, 3, low=-4, high=4))
CLASSES = (one_hot(4, 5), shares(4, 5))
NUMBERS = (np.array([0, 4, 2, 1], "int32"), shares(4, 5))
SCORES = floats(4, 5, low=-4, high=4)
PAIRS = (np.array([0, 1, 1, 0], "int32"), unit(floats(4, 3, low=-1, high=1)))
SPOKEN = (np.array([[1, 2, 2], [3, 1, 0]], "int32"), floats(2, 8, 5, low=-2, high=2))

CASES = [
    ("mean_squared_error", ANY, {}),
    ("mean_absolute_error", ANY, {}),
    ("mean_absolute_percentage_error", POSITIVE, {}),
    ("mean_squared_logarithmic_error", POSITIVE, {}),
    ("cosine_similarity", ANY, {}),
    ("cosine_similarity", ANY, {"axis": 0}),
    ("huber", ANY, {}),
    ("huber", ANY, {"delta": 0.3}),
    ("log_cosh", ANY, {}),
    ("kl_divergence", (shares(4, 3), shares(4, 3)), {}),
    ("poisson", POSITIVE, {}),
    ("hinge", (2 * YES[0] - 1, ANY[1]), {}),
    ("hinge", (YES[0], ANY[1]), {}),
    ("squared_hinge", (YES[0], ANY[1]), {}),
    ("categorical_hinge", (CLASSES[0], SCORES), {}),
    ("binary_crossentropy", YES, {}),
    ("binary_crossentropy", YES, {"label_smoothing": 0.2}),
    ("binary_crossentropy", LOGITS, {"from_logits": True}),
    ("binary_crossentropy", YES, {"axis": 0}),
    ("binary_focal_crossentropy", YES, {}),
    ("binary_focal_crossentropy", YES, {"apply_class_balancing": True, "alpha": 0.4, "gamma": 3.0}),
    ("binary_focal_crossentropy", LOGITS, {"from_logits": True}),
    ("binary_focal_crossentropy", YES, {"label_smoothing": 0.2}),
    ("categorical_crossentropy", CLASSES, {}),
    ("categorical_crossentropy", (CLASSES[0], SCORES), {"from_logits": True}),
    ("categorical_crossentropy", CLASSES, {"label_smoothing": 0.2}),
    ("categorical_crossentropy", CLASSES, {"axis": 0}),
    ("categorical_focal_crossentropy", CLASSES, {}),
    ("categorical_focal_crossentropy", CLASSES, {"alpha": [0.1, 0.2, 0.3, 0.4, 0.5], "gamma": 3.0}),
    ("categorical_focal_crossentropy", (CLASSES[0], SCORES), {"from_logits": True}),
    ("sparse_categorical_crossentropy", NUMBERS, {}),
    ("sparse_categorical_crossentropy", (NUMBERS[0], SCORES), {"from_logits": True}),
    ("sparse_categorical_crossentropy", (NUMBERS[0][:, None], NUMBERS[1]), {"ignore_class": 2}),
    ("categorical_generalized_cross_entropy", NUMBERS, {"q": 0.3}),
    ("dice", YES, {}),
    ("dice", YES, {"axis": 1}),
    ("tversky", YES, {"alpha": 0.2, "beta": 0.7}),
    ("tversky", YES, {"alpha": 0.2, "beta": 0.7, "axis": (1,)}),
    ("circle", PAIRS, {"gamma": 4}),
    ("circle", PAIRS, {"gamma": 4, "margin": 0.2, "remove_diagonal": False}),
    ("ctc", SPOKEN, {}),
]  # fmt: skip


def name_of(case):
    name, _, settings = case
    return f"{name}-{'-'.join(f'{k}={v}' for k, v in settings.items())}"


def class_of(name):
    upper = {"kl_divergence": "KLDivergence", "ctc": "CTC"}
    found = upper.get(name, "".join(part.capitalize() for part in name.split("_")))
    return "CategoricalGeneralizedCrossEntropy" if "Generalized" in found else found


NAMES = sorted({class_of(name) for name, _, _ in CASES})


def inputs_of(class_name):
    return next(inputs for name, inputs, _ in CASES if class_of(name) == class_name)


@functools.cache
def wanted_values():
    """What real Keras says of all cases, and the derivatives of their sums."""

    def all_of(data):
        found = []
        for (name, _, settings), (y_true, y_pred) in zip(CASES, data, strict=True):
            function = functools.partial(getattr(real.losses, name), y_true, **settings)
            slope = jax.grad(lambda x, function=function: real.ops.sum(function(x)))
            found.append((function(y_pred), slope(y_pred)))
        return found

    return run_by_jax(all_of, [inputs for _, inputs, _ in CASES])


@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda index: name_of(CASES[index]))
def test_functions_and_derivatives(index):
    name, (y_true, y_pred), settings = CASES[index]
    wanted, wanted_slope = wanted_values()[index]
    loss = functools.partial(getattr(losses, name), y_true, **settings)
    found = loss(y_pred)
    assert found.dtype.name == str(wanted.dtype) and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)
    slope = tw.grad(lambda x: ops.sum(loss(x)))(tw.asarray(y_pred))
    np.testing.assert_allclose(slope, wanted_slope, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_traced_for_any_batch(case):
    name, (y_true, y_pred), settings = case
    loss = getattr(losses, class_of(name))
    known = set(inspect.signature(loss).parameters)
    loss = loss(**{key: value for key, value in settings.items() if key in known})
    step = tw.function(lambda y, p: loss(y, p), shapes={"y": ("batch", ...), "p": ("batch", ...)})
    for rows in (slice(None), slice(1, None)):
        found = step(tw.asarray(y_true[rows]), tw.asarray(y_pred[rows]))
        np.testing.assert_allclose(found, loss(y_true[rows], y_pred[rows]), rtol=2e-5, atol=1e-6)


REDUCTIONS = ("sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight")


REDUCED = ("MeanSquaredError", "SparseCategoricalCrossentropy", "Circle", "Dice")


def in_all_ways(module, data):
    """Some losses with each reduction and weights in several shapes, all in other types."""
    found = {}
    for name, (y_true, y_pred) in data.items():
        rows = np.arange(len(y_true), dtype="float32")
        for reduction in REDUCTIONS if name in REDUCED else REDUCTIONS[:1]:
            loss = getattr(module, name)(reduction=reduction)
            for index, weight in enumerate((None, 2.0, rows, rows[:, None])):
                found[f"{name} {reduction} {index}"] = loss(y_true, y_pred, weight)
        half = getattr(module, name)(dtype="float16")
        found[f"{name} half"] = half(y_true, y_pred)
        if name not in ("CTC", "Circle"):
            found[f"{name} deeper"] = getattr(module, name)()(y_true[None], y_pred[None])
    return found


def test_reductions_weights_and_halves():
    data = {name: inputs_of(name) for name in NAMES}
    found = in_all_ways(losses, data)
    wanted = run_by_jax(lambda data: in_all_ways(real.losses, data), data)
    assert len(found) == len(wanted)
    for key, value in wanted.items():
        tolerance = 5e-3 if "half" in key else 2e-5
        np.testing.assert_allclose(
            np.float32(found[key]), np.float32(value), rtol=tolerance, atol=tolerance, err_msg=key
        )
        assert found[key].dtype.name == str(value.dtype) and found[key].shape == value.shape


def masked(module, x, mask):
    # Another tensor each time: real Keras keeps masks beside tensors.
    x, mask = module.multiply(x, 1.0), module.convert_to_tensor(mask)
    if module is ops:
        x._keras_mask = mask
    else:
        real.src.backend.set_keras_mask(x, mask)
    return x


def with_masks(module, backend, data):
    found = []
    for reduction in ("mean", "sum", None):
        loss = module.MeanAbsoluteError(reduction=reduction)
        y_true, y_pred = data["values"]
        for mask in (data["mask"], data["mask"] & False, data["mask"][..., None]):
            for weight in (None, *data["weights"]):
                found.append(loss(y_true, masked(backend, y_pred, mask), weight))
        loss = module.SparseCategoricalCrossentropy(True, ignore_class=1, reduction=reduction)
        for mask in (None, data["mask"]):
            for weight in (None, data["weights"][1]):
                numbers, scores = data["numbers"]
                scores = scores if mask is None else masked(backend, scores, mask)
                found.append(loss(numbers, scores, weight))
    return found


def test_masks_and_ignored_classes():
    data = {
        "values": (floats(4, 3, 2), floats(4, 3, 2)),
        "numbers": (GENERATOR.integers(0, 3, (4, 3)), floats(4, 3, 3, low=-2, high=2)),
        "mask": GENERATOR.uniform(size=(4, 3)) > 0.4,
        "weights": (floats(4, 1), floats(4, 3)),
    }
    wanted = run_by_jax(lambda data: with_masks(real.losses, real.ops, data), data)
    for one, other in zip(with_masks(losses, ops, data), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)
    # Weights of samples beside a mask of their steps, which real Keras refuses.
    rows, loss = np.array([1.0, 0.0, 2.0, 0.0]), losses.MeanAbsoluteError()
    y_true, y_pred = data["values"][0], masked(ops, data["values"][1], data["mask"])
    np.testing.assert_allclose(loss(y_true, y_pred, rows), loss(y_true, y_pred, rows[:, None]))


def test_circle_with_references():
    labels, rows = PAIRS
    others, other_labels = unit(floats(6, 3, low=-1, high=1)), np.array([0, 1, 1, 1, 0, 2])
    for keep in (True, False):
        settings = {"gamma": 4, "remove_diagonal": keep}
        found = losses.circle(labels, rows, other_labels, others, **settings)
        wanted = real.losses.circle(labels, rows, other_labels, others, **settings)
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)
    loss = losses.Circle(gamma=4.0)
    np.testing.assert_allclose(
        loss.call(labels, rows, other_labels, others),
        losses.circle(labels, rows, other_labels, others, gamma=4.0),
    )


ZERO, ONE = np.array([[0.0, 1.0]], "float32"), np.array([[1.0, 0.0]], "float32")
EDGES = [
    ("mean_absolute_percentage_error", ZERO, ONE, {}),
    ("mean_squared_logarithmic_error", -ONE, -2 * ONE, {}),
    ("kl_divergence", ZERO, ONE, {}),
    ("log_cosh", np.array([[1e5, -300.0]], "float32"), ZERO, {}),
    ("cosine_similarity", 0 * ZERO, ONE, {}),
    ("poisson", ZERO, 0 * ONE, {}),
    ("binary_crossentropy", ZERO, ONE, {}),
    ("categorical_crossentropy", ZERO, ONE, {}),
    ("categorical_generalized_cross_entropy", np.array([0]), ZERO, {"q": 0.5}),
]


def at_edges(module, data):
    return [
        getattr(module, name)(y_true, y_pred, **settings)
        for (name, _, _, settings), (y_true, y_pred) in zip(EDGES, data, strict=True)
    ]


def test_edges_of_domains():
    data = [(y_true, y_pred) for _, y_true, y_pred, _ in EDGES]
    wanted = run_by_jax(lambda data: at_edges(real.losses, data), data)
    for (name, *_), one, other in zip(EDGES, at_edges(losses, data), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6, err_msg=name)


def test_class_numbers_stay_integers():
    scores = np.zeros((1, 5000), "float32")
    scores[0, 4001] = 5.0
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float16")
    assert float(loss(np.array([4001]), scores)) < float(loss(np.array([4000]), scores))
    # 255 is not -1, and 255 itself is ignored.
    small, rest = np.array([255, 1], "uint8"), np.ones((2, 256), "float32")
    for number, count in ((-1, 2), (255, 1), (3, 2)):
        found = losses.sparse_categorical_crossentropy(small, rest, True, ignore_class=number)
        assert np.count_nonzero(found) == count
    assert losses.sparse_categorical_crossentropy([0, 1], [[0.5, 0.5], [0.2, 0.8]]).shape == (2,)
    step = tw.function(lambda y, p: losses.SparseCategoricalCrossentropy(True)(y, p))
    step(tw.asarray(NUMBERS[0]), tw.asarray(SCORES))
    assert "cast(y" not in step.show("trace")


def test_other_values():
    assert float(losses.MeanSquaredError()([1.0, 2.0], [3.0, 4.0])) == 4.0
    assert float(losses.MeanSquaredError()(np.ones((0, 2)), np.ones((0, 2)))) == 0.0
    assert losses.mean_squared_error(np.ones((2, 2)), np.ones((2, 2))).dtype.name == "float64"
    assert losses.hinge(np.ones((2, 2), "int32"), np.ones((2, 2), "int32")).dtype.name == "float32"
    columns = losses.MeanSquaredError()(np.ones((4, 1)), np.arange(4.0))
    assert float(columns) == real.losses.MeanSquaredError()(np.ones((4, 1)), np.arange(4.0))


# Names and configs --------------------------------------------------------------------------------


def public(module):
    return {name for name in dir(module) if not name.startswith("_")}


def test_names_and_signatures():
    assert set(losses.__all__) == public(real.losses) and len(losses.__all__) == 48
    for name in losses.__all__:
        ours, theirs = getattr(losses, name), getattr(real.losses, name)
        wanted = [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()]
        assert [(p.name, p.default) for p in inspect.signature(ours).parameters.values()] == wanted


SETTINGS = {
    "BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.1, "axis": 0},
    "BinaryFocalCrossentropy": {"apply_class_balancing": True, "alpha": 0.5, "gamma": 1.0},
    "CategoricalCrossentropy": {"from_logits": True, "label_smoothing": 0.1, "axis": 0},
    "CategoricalFocalCrossentropy": {"alpha": [0.5, 0.2], "gamma": 1.0, "axis": 0},
    "SparseCategoricalCrossentropy": {"from_logits": True, "ignore_class": 3},
    "CategoricalGeneralizedCrossEntropy": {"q": 0.25},
    "Circle": {"gamma": 2.0, "margin": 0.1, "remove_diagonal": False},
    "Dice": {"axis": (1, 2)},
    "Tversky": {"alpha": 0.1, "beta": 0.2, "axis": (1, 2)},
    "CosineSimilarity": {"axis": 1},
}


@pytest.mark.parametrize("name", [*NAMES, "Loss"])
def test_configs(name):
    cls, theirs = getattr(losses, name), getattr(real.losses, name)
    plain = {"name": "mine"} if name == "Loss" else {}
    for settings in (
        plain,
        {"reduction": "sum", "name": "mine"},
        {**plain, **SETTINGS.get(name, {})},
    ):
        ours = cls(**settings)
        assert ours.get_config() == theirs(**settings).get_config()
        record = losses.serialize(ours)
        assert record == real.losses.serialize(theirs(**settings))
        for again in (
            losses.deserialize(record),
            deserialize_keras_object(record),
            cls.from_config(ours.get_config()),
            copy.deepcopy(ours),
        ):
            assert type(again) is cls and again.get_config() == ours.get_config()
        if name != "CategoricalGeneralizedCrossEntropy":  # which real Keras cannot read
            assert real.losses.deserialize(record).get_config() == ours.get_config()
        for key, value in settings.items():
            assert getattr(ours, key) == value
    if name != "Loss":
        y_true, y_pred = inputs_of(name)
        again = pickle.loads(pickle.dumps(cls()))
        np.testing.assert_allclose(again(y_true, y_pred), cls()(y_true, y_pred))


def test_settings_that_keras_forgets_are_kept():
    for loss, key in (
        (losses.Huber(delta=0.25), "delta"),
        (losses.SparseCategoricalCrossentropy(axis=1), "axis"),
    ):
        again = losses.deserialize(losses.serialize(loss))
        assert getattr(again, key) == getattr(loss, key) == loss.get_config()[key]
        # Real Keras reads them.
        real.losses.deserialize(losses.serialize(loss))


def test_get():
    for name in ("mse", "MSE", "mae", "mape", "MAPE", "msle", "bce", "BCE", "kld", "KLD"):
        assert losses.get(name).__name__ == real.losses.get(name).__name__
    for name in ("mean_squared_error", "huber", "ctc", "log_cosh", "categorical_hinge"):
        assert losses.get(name) is getattr(losses, name)
    assert type(losses.get("CategoricalCrossentropy")) is losses.CategoricalCrossentropy
    assert type(losses.get(losses.Huber)) is losses.Huber
    assert losses.get(None) is None and losses.get(abs) is abs
    config = {"class_name": "CategoricalCrossentropy", "config": {"from_logits": True}}
    assert losses.get(config).from_logits is True
    record = losses.serialize(losses.mean_squared_error)
    assert record == real.losses.serialize(real.losses.mean_squared_error)
    assert losses.deserialize(record) is losses.mean_squared_error
    for wrong in ("typo", "logcosh", 3):
        with pytest.raises(ArgumentError, match="Could not interpret loss identifier"):
            losses.get(wrong)


def test_functions_as_losses():
    loss = losses.loss.LossFunctionWrapper(losses.huber, delta=0.3, reduction="sum")
    y_true, y_pred = ANY
    assert float(loss(y_true, y_pred)) == pytest.approx(
        float(losses.Huber(delta=0.3, reduction="sum")(y_true, y_pred))
    )
    again = type(loss).from_config(loss.get_config())
    assert again.get_config() == loss.get_config() and again.fn is losses.huber
    mine = losses.loss.LossFunctionWrapper(lambda y, p: ops.abs(p["a"] - y["a"]) + p["b"])
    nested = mine({"a": np.ones(3), "b": np.ones(3)}, {"a": np.zeros(3), "b": np.ones(3)})
    assert float(nested) == 2.0


def test_losses_of_ones_own():
    class Weighted(losses.Loss):
        def __init__(self, factor=2.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * ops.mean(ops.square(y_true - y_pred), axis=-1)

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    loss = Weighted(factor=3.0)
    assert loss.name == "weighted" and loss.dtype == "float32"
    assert float(loss(np.ones((2, 2)), np.zeros((2, 2)))) == 3.0
    record = losses.serialize(loss)
    again = losses.deserialize(record, custom_objects={"Weighted": Weighted})
    assert again.factor == 3.0
    with pytest.raises(NotImplementedError, match="call"):
        losses.Loss()(np.ones(2), np.ones(2))


def test_errors():
    ones = np.ones((2, 3), "float32")
    with pytest.raises(ArgumentError, match="Invalid value for argument `reduction`"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(ArgumentError, match=r"q must be in the interval \(0, 1\)"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.0)
    for name in ("categorical_crossentropy", "categorical_focal_crossentropy"):
        with pytest.raises(ValueError, match="`axis` must be of type `int`"):
            getattr(losses, name)(ones, ones, axis=True)
    with pytest.raises(ShapeError, match="must have the same shape"):
        losses.binary_crossentropy(ones, np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="Targets `y_true` must be a tensor"):
        losses.ctc(np.ones(3), np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="Logits `y_pred` must be a tensor"):
        losses.ctc(np.ones((2, 3)), np.ones((2, 3)))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        losses.categorical_crossentropy(np.ones((2, 1)), np.ones((2, 1)))
    assert "num_classes > 1" in str(seen[0].message) and seen[0].filename == __file__
