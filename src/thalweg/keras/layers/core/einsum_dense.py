"""EinsumDense: a dense layer whose product is written as an einsum."""

import re
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import activations, constraints, initializers, ops, regularizers
from thalweg.keras.layers.layer import Layer


class EinsumDense(Layer):
    """activation(einsum(equation, x, kernel) + bias).

    `equation` is of the form `ab,bc->ac`, `...ab,bc->...ac` or `ab...,bc->ac...`; `output_shape`
    lists the sizes of the result without the batch axis, None for those that follow from the input;
    `bias_axes` names the axes of the result that the bias has. Raises ArgumentError for an equation
    that does not fit the shapes.
    """

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
        self.quantization_config = quantization_config
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        kernel_shape, bias_shape, self.full_output_shape = analyse(
            self.equation, self.bias_axes, input_shape, self.partial_output_shape
        )
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if bias_shape is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=bias_shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

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
            "quantization_config": self.quantization_config,
        }


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
