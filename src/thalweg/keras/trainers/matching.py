"""Which losses are for which outputs of a model.

A model's outputs are a nesting, and so are the losses that `compile` is given. They are matched
from the root on, `spec` to `node`:

    one loss, at the root        for each leaf
    one loss, further down       for the node: it is called with the nesting that the node is
    a list of losses,            one for each, wherever there are as many losses as leaves
    the same container           child by child; what a dict of losses leaves out has no loss
    a dict, at the root          the outputs by their names
    another list                 several losses, each for the whole node
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import tree
from thalweg.keras.trainers.outputs import (
    OutputNameError,
    Outputs,
    children,
    is_flat,
    kind_of,
    object_name,
)

Path = tuple[Any, ...]


@dataclass(frozen=True)
class Choice:
    """A loss as the user wrote it, and its weight in the total."""

    identifier: Any
    weight: Any = None


def choices(loss: Any, weights: Any, outputs: Outputs) -> Any:
    """The losses with their weights, in the nesting of the losses."""
    loss = _listed_by_name(loss, outputs)
    if weights is None or not tree.is_nested(weights):
        return tree.map_structure(lambda each: Choice(each, weights), loss)
    if not tree.is_nested(loss) and len(tree.flatten(weights)) == outputs.count:
        # One loss, but weights for each output.
        loss = tree.map_structure(lambda _: loss, outputs.places)
    is_by_name = isinstance(weights, dict) and not isinstance(loss, dict)
    if is_by_name and set(weights) == set(outputs.by_name()):
        weights = [weights[name] for name in _in_order(outputs)]
    flat, flat_weights = tree.flatten(loss), tree.flatten(weights)
    if len(flat) != len(flat_weights):
        raise ArgumentError(
            explain(
                "compile",
                "a weight for each loss; `loss_weights` must match the number of losses",
                f"{len(flat)} losses and {len(flat_weights)} weights",
            )
        )
    pairs = [Choice(*pair) for pair in zip(flat, flat_weights, strict=True)]
    return tree.pack_sequence_as(loss, pairs)


def _in_order(outputs: Outputs) -> list[Any]:
    named = outputs.by_name()
    return sorted(named, key=named.__getitem__)


def _listed_by_name(loss: Any, outputs: Outputs) -> Any:
    """A dict of losses for outputs that are no dict, as a list; other losses as they are."""
    names = outputs.names
    if not isinstance(loss, dict) or isinstance(outputs.places, dict) or not names:
        return loss
    if set(loss) != set(names):
        raise ArgumentError(
            explain(
                "compile",
                "a loss for each output by its name, None for none. "
                f"Expected keys {names} in loss dict",
                f"keys {list(loss)}",
                f"Write loss={dict.fromkeys(names, 'mse')}.",
            )
        )
    listed = [loss[name] for name in names]
    return listed if tree.is_nested(outputs.places) else listed[0]


def label_of(identifier: Any) -> str:
    """How a loss, as the user wrote it, is called in logs."""
    return identifier if isinstance(identifier, str) else object_name(identifier)


class Matching:
    """Which losses are for which outputs, by the rules at the head of this file."""

    def __init__(self, outputs: Outputs):
        self.outputs = outputs

    def terms(self, spec: Any) -> Iterator[tuple[Choice, Any, str]]:
        """The losses, each with its outputs and its name in logs."""
        root = self.outputs.places
        if isinstance(spec, Choice) and tree.is_nested(root):
            for path, place in self._leaves_below(root, ()):
                yield from self._at(spec, place, path)
        else:
            yield from self._match(spec, root, ())

    def _match(self, spec: Any, node: Any, path: Path) -> Iterator[tuple[Choice, Any, str]]:
        if isinstance(spec, Choice):
            yield from self._at(spec, node, path)
        elif tree.is_nested(node) and _matches_leaves(spec, node):
            below = self._leaves_below(node, path)
            ordered = sorted(below, key=lambda pair: pair[1])
            for choice, (place_path, place) in zip(tree.flatten(spec), ordered, strict=True):
                yield from self._at(choice, place, place_path)
        elif tree.is_nested(node) and kind_of(spec) == kind_of(node):
            inside = dict(children(node))
            for key, each in children(spec):
                if key in inside:
                    yield from self._match(each, inside[key], (*path, key))
                elif not _is_nothing(each):
                    raise self._unknown((*path, key))
        elif isinstance(spec, dict):
            raise self._unknown((*path, *spec))
        else:
            for _, each in children(spec):
                yield from self._match(each, node, path)

    def _at(self, choice: Choice, node: Any, path: Path) -> Iterator[tuple[Choice, Any, str]]:
        if choice.identifier is None:
            return
        label = label_of(choice.identifier)
        if not tree.is_nested(node):
            name = "/".join(map(str, (*path[:-1], self._leaf_name(path, node, label))))
        elif path:
            name = "/".join(map(str, path))
        else:
            below = list(self._leaves_below(node, ()))
            has_names = self.outputs.names or all(isinstance(p[-1], str) for p, _ in below)
            names = [self._leaf_name(leaf_path, place, label) for leaf_path, place in below]
            name = "_".join(names) if has_names else label
        yield choice, node, name

    def _leaf_name(self, path: Path, place: int, label: str) -> str:
        if path and isinstance(path[-1], str):
            return path[-1]
        return self.outputs.names[place] if self.outputs.names else label

    def _leaves_below(self, node: Any, path: Path) -> Iterator[tuple[Path, int]]:
        if not tree.is_nested(node):
            yield path, node
            return
        for key, each in children(node):
            yield from self._leaves_below(each, (*path, key))

    def _unknown(self, path: Path) -> OutputNameError:
        names = list(self.outputs.by_name())
        return OutputNameError(
            explain(
                "compile",
                f"losses for outputs that there are. The path: {path} in the `loss` argument, "
                "can't be found in either the model's output (`y_pred`) or in the labels "
                "(`y_true`)",
                f"a loss at {path}, which can't be found in the model's output",
                f"The outputs are {names or tree.map_structure(str, self.outputs.places)}.",
            )
        )


def _matches_leaves(spec: Any, node: Any) -> bool:
    """True for a list of losses, as many as the node has leaves."""
    is_list = not isinstance(spec, dict) and is_flat(spec)
    return is_list and len(spec) == len(tree.flatten(node))


def _is_nothing(spec: Any) -> bool:
    return all(choice.identifier is None for choice in tree.flatten(spec))
