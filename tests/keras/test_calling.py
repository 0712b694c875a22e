"""How a call reads its arguments."""

import inspect
from typing import Any

import pytest

from thalweg import keras
from thalweg.base.errors import ArgumentError, ArgumentTypeError
from thalweg.keras.layers.calling import CallSpec, fitting_shapes, is_tensor_or_nested, shapes_of

X = keras.KerasTensor((None, 3))
Y = keras.KerasTensor((2, 4))


def spec(function: Any, *args: Any, **kwargs: Any) -> CallSpec:
    return CallSpec(inspect.signature(function), args, kwargs, "layer")


def call(x: Any, y: Any = None, *, scale: float = 1.0, mask: Any = None) -> None: ...


def loose(x: Any, *args: Any, **kwargs: Any) -> None: ...


def test_arguments_are_bound_with_defaults() -> None:
    found = spec(call, X, scale=2.0)
    assert found.arguments == {"x": X, "y": None, "scale": 2.0, "mask": None}
    assert found.given == {"x", "scale"} and found.tensors == {"x": X} and found.first is X
    with pytest.raises(ArgumentTypeError, match=r"layer.*call\(x"):
        spec(call)
    with pytest.raises(ArgumentTypeError, match="speed"):
        spec(call, X, speed=1)


def test_shapes_carry_the_names_of_their_arguments() -> None:
    assert shapes_of(spec(call, X, Y, mask=Y)) == {"x_shape": (None, 3), "y_shape": (2, 4)}
    nested = shapes_of(spec(call, {"a": X, "b": [Y]}))
    assert nested == {"x_shape": {"a": (None, 3), "b": [(2, 4)]}}
    assert shapes_of(spec(loose, X, other=Y)) == {"x_shape": (None, 3), "other_shape": (2, 4)}


def test_nestings_of_tensors_are_told_from_other_values() -> None:
    assert is_tensor_or_nested(X) and is_tensor_or_nested({"a": [X, None]})
    for value in ([], [None], [X, 1], "x", None, {"a": 3}):
        assert not is_tensor_or_nested(value)


def test_methods_get_the_shapes_that_they_name() -> None:
    found = spec(call, X, Y)
    shapes = shapes_of(found)

    def one(self_shape: Any) -> None: ...

    def two(x_shape: Any, y_shape: Any) -> None: ...

    def some(y_shape: Any, scale_shape: Any = None) -> None: ...

    def every(**shapes: Any) -> None: ...

    def unnamed(x_shape: Any, size: int) -> None: ...

    def unknown(x_shape: Any, z_shape: Any) -> None: ...

    assert fitting_shapes(one, shapes, found, "L") == {"self_shape": (None, 3)}
    assert fitting_shapes(two, shapes, found, "L") == shapes
    assert fitting_shapes(some, shapes, found, "L") == {"y_shape": (2, 4)}
    assert fitting_shapes(every, shapes, found, "L") == shapes
    with pytest.raises(ArgumentError, match="`size`, which does not end in `_shape`"):
        fitting_shapes(unnamed, shapes, found, "L")
    with pytest.raises(ArgumentError, match="does not have argument `z`"):
        fitting_shapes(unknown, shapes, found, "L")
