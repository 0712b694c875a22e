"""The same courses of metrics shown to our callbacks and to those of real Keras."""

import inspect
import warnings

import numpy as np
import pytest
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.keras import callbacks, ops
from thalweg.keras.callbacks.monitor import MonitorCallback

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = [name for name in dir(real.callbacks) if isinstance(getattr(real.callbacks, name), type)]


def test_all_names_are_there():
    assert len(NAMES) == 16
    ours = {name for name in dir(callbacks) if isinstance(getattr(callbacks, name), type)}
    assert ours == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults(name):
    def parameters(module):
        found = inspect.signature(getattr(module, name).__init__).parameters.values()
        return [(each.name, each.default, each.kind) for each in found]

    assert parameters(callbacks) == parameters(real.callbacks)


@pytest.mark.parametrize("name", NAMES)
def test_public_members(name):
    wanted = {each for each in dir(getattr(real.callbacks, name)) if not each.startswith("_")}
    # How Orbax is run on several machines, and TensorFlow's module of summaries.
    wanted -= {"is_multihost_enabled", "is_primary_host", "summary"}
    assert wanted <= set(dir(getattr(callbacks, name)))


class Stand:
    """What callbacks ask of a model."""

    stop_training = False

    def __init__(self, rate=None):
        self.weights = [np.zeros(2)]
        self.saved = []
        self.optimizer = rate

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite=True):
        self.saved.append(path)

    save_weights = save


def courses():
    random = np.random.default_rng(3)
    for _ in range(25):
        steps = random.normal(size=14) * random.choice([0.05, 0.5])
        yield (np.cumsum(steps) + 1).round(3).tolist()
    yield [3.0, 2.0, 1.0] * 4
    yield [1.0, float("nan"), 0.5, float("inf"), 0.4, 0.4, 0.4]


STOPPING = [
    {"patience": 0},
    {"patience": 1, "min_delta": 0.1},
    {"patience": 3, "baseline": 0.8},
    {"patience": 2, "restore_best_weights": True},
    {"patience": 2, "restore_best_weights": True, "baseline": -5.0},
    {"patience": 1, "start_from_epoch": 4, "restore_best_weights": True},
]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("settings", STOPPING, ids=str)
def test_early_stopping(settings, mode):
    for course in courses():
        found = []
        for module in (real.callbacks, callbacks):
            callback = module.EarlyStopping("loss", mode=mode, **settings)
            callback.set_model(Stand())
            callback.on_train_begin()
            lines = []
            for epoch, value in enumerate(course):
                callback.model.weights = [np.full(2, epoch)]
                callback.on_epoch_end(epoch, {"loss": value})
                best = callback.best
                lines.append(
                    (
                        callback.wait,
                        callback.stopped_epoch,
                        callback.best_epoch,
                        None if best is None else repr(float(best)),
                        callback.model.stop_training,
                    )
                )
                if callback.model.stop_training:
                    break
            callback.on_train_end()
            found.append((lines, callback.model.weights[0].tolist()))
        assert found[1] == found[0]


PLATEAUS = [
    {"patience": 1},
    {"patience": 2, "cooldown": 2, "factor": 0.5},
    {"patience": 1, "min_delta": 0.2, "min_lr": 0.002},
    {"patience": 0, "factor": 0.9},
]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("settings", PLATEAUS, ids=str)
def test_reduce_lr_on_plateau(settings, mode):
    rates = [module.optimizers.SGD(0.01) for module in (real, keras)]
    for course in courses():
        found = []
        for module, optimizer in zip((real.callbacks, callbacks), rates, strict=True):
            optimizer.learning_rate = 0.01
            callback = module.ReduceLROnPlateau("loss", mode=mode, **settings)
            callback.set_model(Stand(optimizer))
            callback.on_train_begin()
            lines = []
            for epoch, value in enumerate(course):
                logs = {"loss": value}
                callback.on_epoch_end(epoch, logs)
                rate = float(np.asarray(optimizer.learning_rate))
                lines.append(
                    (callback.wait, callback.cooldown_counter, callback.in_cooldown(), rate, logs)
                )
            found.append(repr(lines))
        assert found[1] == found[0]


