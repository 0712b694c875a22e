"""Quantizers: from float tensors to integers and a scale."""

from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.quantizers.parameters import EPSILON, abs_max_quantize
from thalweg.keras.saving.registration import register_builtins


class Quantizer:
    """The base: subclasses write `__call__`, which gives values of type `output_dtype`."""

    def __init__(self, output_dtype: str = "int8"):
        self.output_dtype = output_dtype

    def __call__(self, x: Any) -> Any:
        """The quantized x; here x as it is."""
        return x

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Quantizer":
        """The quantizer of a config."""
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(
            explain(
                type(self).__name__,
                "a method `get_config`",
                f"{self}, which does not implement get_config()",
                "Return a dict of the constructor's arguments.",
            )
        )


class AbsMaxQuantizer(Quantizer):
    """The largest |x| becomes the end of `value_range`; `abs_max_quantize` as an object.

    `axis` is along which to look for it, here or in the call; -1 without. Raises ArgumentError for
    a range that int8 has no room for.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = None,
        value_range: Sequence[int] = (-127, 127),
        epsilon: float = EPSILON,
        output_dtype: str = "int8",
    ):
        super().__init__(output_dtype)
        if axis is not None:
            axis = (axis,) if isinstance(axis, int) else tuple(axis)
        self.axis = axis
        self.value_range = value_range
        self.epsilon = epsilon
        if output_dtype == "int8" and not -128 <= value_range[0] <= value_range[1] <= 127:
            raise ArgumentError(
                explain(
                    "AbsMaxQuantizer",
                    "`value_range` within the interval [-128, 127] for output_dtype='int8'",
                    f"value_range={value_range}",
                )
            )

    def __call__(
        self, x: Any, axis: int | Sequence[int] | None = None, to_numpy: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The integers, and the scale to divide them by: 1 along `axis`."""
        if axis is None:
            axis = -1 if self.axis is None else self.axis
        return abs_max_quantize(
            x, axis, self.value_range, self.output_dtype, self.epsilon, to_numpy
        )

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "value_range": self.value_range,
            "epsilon": self.epsilon,
            "output_dtype": self.output_dtype,
        }
        if self.axis is not None:
            config["axis"] = self.axis
        return config


register_builtins("keras", {"Quantizer": Quantizer})
