"""Learning rates as functions of the number of steps taken.

A schedule is called with the step (a number, a variable or a traced tensor) and gives a scalar in
the type of its learning rate. It computes inside the training step, so nothing here looks at a
value. With t the step, T `decay_steps` and r the initial learning rate:

    ExponentialDecay     r * decay_rate ** (t / T)
    InverseTimeDecay     r / (1 + decay_rate * t / T)
    PolynomialDecay      (r - end) * (1 - min(t, T) / T) ** power + end
    CosineDecay          r * ((1 - alpha) * (1 + cos(pi * min(t, T) / T)) / 2 + alpha)
"""

import math
from collections.abc import Sequence
from typing import Any

from thalweg.array.data_types import astype
from thalweg.array.elementwise import ceil, cos, floor, log, minimum, pow
from thalweg.array.searching import where
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.types import as_dtype
from thalweg.keras import settings
from thalweg.keras.variable import tensor


class LearningRateSchedule:
    """The base of schedules: override `__call__(self, step)` and `get_config(self)`.

    >>> from thalweg import keras
    >>> class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * keras.ops.minimum(1.0, (step + 1) / 100)
    >>> optimizer = keras.optimizers.SGD(Warmup())
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step."""
        raise self._missing("__call__(self, step)")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        raise self._missing("get_config()")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LearningRateSchedule":
        """The schedule that a config describes."""
        return cls(**config)

    def _missing(self, method: str) -> NotImplementedError:
        name = type(self).__name__
        return NotImplementedError(
            explain(
                f"{name}.{method.split('(')[0]}",
                f"its own method: learning rate schedule '{name}' must override `{method}`",
                "a call of that of the base class",
            )
        )


class _Decay(LearningRateSchedule):
    """A schedule whose config is the attributes named in `arguments`."""

    arguments: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.arguments}

    def _check_positive(self, argument: str) -> None:
        value = getattr(self, argument)
        if value <= 0:
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    f"steps to decay over; Argument `{argument}` must be > 0",
                    f"{argument}={value}",
                )
            )


def _rate(value: Any) -> Tensor:
    """A learning rate as a tensor; whole numbers count as floats."""
    found = tensor(value)
    return found if found.dtype.is_inexact else astype(found, as_dtype(settings.floatx()))


def _in_type_of(rate: Tensor, *values: Any) -> tuple[Tensor, ...]:
    return tuple(tensor(value, rate.dtype) for value in values)


class ExponentialDecay(_Decay):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    With `staircase` the exponent is rounded down, so that the rate falls in steps. Raises
    ArgumentError unless `decay_steps` is positive.
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: Any,
        decay_steps: Any,
        decay_rate: Any,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        self._check_positive("decay_steps")

    def __call__(self, step: Any) -> Tensor:
        rate = _rate(self.initial_learning_rate)
        t, decay_steps, decay_rate = _in_type_of(rate, step, self.decay_steps, self.decay_rate)
        periods = t / decay_steps
        return rate * pow(decay_rate, floor(periods) if self.staircase else periods)


class InverseTimeDecay(_Decay):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    With `staircase` the quotient is rounded down, so that the rate falls in steps. Raises
    ArgumentError unless `decay_steps` is positive.
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: Any,
        decay_steps: Any,
        decay_rate: Any,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        self._check_positive("decay_steps")

    def __call__(self, step: Any) -> Tensor:
        rate = _rate(self.initial_learning_rate)
        t, decay_steps, decay_rate = _in_type_of(rate, step, self.decay_steps, self.decay_rate)
        periods = t / decay_steps
        return rate / (1 + decay_rate * (floor(periods) if self.staircase else periods))


