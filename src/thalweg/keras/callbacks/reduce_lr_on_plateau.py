"""ReduceLROnPlateau: a smaller learning rate when a metric has stopped improving."""

from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.callbacks.learning_rates import (
    check_settable,
    optimizers_by_rate,
    rates,
    title,
)
from thalweg.keras.callbacks.monitor import MonitorCallback
from thalweg.keras.utils.messages import print_message


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` after `patience` epochs without improvement.

    It does not go below `min_lr`. After a reduction `cooldown` epochs are not counted. An
    improvement is a change by more than `min_delta`, in the direction of `mode` ("min", "max", or
    "auto", the metric's own). Each optimizer of a MultiOptimizer has its own rate. The logs get the
    rate as `learning_rate`, or `learning_rate_{name}` of several. Raises ArgumentError for a factor
    of 1 or more, TypeError when the optimizer follows a schedule.
    """

    state_attributes = ("best", "cooldown_counter", "wait")
    _what = "Learning rate reduction is"

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ArgumentError(
                explain(
                    "ReduceLROnPlateau",
                    "a factor below 1; ReduceLROnPlateau does not support a factor >= 1.0",
                    f"factor={factor}",
                )
            )
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: Any = None) -> None:
        check_settable(self.model.optimizer)
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether epochs are not counted now."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = {} if logs is None else logs
        logs.update(rates(self.model.optimizer))
        current = self.get_monitor_value(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        # As float32, which the rates have been: 0.002 in it is a little more than 0.002.
        least = np.float32(self.min_lr)
        for name, each in optimizers_by_rate(self.model.optimizer).items():
            rate = float(each.learning_rate)
            if rate <= least:
                continue
            new = max(rate * self.factor, self.min_lr)
            each.learning_rate = new
            if self.verbose > 0:
                print_message(
                    f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing {title(name)} to {new}."
                )
            self.cooldown_counter = self.cooldown
            self.wait = 0