CHECKPOINTS = [
    {"filepath": "{epoch:02d}-{loss:.3f}.keras"},
    {"filepath": "{epoch}.keras", "save_best_only": True},
    {"filepath": "b.weights.h5", "save_best_only": True, "save_weights_only": True},
    {"filepath": "{epoch}.keras", "save_best_only": True, "initial_value_threshold": 0.9},
    {"filepath": "{epoch}-{batch}.keras", "save_freq": 4},
    {"filepath": "{epoch}-{batch}.keras", "save_freq": 5, "save_best_only": True},
    {"filepath": "{epoch}-{batch}.keras", "save_freq": 2},
]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("settings", CHECKPOINTS, ids=str)
def test_model_checkpoint(settings, mode):
    for course in courses():
        saved = []
        for module in (real.callbacks, callbacks):
            callback = module.ModelCheckpoint(monitor="loss", mode=mode, **settings)
            callback.set_model(Stand())
            for epoch, value in enumerate(course):
                callback.on_epoch_begin(epoch)
                for batch in range(3):
                    callback.on_train_batch_end(batch, {"loss": value + batch / 10})
                callback.on_epoch_end(epoch, {"loss": value})
            saved.append([str(path) for path in callback.model.saved])
        assert saved[1] == saved[0]


@pytest.mark.parametrize("verbose", [0, 1])
def test_what_is_said(verbose, capsys):
    found = []
    for module in (real.callbacks, callbacks):
        made = [
            module.EarlyStopping("loss", verbose=verbose, mode="min", patience=2),
            module.ReduceLROnPlateau("loss", verbose=verbose, mode="min", patience=1),
            module.LearningRateScheduler(lambda epoch: 0.5, verbose=verbose),
        ]
        optimizer = (real if module is real.callbacks else keras).optimizers.SGD(0.01)
        for callback in made:
            callback.set_model(Stand(optimizer))
            callback.on_train_begin()
        for epoch, value in enumerate([1.0, 2.0, 3.0]):
            for callback in made:
                callback.on_epoch_begin(epoch)
                callback.on_epoch_end(epoch, {"loss": value})
        for callback in made:
            callback.on_train_end()
        found.append(capsys.readouterr().out)
    assert found[1] == found[0]
    assert bool(found[0]) == bool(verbose)


# Which way is better ------------------------------------------------------------------------------


class Named:
    def __init__(self, name, direction=None, metrics=()):
        self.name = name
        self._direction = direction
        self.metrics = list(metrics)


@pytest.mark.parametrize(
    ("monitor", "wanted"),
    [
        ("loss", ops.less),
        ("val_loss", ops.less),
        ("head_loss", ops.less),
        ("accuracy", ops.greater),
        ("val_accuracy", ops.greater),
        ("val_head_accuracy", ops.greater),
        ("mae", ops.less),
        ("count", None),
        ("unknown", None),
        ("val_unknown", None),
    ],
)
def test_the_way_is_asked_of_the_metric(monitor, wanted):
    watch = MonitorCallback(monitor, min_delta=0.5)
    model = Stand()
    inner = Named("compile_metrics", metrics=[Named("accuracy", "up"), Named("count")])
    model.metrics = [Named("loss"), inner, Named("mae", "down")]
    watch.set_model(model)
    if wanted is None:
        with pytest.raises(ValueError, match=r"Received monitor=.*\n.*mode='max'"):
            watch._set_monitor_op()
        return
    watch._set_monitor_op()
    assert watch.monitor_op is wanted
    assert watch.min_delta == (0.5 if wanted is ops.greater else -0.5)
    watch._set_monitor_op()
    assert watch.min_delta == (0.5 if wanted is ops.greater else -0.5)


@pytest.mark.parametrize("kind", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau])
def test_an_unknown_mode_is_told(kind):
    with pytest.warns(UserWarning, match=f"{kind.__name__} mode 'down' is unknown"):
        made = kind(mode="down")
    assert made.mode == "auto"


def test_a_metric_that_is_missing_is_told():
    for callback in (callbacks.EarlyStopping("val_loss"), callbacks.ReduceLROnPlateau("val_loss")):
        callback.set_model(Stand(keras.optimizers.SGD()))
        with pytest.warns(UserWarning, match="`val_loss` which is not available.*loss"):
            callback.on_epoch_end(0, {"loss": 1.0})
    checkpoint = callbacks.ModelCheckpoint("a.keras", save_best_only=True, mode="min")
    checkpoint.set_model(Stand())
    with pytest.warns(UserWarning, match="save best model only with val_loss available"):
        checkpoint.on_epoch_end(0, {"loss": 1.0})
    with pytest.warns(UserWarning, match=r"val_loss has shape \(2,\)"):
        checkpoint.on_epoch_end(0, {"val_loss": np.ones(2)})
    assert checkpoint.model.saved == ["a.keras", "a.keras"]


# Learning rates -----------------------------------------------------------------------------------