class PolynomialDecay(_Decay):
    """From the initial learning rate down to `end_learning_rate` along a polynomial.

    After `decay_steps` the rate stays; with `cycle` it starts again, each time from a larger
    multiple of `decay_steps`. Raises ArgumentError unless `decay_steps` is positive.
    """

    arguments = (
        "initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name",
    )  # fmt: skip

    def __init__(
        self,
        initial_learning_rate: Any,
        decay_steps: Any,
        end_learning_rate: Any = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name
        self._check_positive("decay_steps")

    def __call__(self, step: Any) -> Tensor:
        rate = _rate(self.initial_learning_rate)
        t, decay_steps, end, power = _in_type_of(
            rate, step, self.decay_steps, self.end_learning_rate, self.power
        )
        if self.cycle:
            decay_steps = decay_steps * where(t == 0, 1.0, ceil(t / decay_steps))
        else:
            t = minimum(t, decay_steps)
        return (rate - end) * pow(1 - t / decay_steps, power) + end


class PiecewiseConstantDecay(_Decay):
    """`values[i]` up to and including step `boundaries[i]`, the last value from there on.

    Raises ArgumentError unless there is one value more than boundaries.
    """

    arguments = ("boundaries", "values", "name")

    def __init__(
        self, boundaries: Sequence[Any], values: Sequence[Any], name: str = "PiecewiseConstant"
    ):
        if len(boundaries) != len(values) - 1:
            raise ArgumentError(
                explain(
                    "PiecewiseConstantDecay",
                    "one value for each piece: The length of boundaries should be 1 less than the "
                    "length of values",
                    f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of "
                    f"length {len(values)}",
                )
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        step = tensor(step)
        *values, result = _in_type_of(_rate(self.values[0]), *self.values)
        for boundary, value in zip(self.boundaries[::-1], values[::-1], strict=True):
            # In the type of the step, as whole steps beyond 2**24 have no float of their own.
            result = where(step <= tensor(boundary, step.dtype), value, result)
        return result


class CosineDecay(_Decay):
    """Half a cosine wave from the initial learning rate down to `alpha` times as much.

    With `warmup_target` the rate first rises in a straight line, over `warmup_steps`, from the
    initial learning rate to that target, and then decays from there over `decay_steps`. Raises
    ArgumentError unless `decay_steps` is positive. Source: Loshchilov & Hutter 2016.
    """

    arguments = (
        "initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps",
    )  # fmt: skip

    def __init__(
        self,
        initial_learning_rate: Any,
        decay_steps: Any,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: Any = None,
        warmup_steps: Any = 0,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_steps = warmup_steps
        self.warmup_target = warmup_target
        self._check_positive("decay_steps")

    def __call__(self, step: Any) -> Tensor:
        rate = _rate(self.initial_learning_rate)
        t, decay_steps = _in_type_of(rate, step, self.decay_steps)
        if self.warmup_target is None:
            return rate * _cosine(minimum(t, decay_steps) / decay_steps, self.alpha)
        target, warmup_steps = _in_type_of(rate, self.warmup_target, self.warmup_steps)
        t = minimum(t, decay_steps + warmup_steps)
        rising = (target - rate) * (t / warmup_steps) + rate
        falling = target * _cosine((t - warmup_steps) / decay_steps, self.alpha)
        return where(t < warmup_steps, rising, falling)


class CosineDecayRestarts(_Decay):
    """Cosine decays one after another, each beginning anew.

    The first takes `first_decay_steps`; each takes `t_mul` times the steps and begins at `m_mul`
    times the rate of the one before. `alpha` is the least fraction of the initial learning rate.
    Raises ArgumentError unless `first_decay_steps` is positive. Source: Loshchilov & Hutter 2016.
    """

    arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(
        self,
        initial_learning_rate: Any,
        first_decay_steps: Any,
        t_mul: Any = 2.0,
        m_mul: Any = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name
        self._check_positive("first_decay_steps")

    def __call__(self, step: Any) -> Tensor:
        rate = _rate(self.initial_learning_rate)
        t, first, t_mul, m_mul = _in_type_of(
            rate, step, self.first_decay_steps, self.t_mul, self.m_mul
        )
        completed = t / first
        # Decays of equal length, and decays whose lengths are the powers of t_mul.
        equal = floor(completed)
        growing = floor(log(1 - completed * (1 - t_mul)) / log(t_mul))
        length = pow(t_mul, growing)
        start = (1 - length) / (1 - t_mul)
        is_equal = t_mul == 1
        restarts = where(is_equal, equal, growing)
        fraction = where(is_equal, completed - equal, (completed - start) / length)
        return rate * _cosine(fraction, self.alpha, pow(m_mul, restarts))


def _cosine(fraction: Tensor, alpha: Any, height: Any = 1.0) -> Tensor:
    """Half a cosine wave from `height` at 0 down to `alpha` at 1."""
    return (1 - alpha) * (0.5 * height * (1 + cos(math.pi * fraction))) + alpha
