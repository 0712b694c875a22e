"""Adam and its kin: Adam, AdamW, Adamax, Nadam, Lamb, ScheduleFreeAdamW.

Formulas name the gradient g, the variable x, the learning rate r and the number of the step t, from
1 on; b1 and b2 are `beta_1` and `beta_2`; `<-` assigns. All of them keep

    m <- m + (g - m) (1 - b1)            v <- v + (g**2 - v) (1 - b2)

in slots that start at zero, and correct for that start by 1 - b1**t and 1 - b2**t.
"""

from collections.abc import Sequence
from typing import Any

from thalweg.array.elementwise import abs, maximum, minimum, pow, sqrt, square
from thalweg.array.searching import where
from thalweg.array.statistical import sum as total
from thalweg.base.errors import ArgumentError
from thalweg.engine.tensor import Tensor
from thalweg.keras import settings
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.optimizers.optimizer import LearningRate, Optimizer
from thalweg.keras.variable import Variable, tensor


def power_of(base: float, exponent: Tensor) -> Tensor:
    """A number to the power of a step; both in the element type of the step."""
    return pow(tensor(base, exponent.dtype), exponent)


class _Moments(Optimizer):
    """An optimizer with slots m and v, interleaved."""

    beta_1: float
    beta_2: float

    def build(self, var_list: Sequence[Any]) -> None:
        """Make slots of momentum and velocity for each variable."""
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(
            var_list, ["momentum", "velocity"]
        )

    def _move(self, gradient: Tensor, variable: Any) -> tuple[Tensor, Tensor]:
        """The new m and v of a variable, assigned to its slots."""
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        new_m, new_v = moments(gradient, m.value, v.value, self.beta_1, self.beta_2)
        self.assign(m, new_m)
        self.assign(v, new_v)
        return new_m, new_v


def moments(g: Tensor, m: Tensor, v: Tensor, beta_1: Any, beta_2: Any) -> tuple[Tensor, Tensor]:
    """The moving averages of a gradient and its square, one step on."""
    return m + (g - m) * (1 - beta_1), v + (square(g) - v) * (1 - beta_2)


class Adam(_Moments):
    """Steps scaled by moving averages of the gradient and of its square.

    x <- x - r sqrt(1 - b2**t) / (1 - b1**t) m / (sqrt(v) + epsilon)

    With `amsgrad` the largest v so far takes the place of v. Common arguments: see Optimizer.
    Sources: Kingma & Ba 2014; Reddi et al. 2018.
    """

    arguments = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, amsgrad: bool = False, weight_decay: float | None = None,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, var_list: Sequence[Any]) -> None:
        """Make slots of momentum and velocity for each variable, with `amsgrad` one more."""
        if self.built:
            return
        super().build(var_list)
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(var_list, "velocity_hat")

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        return (corrected_rate(learning_rate, self._step_number(dtype), self.beta_1, self.beta_2),)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by its corrected momentum over the root of its velocity."""
        (rate,) = self._constants(learning_rate, variable)
        m, v = self._move(tensor(gradient, variable.dtype), variable)
        if self.amsgrad:
            highest = self._velocity_hats[self._get_variable_index(variable)]
            v = maximum(highest.value, v)
            self.assign(highest, v)
        self.assign_sub(variable, m * rate / (sqrt(v) + self.epsilon))


def corrected_rate(rate: Tensor, step: Tensor, beta_1: float, beta_2: float) -> Tensor:
    """Adam's learning rate with the correction for the start of both slots."""
    return rate * sqrt(1 - power_of(beta_2, step)) / (1 - power_of(beta_1, step))


