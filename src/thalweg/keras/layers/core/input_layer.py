"""Input: where a functional model begins."""

import warnings
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.layers.layer import Layer
from thalweg.keras.operation import Node
from thalweg.keras.settings import floatx
from thalweg.keras.symbol import KerasTensor, standardize_shape


class InputLayer(Layer):
    """A layer without a computation that holds one symbolic input.

    Give `shape` without the batch axis, or `batch_shape` with it; `optional` allows None.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name)
        if "input_shape" in kwargs:
            warnings.warn(
                "Argument `input_shape` is deprecated. Use `shape` instead.",
                stacklevel=outer_level(),
            )
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        if kwargs:
            raise ArgumentError(
                explain("Input", "known arguments", f"Unrecognized keyword arguments: {kwargs}")
            )
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise ArgumentError(
                    explain(
                        "Input",
                        "Argument `input_tensor` must be a KerasTensor",
                        f"invalid type: input_tensor={input_tensor} (of type {type(input_tensor)})",
                    )
                )
            _check_against(input_tensor, shape, batch_shape, batch_size, dtype, sparse)
            batch_shape, batch_size, dtype = input_tensor.shape, None, input_tensor.dtype
            shape = None
        if shape is not None and batch_shape is not None:
            raise ArgumentError(
                explain(
                    "Input",
                    "either; You cannot pass both `shape` and `batch_shape` at the same time",
                    "both",
                )
            )
        if batch_size is not None and batch_shape is not None and input_tensor is None:
            raise ArgumentError(
                explain(
                    "Input",
                    "either; You cannot pass both `batch_size` and `batch_shape` at the same time",
                    "both",
                )
            )
        if shape is None and batch_shape is None:
            raise ArgumentError(
                explain(
                    "Input",
                    "a shape; You must pass a `shape` argument",
                    "neither `shape` nor `batch_shape`",
                    "Write keras.Input(shape=(784,)), without the batch axis.",
                )
            )
        if shape is not None:
            shape = standardize_shape((shape,) if isinstance(shape, int) else shape)
            batch_shape = (batch_size, *shape)
        self._batch_shape = standardize_shape(batch_shape)
        self._dtype = standardize_dtype(dtype or floatx())
        self.sparse = bool(sparse)
        self.ragged = bool(ragged)
        self.optional = optional
        if self.sparse or self.ragged:
            kind = "sparse" if self.sparse else "ragged"
            raise ArgumentError(
                explain(
                    "Input",
                    "dense inputs: there are no others here",
                    f"`{kind}=True`; `{kind}=True` is not supported",
                    "Feed dense arrays, with a mask for what is missing.",
                )
            )
        output = input_tensor
        if output is None:
            output = KerasTensor(
                self._batch_shape, self._dtype, self.sparse, self.ragged, name=self.name
            )
        self._input_tensor = output
        self.built = True
        Node(self, call_args=(), outputs=output)

    def call(self, *_: Any) -> None:
        """Nothing: an input is where values come from."""

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The shape with the batch axis."""
        return self._batch_shape

    @property
    def dtype(self) -> str:
        """The element type of the input."""
        return self._dtype

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def _check_against(
    symbol: KerasTensor, shape: Any, batch_shape: Any, batch_size: Any, dtype: Any, sparse: Any
) -> None:
    """Refuse what differs from the KerasTensor that an input is to stand for."""
    if shape is not None and tuple(shape) != symbol.shape[1:]:
        raise ArgumentError(
            explain(
                "Input",
                "the shape of `input_tensor`",
                f"you cannot provide an incompatible `shape`: {symbol.shape[1:]} vs. {shape}",
            )
        )
    if dtype is not None and standardize_dtype(dtype) != symbol.dtype:
        raise ArgumentError(
            explain(
                "Input",
                "the dtype of `input_tensor`",
                f"you cannot provide an incompatible `dtype`: {symbol.dtype} vs. {dtype}",
            )
        )
    if sparse is not None and bool(sparse) != symbol.sparse:
        raise ArgumentError(
            explain(
                "Input",
                "what `input_tensor` says",
                f"you cannot provide an incompatible `sparse`: {symbol.sparse} vs. {sparse}",
            )
        )
    if batch_size is not None and batch_size != symbol.shape[0]:
        raise ArgumentError(
            explain(
                "Input",
                "the batch size of `input_tensor`",
                "you cannot provide an incompatible `batch_size`: "
                f"{symbol.shape[0]} vs. {batch_size}",
            )
        )
    if batch_shape is not None and tuple(batch_shape) != symbol.shape:
        raise ArgumentError(
            explain(
                "Input",
                "the shape of `input_tensor`",
                "you cannot provide an incompatible `batch_shape`: "
                f"{symbol.shape} vs. {batch_shape}",
            )
        )


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """A symbolic input: `shape` without the batch axis, or `batch_shape` with it.

    Raises ArgumentError when both or neither is given.
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    )
    return layer.output


def is_input_keras_tensor(symbol: KerasTensor) -> bool:
    """True for what `Input` gives."""
    history = getattr(symbol, "_keras_history", None)
    return history is not None and isinstance(history.operation, InputLayer)