def trained(*given, optimizer="sgd", epochs=3, **settings):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", **settings)
    x = np.ones((4, 2), "float32")
    return model.fit(x, x[:, :1], epochs=epochs, verbose=0, callbacks=list(given)), model


def test_a_schedule_of_one_or_two_arguments():
    history, model = trained(callbacks.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1)))
    np.testing.assert_allclose(history.history["learning_rate"], [0.5, 0.25, 0.5 / 3], rtol=1e-6)
    history, model = trained(callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2))
    np.testing.assert_allclose(history.history["learning_rate"], [0.005, 0.0025, 0.00125])
    assert float(model.optimizer.learning_rate) == np.float32(0.00125)


def test_errors_within_a_schedule_are_its_own():
    def schedule(epoch, rate):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        trained(callbacks.LearningRateScheduler(schedule))


@pytest.mark.parametrize("value", ["a", 1, None, np.ones(2)])
def test_a_schedule_that_gives_no_float(value):
    with pytest.raises(ValueError, match=r"schedule.*should be a float"):
        trained(callbacks.LearningRateScheduler(lambda epoch: value))


@pytest.mark.parametrize(
    "make",
    [lambda: callbacks.LearningRateScheduler(lambda e: 0.1), lambda: callbacks.ReduceLROnPlateau()],
)
def test_a_rate_that_follows_a_schedule_cannot_be_set(make):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    with pytest.raises(TypeError, match="created with a `LearningRateSchedule`"):
        trained(make(), optimizer=keras.optimizers.SGD(schedule))


def test_a_factor_that_does_not_reduce():
    with pytest.raises(ValueError, match=r"factor >= 1.0.\nReceived factor=1.5"):
        callbacks.ReduceLROnPlateau(factor=1.5)


# Moving averages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("frequency", [None, 2])
def test_swapped_averages_as_in_keras(swap_on_epoch, frequency):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(12, 3)).astype("float32"), random.normal(size=(12, 1))
    start = [random.normal(size=(3, 1)).astype("float32"), np.zeros(1, "float32")]
    found = []
    for module in (real, keras):
        model = module.Sequential([module.layers.Input((3,)), module.layers.Dense(1)])
        model.set_weights(start)
        optimizer = module.optimizers.SGD(
            0.1, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=frequency
        )
        model.compile(optimizer, "mse")
        seen = []

        class Look(module.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None, seen=seen):
                seen.append([np.asarray(each) for each in self.model.get_weights()])

        history = model.fit(
            x, y, batch_size=4, epochs=3, shuffle=False, verbose=0, validation_data=(x, y),
            callbacks=[module.callbacks.SwapEMAWeights(swap_on_epoch), Look()],
        )  # fmt: skip
        values = [*np.concatenate([w.ravel() for each in seen for w in each])]
        values += [*history.history["val_loss"], *model.get_weights()[0].ravel()]
        found.append(values)
    np.testing.assert_allclose(found[1], found[0], rtol=2e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        keras.optimizers.LossScaleOptimizer,
        lambda inner: keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(inner)),
    ],
    ids=["LossScaleOptimizer", "MultiOptimizer"],
)
def test_averages_of_optimizers_within_others(wrap):
    inner = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    _, model = trained(callbacks.SwapEMAWeights(), optimizer=wrap(inner))
    swap = callbacks.SwapEMAWeights()
    swap.set_model(model)
    for variable in model.trainable_variables:
        variable.assign(variable.value + 1)
    before = model.get_weights()
    swap.on_test_begin()
    for weight, (_, average) in zip(model.get_weights(), inner._averages(), strict=True):
        np.testing.assert_array_equal(weight, average.numpy())
    swap.on_test_end()
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_no_averages():
    _, model = trained()
    swap = callbacks.SwapEMAWeights()
    swap.set_model(model)
    with pytest.raises(ValueError, match="SwapEMAWeights must be used when `use_ema=True` is set"):
        swap.on_test_begin()


def test_averages_are_put_back_after_an_interruption():
    _, model = trained(optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    swap = callbacks.SwapEMAWeights()
    swap.set_model(model)
    for variable in model.trainable_variables:
        variable.assign(variable.value + 1)
    before = [each.numpy() for each in model.trainable_variables]
    swap.on_test_begin()
    assert not np.array_equal(before[0], model.get_weights()[0])
    swap.on_train_begin()
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_no_warning_in_an_ordinary_run(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(
            callbacks.EarlyStopping("loss"),
            callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", "loss", save_best_only=True),
            callbacks.ReduceLROnPlateau("loss"),
            callbacks.TerminateOnNaN(),
            callbacks.CSVLogger(tmp_path / "log.csv"),
        )
