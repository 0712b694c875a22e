"""Layers that make one tensor of several: Add, Multiply, Concatenate, Dot, ..."""

from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.layers.layer import Layer
from thalweg.keras.symbol import KerasTensor


class Merge(Layer):
    """The base of layers that combine a list of tensors element by element."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        raise NotImplementedError

    def _check_list(self, value: Any, what: str) -> None:
        if not isinstance(value, (list, tuple)) or (
            what == "shapes" and not isinstance(value[0], (list, tuple))
        ):
            raise ArgumentError(
                explain(
                    self.name,
                    "a list of tensors; A merge layer should be called on a list of inputs",
                    f"{what}={value} (not a list of tensors)",
                    f"Write {type(self).__name__}()([x, y]).",
                )
            )

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape, "shapes")
        if len(input_shape) < 1:
            raise ArgumentError(
                explain(
                    self.name,
                    "at least one input",
                    "A merge layer should be called on a list of at least 1 input: "
                    f"input_shape={input_shape}",
                )
            )
        sizes = {shape[0] for shape in input_shape if shape} - {None}
        if len(sizes) > 1:
            raise ShapeError(
                explain(
                    self.name,
                    "inputs of one batch size",
                    "Cannot merge tensors with different batch sizes. Received tensors with "
                    f"shapes {input_shape}",
                )
            )

    def call(self, inputs: Any) -> Any:
        self._check_list(inputs, "inputs")
        ranks = [len(x.shape) for x in inputs]
        most = max(ranks)
        # Leading axes of size 1 follow the batch axis of inputs with fewer axes.
        values = [
            ops.reshape(x, (ops.shape(x)[0], *([1] * (most - rank)), *ops.shape(x)[1:]))
            if 0 < rank < most
            else x
            for x, rank in zip(inputs, ranks, strict=True)
        ]
        return self._merge_function(values)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        self._check_list(input_shape, "shapes")
        found = tuple(input_shape[0])
        for shape in input_shape[1:]:
            found = self._merged(found, tuple(shape))
        sizes = {shape[0] for shape in input_shape if shape} - {None}
        return (next(iter(sizes)) if len(sizes) == 1 else None, *found[1:])

    def _merged(self, a: tuple, b: tuple) -> tuple:
        if len(a) < len(b):
            a, b = b, a
        if not b:
            return a
        tail = (*([1] * (len(a) - len(b))), *b[1:])
        return (a[0], *(self._size(i, j, a, b) for i, j in zip(a[1:], tail, strict=True)))

    def _size(self, i: Any, j: Any, a: tuple, b: tuple) -> Any:
        if i is None or j is None:
            return None
        if i == 1 or i == j:
            return j
        if j == 1:
            return i
        raise ShapeError(
            explain(
                self.name,
                "shapes that broadcast",
                f"Inputs have incompatible shapes. Received shapes {a[1:]} and {b[1:]}",
            )
        )

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        self._check_list(inputs, "inputs")
        shape = self.compute_output_shape([x.shape for x in inputs])
        return KerasTensor(shape, dtype=self.compute_dtype, sparse=all(x.sparse for x in inputs))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return None
        self._check_masks(inputs, mask)
        given = [each for each in mask if each is not None]
        if not given or len(given) < len(mask):
            # An input without a mask is there everywhere, so nothing is masked in the sum.
            return None
        found = given[0]
        for each in given[1:]:
            found = ops.logical_or(found, each)
        return found

    def _check_masks(self, inputs: Any, mask: Any) -> None:
        if not isinstance(mask, (list, tuple)):
            raise ArgumentError(explain(self.name, "`mask` should be a list", f"mask={mask}"))
        if not isinstance(inputs, (list, tuple)):
            raise ArgumentError(explain(self.name, "`inputs` should be a list", f"inputs={inputs}"))
        if len(mask) != len(inputs):
            raise ArgumentError(
                explain(
                    self.name,
                    "as many masks as inputs; The lists `inputs` and `mask` should have the same "
                    "length",
                    f"inputs of length {len(inputs)} and mask of length {len(mask)}",
                )
            )


def _folded(function: Any, inputs: Sequence[Any]) -> Any:
    found = inputs[0]
    for each in inputs[1:]:
        found = function(found, each)
    return found


def _masks_of(inputs: Sequence[Any]) -> list[Any] | None:
    """The masks of the inputs with as many axes as these; None where no input has one."""
    masks = [getattr(x, "_keras_mask", None) for x in inputs]
    if all(mask is None for mask in masks):
        return None
    found = []
    for x, mask in zip(inputs, masks, strict=True):
        if mask is None:
            found.append(ops.ones_like(x, dtype="bool"))
            continue
        while len(mask.shape) < len(x.shape):
            mask = ops.expand_dims(mask, -1)
        found.append(mask)
    return found


def _chosen(function: Any, inputs: Sequence[Any]) -> Any:
    """The fold of the inputs, in which a masked place of one leaves the other's value."""
    masks = _masks_of(inputs)
    if masks is None:
        return _folded(function, inputs)
    found, seen = inputs[0], masks[0]
    for x, mask in zip(inputs[1:], masks[1:], strict=True):
        both = ops.where(ops.logical_and(seen, mask), function(found, x), found)
        found = ops.where(ops.logical_and(ops.logical_not(seen), mask), x, both)
        seen = ops.logical_or(seen, mask)
    return found


