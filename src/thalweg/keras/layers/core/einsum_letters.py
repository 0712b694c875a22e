"""Letters: which axes of inputs, kernel and outputs an einsum equation means, each by a letter."""

import string
from dataclasses import dataclass
from typing import Any

from thalweg.keras import ops


@dataclass(frozen=True)
class Letters:
    """The letters of the axes, one each: of inputs, kernel and outputs."""

    inputs: str
    kernel: str
    outputs: str

    @classmethod
    def of(cls, equation: str, rank: int) -> "Letters":
        """Those of an equation for inputs of a rank; `...` stands for as many as are left."""
        operands, outputs = equation.replace(" ", "").split("->")
        inputs, kernel = operands.split(",")
        unused = [each for each in string.ascii_letters if each not in equation]
        rest = "".join(unused[: rank - len(inputs.replace("...", ""))])
        return cls(*(each.replace("...", rest) for each in (inputs, kernel, outputs)))

    @property
    def forward(self) -> str:
        """The equation of the product."""
        return f"{self.inputs},{self.kernel}->{self.outputs}"

    @property
    def backward(self) -> str:
        """The equation of the derivative by the inputs."""
        return f"{self.outputs},{self.kernel}->{self.inputs}"

    @property
    def input_axes(self) -> tuple[int, ...]:
        """The axes of the inputs that are summed over."""
        return _missing(self.inputs, self.outputs)

    @property
    def kernel_axes(self) -> tuple[int, ...]:
        """The axes of the kernel that are summed over."""
        return _missing(self.kernel, self.outputs)

    @property
    def kept_axes(self) -> tuple[int, ...]:
        """The axes of the kernel that the outputs have."""
        summed = self.kernel_axes
        return tuple(axis for axis in range(len(self.kernel)) if axis not in summed)

    def along_outputs(self, x: Any, letters: str) -> Any:
        """x with axes of these letters as the outputs': summed ones, of size 1, go, others come.

        (..., 1, ...) of `inputs` or `kernel` -> a shape that broadcasts with the outputs
        """
        kept = [each for each in letters if each in self.outputs]
        x = _squeezed(x, _missing(letters, self.outputs))
        x = ops.transpose(x, sorted(range(len(kept)), key=lambda i: self.outputs.index(kept[i])))
        return _expanded(x, _missing(self.outputs, letters))

    def along_kernel(self, x: Any) -> Any:
        """What `along_outputs` gave for the kernel, as it came."""
        kept = [each for each in self.outputs if each in self.kernel]
        x = _squeezed(x, _missing(self.outputs, self.kernel))
        x = ops.transpose(x, sorted(range(len(kept)), key=lambda i: self.kernel.index(kept[i])))
        return _expanded(x, self.kernel_axes)


def _missing(letters: str, others: str) -> tuple[int, ...]:
    return tuple(place for place, each in enumerate(letters) if each not in others)


def _squeezed(x: Any, axes: tuple[int, ...]) -> Any:
    return ops.squeeze(x, axis=axes) if axes else x


def _expanded(x: Any, axes: tuple[int, ...]) -> Any:
    return ops.expand_dims(x, axis=axes) if axes else x
