"""SwapEMAWeights: evaluate and save with the moving averages of the weights."""

from collections.abc import Iterator
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.learning_rates import plain_optimizers


class SwapEMAWeights(Callback):
    """Puts the moving averages that the optimizer keeps in the place of the weights, and back.

    They stand there during evaluation and prediction; with `swap_on_epoch` also from the end of an
    epoch to the beginning of the next, so that a ModelCheckpoint after this callback saves them.
    Raises ArgumentError for an optimizer without `use_ema=True`.
    """

    state_attributes = ("_weights",)

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._weights: list[Any] | None = None  # while averages stand in their place

    def on_train_begin(self, logs: Any = None) -> None:
        # A run may have been interrupted while averages stood in the model.
        self._put_back()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._put_back()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._put_averages()

    def on_train_end(self, logs: Any = None) -> None:
        self._weights = None  # `fit` has given the model its averages for good

    def on_test_begin(self, logs: Any = None) -> None:
        self._put_averages()

    def on_test_end(self, logs: Any = None) -> None:
        self._put_back()

    def on_predict_begin(self, logs: Any = None) -> None:
        self._put_averages()

    def on_predict_end(self, logs: Any = None) -> None:
        self._put_back()

    def _put_averages(self) -> None:
        if self._weights is None:
            pairs = list(self._pairs())
            self._weights = [variable.value for variable, _ in pairs]
            for variable, average in pairs:
                variable.assign(average.value)

    def _put_back(self) -> None:
        if self._weights is not None:
            for (variable, _), value in zip(self._pairs(), self._weights, strict=True):
                variable.assign(value)
            self._weights = None

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        """The weights that have an average, each with it."""
        optimizer = self.model.optimizer
        averaging = [each for each in plain_optimizers(optimizer) if each.use_ema]
        if not averaging:
            raise ArgumentError(
                explain(
                    "SwapEMAWeights",
                    "moving averages; SwapEMAWeights must be used when `use_ema=True` is set on "
                    "the optimizer",
                    f"{type(optimizer).__name__} with use_ema="
                    f"{getattr(optimizer, 'use_ema', False)}",
                    "Write keras.optimizers.Adam(use_ema=True).",
                )
            )
        for each in averaging:
            if hasattr(each, "_model_variables_moving_average"):
                yield from each._averages()
