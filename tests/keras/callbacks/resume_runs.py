"""Runs that are killed and started again, for `test_resume`; a program of its own.

    python resume_runs.py FOLDER POINTS NAME ...

For each kind of run by name it trains once without interruption. Then, for so many points at which
to die (0 for all), a forked copy trains and is killed there by SIGKILL, another is started in its
place and dies half as far, and so on until one comes to its end; its weights are compared, bit by
bit. Points are counted over everything that a run does to files, and over the ends of batches.
Forking saves the import of the package for each run.
"""

import json
import os
import shutil
import signal
import sys

import numpy as np

from thalweg import keras
from thalweg.keras import callbacks, layers

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(22, 4)).astype("float32")
Y = (X[:, :1] * 2 + RANDOM.normal(size=(22, 1)) * 0.5).astype("float32")
EPOCHS = 3


def dies_at(point):
    """Make this process die at the point with that number, counted from 0 on."""
    seen = 0

    def step():
        nonlocal seen
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    def before_and_after(name):
        original = getattr(os, name)

        def replaced(*args, **kwargs):
            step()
            found = original(*args, **kwargs)
            step()
            return found

        setattr(os, name, replaced)

    for name in ("fsync", "link", "replace", "remove"):
        before_and_after(name)
    return callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: step()), lambda: seen


def model():
    """A model with everything that has state: dropout, moving statistics, averages, metrics."""
    made = keras.Sequential(
        [layers.Input((4,)), layers.Dense(5, activation="relu"), layers.BatchNormalization(),
         layers.Dropout(0.4), layers.Dense(1)]
    )  # fmt: skip
    made.compile(keras.optimizers.Adam(0.05, use_ema=True), "mse", metrics=["mae"])
    return made


class Generators(callbacks.Callback):
    """Draws from the generators of the process at each batch, and trains with what it drew."""

    def on_train_batch_begin(self, batch, logs=None):
        weight = self.model.trainable_variables[0]
        noise = np.random.normal(size=weight.shape) + keras.random.normal(weight.shape).numpy()
        weight.assign(weight.numpy() + 0.01 * noise)


def others():
    return [
        callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("val_loss", patience=1, factor=0.5, min_delta=0.5),
        callbacks.SwapEMAWeights(swap_on_epoch=True),
        Generators(),
    ]


def train(folder, extra, save_freq, double=False, data=(X, Y), **settings):
    """One run with backups; the arrays that it ends with."""
    keras.utils.set_random_seed(5)
    made = model()
    given = others()
    if folder is not None:
        given.append(callbacks.BackupAndRestore(folder, save_freq, double_checkpoint=double))
    made.fit(
        *data, epochs=EPOCHS, verbose=0, validation_data=(X, Y), callbacks=[*given, *extra],
        **settings,
    )  # fmt: skip
    return state_of(made)


def state_of(made):
    return [variable.numpy() for variable in (*made.variables, *made.optimizer.variables)]


class Batches(keras.utils.PyDataset):
    """Five batches by number."""

    def __len__(self):
        return 5

    def __getitem__(self, number):
        return X[number * 4 : number * 4 + 4], Y[number * 4 : number * 4 + 4]


def checkpointed(folder, extra):
    """A run that saves whole models, and goes on from the last one by `initial_epoch`."""
    keras.utils.set_random_seed(5)
    made, first = model(), 0
    names = (
        [name for name in os.listdir(folder) if name[0].isdigit()] if os.path.isdir(folder) else []
    )
    if names:
        made = keras.models.load_model(os.path.join(folder, max(names)))
        first = int(max(names).split(".")[0])
    path = os.path.join(folder, "{epoch}.keras")
    made.fit(
        X, Y, batch_size=4, epochs=EPOCHS, initial_epoch=first, verbose=0,
        callbacks=[callbacks.ModelCheckpoint(path), *extra],
    )  # fmt: skip
    return state_of(made)


RUNS = {
    "epoch": lambda folder, extra: train(folder, extra, "epoch", batch_size=4),
    "double": lambda folder, extra: train(folder, extra, "epoch", True, batch_size=4),
    "batch": lambda folder, extra: train(folder, extra, 2, batch_size=4),
    "steps": lambda folder, extra: train(folder, extra, 1, batch_size=4, steps_per_epoch=3),
    "dataset": lambda folder, extra: train(folder, extra, 2, data=(Batches(),)),
    "checkpoint": checkpointed,
}


def in_a_copy(work, path):
    """Run `work` in a forked process; its arrays, or None if it was killed."""
    number = os.fork()
    if not number:
        try:
            np.savez(path, *work())
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(number, 0)
    if os.WIFSIGNALED(status):
        return None
    if status:
        raise SystemExit("a run failed")
    with np.load(path) as found:
        return [found[name] for name in found]


def sweep(folder, name, points):
    """Kill runs of a kind at points spread over them; what came of it."""
    run = RUNS[name]
    backup, result = os.path.join(folder, "backup"), os.path.join(folder, "result.npz")

    def counted():
        callback, count = dies_at(-1)
        run(backup, [callback])
        return [np.array(count())]

    total = int(in_a_copy(counted, result)[0])
    shutil.rmtree(backup, ignore_errors=True)
    wanted = in_a_copy(lambda: run(backup if name == "checkpoint" else None, []), result)
    shutil.rmtree(backup, ignore_errors=True)
    chosen = sorted({round((i + 0.5) * total / points) for i in range(points)}) or range(total)
    wrong, deaths = [], 0
    for point in chosen:
        found = None
        # The second run dies too, on its way.
        for where in (point, point // 2, -1):
            found = in_a_copy(lambda where=where: run(backup, [dies_at(where)[0]]), result)
            if found is not None:
                break
            deaths += 1
        same = len(found) == len(wanted) and all(
            a.dtype == b.dtype and a.tobytes() == b.tobytes()
            for a, b in zip(found, wanted, strict=True)
        )
        if not same:
            wrong.append(f"other weights after dying at {point}")
        if name != "checkpoint" and os.path.exists(backup):
            wrong.append(f"left after dying at {point}: {os.listdir(backup)}")
        shutil.rmtree(backup, ignore_errors=True)
    return {"points": total, "deaths": deaths, "wrong": wrong}


if __name__ == "__main__":
    place, count, *kinds = sys.argv[1:]
    print(json.dumps({kind: sweep(place, kind, int(count)) for kind in kinds}))
