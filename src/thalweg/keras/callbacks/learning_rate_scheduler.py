"""LearningRateScheduler: the learning rate of each epoch, from a function."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.learning_rates import (
    check_settable,
    optimizers_by_rate,
    rates,
    title,
)
from thalweg.keras.utils.messages import print_message


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch to what a function gives.

    `schedule(epoch, learning_rate)`, or `schedule(epoch)`, gets the number of the epoch, from 0 on,
    and the rate so far, and returns a float; of a MultiOptimizer's optimizers each has its own. The
    logs get the rate as `learning_rate`, or `learning_rate_{name}` of several. Raises ArgumentError
    for what is no float, TypeError when the optimizer follows a schedule of its own.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        check_settable(optimizer)
        for name, each in optimizers_by_rate(optimizer).items():
            rate = self._scheduled(epoch, float(each.learning_rate))
            each.learning_rate = rate
            if self.verbose > 0:
                print_message(
                    f"\nEpoch {epoch + 1}: LearningRateScheduler setting {title(name)} to {rate}."
                )

    def _scheduled(self, epoch: int, former: float) -> float:
        rate = self.schedule(epoch, former) if self._takes_rate else self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)):
            raise ArgumentError(
                explain(
                    "LearningRateScheduler",
                    'a schedule that returns a float. The output of the "schedule" function should '
                    "be a float",
                    f"{rate!r} of type {type(rate).__name__} for epoch {epoch}",
                    "Write return float(...).",
                )
            )
        return float(rate)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs.update(rates(self.model.optimizer))


def _takes_two(schedule: Callable[..., Any]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # what is not written in Python has no signature
        return True
    return True
