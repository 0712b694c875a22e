"""The base of all initializers."""

from typing import Any

from thalweg.base.errors import explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.saving.registration import register_builtins


class Initializer:
    """A function from a shape and a dtype to the first value of a weight.

    Subclasses write `__call__(shape, dtype=None)`, and `get_config` where they have arguments.
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        """A tensor of this shape and dtype, floatx by default."""
        raise NotImplementedError(
            explain(type(self).__name__, "a method `__call__(shape, dtype=None)`", "none")
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Initializer":
        """The initializer of a config."""
        return cls(**config)

    def clone(self) -> "Initializer":
        """Another one with the same config."""
        return type(self).from_config(self.get_config())


register_builtins("keras", {"Initializer": Initializer})
