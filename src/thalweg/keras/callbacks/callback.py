"""Callback: what a program may do at the beginning and end of training, epochs and batches."""

from collections.abc import Sequence
from typing import Any, ClassVar


class Callback:
    """Subclasses write the `on_...` methods they need; `model` and `params` are set before.

    `logs` are dicts of metric names and numbers. `on_train_batch_begin` and `_end` may be written
    under their older names `on_batch_begin` and `_end`.

    A callback that decides by what it saw before names the attributes that hold it in
    `state_attributes`: numbers, texts, arrays and lists or dicts of them. BackupAndRestore keeps
    them, so that a run which was interrupted goes on as it would have.

    >>> from thalweg import keras
    >>> class Tell(keras.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> history = model.fit([[1.0, 2.0]], [[3.0]], epochs=2, verbose=0, callbacks=[Tell()])
    0 ['loss']
    1 ['loss']
    """

    state_attributes: ClassVar[tuple[str, ...]] = ()
    params: Any = None
    _model: Any = None

    def __init__(self) -> None:
        self.params = None
        self._model = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the parameters of the loop: epochs, steps, verbose."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model that is run."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model that is run."""
        return self._model

    def _meet(self, callbacks: Sequence["Callback"]) -> None:
        """Get to know the callbacks of the run, once all of them have begun to train."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a training batch, under its older name."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a training batch, under its older name."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch of training and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a training batch."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of evaluation or validation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of evaluation or validation."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of prediction; `logs["outputs"]` holds its outputs."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Any = None) -> None:
        """After training."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Before evaluation or validation."""

    def on_test_end(self, logs: Any = None) -> None:
        """After evaluation or validation."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Any = None) -> None:
        """After prediction."""
