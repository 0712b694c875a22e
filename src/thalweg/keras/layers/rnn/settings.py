"""The settings that recurrent cells have in common, and that their layers hand through."""

from collections.abc import Iterable
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import activations, constraints, initializers, regularizers
from thalweg.keras.layers.layer import Layer

WEIGHTS = ("kernel", "recurrent", "bias")
KINDS = {
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
    "activation": activations,
}
"""By the last word of a setting's name, the module that finds its value and writes it."""


def weight_settings(*before_regularizers: str) -> tuple[str, ...]:
    """The names of what is set for each weight, with others after the initializers."""
    initializer, regularizer, constraint = (
        tuple(f"{weight}_{kind}" for weight in WEIGHTS) for kind in list(KINDS)[:3]
    )
    return (*initializer, *before_regularizers, *regularizer, *constraint)


DROPOUTS = ("dropout", "recurrent_dropout")


def keep(layer: Layer, given: dict[str, Any], names: Iterable[str]) -> None:
    """Set these of the given settings on a layer: objects for names, rates between 0 and 1."""
    for name in names:
        value = given[name]
        if name in DROPOUTS:
            value = min(1.0, max(0.0, value))
        kind = KINDS.get(name.rpartition("_")[2])
        setattr(layer, name, value if kind is None else kind.get(value))


def written(layer: Layer, names: Iterable[str]) -> dict[str, Any]:
    """The settings of a layer as a config holds them."""
    found = {}
    for name in names:
        value = getattr(layer, name)
        kind = KINDS.get(name.rpartition("_")[2])
        found[name] = value if kind is None else kind.serialize(value)
    return found


def of_cell(name: str) -> property:
    """A property of a layer that is one of its cell."""
    return property(lambda self: getattr(self.cell, name), doc=f"The `{name}` of the cell.")


def positive_units(layer: str, units: Any) -> int:
    """The number of units. Raises ArgumentError for what is no integer above 0."""
    if not isinstance(units, int) or isinstance(units, bool) or units <= 0:
        raise ArgumentError(
            explain(
                layer,
                "a number of units above 0. Received an invalid value for argument `units`, "
                "expected a positive integer",
                f"units={units!r} of {type(units).__name__}",
            )
        )
    return units
