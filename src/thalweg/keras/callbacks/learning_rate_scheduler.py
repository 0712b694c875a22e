"""LearningRateScheduler: the learning rate of each epoch, from a function."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.optimizers.schedules import LearningRateSchedule
from thalweg.keras.utils.messages import print_message


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch to what a function gives.

    `schedule(epoch, learning_rate)`, or `schedule(epoch)`, gets the number of the epoch, from 0 on,
    and the rate so far, and returns a float. The logs get the rate as `learning_rate`. Raises
    ArgumentError for what is no float, TypeError when the optimizer follows a schedule of its own.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        check_settable(optimizer)
        former = float(optimizer.learning_rate)
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
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print_message(
                f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def check_settable(optimizer: Any) -> None:
    """Raise ArgumentTypeError where the learning rate follows a schedule already."""
    if isinstance(getattr(optimizer, "_learning_rate", None), LearningRateSchedule):
        raise ArgumentTypeError(
            explain(
                "learning rate",
                "an optimizer whose rate can be set. This optimizer was created with a "
                "`LearningRateSchedule` object as its `learning_rate`, hence its learning rate is "
                "not settable",
                f"{type(optimizer).__name__} with a {type(optimizer._learning_rate).__name__}",
                "Make it with a float: learning_rate=0.001.",
            )
        )


def _takes_two(schedule: Callable[..., Any]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # what is not written in Python has no signature
        return True
    return True
