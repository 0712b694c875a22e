"""The optimizers of a model whose learning rates callbacks read and set.

learning_rate           that of a single optimizer, also of one within a LossScaleOptimizer
learning_rate_{name}    those of the optimizers within a MultiOptimizer
"""

from collections.abc import Iterator
from typing import Any

from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.keras.optimizers.schedules import LearningRateSchedule

RATE = "learning_rate"


def plain_optimizers(optimizer: Any) -> Iterator[Any]:
    """The optimizers that change weights: those within one that holds others."""
    inner = getattr(optimizer, "inner_optimizer", None)
    several = getattr(optimizer, "optimizers", None)
    if inner is not None:
        yield from plain_optimizers(inner)
    elif several:
        for each in several:
            yield from plain_optimizers(each)
    elif optimizer is not None:
        yield optimizer


def optimizers_by_rate(optimizer: Any) -> dict[str, Any]:
    """The optimizers that have a learning rate, by the name that it has in logs."""
    plain = [each for each in plain_optimizers(optimizer) if hasattr(each, "learning_rate")]
    if len(plain) == 1:
        return {RATE: plain[0]}
    found: dict[str, Any] = {}
    for each in plain:
        name, count = f"{RATE}_{each.name}", 0
        while name in found:
            count += 1
            name = f"{RATE}_{each.name}_{count}"
        found[name] = each
    return found


def rates(optimizer: Any) -> dict[str, float]:
    """The learning rates by their names in logs."""
    return {name: float(each.learning_rate) for name, each in optimizers_by_rate(optimizer).items()}


def title(name: str) -> str:
    """The learning rate of such a name in logs, in a sentence."""
    return f"{name.removeprefix(RATE).removeprefix('_')} learning rate".lstrip()


def check_settable(optimizer: Any) -> None:
    """Raise ArgumentTypeError where a learning rate follows a schedule already."""
    for each in plain_optimizers(optimizer):
        schedule = getattr(each, "_learning_rate", None)
        if isinstance(schedule, LearningRateSchedule):
            raise ArgumentTypeError(
                explain(
                    "learning rate",
                    "an optimizer whose rate can be set. This optimizer was created with a "
                    "`LearningRateSchedule` object as its `learning_rate`, hence its learning "
                    "rate is not settable",
                    f"{type(each).__name__} with a {type(schedule).__name__}",
                    "Make it with a float: learning_rate=0.001.",
                )
            )
