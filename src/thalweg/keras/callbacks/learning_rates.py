"""The optimizers of a model whose learning rates callbacks read and set.

learning_rate           that of one optimizer, which may be within a LossScaleOptimizer
learning_rate_{name}    those of the optimizers within a MultiOptimizer
"""

from typing import Any

from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.keras.optimizers.schedules import LearningRateSchedule

RATE = "learning_rate"


def plain_optimizers(optimizer: Any) -> list[Any]:
    """The optimizers that change weights: those within one that holds others."""
    inner = _unscaled(optimizer)
    return list(getattr(inner, "optimizers", () if inner is None else (inner,)))


def _unscaled(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def optimizers_by_rate(optimizer: Any) -> dict[str, Any]:
    """The optimizers that have a learning rate, by the name that it has in logs."""
    plain = [each for each in plain_optimizers(optimizer) if hasattr(each, RATE)]
    if not hasattr(_unscaled(optimizer), "optimizers"):
        return {RATE: plain[0]} if plain else {}
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
    """The learning rate that has such a name in logs, as a sentence calls it."""
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
