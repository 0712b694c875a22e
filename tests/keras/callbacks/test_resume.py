"""Runs that are interrupted, by SIGKILL at any point or by an error, and go on bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.base.errors import ArgumentError, ArgumentTypeError
from thalweg.keras import callbacks, layers
from thalweg.keras.callbacks import BackupAndRestore, LambdaCallback, OrbaxCheckpoint
from thalweg.keras.callbacks.training_state import load_training_state, save_training_state
from thalweg.keras.saving.files import FileError

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # Into a model that was not trained yet weights go without the optimizer's.
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer"),
]

ROOT = Path(__file__).resolve().parents[3]
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 3)).astype("float32")
Y = RANDOM.normal(size=(12, 1)).astype("float32")


# Killed -------------------------------------------------------------------------------------------


def sweep(folder, points, *names):
    program = Path(__file__).with_name("resume_runs.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), str(folder), str(points), *names],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    for name, came in json.loads(found.stdout).items():
        assert came["wrong"] == [], name
        assert came["points"] > 20 and came["deaths"] >= max(points, 1)


posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills copies of a process made by fork")


@posix
def test_killed_runs_end_with_the_weights_of_one_that_was_not(tmp_path):
    sweep(tmp_path, 1, "epoch", "batch", "checkpoint")


@posix
@pytest.mark.slow
@pytest.mark.parametrize("name", ["double", "batch", "steps", "dataset", "checkpoint"])
def test_killed_at_many_points(tmp_path, name):
    sweep(tmp_path, 12, name)


@posix
@pytest.mark.slow
def test_killed_at_every_point(tmp_path):
    sweep(tmp_path, 0, "epoch")


# Stopped by an error ------------------------------------------------------------------------------


class Fault(Exception):
    pass


def stop_at(epoch=None, batch=None):
    """Raises Fault at the end of an epoch, or of a batch counted over all."""
    seen = []

    def on_batch(number, logs):
        seen.append(number)
        if len(seen) == batch:
            raise Fault

    def on_epoch(number, logs):
        if number == epoch:
            raise Fault

    return LambdaCallback(on_train_batch_end=on_batch, on_epoch_end=on_epoch)


def model(*middle, optimizer="adam"):
    made = keras.Sequential([layers.Input((3,)), *middle, layers.Dense(1)])
    made.compile(optimizer, "mse")
    return made


def fit(made, *given, epochs=4, **settings):
    settings = {"batch_size": 4, "verbose": 0, **settings}
    return made.fit(X, Y, epochs=epochs, callbacks=list(given), **settings)


def arrays(made):
    return [variable.numpy() for variable in (*made.variables, *made.optimizer.variables)]


def seeded(*given, **settings):
    keras.utils.set_random_seed(3)
    made = model(layers.Dropout(0.5))
    history = fit(made, *given, **settings)
    return made, history


@pytest.mark.parametrize(
    "where", [{"epoch": 0}, {"epoch": 2}, {"batch": 1}, {"batch": 5}, {"batch": 9}]
)
@pytest.mark.parametrize("save_freq", ["epoch", 1, 2])
def test_a_new_run_goes_on_where_the_old_one_failed(tmp_path, where, save_freq):
    wanted, _ = seeded()
    backup = tmp_path / "backup"
    with pytest.raises(Fault):
        seeded(BackupAndRestore(backup, save_freq), stop_at(**where))
    made, history = seeded(BackupAndRestore(backup, save_freq))
    for found, value in zip(arrays(made), arrays(wanted), strict=True):
        np.testing.assert_array_equal(found, value)
    assert history.epoch[-1] == 3 and len(history.epoch) <= 4
    assert not backup.exists()


def test_batches_that_were_seen_are_not_seen_again(tmp_path):
    with pytest.raises(Fault):
        seeded(BackupAndRestore(tmp_path / "b", 1), stop_at(batch=5))
    seen = []
    look = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(f"epoch {epoch}"),
        on_train_batch_end=lambda batch, logs: seen.append(batch),
    )
    seeded(BackupAndRestore(tmp_path / "b", 1), look)
    assert seen == ["epoch 1", 2, "epoch 2", 0, 1, 2, "epoch 3", 0, 1, 2]


def test_metrics_of_an_epoch_in_two_parts_are_those_of_the_whole(tmp_path):
    _, wanted = seeded()
    with pytest.raises(Fault):
        seeded(BackupAndRestore(tmp_path / "b", 1), stop_at(batch=5))
    _, history = seeded(BackupAndRestore(tmp_path / "b", 1))
    assert history.history["loss"] == wanted.history["loss"][1:]


def test_orders_that_no_seed_was_given_for_go_on_too(tmp_path):
    orders = []

    class Order(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(1)

        def call(self, x):
            return self.out(x)

        def train_step(self, data):
            orders.append(tuple(data[0].numpy()[:, 0].tolist()))
            return super().train_step(data)

    def run(*given):
        made = Order()
        made.compile("sgd", "mse", run_eagerly=True)
        fit(made, BackupAndRestore(tmp_path / "b"), *given)

    with pytest.raises(Fault):
        run(stop_at(batch=7))
    first, orders = orders[:], []
    np.random.seed(99)
    run()
    assert orders[0] == first[6]  # the order of the third epoch, of which one batch had been seen
    assert len(orders) == 6


def test_a_run_that_had_stopped_early_is_over(tmp_path):
    def run(*given):
        stop = callbacks.EarlyStopping("loss", mode="max", patience=1)
        return seeded(stop, BackupAndRestore(tmp_path / "b"), *given, epochs=9)

    wanted, _ = seeded(callbacks.EarlyStopping("loss", mode="max", patience=1), epochs=9)

    class Die(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if self.model.stop_training:
                raise Fault

    with pytest.raises(Fault):
        run(Die())
    made, history = run()
    assert history.epoch == []
    for found, value in zip(arrays(made), arrays(wanted), strict=True):
        np.testing.assert_array_equal(found, value)


def test_what_other_callbacks_have_counted_goes_on(tmp_path):
    class Counter(callbacks.Callback):
        state_attributes = ("seen", "best", "table")

        def __init__(self):
            super().__init__()
            self.seen, self.best, self.table = [], None, {}

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append((epoch, logs["loss"]))
            self.best = np.float32(epoch)
            self.table[f"e{epoch}"] = np.full(2, epoch)

    first = Counter()
    with pytest.raises(Fault):
        seeded(first, BackupAndRestore(tmp_path / "b"), stop_at(epoch=1))
    second = Counter()
    seeded(second, BackupAndRestore(tmp_path / "b"), LambdaCallback())
    assert [epoch for epoch, _ in second.seen] == [0, 1, 2, 3]
    assert second.seen[:2] == first.seen and second.best == 3.0
    assert second.table["e1"].tolist() == [1, 1]


def test_other_callbacks_than_before_begin_anew(tmp_path):
    with pytest.raises(Fault):
        seeded(callbacks.EarlyStopping("loss"), BackupAndRestore(tmp_path / "b"), stop_at(epoch=1))
    with pytest.warns(UserWarning, match="not those of the run that was interrupted"):
        seeded(BackupAndRestore(tmp_path / "b"))


def test_state_of_a_kind_that_cannot_be_kept(tmp_path):
    class Wrong(callbacks.Callback):
        state_attributes = ("thing",)
        thing = object()

    with pytest.raises(ArgumentTypeError, match="state_attributes"):
        seeded(Wrong(), BackupAndRestore(tmp_path / "b"))


def test_the_same_object_begins_the_epoch_anew(tmp_path):
    # As in Keras, where the same callback is given to `fit` again.
    backup = BackupAndRestore(tmp_path / "b", 1)
    made = model()
    with pytest.raises(Fault):
        fit(made, backup, stop_at(batch=5))
    assert int(made.optimizer.iterations) == 5
    seen = []
    fit(made, backup, LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch)))
    assert seen == [0, 1, 2] * 3
    assert int(made.optimizer.iterations) == 5 + 9


# Files --------------------------------------------------------------------------------------------


def interrupted(folder, *, epoch=1, **settings):
    with pytest.raises(Fault):
        seeded(BackupAndRestore(folder, **settings), stop_at(epoch=epoch))


def test_a_damaged_backup(tmp_path):
    folder = tmp_path / "b"
    interrupted(folder)
    (folder / "latest.weights.h5").write_bytes(b"0")
    with pytest.raises(FileError, match="damaged"):
        seeded(BackupAndRestore(folder))


def test_a_damaged_backup_with_one_before_it(tmp_path):
    wanted, _ = seeded()
    folder = tmp_path / "b"
    interrupted(folder, epoch=2, double_checkpoint=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "latest.weights.h5", "latest.weights.h5.bkp",
        "training_metadata.json", "training_metadata.json.bkp",
    ]  # fmt: skip
    path = folder / "latest.weights.h5"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.warns(UserWarning, match=r"The backup before that is taken.*bkp"):
        made, history = seeded(BackupAndRestore(folder, double_checkpoint=True))
    assert history.epoch == [2, 3]
    for found, value in zip(arrays(made), arrays(wanted), strict=True):
        np.testing.assert_array_equal(found, value)


def test_a_backup_that_is_kept(tmp_path):
    folder = tmp_path / "b"
    made, _ = seeded(BackupAndRestore(folder, delete_checkpoint=False))
    assert json.loads((folder / "training_metadata.json").read_text()) == {"epoch": 4, "batch": 0}
    other = model(layers.Dropout(0.5))
    other.load_weights(folder / "latest.weights.h5")
    for found, value in zip(other.get_weights(), made.get_weights(), strict=True):
        np.testing.assert_array_equal(found, value)


def test_files_of_others_in_the_folder_stay(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    seeded(BackupAndRestore(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_backup_of_another_model(tmp_path):
    interrupted(tmp_path / "b")
    with pytest.raises(ArgumentError, match="could not be loaded"):
        fit(model(layers.Dense(7), layers.Dense(2)), BackupAndRestore(tmp_path / "b"))
    with pytest.raises(ArgumentError, match="beside the weights"):
        fit(model(), BackupAndRestore(tmp_path / "b"))


def test_a_backup_of_keras(tmp_path):
    class Stop(real.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise Fault

    folder = str(tmp_path / "b")
    theirs = real.Sequential([real.layers.Input((3,)), real.layers.Dense(1)])
    theirs.compile("adam", "mse")
    with pytest.raises(Fault):
        theirs.fit(
            X, Y, epochs=4, verbose=0, callbacks=[real.callbacks.BackupAndRestore(folder), Stop()]
        )
    seen = []
    ours = model()
    look = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append((epoch, ours.get_weights()))
    )
    fit(ours, BackupAndRestore(folder), look)
    assert [epoch for epoch, _ in seen] == [2, 3]
    for found, value in zip(seen[0][1], theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(found, value)


def test_keras_goes_on_from_a_backup_of_ours(tmp_path):
    folder = tmp_path / "b"
    ours = model()
    with pytest.raises(Fault):
        fit(ours, BackupAndRestore(folder), stop_at(epoch=1))
    theirs = real.Sequential([real.layers.Input((3,)), real.layers.Dense(1)])
    theirs.compile("adam", "mse")
    seen = []

    class Look(real.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append((epoch, self.model.get_weights()))

    theirs.fit(
        X, Y, epochs=4, verbose=0,
        callbacks=[real.callbacks.BackupAndRestore(str(folder)), Look()],
    )  # fmt: skip
    assert [epoch for epoch, _ in seen] == [2, 3]
    for found, value in zip(seen[0][1], ours.get_weights(), strict=True):
        np.testing.assert_array_equal(found, value)


def test_a_training_state_that_was_changed(tmp_path):
    path = str(tmp_path / "s.weights.h5")
    made = model()
    save_training_state(made, path, {"epoch": 1})
    assert load_training_state(made, path) == {"epoch": 1}
    for text in (
        b"{",
        b"[]",
        b'{"dict": {"epoch": 1}}',
        b'{"dict": {"variables": [{"array": 99}]}}',
    ):
        with h5py.File(path, "a") as file:
            place = file["training_state/vars"]
            del place["text"]
            place["text"] = np.frombuffer(text, np.uint8)
        with pytest.raises(FileError, match="training state"):
            load_training_state(made, path)


@pytest.mark.parametrize("given", ["", None])
def test_no_folder(given):
    with pytest.raises(ValueError, match="Empty `backup_dir` argument passed"):
        BackupAndRestore(given)


@pytest.mark.parametrize("given", ["batch", 1.5, None])
def test_another_frequency(given, tmp_path):
    for make in (
        lambda: BackupAndRestore(tmp_path, save_freq=given),
        lambda: callbacks.ModelCheckpoint("a.keras", save_freq=given),
        lambda: OrbaxCheckpoint(tmp_path, save_freq=given),
    ):
        with pytest.raises(ValueError, match="Unrecognized save_freq"):
            make()


# Checkpoints --------------------------------------------------------------------------------------


def test_checkpoints_of_whole_models_go_on(tmp_path):
    wanted, _ = seeded()
    path = tmp_path / "deep" / "{epoch}-{loss:.3f}.keras"
    _, history = seeded(callbacks.ModelCheckpoint(path), epochs=2)
    name = f"2-{history.history['loss'][1]:.3f}.keras"
    made = keras.saving.load_model(tmp_path / "deep" / name)
    keras.utils.set_random_seed(3)
    fit(made, initial_epoch=2)
    for found, value in zip(arrays(made), arrays(wanted), strict=True):
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"filepath": "model.h"}, r"must end in `.keras`"),
        ({"filepath": "a.h5", "save_weights_only": True}, r"must end in `.weights.h5`"),
    ],
)
def test_names_of_checkpoints(settings, wanted):
    with pytest.raises(ValueError, match=wanted):
        callbacks.ModelCheckpoint(**settings)


def test_a_name_that_asks_for_what_is_not_there(tmp_path):
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "{val_loss:.2f}.keras")
    with pytest.raises(KeyError, match=r"Failed to format this callback filepath.*\n.*validation"):
        seeded(checkpoint)
    with pytest.raises(ArgumentError, match="which is a directory"):
        (tmp_path / "a.keras").mkdir()
        seeded(callbacks.ModelCheckpoint(tmp_path / "a.keras"))


@pytest.mark.parametrize("in_background", [False, True])
@pytest.mark.parametrize("weights_only", [False, True])
def test_a_folder_of_checkpoints(tmp_path, in_background, weights_only):
    keeper = OrbaxCheckpoint(
        tmp_path, max_to_keep=2, save_on_background=in_background, save_weights_only=weights_only
    )
    (tmp_path / ".part-7").mkdir()  # left by a process that was killed
    made, _ = seeded(keeper)
    assert sorted(os.listdir(tmp_path)) == ["2", "3"]
    other = model(layers.Dropout(0.5))
    other.load_weights(tmp_path)
    np.testing.assert_array_equal(other.get_weights()[0], made.get_weights()[0])
    if weights_only:
        with pytest.raises(ValueError, match="weights alone"):
            keras.saving.load_model(tmp_path)
        return
    loaded = keras.saving.load_model(tmp_path)
    for found, value in zip(arrays(loaded), arrays(made), strict=True):
        np.testing.assert_array_equal(found, value)
    fit(loaded, OrbaxCheckpoint(tmp_path, save_freq=2, max_to_keep=None), epochs=2)
    assert sorted(os.listdir(tmp_path)) == ["2", "3", "4", "5", "6"]


def test_what_fails_in_the_background_is_raised(tmp_path):
    keeper = OrbaxCheckpoint(tmp_path / "c")
    made = model()
    keeper.set_model(made)
    keeper.on_train_begin()
    keeper.checkpointer.folder = str(tmp_path / "c" / "\0")
    keeper._save_checkpoint(0)
    with pytest.raises(ValueError, match="null"):
        keeper.wait_until_finished()
    keeper.wait_until_finished()


def test_the_best_of_a_folder(tmp_path):
    keeper = OrbaxCheckpoint(tmp_path, "loss", save_best_only=True, mode="min", max_to_keep=9)
    made = model()
    keeper.set_model(made)
    keeper.on_train_begin()
    for epoch, loss in enumerate([3.0, 4.0, 2.0, 2.5, 1.0]):
        keeper.on_epoch_begin(epoch)
        keeper.on_epoch_end(epoch, {"loss": loss})
    keeper.on_train_end()
    assert sorted(os.listdir(tmp_path)) == ["0", "2", "4"]
