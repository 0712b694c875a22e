"""EinsumDense: a dense layer whose product is written as an einsum."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import activations, constraints, initializers, ops, regularizers
from thalweg.keras.layers.core.einsum_letters import Letters
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.weights.product import Product
from thalweg.keras.quantizers.integer_format import FlatFormat, IntegerFormat


class EinsumDense(Product):
    """activation(einsum(equation, x, kernel) + bias).

    `equation` is of the form `ab,bc->ac`, `...ab,bc->...ac` or `ab...,bc->ac...`; `output_shape`
    lists the sizes of the result without the batch axis, None for those that follow from the input;
    `bias_axes` names the axes of the result that the bias has. Raises ArgumentError for an equation
    that does not fit the shapes.
    """

    ZERO_NAME = "zero_point"

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.equation = equation
        is_one = isinstance(output_shape, int)
        self.partial_output_shape = (output_shape,) if is_one else tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.gptq_unpacked_column_size = gptq_unpacked_column_size
        self.quantization_config = quantization_config
        self._set_low_rank(lora_rank, lora_alpha)
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        kernel_shape, bias_shape, self.full_output_shape = analyse(
            self.equation, self.bias_axes, input_shape, self.partial_output_shape
        )
        self.input_spec = InputSpec(ndim=len(input_shape))
        self._letters = Letters.of(self.equation, len(input_shape))
        self._build_main(kernel_shape, self._initializer())
        if bias_shape is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=bias_shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _initializer(self) -> Any:
        if not isinstance(self.kernel_initializer, initializers.VarianceScaling):
            return self.kernel_initializer
        # The equation says how many numbers meet in a sum, the kernel's shape does not.
        return self.kernel_initializer.along(self._letters.kernel_axes, self._letters.kept_axes)

    def _product(self, inputs: Any, kernel: Any) -> Any:
        return ops.einsum(self.equation, inputs, kernel)

    def _product_back(self, dy: Any, kernel: Any) -> Any:
        return ops.einsum(self._letters.backward, dy, kernel)

    def _low_rank_product(self, inputs: Any, a: Any, b: Any) -> Any:
        # The rank stands in the place of the kernel's last axis, which has to be the outputs'.
        if self._letters.kernel[-1] == self._letters.outputs[-1]:
            return super()._low_rank_product(inputs, a, b)
        return self._product(inputs, ops.matmul(a, b))

    @property
    def _input_axes(self) -> tuple[int, ...]:
        return self._letters.input_axes

    def _along_outputs(self, scale: Any) -> Any:
        return self._letters.along_outputs(scale, self._letters.inputs)

    def _matrix_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        axes = self._letters.kernel_axes
        if axes != tuple(range(len(axes))):
            raise ArgumentError(
                explain(
                    self.name,
                    "a kernel whose first axes are those summed over, to calibrate it",
                    f"equation={self.equation!r}",
                )
            )
        return math.prod(shape[: len(axes)]), math.prod(shape[len(axes) :])

    def _formats(
        self, mode: str, shape: tuple[int, ...], block_size: int | None
    ) -> dict[str, IntegerFormat]:
        axes = self._letters.kernel_axes
        if mode == "int8":
            return {"kernel": _AlongOutputs(shape, axes=axes, bits=8, letters=self._letters)}
        inputs = math.prod(shape[axis] for axis in axes)
        matrix = (inputs, math.prod(shape) // inputs)
        return {"kernel": FlatFormat(matrix, axes=(0,), bits=4, block_size=block_size, whole=shape)}

    def _build_calibrated(self, shape: tuple[int, ...], mode: str, config: Any) -> None:
        super()._build_calibrated(shape, mode, config)
        if mode == "gptq":
            self.gptq_unpacked_column_size = self.matrix_shape[1]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return analyse(self.equation, None, input_shape, self.partial_output_shape)[2]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            **self._weight_config(),
            **self._calibrated_config(),
        }

    def _calibrated_config(self) -> dict[str, Any]:
        size = self.gptq_unpacked_column_size
        return {"gptq_unpacked_column_size": size} if size else {}


@dataclass(frozen=True)
class _AlongOutputs(IntegerFormat):
    """A kernel of eight bits whose scale is kept in a shape that broadcasts with the outputs."""

    letters: Letters = field(default_factory=lambda: Letters("", "", ""))

    @property
    def scale_shape(self) -> tuple[int, ...]:
        sizes = dict(zip(self.letters.kernel, self.shape, strict=True))
        return tuple(sizes.get(each, 1) for each in self.letters.outputs)

    def arranged(self, scale: Any) -> Any:
        return self.letters.along_outputs(scale, self.letters.kernel)

    def spread(self, scale: Any) -> Any:
        return self.letters.along_kernel(scale)


FORM = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


def analyse(equation: str, bias_axes: str | None, input_shape: Any, output_shape: tuple) -> tuple:
    """The shapes of kernel and bias (None without bias), and of the whole result."""
    found = FORM.fullmatch(re.sub(r"\s+", "", equation))
    if found is None:
        raise ArgumentError(
            explain(
                "EinsumDense",
                "an equation of the form `ab,bc->ac`",
                f"Invalid einsum equation '{equation}'. Equations must be in the form "
                "[X],[Y]->[Z], ...[X],[Y]->...[Z], or [X]...,[Y]->[Z]....",
            )
        )
    before, left, after, kernel, _, result, _ = found.groups()
    input_shape = tuple(input_shape)
    spread = len(input_shape) - len(left)
    if before:
        named = input_shape[spread:]
        outer = input_shape[:spread]
    elif after:
        named, outer = input_shape[: len(left)], input_shape[len(left) :]
    else:
        named, outer = input_shape, ()
    sizes = dict(zip(left, named, strict=False))
    # Sizes of the result without the batch axis: the leading axes come from the input.
    given = list(output_shape)
    if before:
        given = given[-len(result) :] if len(given) >= len(result) else given
        wanted = dict(zip(result[len(result) - len(given) :], given, strict=True))
    else:
        wanted = dict(zip(result[1:], given, strict=False))
    for letter, size in wanted.items():
        if letter in sizes and size is not None and sizes[letter] not in (size, None):
            raise ArgumentError(
                explain(
                    "EinsumDense",
                    f"axis '{letter}' to have one size",
                    f"Input shape and output shape do not match at shared dimension '{letter}'. "
                    f"Input shape is {sizes[letter]}, and output shape is {size}.",
                )
            )
    for letter in result:
        if letter not in left and letter not in kernel:
            raise ArgumentError(
                explain(
                    "EinsumDense",
                    "each axis of the result in the input or the kernel",
                    f"Dimension '{letter}' was specified in the output '{result}' but has no "
                    f"corresponding dim in the input spec '{left}' or weight spec '{kernel}'",
                )
            )
    kernel_shape = []
    for letter in kernel:
        size = sizes.get(letter) if letter in sizes else wanted.get(letter)
        if letter not in sizes and letter not in wanted:
            raise ArgumentError(
                explain(
                    "EinsumDense",
                    "each axis of the kernel in the input or the result",
                    f"Weight dimension '{letter}' did not have a match in either the input spec "
                    f"'{left}' or the output spec '{result}'. For this layer, the weight must be "
                    "fully specified.",
                )
            )
        kernel_shape.append(size)
    full = [sizes[each] if each in sizes else wanted.get(each) for each in result]
    for index, letter in enumerate(result):
        if full[index] is None and wanted.get(letter) is not None:
            full[index] = wanted[letter]
    whole = (*outer, *full) if before else (*full, *outer)
    return tuple(kernel_shape), _bias_shape(bias_axes, result, full, after, outer), whole


def _bias_shape(
    bias_axes: str | None, result: str, full: list, after: str | None, outer: tuple
) -> tuple | None:
    if not bias_axes:
        return None
    for letter in bias_axes:
        if letter not in result:
            raise ArgumentError(
                explain(
                    "EinsumDense",
                    f"bias_axes among '{result}'",
                    f"Bias dimension '{letter}' was requested, but is not part of the output spec "
                    f"'{result}'",
                )
            )
    first = min(result.index(letter) for letter in bias_axes)
    sizes = dict(zip(result, full, strict=True))
    shape = tuple(sizes[letter] if letter in bias_axes else 1 for letter in result[first:])
    return (*shape, *([1] * len(outer))) if after else shape
