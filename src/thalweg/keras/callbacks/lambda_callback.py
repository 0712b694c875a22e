"""LambdaCallback: a callback made of functions."""

from collections.abc import Callable
from typing import Any

from thalweg.keras.callbacks.callback import Callback


class LambdaCallback(Callback):
    """Calls the functions it is given, each under the name of its hook.

    Hooks of epochs get `(epoch, logs)`, those of batches `(batch, logs)`, all others `(logs)`; the
    ones that have no argument here are given by keyword.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        self.__dict__.update(kwargs)
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update({name: each for name, each in given.items() if each is not None})
