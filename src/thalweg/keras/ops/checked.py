"""Ops whose arguments are checked by one function, for values and for KerasTensors alike."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.keras.operation import infer, op


def checked_op(check: Callable, data: Sequence[str] | None = None, name: str | None = None) -> Any:
    """`op` for a function that runs after `check(*same arguments)`, which may raise.

    The check sees KerasTensors with their None; the function itself only sees tensors.
    """

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            check(*args, **kwargs)
            return function(*args, **kwargs)

        def spec(*args: Any, **kwargs: Any) -> Any:
            check(*args, **kwargs)
            return infer(function, args, kwargs)

        return op(run, data=data, name=name, spec=spec)

    return decorate
