"""Rematerialisation: computing inner values of a layer again for the gradient instead of keeping
them.
"""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.array.derivatives import checkpoint
from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import tree
from thalweg.keras.symbol import KerasTensor

MODES = (None, "full", "activations", "larger_than", "list_of_layers")


class _Scopes(threading.local):
    scope: "RematScope | None" = None


_scopes = _Scopes()


class RematScope:
    """Layers made within this block compute their inner values again for the gradient.

    `mode` chooses which: "full" all, "activations" activations, "larger_than" those whose output
    has more than `output_size_threshold` elements, "list_of_layers" those in `layer_names`.
    """

    def __init__(
        self,
        mode: str | None = "full",
        output_size_threshold: int = 1024,
        layer_names: Sequence[str] | None = None,
    ):
        if mode not in MODES:
            raise ArgumentError(
                explain("RematScope", f"a mode among {MODES}", f"Invalid mode '{mode}'")
            )
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = list(layer_names or ())

    def __enter__(self) -> "RematScope":
        self._former = _scopes.scope
        _scopes.scope = self
        return self

    def __exit__(self, *exception: object) -> None:
        _scopes.scope = self._former


def current_mode() -> RematScope | None:
    """The scope that a layer made now falls under, or None."""
    scope = _scopes.scope
    return scope if scope is not None and scope.mode is not None else None


def remat(function: Callable) -> Callable:
    """The function, with its inner values computed again where a gradient needs them."""
    return checkpoint(function)


def wrapped(
    layer: Any, function: Callable, args: Sequence[Any], kwargs: dict[str, Any]
) -> Callable:
    """A layer's function, wrapped as the scope that the layer was made in asks for such a call."""
    scope = layer._remat_mode
    if scope is None or not _applies(scope, layer, args, kwargs):
        return function

    def call(*args: Any, **kwargs: Any) -> Any:
        return remat(lambda *values: function(*values, **kwargs))(*args)

    return call


def _applies(scope: RematScope, layer: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    if scope.mode == "full":
        return True
    if scope.mode == "list_of_layers":
        return layer.name in scope.layer_names
    if scope.mode == "larger_than":
        symbols = tree.map_structure(
            lambda x: KerasTensor(x.shape, x.dtype.name) if hasattr(x, "shape") else x, list(args)
        )
        outputs = layer.compute_output_spec(*symbols, **kwargs)
        sizes = [math.prod(each.shape) for each in tree.flatten(outputs)]
        return bool(sizes) and max(sizes) > scope.output_size_threshold
    return "activation" in type(layer).__name__.lower() or hasattr(layer, "activation")
