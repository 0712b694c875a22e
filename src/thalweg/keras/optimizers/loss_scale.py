"""LossScaleOptimizer: float16 training with a loss scale that finds its own size."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from thalweg.array.elementwise import isfinite, logical_and
from thalweg.array.searching import where
from thalweg.array.utility import all as all_true
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import initializers
from thalweg.keras.optimizers.attempt import Attempt
from thalweg.keras.optimizers.optimizer import COMMON, Optimizer
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.variable import tensor

DEFAULTS = {"use_ema": False, "ema_momentum": 0.99}
"""Of the common arguments, those whose default is not None."""


class LossScaleOptimizer(Optimizer):
    """Another optimizer whose loss is multiplied by a scale that keeps float16 gradients in range.

    The scale starts at `initial_scale`, doubles after `dynamic_growth_steps` steps in a row with
    finite gradients, and halves at each step without, which changes nothing else. Raises
    ArgumentError for the common arguments of optimizers: they belong to `inner_optimizer`, whose
    own `loss_scale_factor` has no effect.
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not kwargs.pop("dynamic", True):
            raise _bad(
                "a scale that changes",
                "dynamic=False",
                "For a scale that stays, set `loss_scale_factor` on the optimizer itself.",
            )
        for argument in COMMON:
            value = kwargs.pop(argument, DEFAULTS.get(argument))
            if value != DEFAULTS.get(argument):
                raise _bad(
                    f"no `{argument}`",
                    f"{argument}={value!r}",
                    f"Instead, set `{argument}` on the `inner_optimizer`.",
                )
        if kwargs:
            raise _bad("known arguments", f"arguments: `{'`, `'.join(kwargs)}`")
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build(self, var_list: Sequence[Any]) -> None:
        """Make the scale and its counter, and the variables of the inner optimizer."""
        if self.built:
            return
        initial = initializers.Constant(self.initial_scale)
        self.step_counter = self.add_variable((), "zeros", "int32", name="step_counter")
        self.dynamic_scale = self.add_variable((), initial, "float32", name="dynamic_scale")
        self.inner_optimizer.build(var_list)
        super().build(var_list)

    @property
    def variables(self) -> list[Any]:
        """Its own variables and then those of the inner optimizer."""
        return [*super().variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> Any:
        """The number of updates of the inner optimizer, which leaves out those without effect."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """Update variables by gradients of the scaled loss; none where one is not finite."""
        gradients = list(grads)
        if not gradients:
            return
        variables = self._variables_of(gradients, trainable_variables)
        is_finite = self.check_finite(gradients)
        scale = self.dynamic_scale.value
        unscaled = [
            gradient
            if gradient is None or self._overwrite_variable_with_gradient(variable)
            else tensor(gradient) / scale
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        attempt = Attempt([*variables, *self.inner_optimizer.variables])
        self.inner_optimizer.apply(unscaled, variables)
        attempt.keep_if(is_finite)
        count = self.step_counter.value
        grows = count == self.dynamic_growth_steps - 1
        self.step_counter.assign(where(is_finite & ~grows, count + 1, 0))
        self.dynamic_scale.assign(where(is_finite, where(grows, scale * 2, scale), scale * 0.5))

    def check_finite(self, grads: Iterable[Any]) -> Tensor:
        """True if every gradient is free of infinities and NaN: a boolean scalar."""
        found = tensor(True)
        for gradient in grads:
            if gradient is not None:
                found = logical_and(found, all_true(isfinite(tensor(gradient))))
        return found

    def scale_loss(self, loss: Any) -> Tensor:
        """The loss times the scale, whose gradients `apply` takes."""
        return tensor(loss) * (self.dynamic_scale.value if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """At the end of training: what the inner optimizer does."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> "LossScaleOptimizer":
        """The optimizer that a config describes."""
        config = dict(config)
        inner = deserialize_keras_object(config.pop("inner_optimizer"), custom_objects)
        return cls(inner, **config)


def _bad(wanted: str, received: str, do: str = "") -> ArgumentError:
    return ArgumentError(explain("LossScaleOptimizer", wanted, received, do))
