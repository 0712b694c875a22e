"""Optimizers with a learning rate for each element: Adagrad, Adadelta, RMSprop, Adafactor, Ftrl.

Formulas name the gradient g, the variable x, the learning rate r and the number of the step t, from
1 on; `<-` assigns.
"""

from collections.abc import Sequence
from typing import Any

from thalweg.array.elementwise import clip, maximum, minimum, pow, sqrt, square
from thalweg.array.manipulation import expand_dims
from thalweg.array.statistical import mean
from thalweg.base.errors import ArgumentError
from thalweg.engine.tensor import Tensor
from thalweg.keras import initializers
from thalweg.keras.optimizers.optimizer import LearningRate, Optimizer
from thalweg.keras.variable import Variable, tensor


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients.

    a <- a + g**2            x <- x - r g / sqrt(a + epsilon)

    The sum a starts at `initial_accumulator_value`. Common arguments: see Optimizer.
    Source: Duchi et al. 2011.
    """

    arguments = ("initial_accumulator_value", "epsilon")

    def __init__(
        self, learning_rate: LearningRate = 0.001, initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Any]) -> None:
        """Make a slot with the sum of squares for each variable."""
        if self.built:
            return
        super().build(var_list)
        initial = initializers.Constant(self.initial_accumulator_value)
        self._accumulators = self.add_optimizer_variables(var_list, "accumulator", initial)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by its gradient over the root of the sum."""
        (rate,) = self._constants(learning_rate, variable)
        gradient = tensor(gradient, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        sum_of_squares = accumulator.value + square(gradient)
        self.assign(accumulator, sum_of_squares)
        self.assign_sub(variable, gradient * rate / sqrt(sum_of_squares + self.epsilon))


class Adadelta(Optimizer):
    """Steps as large as recent steps were, whatever the scale of the gradient.

    a <- rho a + (1 - rho) g**2            s = g sqrt(d + epsilon) / sqrt(a + epsilon)
    d <- rho d + (1 - rho) s**2            x <- x - r s

    Common arguments: see Optimizer. Source: Zeiler 2012.
    """

    arguments = ("rho", "epsilon")

    def __init__(
        self, learning_rate: LearningRate = 0.001, rho: float = 0.95, epsilon: float = 1e-7,
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
        self.rho = rho
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Any]) -> None:
        """Make slots with the mean squares of gradients and steps for each variable."""
        if self.built:
            return
        super().build(var_list)
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(
            var_list, ["accumulated_grad", "accumulated_delta_var"]
        )

    def update_step(self, grad: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by its gradient in units of its recent steps."""
        (rate,) = self._constants(learning_rate, variable)
        gradient = tensor(grad, variable.dtype)
        index = self._get_variable_index(variable)
        squares, steps = self._accumulated_grads[index], self._accumulated_delta_vars[index]
        new_squares = squares.value * self.rho + square(gradient) * (1 - self.rho)
        step = sqrt(steps.value + self.epsilon) * gradient / sqrt(new_squares + self.epsilon)
        self.assign(squares, new_squares)
        self.assign(steps, steps.value * self.rho + square(step) * (1 - self.rho))
        self.assign_sub(variable, step * rate)


class RMSprop(Optimizer):
    """Steps divided by the root of the mean of recent squared gradients.

    v <- rho v + (1 - rho) g**2            s = r g / sqrt(v + epsilon)
    m <- momentum m + s                    x <- x - m, or x - s without momentum

    With `centered`, v - a**2 takes the place of v, where a is the mean of recent gradients. Common
    arguments: see Optimizer. Source: Hinton 2012.
    """

    arguments = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self, learning_rate: LearningRate = 0.001, rho: float = 0.9, momentum: float = 0.0,
        epsilon: float = 1e-7, centered: bool = False, weight_decay: float | None = None,
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
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, var_list: Sequence[Any]) -> None:
        """Make slots of velocity, and of momentum and mean gradient where they are used."""
        if self.built:
            return
        super().build(var_list)
        self._velocities = self.add_optimizer_variables(var_list, "velocity")
        self._momentums = self._average_gradients = []
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(var_list, "momentum")
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(var_list, "average_gradient")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by its gradient over the root of its velocity."""
        (rate,) = self._constants(learning_rate, variable)
        gradient = tensor(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        velocity = self._velocities[index]
        spread = velocity.value * self.rho + square(gradient) * (1 - self.rho)
        self.assign(velocity, spread)
        if self.centered:
            average = self._average_gradients[index]
            center = average.value * self.rho + gradient * (1 - self.rho)
            self.assign(average, center)
            spread = spread - square(center)
        step = gradient * rate / sqrt(spread + self.epsilon)
        if self.momentum > 0:
            momentum = self._momentums[index]
            step = momentum.value * self.momentum + step
            self.assign(momentum, step)
        self.assign_sub(variable, step)


class Adafactor(Optimizer):
    """RMSprop whose slots for a matrix are one row and one column.

    b = 1 - t**beta_2_decay                  q = g**2 + epsilon_1
    R <- b R + (1 - b) mean of q along the last axis, C along the one before
    v <- R C / mean(R)                       for two axes and more, else b v + (1 - b) q
    u = g / sqrt(v)                          x <- x - a u / max(1, rms(u) / clip_threshold)
    a = max(epsilon_2, rms(x)) min(r, 1 / sqrt(t))

    With `relative_step` the learning rate is at most 1 / sqrt(t). Common arguments: see Optimizer.
    Source: Shazeer & Stern 2018.
    """

    arguments = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30, epsilon_2: float = 0.001, clip_threshold: float = 1.0,
        relative_step: bool = True, weight_decay: float | None = None,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, var_list: Sequence[Any]) -> None:
        """Make slots of row, column and velocity for each variable."""
        if self.built:
            return
        super().build(var_list)
        self._r: list[Variable | None] = []
        self._c: list[Variable | None] = []
        self._v: list[Variable | None] = []
        for variable in var_list:
            row, column = self._factors_of(variable)
            is_kept = not self._overwrite_variable_with_gradient(variable)
            velocity = self.add_variable_from_reference(variable, "velocity") if is_kept else None
            self._r.append(row)
            self._c.append(column)
            self._v.append(velocity)

    def _factors_of(self, variable: Any) -> tuple[Variable | None, Variable | None]:
        shape, name = tuple(variable.shape), variable.name
        if len(shape) < 2:
            # Saved files have two numbers here, which nothing uses.
            pair = [Variable(0, dtype="int32", trainable=False, name=name) for _ in range(2)]
            self._track(pair)
            return pair[0], pair[1]
        if self._overwrite_variable_with_gradient(variable):
            return None, None
        return (
            self.add_variable(shape[:-1], dtype=variable.dtype, name=name),
            self.add_variable((*shape[:-2], shape[-1]), dtype=variable.dtype, name=name),
        )

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        step = self._step_number(dtype)
        decay = 1 - pow(step, tensor(self.beta_2_decay, dtype))
        return minimum(learning_rate, 1 / sqrt(step)), decay, 1 - decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable by a step of limited size."""
        rate, decay, rest = self._constants(learning_rate, variable)
        gradient = tensor(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        velocity = self._v[index]
        assert velocity is not None
        squares = square(gradient) + self.epsilon_1
        if len(variable.shape) >= 2:
            row, column = self._r[index], self._c[index]
            assert row is not None and column is not None
            new_row = row.value * decay + mean(squares, axis=-1) * rest
            new_column = column.value * decay + mean(squares, axis=-2) * rest
            self.assign(row, new_row)
            self.assign(column, new_column)
            share = new_row / mean(new_row, axis=-1, keepdims=True)
            new = expand_dims(share, axis=-1) * expand_dims(new_column, axis=-2)
        else:
            new = velocity.value * decay + squares * rest
        self.assign(velocity, new)
        scale = maximum(_root_mean_square(variable.value), self.epsilon_2) * rate
        step = gradient / sqrt(new)
        excess = maximum(_root_mean_square(step) / self.clip_threshold, 1.0)
        self.assign_sub(variable, step * (scale / excess))


def _root_mean_square(x: Tensor) -> Tensor:
    return sqrt(mean(square(x)))


class Ftrl(Optimizer):
    """Follow the regularized leader: sparse weights for large linear models.

    n = a + g**2                     p = -learning_rate_power
    z <- z + g - (n**p - a**p) / r x
    x <- (clip(z, -l1, l1) - z) / (n**p / r + 2 l2 + beta / r)            a <- n

    with l1 and l2 the regularization strengths, and g + 2 l2_shrinkage x in place of g in z. Common
    arguments: see Optimizer. Raises ArgumentError for negative strengths or sums and for a positive
    power. Source: McMahan et al. 2013.
    """

    arguments = (
        "learning_rate_power", "initial_accumulator_value", "l1_regularization_strength",
        "l2_regularization_strength", "l2_shrinkage_regularization_strength", "beta",
    )  # fmt: skip

    def __init__(
        self, learning_rate: LearningRate = 0.001, learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0, l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0, weight_decay: float | None = None,
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
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        for argument in self.arguments[:-1]:
            value = getattr(self, argument)
            sign = -1 if argument == "learning_rate_power" else 1
            side = "positive" if sign > 0 else "negative"
            if value * sign < 0:
                # Keras' whole message: programs match it from end to end.
                raise ArgumentError(
                    f"`{argument}` needs to be {side} or zero. Received: {argument}={value}.", ""
                )

    def build(self, var_list: Sequence[Any]) -> None:
        """Make slots with the sum of squares and the linear part for each variable."""
        if self.built:
            return
        super().build(var_list)
        initial = initializers.Constant(self.initial_accumulator_value)
        self._accumulators, self._linears = self.add_optimizer_variables(
            var_list, ["accumulator", "linear"], [initial, "zeros"]
        )

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        quadratic = 2 * self.l2_regularization_strength + self.beta / learning_rate
        return learning_rate, quadratic

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Solve for a variable's value."""
        rate, quadratic = self._constants(learning_rate, variable)
        gradient, value = tensor(gradient, variable.dtype), variable.value
        index = self._get_variable_index(variable)
        accumulator, linear = self._accumulators[index], self._linears[index]
        new = accumulator.value + square(gradient)
        if self.l2_shrinkage_regularization_strength:
            gradient = gradient + value * (2 * self.l2_shrinkage_regularization_strength)
        power, former_power = self._power(new), self._power(accumulator.value)
        z = linear.value + (gradient - (power - former_power) / rate * value)
        self.assign(linear, z)
        limit = self.l1_regularization_strength
        self.assign(variable, (clip(z, -limit, limit) - z) / (power / rate + quadratic))
        self.assign(accumulator, new)

    def _power(self, x: Tensor) -> Tensor:
        exponent = -self.learning_rate_power
        return sqrt(x) if exponent == 0.5 else pow(x, exponent)
