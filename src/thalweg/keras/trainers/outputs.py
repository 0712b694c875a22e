"""The outputs of a model: a nesting of tensors, whose leaves are numbered from 0.

Labels and weights of samples are brought into the order of the leaves, which `tree.flatten` gives.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import tree
from thalweg.keras.naming import to_snake_case


class OutputNameError(ArgumentError, KeyError):
    """A loss for an output that the model does not have, or without labels."""

    def __str__(self) -> str:
        return str(self.args[0])


def object_name(given: Any) -> str:
    """How a loss or metric is called in logs."""
    name = getattr(given, "name", None) or getattr(given, "__name__", None)
    return to_snake_case(name or type(given).__name__)


def kind_of_labels(identifier: str, y_true: Any, y_pred: Any) -> str:
    """Binary, sparse_categorical or categorical, by the shapes of labels and predictions."""
    if y_true is None:
        raise ArgumentError(
            explain("compile", f"labels, by which {identifier!r} is chosen", "none")
        )
    true, predicted = tuple(y_true.shape), tuple(y_pred.shape)
    if not predicted or predicted[-1] == 1:
        return "binary"
    if len(true) < len(predicted) or true[-1] == 1:
        return "sparse_categorical"
    return "categorical"


def kind_of(node: Any) -> str:
    """Which containers correspond to each other."""
    if isinstance(node, dict):
        return "dict"
    if isinstance(node, list):
        return "list"
    return "namedtuple" if hasattr(node, "_fields") else "tuple"


def children(node: Any) -> Iterator[tuple[Any, Any]]:
    """What a container holds, with keys or positions."""
    return iter(node.items() if isinstance(node, dict) else enumerate(node))


def is_flat(node: Any) -> bool:
    """True for a container that holds no other."""
    return tree.is_nested(node) and not any(tree.is_nested(each) for _, each in children(node))


def _correspond(node: Any, values: Any) -> bool:
    """True for values nested as the node; lists and tuples are the same, and may list a dict."""
    if not tree.is_nested(node) or not tree.is_nested(values):
        return not tree.is_nested(node) and not tree.is_nested(values)
    if isinstance(node, dict) != isinstance(values, dict):
        return isinstance(node, dict) and is_flat(node) and is_flat(values)
    one, other = dict(children(node)), dict(children(values))
    return one.keys() == other.keys() and all(_correspond(one[key], other[key]) for key in one)


def _enter(node: Any, values: Any, found: list[Any]) -> bool:
    """Enter values at the leaves of the node that they are for; False where they do not match."""
    if not tree.is_nested(values):
        for place in tree.flatten(node):
            found[place] = values
        return True
    if not tree.is_nested(node) or isinstance(node, dict) != isinstance(values, dict):
        return False
    inside, given = dict(children(node)), dict(children(values))
    is_partial = isinstance(node, dict) and given.keys() <= inside.keys()
    if not is_partial and given.keys() != inside.keys():
        return False
    return all(_enter(inside[key], value, found) for key, value in given.items())


class Outputs:
    """The outputs of a model: their nesting with the leaves numbered, and their names."""

    def __init__(self, y_pred: Any, names: Sequence[str] | None):
        self.leaves = tree.flatten(y_pred)
        self.count = len(self.leaves)
        numbers = iter(range(self.count))
        self.places = tree.map_structure(lambda _: next(numbers), y_pred)
        self.names = list(names) if names and len(names) == self.count else None
        is_named = isinstance(y_pred, dict) and is_flat(y_pred)
        self.keys = dict(children(self.places)) if is_named else None

    def by_name(self) -> dict[Any, int]:
        """The outputs by their keys, or else by their names."""
        if self.keys is not None:
            return self.keys
        return {name: place for place, name in enumerate(self.names or ())}

    def spread(self, values: Any, wanted: Sequence[int]) -> list[Any] | None:
        """One of the nested `values` for each output; None where they do not correspond.

        Values may be given for all outputs, or for those that are `wanted`.
        """
        if isinstance(values, dict) and is_flat(values) and set(values) <= set(self.by_name()):
            found: list[Any] = [None] * self.count
            for name, place in self.by_name().items():
                found[place] = values.get(name)
            return found
        leaves = tree.flatten(values)
        if len(leaves) == self.count and (self.count == 1 or _correspond(self.places, values)):
            return leaves
        if isinstance(values, dict) or len(leaves) != len(wanted):
            return None
        found = [None] * self.count
        for place, leaf in zip(wanted, leaves, strict=True):
            found[place] = leaf
        return found

    def spread_weights(self, sample_weight: Any, wanted: Sequence[int]) -> list[Any]:
        """The weights of samples for each output; one array counts for all outputs below it."""
        found: list[Any] = [None] * self.count
        if _enter(self.places, sample_weight, found):
            return found
        if not isinstance(sample_weight, dict) and len(tree.flatten(sample_weight)) == 1:
            return tree.flatten(sample_weight) * self.count
        spread = self.spread(sample_weight, wanted)
        if spread is None:
            raise ArgumentError(
                explain(
                    "sample_weight",
                    f"one array, or one for each output, nested as {self._sketch()}",
                    f"{tree.map_structure(lambda _: '*', sample_weight)}",
                )
            )
        return spread

    def _sketch(self) -> Any:
        return tree.map_structure(lambda _: "*", self.places)

    def missing(self, label: str, y_true: dict[Any, Any]) -> OutputNameError:
        """The error for an output that has a loss but no label."""
        return OutputNameError(
            explain(
                "loss",
                f"labels for each output with a loss or metric; those for {label!r} can't be found "
                "in the labels (`y_true`)",
                f"labels for {list(y_true)}",
            )
        )

    def mismatch(self, where: str, y_true: Any) -> ArgumentError:
        """The error for labels that do not correspond to the outputs."""
        given = tree.map_structure(lambda _: "*", y_true)
        return ArgumentError(
            explain(
                where,
                "labels nested as the outputs; y_true and y_pred have different structures",
                f"y_true: {given}, y_pred: {self._sketch()}",
                f"The outputs are named {list(self.by_name())}." if self.by_name() else "",
            )
        )
