"""Optimizers that follow the gradient itself, or its sign: SGD, Lion.

Formulas name the gradient g, the variable x and the learning rate r; `<-` assigns.
"""

from collections.abc import Sequence
from typing import Any

from thalweg.array.elementwise import sign
from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.optimizers.optimizer import LearningRate, Optimizer
from thalweg.keras.variable import tensor


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    x <- x - r g                     without momentum
    m <- momentum m - r g            x <- x + m, or with `nesterov` x <- x + momentum m - r g

    Common arguments: see Optimizer. Raises ArgumentError for a momentum outside of 0 to 1.
    """

    arguments = ("momentum", "nesterov")

    def __init__(
        self, learning_rate: LearningRate = 0.01, momentum: float = 0.0, nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs,
        )  # fmt: skip
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "`momentum` must be a float between [0, 1]",
                    f"momentum={momentum!r}",
                )
            )
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[Any]) -> None:
        """Make a slot of momentum for each variable, if there is momentum."""
        if self.built:
            return
        super().build(variables)
        self.momentums = (
            self.add_optimizer_variables(variables, "momentum") if self.momentum else []
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable against its gradient."""
        (rate,) = self._constants(learning_rate, variable)
        step = tensor(gradient, variable.dtype) * rate
        if not self.momentum:
            self.assign_sub(variable, step)
            return
        m = self.momentums[self._get_variable_index(variable)]
        velocity = m.value * self.momentum - step
        self.assign(m, velocity)
        self.assign_add(variable, velocity * self.momentum - step if self.nesterov else velocity)


class Lion(Optimizer):
    """Steps of one size in the direction of the sign of a momentum.

    x <- x - r sign(beta_1 m + (1 - beta_1) g)          m <- beta_2 m + (1 - beta_2) g

    Common arguments: see Optimizer. Raises ArgumentError for a `beta_1` not above 0 and up to 1.
    Source: Chen et al. 2023.
    """

    arguments = ("beta_1", "beta_2")

    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1: float = 0.9, beta_2: float = 0.99,
        weight_decay: float | None = None,
        clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs,
        )  # fmt: skip
        if not 0 < beta_1 <= 1:
            raise ArgumentError(
                f"[{type(self).__name__}] wants a part of the momentum. Argument `beta_1` must be "
                "in the [0, 1] range. Otherwise, the optimizer degenerates to SignSGD. Received: "
                f"beta_1={beta_1}."
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, var_list: Sequence[Any]) -> None:
        """Make a slot of momentum for each variable."""
        if self.built:
            return
        super().build(var_list)
        self._momentums = self.add_optimizer_variables(var_list, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by the learning rate in every element."""
        (rate,) = self._constants(learning_rate, variable)
        gradient = tensor(gradient, variable.dtype)
        m = self._momentums[self._get_variable_index(variable)]
        former = m.value
        blend = former * self.beta_1 + gradient * (1 - self.beta_1)
        self.assign_sub(variable, sign(blend) * rate)
        self.assign(m, former * self.beta_2 + gradient * (1 - self.beta_2))
