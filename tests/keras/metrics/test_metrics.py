"""Metrics: state, values, configs and names against real Keras, at once and traced."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from tests.keras.oracle import keras as real
from tests.keras.programs import run_by_jax

import thalweg as tw
from thalweg.base.errors import ArgumentError, OutOfRangeError, ShapeError
from thalweg.keras import losses, metrics, ops, settings
from thalweg.keras.saving.serialization import deserialize_keras_object

# Real Keras' variables with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

GENERATOR = np.random.default_rng(11)
BATCHES, ROWS, CLASSES = 2, 6, 4


def floats(*shape, low=0.0, high=1.0):
    return GENERATOR.uniform(low, high, (BATCHES, ROWS, *shape)).astype("float32")


def shares(*shape):
    x = floats(*shape, low=0.05)
    return x / x.sum(-1, keepdims=True)


def numbers(high, *shape):
    return GENERATOR.integers(0, high, (BATCHES, ROWS, *shape)).astype("int32")


def one_hot(*shape):
    return np.eye(CLASSES, dtype="float32")[numbers(CLASSES, *shape)]


WEIGHTS = floats(low=0.1)
REAL_NUMBERS = (floats(3, low=0.1), floats(3, low=0.1))
YES = (numbers(2, 3).astype("float32"), floats(3))
ONE_COLUMN = (numbers(2, 1), floats(1))
ONE_HOT = (one_hot(), shares(CLASSES))
NUMBERS = (numbers(CLASSES), shares(CLASSES))
STEPS = (numbers(CLASSES, 5), shares(5, CLASSES))
LABELS = (numbers(2, CLASSES).astype("float32"), floats(CLASSES))

CASES = [
    ("Mean", (floats(),), {}),
    ("Mean", (floats(3, 2),), {}),
    ("Sum", (floats(3, 2),), {}),
    ("Accuracy", (numbers(3), numbers(3)), {}),
    ("Accuracy", (numbers(3, 4), numbers(3, 4)), {}),
    ("BinaryAccuracy", ONE_COLUMN, {}),
    ("BinaryAccuracy", YES, {"threshold": 0.3}),
    ("CategoricalAccuracy", ONE_HOT, {}),
    ("SparseCategoricalAccuracy", NUMBERS, {}),
    ("SparseCategoricalAccuracy", STEPS, {}),
    ("TopKCategoricalAccuracy", ONE_HOT, {"k": 2}),
    ("SparseTopKCategoricalAccuracy", NUMBERS, {"k": 2}),
    (
        "SparseTopKCategoricalAccuracy",
        (numbers(CLASSES), np.argsort(-shares(CLASSES), axis=-1)),
        {"k": 2, "from_sorted_ids": True},
    ),
    ("MeanSquaredError", REAL_NUMBERS, {}),
    ("RootMeanSquaredError", REAL_NUMBERS, {}),
    ("MeanAbsoluteError", REAL_NUMBERS, {}),
    ("MeanAbsolutePercentageError", REAL_NUMBERS, {}),
    ("MeanSquaredLogarithmicError", REAL_NUMBERS, {}),
    ("LogCoshError", REAL_NUMBERS, {}),
    ("CosineSimilarity", REAL_NUMBERS, {}),
    ("CosineSimilarity", REAL_NUMBERS, {"axis": 1}),
    ("KLDivergence", (shares(3), shares(3)), {}),
    ("Poisson", REAL_NUMBERS, {}),
    ("Hinge", YES, {}),
    ("SquaredHinge", YES, {}),
    ("CategoricalHinge", ONE_HOT, {}),
    ("BinaryCrossentropy", YES, {}),
    ("BinaryCrossentropy", YES, {"from_logits": True, "label_smoothing": 0.1}),
    ("CategoricalCrossentropy", ONE_HOT, {"label_smoothing": 0.1}),
    ("SparseCategoricalCrossentropy", NUMBERS, {}),
    ("SparseCategoricalCrossentropy", NUMBERS, {"ignore_class": 1, "from_logits": True}),
    ("PearsonCorrelation", REAL_NUMBERS, {}),
    ("ConcordanceCorrelation", REAL_NUMBERS, {}),
    ("R2Score", REAL_NUMBERS, {}),
    ("R2Score", REAL_NUMBERS, {"class_aggregation": None}),
    ("R2Score", REAL_NUMBERS, {"class_aggregation": "variance_weighted_average"}),
    ("F1Score", LABELS, {}),
    ("F1Score", LABELS, {"average": "macro", "threshold": 0.4}),
    ("FBetaScore", LABELS, {"average": "micro", "beta": 2.0, "threshold": 0.4}),
    ("FBetaScore", LABELS, {"average": "weighted", "beta": 0.5}),
    ("TruePositives", YES, {}),
    ("FalsePositives", YES, {"thresholds": 0.2}),
    ("TrueNegatives", YES, {"thresholds": [0.2, 0.9, 0.6]}),
    ("FalseNegatives", YES, {"thresholds": [0.2, 0.9, 0.6]}),
    ("Precision", YES, {}),
    ("Precision", LABELS, {"top_k": 2}),
    ("Precision", LABELS, {"top_k": 2, "class_id": 1, "thresholds": 0.3}),
    ("Recall", LABELS, {"class_id": 2}),
    ("Recall", ONE_COLUMN, {"thresholds": [0.9, 0.1]}),
    ("SensitivityAtSpecificity", YES, {"specificity": 0.4}),
    ("SpecificityAtSensitivity", YES, {"sensitivity": 0.4, "num_thresholds": 7}),
    ("PrecisionAtRecall", LABELS, {"recall": 0.4, "class_id": 1}),
    ("RecallAtPrecision", YES, {"precision": 0.5, "num_thresholds": 1}),
    ("AUC", YES, {}),
    ("AUC", YES, {"num_thresholds": 2}),
    ("AUC", YES, {"thresholds": [0.7, 0.2, 0.25]}),
    ("AUC", YES, {"curve": "PR", "num_thresholds": 9}),
    ("AUC", YES, {"curve": "PR", "summation_method": "minoring"}),
    ("AUC", YES, {"curve": "PRGAIN", "summation_method": "majoring"}),
    ("AUC", YES, {"curve": "PRGAIN", "num_thresholds": 9}),
    ("AUC", (YES[0], 6 * YES[1] - 3), {"from_logits": True}),
    ("AUC", LABELS, {"multi_label": True}),
    (
        "AUC",
        LABELS,
        {
            "multi_label": True,
            "num_labels": CLASSES,
            "curve": "PR",
            "label_weights": [1.0, 2.0, 0.5, 0.0],
        },
    ),
    ("AUC", LABELS, {"label_weights": [1.0, 2.0, 0.5, 0.0], "num_thresholds": 5}),
    ("IoU", NUMBERS, {"num_classes": CLASSES, "target_class_ids": [0, 2], "sparse_y_pred": False}),
    (
        "BinaryIoU",
        (numbers(2), floats()),
        {"target_class_ids": [1], "threshold": 0.3, "dtype": "float32"},
    ),
    ("MeanIoU", (numbers(5), numbers(5)), {"num_classes": 4, "ignore_class": 1}),
    ("OneHotIoU", ONE_HOT, {"num_classes": CLASSES, "target_class_ids": [1]}),
    ("OneHotMeanIoU", ONE_HOT, {"num_classes": CLASSES, "dtype": "float32"}),
]
WEIGHTED = [True] * len(CASES)
for place, (name, _, given) in enumerate(CASES):
    # Their integer counts would cut weights off.
    WEIGHTED[place] = "IoU" not in name or given.get("dtype") == "float32"
LAZY = ("F1Score", "FBetaScore", "R2Score", "AUC")


def made(module, case):
    """A metric of a case with its state made and empty."""
    name, data, given = case
    metric = getattr(module.metrics, name)(**given)
    if name in LAZY and module is not real:
        metric.update_state(*(x[0] for x in data))
        metric.reset_state()
    elif name in LAZY and not (name == "AUC" and metric._built):
        shapes = [x[0].shape for x in data]
        metric._build(*(shapes[1:] if name == "AUC" else shapes))
    return metric


class Ours:
    metrics = metrics


def weights_of(index, weights):
    """The first batch has no weights, the second has, where they are not for integers."""
    return (None, weights[1] if WEIGHTED[index] else None)


def wanted_values():
    """The states after the batches, and the results."""
    made_metrics = [made(real, case) for case in CASES]

    def all_of(data, weights):
        found = []
        for index, (metric, batches) in enumerate(zip(made_metrics, data, strict=True)):
            state = metric.stateless_reset_state()
            for batch, weight in enumerate(weights_of(index, weights)):
                given = [x[batch] for x in batches]
                state = metric.stateless_update_state(state, *given, sample_weight=weight)
            found.append((state, metric.stateless_result(state)))
        return found

    values = run_by_jax(all_of, [data for _, data, _ in CASES], WEIGHTS)
    names = [[(v.name, v.shape, v.dtype) for v in metric.variables] for metric in made_metrics]
    return list(zip(values, names, strict=True))


@pytest.fixture(scope="module")
def wanted():
    return wanted_values()


def case_name(index):
    name, _, given = CASES[index]
    return f"{index}-{name}-{'-'.join(given)}"


@pytest.mark.parametrize("index", range(len(CASES)), ids=case_name)
def test_state_and_result(index, wanted):
    ((state, result), names), (_, data, _) = wanted[index], CASES[index]
    metric = made(Ours, CASES[index])
    assert [(v.name, v.shape, v.dtype) for v in metric.variables] == names
    for batch, weight in enumerate(weights_of(index, WEIGHTS)):
        metric.update_state(*(x[batch] for x in data), sample_weight=weight)
    for variable, value in zip(metric.variables, state, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=2e-5, atol=1e-6)
    found = metric.result()
    np.testing.assert_allclose(found, result, rtol=2e-5, atol=1e-6)
    assert found.shape == result.shape and found.dtype.name == str(result.dtype)
    metric.reset_state()
    assert all(not variable.numpy().any() for variable in metric.variables)


@pytest.mark.parametrize("index", range(len(CASES)), ids=case_name)
def test_traced_for_any_batch(index):
    name, data, given = CASES[index]
    eager = made(Ours, CASES[index])
    # The state of some is made by the first batch: also where that is traced.
    traced = getattr(metrics, name)(**given)

    def step(data, weight):
        traced.update_state(*data, sample_weight=weight)
        return traced.result()

    weights = WEIGHTS if WEIGHTED[index] else np.ones(WEIGHTS.shape, "int32")
    step = tw.function(step, shapes={"data": ("batch", ...), "weight": ("batch",)})
    for batch, rows in enumerate((slice(None), slice(2, None))):
        batches = [tw.asarray(x[batch][rows]) for x in data]
        found = step(batches, tw.asarray(weights[batch][rows]))
        eager.update_state(*batches, sample_weight=weights[batch][rows])
        np.testing.assert_allclose(found, eager.result(), rtol=2e-5, atol=1e-6)
    for one, other in zip(traced.variables, eager.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=2e-5, atol=1e-6)


# Sums and means -----------------------------------------------------------------------------------

SHAPED = GENERATOR.uniform(size=(2, 3, 4)).astype("float32")
SPREAD = [2.0, np.array([1.0, 2.0]), np.array([[1.0], [2.0]]), np.ones((1, 3)), np.ones((2, 3))]
SPREAD += [np.full((2, 3, 1), 3.0), np.full((2, 1, 4), 3.0), SHAPED]


def means(module, values, weights):
    found = []
    for name in ("Mean", "Sum"):
        for weight in (None, *weights):
            metric = getattr(module.metrics, name)()
            state = metric.stateless_update_state(metric.stateless_reset_state(), values, weight)
            found.append((state, metric.stateless_result(state)))
    return found


def test_weights_that_broadcast():
    weights = [np.float32(each) for each in SPREAD]
    wanted = run_by_jax(lambda *data: means(real, *data), SHAPED, weights)
    for (state, result), (wanted_state, wanted_result) in zip(
        means(Ours, SHAPED, weights), wanted, strict=True
    ):
        for one, other in zip(state, wanted_state, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5)
        np.testing.assert_allclose(result, wanted_result, rtol=2e-5)
    for weight in (np.ones(3), np.ones((2, 4)), np.ones((1, 2, 3, 4))):
        with pytest.raises(ShapeError):
            metrics.Mean().update_state(SHAPED, weight)


def test_means_of_little():
    mean = metrics.Mean()
    assert float(mean.result()) == 0.0
    mean.update_state(np.zeros((0, 3)))
    assert float(mean.result()) == 0.0
    mean.update_state(5)
    mean.update_state([1, 3], sample_weight=[1, 0])
    assert float(mean.result()) == 3.0
    assert float(mean(1)) == pytest.approx(7 / 3)


def masked(x, mask):
    x = ops.convert_to_tensor(x)
    x._keras_mask = ops.convert_to_tensor(mask)
    return x


def test_masks():
    y_true, y_pred = np.zeros((2, 3), "float32"), np.array([[0, 1, 2], [3, 5, 7]], "float32")
    mask = np.array([True, False])
    # As real Keras: the mean of a function leaves out what is masked, the mean of values only
    # together with weights.
    for weight, squared, mean in ((None, (5 / 3, 1), (6, 2)), ([1.0, 2.0], (5 / 3, 1), (1, 1))):
        for metric, data, wanted in (
            (metrics.MeanSquaredError(), (y_true, masked(y_pred, mask)), squared),
            (metrics.Mean(), (masked(y_pred, mask),), mean),
        ):
            metric.update_state(*data, sample_weight=weight)
            np.testing.assert_allclose([v.numpy() for v in metric.variables], wanted, rtol=1e-6)


# Single metrics -----------------------------------------------------------------------------------


def test_areas_of_random_data():
    """Few, equal and extreme scores, on every curve."""

    def all_of(module, data):
        found = []
        for y_true, y_pred in data:
            for curve in ("ROC", "PR", "PRGAIN"):
                for method in ("interpolation", "minoring", "majoring"):
                    metric = module.metrics.AUC(6, curve, method)
                    state = metric.stateless_update_state(
                        metric.stateless_reset_state(), y_true, y_pred
                    )
                    found.append(metric.stateless_result(state))
        return found

    data = [
        (np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.35, 0.8, 0.6, 0.9], "float32")),
        (np.array([0, 1, 0, 1]), np.array([0.0, 0.0, 1.0, 0.2], "float32")),
        (np.array([1, 1]), np.array([0.5, 0.5], "float32")),
        (np.array([0, 0, 0]), np.array([0.5, 0.2, 1.0], "float32")),
    ]
    wanted = run_by_jax(lambda data: all_of(real, data), data)
    np.testing.assert_allclose(all_of(Ours, data), wanted, rtol=2e-5, atol=1e-6)


def test_labels_that_are_no_class_do_not_count():
    metric = metrics.MeanIoU(num_classes=2)
    metric.update_state([0, 3, -1, 1], [0, 1, 0, 2])
    np.testing.assert_array_equal(metric.total_cm.numpy(), [[1, 0], [0, 0]])
    assert float(metric.result()) == 1.0 and metric.dtype == "int32"
    with pytest.warns(UserWarning, match="casting them from float to int") as seen:
        metric.update_state([0, 1], [0, 1], sample_weight=[1.5, 1.0])
    assert seen[0].filename == __file__
    # Weights of rows, not of columns.
    rows = metrics.MeanIoU(num_classes=2, dtype="float32")
    rows.update_state([[0, 1], [1, 1]], [[0, 1], [1, 0]], sample_weight=[0.5, 2.0])
    np.testing.assert_allclose(rows.total_cm.numpy(), [[0.5, 0], [2.0, 2.5]])


def test_adjusting_by_the_number_of_regressors():
    y_true, y_pred = np.array([[1.0], [2.0], [4.0]]), np.array([[1.5], [2.0], [3.5]])
    plain = metrics.R2Score()
    plain.update_state(y_true, y_pred)
    for count in (2, 3):
        metric = metrics.R2Score(num_regressors=count)
        metric.update_state(y_true, y_pred)
        assert float(metric.result()) == float(plain.result())
    for count in (1, 4):
        pair = metrics.R2Score(num_regressors=count), real.metrics.R2Score(num_regressors=count)
        for metric in pair:
            metric.update_state(*(x[0] for x in REAL_NUMBERS))
        assert float(pair[0].result()) == pytest.approx(float(pair[1].result()), rel=1e-5)
    constant = metrics.R2Score()
    constant.update_state(np.ones((3, 1)), np.full((3, 1), 2.0))
    assert float(constant.result()) == 0.0


# Names, configs and errors ------------------------------------------------------------------------


def public(module):
    return {name for name in dir(module) if not name.startswith("_")}


def test_names_and_signatures():
    assert set(metrics.__all__) == public(real.metrics) and len(metrics.__all__) == 72
    for name in metrics.__all__:
        ours, theirs = getattr(metrics, name), getattr(real.metrics, name)
        wanted = [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()]
        assert [(p.name, p.default) for p in inspect.signature(ours).parameters.values()] == wanted
        if isinstance(theirs, type):
            assert public(theirs) <= public(ours)
            assert {each.__name__ for each in theirs.__mro__} & set(metrics.__all__) == {
                each.__name__ for each in ours.__mro__
            } & set(metrics.__all__)


REQUIRED = {
    "IoU": {"num_classes": 3, "target_class_ids": [0, 1]},
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0, 1]},
    "OneHotMeanIoU": {"num_classes": 3},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
CLASS_NAMES = [name for name in metrics.__all__ if isinstance(getattr(metrics, name), type)]
GIVEN = [(name, REQUIRED.get(name, {})) for name in CLASS_NAMES if name != "MeanMetricWrapper"]
GIVEN += [(name, given) for name, _, given in CASES if given and "label_weights" not in given]


@pytest.mark.parametrize(("name", "given"), GIVEN)
def test_configs(name, given):
    cls, theirs = getattr(metrics, name), getattr(real.metrics, name)(**given, name="mine")
    ours = cls(**given, name="mine")
    # Settings that real Keras forgets.
    kept = {key: given[key] for key in ("axis", "from_sorted_ids") if key in given}
    assert ours.get_config() == {**theirs.get_config(), **kept}
    record = metrics.serialize(ours)
    assert {**record, "config": None} == {**real.metrics.serialize(theirs), "config": None}
    for again in (
        metrics.deserialize(record),
        deserialize_keras_object(record),
        cls.from_config(ours.get_config()),
        copy.deepcopy(ours),
        pickle.loads(pickle.dumps(ours)),
    ):
        assert type(again) is cls and again.get_config() == ours.get_config()
        assert [v.shape for v in again.variables] == [v.shape for v in ours.variables]
    assert real.metrics.deserialize(record).get_config() == theirs.get_config()
    for key, value in given.items():
        if key not in ("curve", "summation_method", "from_logits", "thresholds", "dtype", "axis"):
            assert getattr(ours, key) == value
    assert getattr(ours, "_direction", None) == getattr(theirs, "_direction", None)


def test_copies_have_state_of_their_own():
    metric = metrics.Mean()
    metric.update_state(3.0)
    for again in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert float(again.result()) == 3.0
        again.update_state(5.0)
        assert float(again.result()) == 4.0
        assert again.total is again.variables[0]
    assert float(metric.result()) == 3.0


def test_a_function_as_a_metric():
    metric = metrics.MeanMetricWrapper(metrics.binary_accuracy, name="mine", threshold=0.3)
    theirs = real.metrics.MeanMetricWrapper(
        real.metrics.binary_accuracy, name="mine", threshold=0.3
    )
    record = metrics.serialize(metric)
    assert record == real.metrics.serialize(theirs)
    again = metrics.deserialize(record)
    again.update_state([1, 0, 1, 0], [0.4, 0.4, 0.2, 0.2])
    assert float(again.result()) == 0.5
    assert metrics.serialize(metrics.binary_accuracy) == real.metrics.serialize(
        real.metrics.binary_accuracy
    )


def test_get():
    names = ["bce", "BCE", "mse", "MSE", "mae", "MAE", "mape", "MAPE", "msle", "MSLE"]
    names += ["auc", "AUC", "f1_score", "f_beta_score", "kl_divergence", "log_cosh_error", "mean"]
    names += ["accuracy", "categorical_accuracy", "SparseCategoricalAccuracy", "precision", "sum"]
    for name in names:
        assert type(metrics.get(name)).__name__ == type(real.metrics.get(name)).__name__
    assert type(metrics.get(metrics.Recall)) is metrics.Recall
    assert metrics.get(None) is None and metrics.get(abs) is abs
    config = {"class_name": "BinaryAccuracy", "config": {"threshold": 0.2}}
    assert metrics.get(config).threshold == 0.2
    for wrong in ("typo", "acc", "crossentropy", 3):
        with pytest.raises(ArgumentError, match="Could not interpret metric identifier"):
            metrics.get(wrong)


def test_types():
    assert metrics.Mean(dtype="float16").total.dtype == "float16"
    assert metrics.Mean(dtype="mixed_bfloat16").dtype == "bfloat16"
    assert metrics.Mean().dtype == "float32"
    former = settings.floatx()
    settings.set_floatx("float64")
    try:
        assert metrics.Mean().dtype == "float64"
    finally:
        settings.set_floatx(former)
    with pytest.raises(AttributeError):
        metrics.Mean().dtype = "float64"


def test_metrics_of_ones_own():
    class Largest(metrics.Metric):
        def __init__(self, name="largest", **kwargs):
            super().__init__(name=name, **kwargs)
            self.largest = self.add_weight(shape=(), initializer="zeros", name="largest")
            self.parts = {"mean": metrics.Mean(), "more": [metrics.Sum()]}

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.largest.assign(ops.maximum(self.largest, ops.max(ops.abs(y_true - y_pred))))
            self.parts["mean"].update_state(y_pred)

        def result(self):
            return self.largest

    metric = Largest()
    assert [v.path for v in metric.variables] == ["largest/largest", *_paths(metric)]
    assert float(metric(np.ones(3), np.array([0.0, 3.0, 1.0]))) == 2.0
    state = metric.stateless_update_state(metric.variables, np.ones(2), np.array([9.0, 0.0]))
    assert [float(each) for each in state] == [8.0, 13.0, 5.0, 0.0]
    assert float(metric.stateless_result(state)) == 8.0 and float(metric.result()) == 2.0
    assert [float(each) for each in metric.stateless_reset_state()] == [0.0] * 4
    with pytest.raises(ArgumentError, match="metric_variables"):
        metric.stateless_result(state[:1])
    for method in ("update_state", "result"):
        with pytest.raises(NotImplementedError, match=method):
            getattr(metrics.Metric(), method)()

    class Hasty(metrics.Metric):
        def __init__(self):
            self.total = self.add_variable(shape=(), initializer="zeros")

    with pytest.raises(RuntimeError, match="forgot to call `super"):
        Hasty()


def _paths(metric):
    return [
        v.path for each in (metric.parts["mean"], metric.parts["more"][0]) for v in each.variables
    ]


REFUSED = [
    (lambda: metrics.AUC(num_thresholds=1), "must be an integer > 1"),
    (lambda: metrics.AUC(curve="x"), 'Invalid AUC curve value: "x"'),
    (lambda: metrics.AUC(summation_method="x"), 'Invalid AUC summation method value: "x"'),
    (lambda: metrics.AUC(num_labels=3), "`num_labels` is needed only when"),
    (lambda: metrics.AUC(multi_label=True).result(), "number of labels"),
    (lambda: metrics.AUC(multi_label=True)(np.ones(3), np.ones(3)), "must have rank 2"),
    (
        lambda: metrics.AUC(multi_label=True, num_labels=2)(np.ones((2, 3)), np.ones((2, 3))),
        "predictions of 2 labels",
    ),
    (
        lambda: metrics.AUC(multi_label=True, label_weights=[1.0])(
            np.ones((2, 3)), np.ones((2, 3))
        ),
        "predictions of 1 labels",
    ),
    (lambda: metrics.Precision(thresholds=[0.5, 2]), r"must be in \[0, 1\]. Received: \[2\]"),
    (lambda: metrics.Recall(thresholds=[None]), r"must be in \[0, 1\]. Received: \[None\]"),
    (lambda: metrics.Recall(class_id=1)(np.ones(3), np.ones(3)), "must be a 2D array"),
    (lambda: metrics.PrecisionAtRecall(2.0), r"`recall` must be in the range \[0, 1\]"),
    (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), "must be an integer > 0"),
    (lambda: metrics.FBetaScore(average="x"), "Invalid `average` argument value"),
    (lambda: metrics.FBetaScore(beta=1), "It should be a Python float"),
    (lambda: metrics.FBetaScore(beta=-1.0), "It should be > 0"),
    (lambda: metrics.FBetaScore(threshold=1), "It should be a Python float"),
    (lambda: metrics.F1Score(threshold=2.0), "0 < threshold <= 1"),
    (lambda: metrics.F1Score().result(), "a batch before"),
    (lambda: metrics.F1Score()(np.ones(3), np.ones(3)), "expects 2D inputs with shape"),
    (lambda: metrics.R2Score("x"), "Invalid value for argument `class_aggregation`"),
    (lambda: metrics.R2Score(num_regressors=-1), "Invalid value for argument `num_regressors`"),
    (lambda: metrics.R2Score()(np.ones(3), np.ones(3)), "expects 2D inputs with shape"),
    (lambda: metrics.R2Score()(np.ones((3, 2)), np.ones((3, 1))), "as many predictions"),
    (lambda: metrics.R2Score().result(), "a batch before"),
    (lambda: metrics.IoU(2, [0, 5]), r"Target class id 5 is out of range, which is \[0, 2\)"),
]


@pytest.mark.parametrize("index", range(len(REFUSED)))
def test_errors(index):
    call, message = REFUSED[index]
    with pytest.raises(ValueError, match=message):
        call()


def test_classes_out_of_range():
    with pytest.raises(OutOfRangeError, match="a class from 0 to 1"):
        metrics.Recall(class_id=2)(np.ones((3, 2)), np.ones((3, 2)))


def test_metrics_share_the_functions_of_losses():
    for name in set(metrics.__all__) & set(losses.__all__):
        if name.islower() and name not in ("get", "serialize", "deserialize"):
            assert getattr(metrics, name) is getattr(losses, name)
