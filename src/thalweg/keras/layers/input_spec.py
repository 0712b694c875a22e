"""InputSpec: what a layer asks of its inputs, and the check before each call."""

from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.keras import tree
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.operation import known_shape
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.symbol import standardize_shape


class InputSpec:
    """What a layer asks of one input: its dtype, shape, number of axes, or sizes of some axes.

    `shape` and `axes` may hold None for any size; `allow_last_axis_squeeze` also takes an input
    that lacks a last axis of size 1, or has one too many; `optional` allows None.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = standardize_dtype(dtype) if dtype is not None else None
        self.shape = standardize_shape(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.name = name
        self.optional = optional
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.axes = self._axes(axes)

    def _axes(self, axes: Any) -> dict[int, int | None]:
        try:
            found = {int(key): value for key, value in (axes or {}).items()}
        except (ValueError, TypeError, AttributeError):
            raise ArgumentTypeError(
                explain(
                    "InputSpec",
                    "axes to be a dict of axes and sizes",
                    f"Argument `axes` must be a dict with integer keys: axes={axes}",
                )
            ) from None
        if found and (self.ndim is not None or self.max_ndim is not None):
            most = (self.ndim if self.ndim is not None else self.max_ndim or 0) - 1
            if max(found) > most:
                raise ArgumentError(
                    explain("InputSpec", f"axes up to {most}", f"Axis {max(found)} is greater")
                )
        return found

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
            "optional": self.optional,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputSpec":
        """The spec of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        parts = {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes or None,
        }
        text = ", ".join(f"{key}={value}" for key, value in parts.items() if value is not None)
        return f"InputSpec({text})"


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Check inputs against a spec, or nested specs, of a layer.

    Raises ShapeError, in the layer's name, for what does not fit.
    """
    if not input_spec:
        return
    specs = tree.flatten(input_spec)
    if isinstance(inputs, dict) and all(spec.name for spec in specs):
        names = [spec.name for spec in specs]
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ArgumentError(
                explain(
                    layer_name,
                    f"a dict of inputs with the keys {names}",
                    f'Missing data for input "{missing[0]}". You passed a data dictionary with '
                    f"keys {list(inputs)}",
                )
            )
        values = [inputs[name] for name in names]
    else:
        values = tree.flatten(inputs)
    if len(values) != len(specs):
        raise ArgumentError(
            explain(
                layer_name,
                f'{len(specs)} input(s); Layer "{layer_name}" expects {len(specs)} input(s)',
                f"it received {len(values)} input tensors. Inputs received: {inputs}",
            )
        )
    for index, (value, spec) in enumerate(zip(values, specs, strict=True)):
        if spec is not None and not (value is None and spec.optional):
            _check(index, value, spec, layer_name)


def _check(index: int, value: Any, spec: InputSpec, layer_name: str) -> None:
    if not hasattr(value, "shape"):
        raise ArgumentTypeError(
            explain(
                layer_name, "inputs to a layer to be tensors", f"'{value}' (of type {type(value)})"
            )
        )
    shape = known_shape(value.shape)
    rank = len(shape)
    start = f'Input {index} of layer "{layer_name}" is incompatible with the layer'

    def refuse(expected: str, found: str, do: str = "") -> None:
        received = f"an input of shape {shape} and dtype {standardize_dtype(value.dtype)}"
        wanted = f"{expected}. {start}: expected {expected}, {found}"
        raise ShapeError(explain(layer_name, wanted, received, do))

    if spec.ndim is not None and not spec.allow_last_axis_squeeze and rank != spec.ndim:
        refuse(
            f"ndim={spec.ndim}",
            f"found ndim={rank}. Full shape received: {shape}",
            _advice(rank, spec.ndim),
        )
    if spec.max_ndim is not None and rank > spec.max_ndim:
        refuse(f"max_ndim={spec.max_ndim}", f"found ndim={rank}. Full shape received: {shape}")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        refuse(f"min_ndim={spec.min_ndim}", f"found ndim={rank}. Full shape received: {shape}")
    if spec.dtype is not None and standardize_dtype(value.dtype) != spec.dtype:
        refuse(f"dtype={spec.dtype}", f"found dtype={standardize_dtype(value.dtype)}")
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            refuse(
                f"axis {axis} of input shape to have value {size}",
                f"but received input with shape {shape}",
                "A layer is built for one number of features; make another layer for another.",
            )
    if spec.shape is not None:
        wanted: tuple[int | None, ...] = spec.shape
        if spec.allow_last_axis_squeeze:
            if shape and shape[-1] == 1:
                shape = shape[:-1]
            if wanted and wanted[-1] == 1:
                wanted = wanted[:-1]
        for expected, found in zip(wanted, shape, strict=False):
            if expected is not None and found is not None and expected != found:
                refuse(f"shape={spec.shape}", f"found shape={shape}")


def _advice(rank: int, wanted: int) -> str:
    if rank < wanted:
        return "Add an axis, for instance with np.expand_dims(x, -1) or x[..., None]."
    return "Put a Flatten() or a GlobalAveragePooling layer before it, or a Reshape."


register_builtins("keras", {"InputSpec": InputSpec})
