"""CallbackList: one callback that stands for many, and calls only those that do something."""

from collections.abc import Callable
from typing import Any

from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.keras import tree
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.history import History
from thalweg.keras.callbacks.logs import Logs
from thalweg.keras.callbacks.progbar_logger import ProgbarLogger

BATCH_HOOKS = (
    "on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin", "on_test_batch_end",
    "on_predict_batch_begin", "on_predict_batch_end",
)  # fmt: skip
OLDER = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList(Callback):
    """Callbacks in their order, with a History and a ProgbarLogger added when asked for.

    A hook of a batch that no callback writes costs nothing. `params` go to all callbacks.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        self.callbacks: list[Callback] = tree.flatten(callbacks) if callbacks else []
        self._history: History | None = None
        self._progbar: ProgbarLogger | None = None
        for callback in self.callbacks:
            _check(callback)
            if isinstance(callback, ProgbarLogger):
                self._progbar = callback
            elif isinstance(callback, History):
                self._history = callback
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        if self._progbar is None and add_progbar:
            self._progbar = ProgbarLogger()
            self.callbacks.append(self._progbar)
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)
        self._hooks = {name: self._writing(name) for name in BATCH_HOOKS}

    def _writing(self, name: str) -> list[Callable]:
        """The bound hooks of the callbacks that write it."""
        older = OLDER.get(name)
        return [
            getattr(callback, name)
            for callback in self.callbacks
            if _writes(callback, name) or (older is not None and _writes(callback, older))
        ]

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_train_batch_end(batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_predict_batch_end", batch, logs)

    def _call(self, name: str, batch: int, logs: Any) -> None:
        hooks = self._hooks[name]
        if hooks:
            shared = Logs(logs or ())
            for hook in hooks:
                hook(batch, shared)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_train_begin(self, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_train_begin(logs)
        for callback in self.callbacks:
            if isinstance(callback, Callback):
                callback._meet(self.callbacks)

    def on_train_end(self, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_test_begin(logs)

    def on_test_end(self, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_test_end(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_predict_begin(logs)

    def on_predict_end(self, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            callback.on_predict_end(logs)


def _check(callback: Any) -> None:
    if isinstance(callback, type):
        received, do = f"the class {callback.__name__}", f"Make one: {callback.__name__}(...)."
    elif not hasattr(callback, "on_train_begin"):
        received = f"{callback!r:.60} of type {type(callback).__name__}"
        do = "Derive it from keras.callbacks.Callback, or use LambdaCallback for functions."
    else:
        return
    raise ArgumentTypeError(explain("callbacks", "objects of keras.callbacks", received, do))


def _writes(callback: Any, name: str) -> bool:
    """True for a hook of the callback's class, or one set on the callback itself."""
    own = getattr(type(callback), name, None)
    return name in vars(callback) or own is not getattr(Callback, name)