class AdamW(Adam):
    """Adam with weight decay that does not pass through the averages.

    Common arguments: see Optimizer. Raises ArgumentError for a `weight_decay` of None.
    Source: Loshchilov & Hutter 2019.
    """

    def __init__(
        self, learning_rate: LearningRate = 0.001, weight_decay: float = 0.004,
        beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False,
        clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue,
            global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        if weight_decay is None:
            raise ArgumentError(
                f"[{type(self).__name__}] wants weight decay. Argument `weight_decay` must be a "
                "float. Received: weight_decay=None.\nUse Adam where there is none."
            )


class Adamax(Optimizer):
    """Adam with the largest recent gradient in place of the root of the velocity.

    u <- max(b2 u, |g|)            x <- x - r m / ((1 - b1**t) (u + epsilon))

    Common arguments: see Optimizer. Source: Kingma & Ba 2014, section 7.
    """

    arguments = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, weight_decay: float | None = None,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Any]) -> None:
        """Make slots of momentum and norm for each variable."""
        if self.built:
            return
        super().build(var_list)
        self._m, self._u = self.add_optimizer_variables(var_list, ["momentum", "norm"])

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        return (learning_rate / (1 - power_of(self.beta_1, self._step_number(dtype))),)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by its corrected momentum over its norm."""
        (rate,) = self._constants(learning_rate, variable)
        gradient = tensor(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        m, u = self._m[index], self._u[index]
        momentum = m.value + (gradient - m.value) * (1 - self.beta_1)
        norm = maximum(u.value * self.beta_2, abs(gradient))
        self.assign(m, momentum)
        self.assign(u, norm)
        self.assign_sub(variable, momentum * rate / (norm + self.epsilon))


class Nadam(_Moments):
    """Adam with Nesterov momentum whose share grows with the steps.

    u(t) = b1 (1 - 0.96**t / 2)    p(t) = u(1) ... u(t)
    x <- x - r (u(t+1) m / (1 - p(t+1)) + (1 - u(t)) g / (1 - p(t)))
               / (sqrt(v / (1 - b2**t)) + epsilon)

    Common arguments: see Optimizer. Source: Dozat 2015.
    """

    arguments = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, weight_decay: float | None = None,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Any]) -> None:
        """Make slots of momentum and velocity for each variable, and the product p of all."""
        if self.built:
            return
        dtype = standardize_dtype(var_list[0].dtype) if var_list else settings.floatx()
        super().build(var_list)
        self._u_product = Variable(1.0, dtype=dtype)

    def _share(self, step: Tensor) -> Tensor:
        return tensor(self.beta_1, step.dtype) * (1 - 0.5 * power_of(0.96, step))

    def _update_variables(
        self, gradients: list[Tensor], variables: list[Any], learning_rate: Any
    ) -> None:
        share = self._share(self._step_number("float32"))
        self.assign(self._u_product, tensor(self._u_product, "float32") * share)
        super()._update_variables(gradients, variables, learning_rate)

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        step = self._step_number(dtype)
        share, next_share = self._share(step), self._share(step + 1)
        product = tensor(self._u_product, dtype)
        return (
            learning_rate,
            next_share / (1 - product * next_share),
            (1 - share) / (1 - product),
            1 - power_of(self.beta_2, step),
            1 - tensor(self.beta_1, dtype),
            1 - tensor(self.beta_2, dtype),
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by a mean of its momentum and gradient over the root of its velocity."""
        rate, of_momentum, of_gradient, correction, *pull = self._constants(learning_rate, variable)
        gradient = tensor(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        momentum = m.value + (gradient - m.value) * pull[0]
        velocity = v.value + (square(gradient) - v.value) * pull[1]
        self.assign(m, momentum)
        self.assign(v, velocity)
        blend = momentum * of_momentum + gradient * of_gradient
        self.assign_sub(variable, blend * rate / (sqrt(velocity / correction) + self.epsilon))


class Lamb(_Moments):
    """Adam with each variable's step scaled to the variable's own norm.

    s = m / (1 - b1**t) / (sqrt(v / (1 - b2**t)) + epsilon)        x <- x - r |x| / |s| s

    A norm of zero counts as a ratio of 1. Common arguments: see Optimizer. Source: You et al. 2019.
    """

    arguments = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, weight_decay: float | None = None,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        step = self._step_number(dtype)
        return learning_rate, 1 - power_of(self.beta_1, step), 1 - power_of(self.beta_2, step)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by a share of its own norm."""
        rate, of_m, of_v = self._constants(learning_rate, variable)
        m, v = self._move(tensor(gradient, variable.dtype), variable)
        step = m / of_m / (sqrt(v / of_v) + self.epsilon)
        norm, step_norm = sqrt(total(square(variable.value))), sqrt(total(square(step)))
        has_both = (norm > 0) & (step_norm > 0)
        self.assign_sub(variable, where(has_both, norm / step_norm, 1.0) * rate * step)


class ScheduleFreeAdamW(_Moments):
    """AdamW that needs no schedule of learning rates: a running mean takes its place.

    z <- z - r g / (sqrt(v / (1 - b2**t)) + epsilon)       plain steps, in the slot of momentum
    a <- (1 - 1/t) a + z / t                               their mean
    x <- (1 - b1) z + b1 a                                 where gradients are taken

    The learning rate rises in a straight line over the first `warmup_steps`. Common arguments: see
    Optimizer. Source: Defazio et al. 2024.
    """

    arguments = ("beta_1", "beta_2", "epsilon", "warmup_steps")

    def __init__(
        self, learning_rate: LearningRate = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, warmup_steps: int = 0, weight_decay: float | None = None,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A new variable like another; the plain steps z start at the variable itself."""
        if name == "momentum":
            # Read when the variable is made: in a trace that has the value from before the step.
            return super().add_variable_from_reference(
                reference_variable, name, lambda shape, dtype=None: reference_variable.value
            )
        return super().add_variable_from_reference(reference_variable, name, initializer)

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        step = self._step_number(dtype)
        if self.warmup_steps > 0:
            learning_rate = learning_rate * minimum(step / self.warmup_steps, 1.0)
        beta_1, beta_2 = tensor(self.beta_1, dtype), tensor(self.beta_2, dtype)
        correction = 1 - power_of(self.beta_2, step)
        return learning_rate, correction, 1 / step, beta_1, 1 - beta_1, 1 - beta_2

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take a plain step, and move the variable between it and the mean of all."""
        rate, correction, weight, beta_1, rest, pull = self._constants(learning_rate, variable)
        gradient = tensor(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        z, v = self._momentums[index], self._velocities[index]
        former = z.value
        velocity = v.value + (square(gradient) - v.value) * pull
        plain = former - gradient * rate / (sqrt(velocity / correction) + self.epsilon)
        mean = (variable.value - former * rest) / beta_1
        self.assign(v, velocity)
        self.assign(z, plain)
        self.assign(variable, plain * rest + (mean + (plain - mean) * weight) * beta_1)
