"""ProgbarLogger: the progress of `fit`, `evaluate` and `predict` on the screen or in a log."""

from typing import Any

from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.utils.messages import print_message
from thalweg.keras.utils.progbar import Progbar


class ProgbarLogger(Callback):
    """Shows a bar for each epoch with the metrics so far."""

    def __init__(self) -> None:
        super().__init__()
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.seen = 0
        self.verbose = 1
        self.epochs = 1
        self._is_within_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        verbose = params["verbose"]
        self.verbose = 1 if verbose == "auto" else verbose
        self.epochs = params["epochs"]
        self.target = params["steps"]

    def on_train_begin(self, logs: Any = None) -> None:
        self._is_within_fit = True

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._is_within_fit:
            self._start()

    def on_predict_begin(self, logs: Any = None) -> None:
        self._start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start()
        if self.verbose and self.epochs > 1:
            print_message(f"Epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._show(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._is_within_fit:
            self._show(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._show(batch, None)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._finish(logs)

    def on_test_end(self, logs: Any = None) -> None:
        if not self._is_within_fit:
            self._finish(logs)

    def on_predict_end(self, logs: Any = None) -> None:
        self._finish(logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._is_within_fit = False

    def _start(self) -> None:
        self.seen = 0
        self.progbar = Progbar(
            target=self.target, verbose=self.verbose, unit_name="step", stateless_metrics=()
        )

    def _show(self, batch: int, logs: Any) -> None:
        self.seen = batch + 1
        if self.progbar is not None and self.verbose == 1 and self.progbar.is_due():
            self.progbar.update(self.seen, _values(logs), finalize=False)

    def _finish(self, logs: Any) -> None:
        if self.progbar is None:
            return
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, _values(logs), finalize=True)


def _values(logs: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in (logs or {}).items()]
