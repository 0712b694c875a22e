"""Muon: momentum made orthogonal, for matrices; AdamW for all else."""

import math
import re
from collections.abc import Sequence
from typing import Any

from thalweg.array.elementwise import sqrt, square
from thalweg.array.linalg import matmul
from thalweg.array.manipulation import swapaxes
from thalweg.array.statistical import sum as total
from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.optimizers.adam import corrected_rate, moments
from thalweg.keras.optimizers.optimizer import LearningRate, Optimizer
from thalweg.keras.variable import Variable, tensor


class Muon(Optimizer):
    """Steps along the nearest orthogonal matrix of the momentum.

    m <- momentum m + g              u = g + momentum m, or m without `nesterov`
    x <- x - r rms_rate sqrt(larger side) orthogonal(u)

    where `orthogonal` drives all singular values toward 1 by `ns_steps` iterations of an odd
    polynomial with the coefficients `muon_a`, `muon_b` and `muon_c`. `rms_rate=None` leaves the
    scale out. Variables that are no matrices, embeddings (unless `exclude_embeddings` is False) and
    those whose paths match a pattern of `exclude_layers` follow AdamW instead, with learning rate
    `adam_lr_ratio` r and weight decay `adam_weight_decay`. Common arguments: see Optimizer.
    Sources: Jordan et al. 2024; Liu et al. 2025.
    """

    arguments = (
        "adam_beta_1", "adam_beta_2", "epsilon", "exclude_layers", "muon_a", "muon_b", "muon_c",
        "adam_lr_ratio", "momentum", "ns_steps", "nesterov", "exclude_embeddings",
        "adam_weight_decay", "rms_rate",
    )  # fmt: skip

    def __init__(
        self, learning_rate: LearningRate = 0.001, adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999, adam_weight_decay: float | None = 0.004, epsilon: float = 1e-7,
        weight_decay: float | None = 0.004, clipnorm: float | None = None,
        clipvalue: float | None = None, global_clipnorm: float | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None,
        exclude_layers: Sequence[str] | None = None, exclude_embeddings: bool = True,
        muon_a: float = 3.4445, muon_b: float = -4.775, muon_c: float = 2.0315,
        adam_lr_ratio: float = 1, momentum: float = 0.95, ns_steps: int = 5, nesterov: bool = True,
        rms_rate: float | None = 0.2, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,
            ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs,
        )  # fmt: skip
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.epsilon = epsilon
        self.exclude_layers = exclude_layers or []
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.exclude_embeddings = exclude_embeddings
        self.adam_weight_decay = adam_weight_decay
        self.rms_rate = rms_rate

    def _should_use_adamw(self, variable: Any) -> bool:
        path = getattr(variable, "path", variable.name)
        if len(variable.shape) != 2 or (self.exclude_embeddings and "embedding" in path.lower()):
            return True
        return any(re.search(pattern, path) for pattern in self.exclude_layers)

    def build(self, var_list: Sequence[Any]) -> None:
        """Make a slot of momentum for each variable, and of velocity for those of AdamW."""
        if self.built:
            return
        super().build(var_list)
        momentums: list[Variable | None] = []
        velocities: list[Variable | None] = []
        for variable in var_list:
            is_kept = not self._overwrite_variable_with_gradient(variable)
            momentum = self.add_variable_from_reference(variable, "momentum") if is_kept else None
            has_velocity = is_kept and self._should_use_adamw(variable)
            momentums.append(momentum)
            velocities.append(
                self.add_variable_from_reference(variable, "velocity") if has_velocity else None
            )
        self.momentums, self.adam_velocities = momentums, velocities

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        rate = learning_rate * self.adam_lr_ratio
        step = self._step_number(dtype)
        return learning_rate, corrected_rate(rate, step, self.adam_beta_1, self.adam_beta_2)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a matrix by its orthogonal momentum, anything else as AdamW does."""
        rate, adam_rate = self._constants(learning_rate, variable)
        gradient = tensor(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        m, v = self.momentums[index], self.adam_velocities[index]
        assert m is not None
        if v is None:
            momentum = m.value + (gradient + m.value * (self.momentum - 1))
            self.assign(m, momentum)
            ahead = gradient + momentum * self.momentum if self.nesterov else momentum
            direction = self.zeropower_via_newtonschulz5(ahead, self.ns_steps)
            self.assign_sub(variable, self.lr_adjust(direction * rate))
        else:
            momentum, velocity = moments(
                gradient, m.value, v.value, self.adam_beta_1, self.adam_beta_2
            )
            self.assign(m, momentum)
            self.assign(v, velocity)
            self.assign_sub(variable, momentum * adam_rate / (sqrt(velocity) + self.epsilon))

    def transpose_last_axis(self, X: Any) -> Tensor:
        """The last two axes exchanged."""
        return swapaxes(tensor(X), -2, -1)

    def lr_adjust(self, x: Any) -> Tensor:
        """A step of the size that AdamW's steps have, whatever the shape of the matrix."""
        x = tensor(x)
        if self.rms_rate is None:
            return x
        return x * (math.sqrt(max(x.shape[0], x.shape[1])) * self.rms_rate)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Tensor:
        """(..., m, n) -> the matrices of the same singular vectors, all singular values near 1.

        Raises ShapeError for fewer than two axes.
        """
        x = tensor(x)
        if x.ndim < 2:
            raise ShapeError(
                explain(
                    "Muon", "gradient or momentum to have at least 2 dimensions", f"shape={x.shape}"
                )
            )
        is_tall = x.shape[-2] > x.shape[-1]
        if is_tall:
            x = swapaxes(x, -2, -1)
        x = x / (sqrt(total(square(x), axis=(-2, -1), keepdims=True)) + 1e-7)
        for _ in range(steps):
            gram = matmul(x, swapaxes(x, -2, -1))
            x = x * self.muon_a + matmul(gram * self.muon_b + matmul(gram * self.muon_c, gram), x)
        return swapaxes(x, -2, -1) if is_tall else x

    def _weight_decay_of(self, variable: Any) -> float | None:
        return self.adam_weight_decay if self._should_use_adamw(variable) else self.weight_decay
