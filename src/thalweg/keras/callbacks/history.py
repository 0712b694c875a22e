"""History: the metrics of each epoch, and their curves."""

from typing import Any

from thalweg.keras import door
from thalweg.keras.callbacks.callback import Callback


class History(Callback):
    """What `fit` returns: `history` maps metric names to lists with a value for each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self

    def plot(self, path: Any = None) -> Any:
        """Draw the learning curves, one panel a metric, training and validation together.

        Returns the figure, and writes it to `path` if given. Needs matplotlib, the extra `plot`.
        """
        names = [name for name in self.history if not name.startswith("val_")] or ["loss"]
        figure = door.figure("History.plot", (4.5 * len(names), 3.4))
        for place, name in enumerate(names):
            panel = figure.add_subplot(1, len(names), place + 1)
            epochs = [epoch + 1 for epoch in self.epoch]
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                values = self.history.get(key)
                if values:
                    panel.plot(
                        epochs[-len(values) :], values, marker="o", markersize=3, label=label
                    )
            panel.set_title(name)
            panel.set_xlabel("epoch")
            panel.grid(alpha=0.3)
            panel.legend()
        figure.tight_layout()
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure
