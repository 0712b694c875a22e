"""History: the metrics of each epoch, and their curves."""

import itertools
import math
from typing import Any

import numpy as np

from thalweg.keras import door
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.learning_rates import RATE

TRAINING, VALIDATION, INK, SOFT, GRID = "#3b6fb6", "#dd8d45", "#1d2433", "#5d6779", "#e6e9ef"

MOST_MARKED = 40
"""Beyond so many epochs single ones are not marked by dots."""


class History(Callback):
    """What `fit` returns: `history` maps metric names to lists with a value for each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._epochs: dict[str, list[int]] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch + 1)
        if self.model is not None:
            self.model.history = self

    def plot(self, path: Any = None) -> Any:
        """Draw the learning curves, one panel a metric, training and validation together.

        The best epoch of the validation loss is marked. Returns the figure, and writes it to `path`
        if given. Needs matplotlib, the extra `plot`.
        """
        names = sorted(
            {name.removeprefix("val_") for name in self.history} or {"loss"},
            key=lambda name: (name.startswith(RATE), not name.endswith("loss"), name != "loss"),
        )
        across = min(len(names), 3)
        down = math.ceil(len(names) / across)
        figure = door.figure("History.plot", (4.4 * across, 3.1 * down))
        for place, name in enumerate(names):
            panel = figure.add_subplot(down, across, place + 1)
            self._draw(panel, name)
            if place >= len(names) - across:
                panel.set_xlabel("epoch", color=SOFT, fontsize=9)
        figure.tight_layout()
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def _draw(self, panel: Any, name: str) -> None:
        is_rate = name.startswith(RATE)
        for key, label, colour in (
            (name, "training", TRAINING),
            (f"val_{name}", "validation", VALIDATION),
        ):
            epochs, values = self._curve(key)
            if not len(values):
                continue
            panel.plot(
                epochs,
                values,
                color=SOFT if is_rate else colour,
                label=label,
                linewidth=1.6,
                marker="o" if len(epochs) <= MOST_MARKED else None,
                markersize=2.6,
                drawstyle="steps-mid" if is_rate else "default",
            )
            if key == "val_loss" and len(values) > 1 and np.isfinite(values).any():
                best = int(np.nanargmin(values))
                label = f"best: {values[best]:.4g} in epoch {epochs[best]}"
                panel.plot(
                    epochs[best], values[best], "o", ms=7, mfc="none", mec=colour, label=label
                )
        positive = [value for value in self._curve(name)[1] if value > 0]
        if is_rate and positive and max(positive) > 5 * min(positive):
            panel.set_yscale("log")
        panel.set_title(name, fontsize=10, fontweight="bold", color=INK, loc="left")
        panel.grid(color=GRID, linewidth=0.8)
        panel.set_axisbelow(True)
        panel.tick_params(which="both", colors=SOFT, labelsize=8, length=0)
        if len(self._curve(name)[0]) == 1:
            panel.set_xticks(self._curve(name)[0])
        else:
            panel.xaxis.get_major_locator().set_params(integer=True)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
        panel.spines["bottom"].set_color("#b3bbc8")
        if self.history.get(f"val_{name}"):
            panel.legend(frameon=False, fontsize=8, labelcolor=SOFT)

    def _curve(self, key: str) -> tuple[Any, Any]:
        """The epochs, from 1 on, and values of a metric; of one with several values their mean."""
        values = [float(np.mean(value)) for value in self.history.get(key, ())]
        epochs = self._epochs.get(key, [])
        is_rising = all(a < b for a, b in itertools.pairwise(epochs))
        if len(epochs) != len(values) or not is_rising:  # several runs, one after another
            epochs = list(range(1, len(values) + 1))
        return epochs, np.asarray(values)
