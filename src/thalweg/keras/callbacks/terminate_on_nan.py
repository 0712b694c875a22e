"""TerminateOnNaN: end training when the loss is not finite, and say why it is not."""

from typing import Any

import numpy as np

from thalweg.base.errors import ThalwegError, explain
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.nonfinite import State, explain_nonfinite, state_of
from thalweg.keras.utils.messages import print_message


class NonfiniteLossError(ThalwegError, RuntimeError):
    """A loss that is NaN or infinite."""


class TerminateOnNaN(Callback):
    """Stops `fit` at the first batch whose loss is NaN or infinite.

    It says which batch of which epoch, and where it can be found, the layer and the op that made
    the first value that is not finite, or the place in the data. With `raise_error` it raises
    NonfiniteLossError, a RuntimeError, in place of ending training in order; `on_train_end` is not
    called then. The weights from before each step are held on to until the next.
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error
        self._epoch = 0
        self._state: State = []
        self._variables: list[Any] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._variables = self.model.variables

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._state = state_of(self._variables)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        state, self._state = self._state, []
        if loss is None or np.isfinite(loss):
            return
        where = f"batch {batch} of epoch {self._epoch + 1}"
        under_way = getattr(self.model, "_under_way", None)
        batches = () if under_way is None else under_way.batches
        why = explain_nonfinite(self.model, batches, state)
        if self.raise_error:
            received = f"NaN or Inf loss encountered at {where}: {loss}"
            raise NonfiniteLossError(
                explain("TerminateOnNaN", "a loss that is finite", received, why)
            )
        message = f"B{where[1:]}: Invalid loss {loss}, terminating training"
        print_message(f"{message}. {why}" if why else message)
        self.model.stop_training = True