class Add(Merge):
    """The sum of the inputs."""

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        return _folded(ops.add, inputs)


class Multiply(Merge):
    """The product of the inputs; a masked place of one counts as 1, of all as 0."""

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        masks = _masks_of(inputs)
        if masks is None:
            return _folded(ops.multiply, inputs)
        kept = [ops.where(mask, x, ops.ones_like(x)) for x, mask in zip(inputs, masks, strict=True)]
        is_any = _folded(ops.logical_or, masks)
        return _folded(ops.multiply, kept) * ops.cast(is_any, inputs[0].dtype)


class Average(Merge):
    """The mean of the inputs."""

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        return _folded(ops.add, inputs) / len(inputs)


class Maximum(Merge):
    """The greatest of the inputs, element by element."""

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        return _chosen(ops.maximum, inputs)


class Minimum(Merge):
    """The least of the inputs, element by element."""

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        return _chosen(ops.minimum, inputs)


class Subtract(Merge):
    """The first of two inputs less the second."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ArgumentError(
                explain(
                    self.name,
                    "two inputs; A `Subtract` layer should be called on exactly 2 inputs",
                    f"input_shape={input_shape}",
                )
            )

    def _merge_function(self, inputs: Sequence[Any]) -> Any:
        if len(inputs) != 2:
            raise ArgumentError(
                explain(
                    self.name,
                    "two inputs; A `Subtract` layer should be called on exactly 2 inputs",
                    f"{len(inputs)} inputs",
                )
            )
        return ops.subtract(inputs[0], inputs[1])


class Concatenate(Merge):
    """The inputs one after the other along `axis`."""

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 1 or not isinstance(input_shape[0], (list, tuple)):
            raise ArgumentError(
                explain(
                    self.name,
                    "a list of inputs; A `Concatenate` layer should be called on a list of at "
                    "least 1 input",
                    f"input_shape={input_shape}",
                )
            )
        if all(shape is None for shape in input_shape):
            return
        ranks = {len(shape) for shape in input_shape}
        kinds = {self._without_axis(shape) for shape in input_shape}
        if len(ranks) != 1 or not _agree(kinds):
            raise ShapeError(
                explain(
                    self.name,
                    f"inputs whose shapes agree but for axis {self.axis}",
                    "A `Concatenate` layer requires inputs with matching shapes except for the "
                    f"concatenation axis. input_shape={input_shape}",
                )
            )

    def _without_axis(self, shape: Any) -> tuple:
        rest = list(shape)
        del rest[self.axis]
        return tuple(rest)

    def call(self, inputs: Any) -> Any:
        self._check_list(inputs, "inputs")
        return ops.concatenate(inputs, axis=self.axis)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        if not isinstance(input_shape, (list, tuple)) or not isinstance(
            input_shape[0], (list, tuple)
        ):
            raise ArgumentError(
                explain(
                    self.name,
                    "a list of inputs; A `Concatenate` layer should be called on a list of inputs",
                    f"input_shape={input_shape}",
                )
            )
        found = list(input_shape[0])
        for shape in input_shape[1:]:
            a, b = found[self.axis], shape[self.axis]
            found[self.axis] = None if a is None or b is None else a + b
            for axis, size in enumerate(shape):
                if found[axis] is None and axis != self.axis % len(found):
                    found[axis] = size
        return tuple(found)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return None
        self._check_masks(inputs, mask)
        if all(each is None for each in mask):
            return None
        found = []
        for x, each in zip(inputs, mask, strict=True):
            if each is not None and len(each.shape) == len(x.shape):
                found.append(ops.cast(each, "bool"))
                continue
            everywhere = ops.ones_like(x, dtype="bool")
            if each is None:
                found.append(everywhere)
                continue
            while len(each.shape) < len(x.shape):
                each = ops.expand_dims(each, axis=-1)
            found.append(ops.logical_and(each, everywhere))
        return ops.any(ops.concatenate(found, axis=self.axis), axis=-1, keepdims=False)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def _agree(shapes: set[tuple]) -> bool:
    return all(len(set(sizes) - {None}) <= 1 for sizes in zip(*shapes, strict=True))


class Dot(Merge):
    """The products along an axis of two inputs, `axes` an axis or a pair of them.

    `normalize` divides both by their length first: the cosine of their angle.
    """

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, (list, tuple)):
                raise ArgumentTypeError(
                    explain(
                        "Dot",
                        "Invalid type for argument `axes`: it should be a list or an int",
                        f"axes={axes}",
                    )
                )
            if len(axes) != 2 or not all(isinstance(axis, int) for axis in axes):
                raise ArgumentError(
                    explain(
                        "Dot",
                        "two integers; Invalid format for argument `axes`: list elements should be "
                        "integers",
                        f"axes={axes}",
                    )
                )
        self.axes = axes
        self.normalize = normalize

    def _pair(self, ranks: Sequence[int]) -> list[int]:
        given = [self.axes] * 2 if isinstance(self.axes, int) else list(self.axes)
        return [axis % rank for axis, rank in zip(given, ranks, strict=True)]

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2 or not isinstance(input_shape[0], (list, tuple)):
            raise ArgumentError(
                explain(
                    self.name,
                    "two inputs; A `Dot` layer should be called on a list of 2 inputs",
                    f"input_shape={input_shape}",
                )
            )
        first, second = input_shape
        axes = self._pair([len(first), len(second)])
        if first[axes[0]] != second[axes[1]] and None not in (first[axes[0]], second[axes[1]]):
            raise ShapeError(
                explain(
                    self.name,
                    "axes of equal size",
                    f"Incompatible input shapes: axis values {first[axes[0]]} (at axis {axes[0]}) "
                    f"!= {second[axes[1]]} (at axis {axes[1]}). Full input shapes: {first}, "
                    f"{second}",
                )
            )

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ArgumentError(
                explain(
                    self.name,
                    "two inputs; A `Dot` layer should be called on exactly 2 inputs",
                    f"inputs={inputs}",
                )
            )
        x, y = inputs
        axes = self._pair([len(x.shape), len(y.shape)])
        if self.normalize:
            x, y = ops.normalize(x, axis=axes[0]), ops.normalize(y, axis=axes[1])
        return batch_dot(x, y, axes)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 2:
            raise ArgumentError(
                explain(
                    self.name,
                    "two inputs; A `Dot` layer should be called on a list of 2 inputs",
                    f"input_shape={input_shape}",
                )
            )
        first, second = (list(shape) for shape in input_shape)
        axes = self._pair([len(first), len(second)])
        del first[axes[0]], second[axes[1]], second[0]
        found = (*first, *second)
        return (*found, 1) if len(found) == 1 else found

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def batch_dot(x: Any, y: Any, axes: Sequence[int]) -> Any:
    """Sample by sample, the products of x and y along one axis of each.

    x (B, ..., k, ...), y (B, ..., k, ...) -> (B, the rest of x, the rest of y), at least two axes.
    """
    ranks = len(x.shape), len(y.shape)
    letters = "abcdefghijklmnopqrstuvw"
    left = ["z", *letters[: ranks[0] - 1]]
    right = ["z", *letters[ranks[0] - 1 : ranks[0] + ranks[1] - 2]]
    left[axes[0]] = right[axes[1]] = "y"
    kept = [each for each in (*left, *right[1:]) if each != "y"]
    found = ops.einsum(f"{''.join(left)},{''.join(right)}->{''.join(kept)}", x, y)
    return ops.expand_dims(found, 1) if len(kept) == 1 else found


def add(inputs: Any, **kwargs: Any) -> Any:
    """The sum of the inputs, as a layer's call."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """The first of two inputs less the second, as a layer's call."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """The product of the inputs, as a layer's call."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """The mean of the inputs, as a layer's call."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """The greatest of the inputs, as a layer's call."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """The least of the inputs, as a layer's call."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """The inputs one after the other along an axis, as a layer's call."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """The products along an axis of two inputs, as a layer's call."""
    return Dot(axes=axes, **kwargs)(inputs)
