"""What `compile` is told about losses and metrics, matched to the outputs of a model.

A model's outputs are a nesting; its leaves are numbered from 0 as `tree.flatten` gives them. The
losses are a nesting too, and are matched to it from the root on, `spec` to `node`:

    one loss, at the root        for each leaf
    one loss, further down       for the node: it is called with the nesting that the node is
    a list of losses,            one for each, wherever there are as many losses as leaves
    the same container           child by child; what a dict of losses leaves out has no loss
    a dict, at the root          the outputs by their names
    another list                 several losses, each for the whole node

Each loss found so is a `_Term`. Metrics are matched alike, but a list at a leaf is a list of
metrics.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import losses, metrics, ops, tree
from thalweg.keras.losses.loss import Loss, LossFunctionWrapper
from thalweg.keras.metrics.metric import Metric, values_of
from thalweg.keras.metrics.reduction import Mean, MeanMetricWrapper
from thalweg.keras.naming import to_snake_case

Path = tuple[Any, ...]


class OutputNameError(ArgumentError, KeyError):
    """A loss for an output that the model does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


def _object_name(given: Any) -> str:
    """How a loss or metric is called in logs."""
    name = getattr(given, "name", None) or getattr(given, "__name__", None)
    return to_snake_case(name or type(given).__name__)


def _kind_of_labels(y_true: Any, y_pred: Any) -> str:
    """ "binary", "sparse_categorical" or "categorical", by the shapes of labels and predictions."""
    true, predicted = tuple(y_true.shape), tuple(y_pred.shape)
    if not predicted or predicted[-1] == 1:
        return "binary"
    if len(true) < len(predicted) or true[-1] == 1:
        return "sparse_categorical"
    return "categorical"


# Outputs ------------------------------------------------------------------------------------------


def _kind(node: Any) -> str:
    """Which containers correspond to each other."""
    if isinstance(node, dict):
        return "dict"
    if isinstance(node, list):
        return "list"
    return "namedtuple" if hasattr(node, "_fields") else "tuple"


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    return iter(node.items() if isinstance(node, dict) else enumerate(node))


def _is_flat(node: Any) -> bool:
    return tree.is_nested(node) and not any(tree.is_nested(each) for _, each in _children(node))


class _Outputs:
    """The outputs of a model: their nesting with the leaves numbered, and their names."""

    def __init__(self, y_pred: Any, names: Sequence[str] | None):
        self.leaves = tree.flatten(y_pred)
        self.count = len(self.leaves)
        numbers = iter(range(self.count))
        self.places = tree.map_structure(lambda _: next(numbers), y_pred)
        self.names = list(names) if names and len(names) == self.count else None
        is_named = isinstance(y_pred, dict) and _is_flat(y_pred)
        self.keys = dict(_children(self.places)) if is_named else None

    def by_name(self) -> dict[Any, int]:
        """The outputs by their keys, or else by their names."""
        if self.keys is not None:
            return self.keys
        return {name: place for place, name in enumerate(self.names or ())}

    def spread(self, values: Any, wanted: Sequence[int]) -> list[Any] | None:
        """One of the nested `values` for each output; None where they do not correspond.

        Values may be given for all outputs, or for those that are `wanted`.
        """
        if isinstance(values, dict) and _is_flat(values) and set(values) <= set(self.by_name()):
            found: list[Any] = [None] * self.count
            for name, place in self.by_name().items():
                found[place] = values.get(name)
            return found
        leaves = tree.flatten(values)
        if isinstance(values, dict) and self.keys is None and _is_flat(self.places):
            return leaves if self.count == 1 == len(leaves) else None
        if len(leaves) == self.count:
            return leaves
        if len(leaves) != len(wanted):
            return None
        found = [None] * self.count
        for place, leaf in zip(wanted, leaves, strict=True):
            found[place] = leaf
        return found

    def spread_weights(self, sample_weight: Any, wanted: Sequence[int]) -> list[Any]:
        """The weights of samples for each output; one array counts for all of them."""
        if sample_weight is None or not tree.is_nested(sample_weight):
            return [sample_weight] * self.count
        if not isinstance(sample_weight, dict) and len(tree.flatten(sample_weight)) == 1:
            return tree.flatten(sample_weight) * self.count
        found = self.spread(sample_weight, wanted)
        if found is None:
            raise ArgumentError(
                explain(
                    "sample_weight",
                    f"one array, or one for each output, nested as {self._sketch()}",
                    f"{tree.map_structure(lambda _: '*', sample_weight)}",
                )
            )
        return found

    def _sketch(self) -> Any:
        return tree.map_structure(lambda _: "*", self.places)

    def missing(self, label: str, y_true: dict[Any, Any]) -> OutputNameError:
        """The error for an output that has a loss but no label."""
        return OutputNameError(
            explain(
                "loss",
                f"labels for each output with a loss; those for {label!r} can't be found in the "
                "labels (`y_true`)",
                f"labels for {list(y_true)}",
            )
        )

    def mismatch(self, where: str, y_true: Any) -> ArgumentError:
        """The error for labels that do not correspond to the outputs."""
        given = tree.map_structure(lambda _: "*", y_true)
        return ArgumentError(
            explain(
                where,
                "labels nested as the outputs; y_true and y_pred have different structures.\n"
                f"y_true: {given}\ny_pred: {self._sketch()}\n",
                f"{len(tree.flatten(y_true))} labels for {self.count} outputs",
                f"The outputs are named {list(self.by_name())}." if self.by_name() else "",
            )
        )


# Losses -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Choice:
    """A loss as the user wrote it, and its weight in the total."""

    identifier: Any
    weight: Any = None


@dataclass(frozen=True)
class _Term:
    """A loss of some outputs: `places` is their nesting, or the number of one."""

    loss: Loss
    weight: Any
    label: str
    places: Any


class CompileLoss:
    """The weighted sum of the losses of a model's outputs.

    `loss` and `loss_weights` are as `Model.compile` takes them. With more than one loss, each has
    its own mean in `metrics`. Raises ArgumentError for what does not fit the outputs, at the first
    call.
    """

    def __init__(
        self,
        loss: Any,
        loss_weights: Any = None,
        reduction: str | None = "sum_over_batch_size",
        output_names: Sequence[str] | None = None,
    ):
        if not isinstance(loss_weights, (list, tuple, dict, int, float, type(None))):
            raise ArgumentError(
                explain(
                    "compile",
                    "`loss_weights` to be a float, a list, a tuple or a dict",
                    f"loss_weights={loss_weights} (of type {type(loss_weights)})",
                )
            )
        self.name = "compile_loss"
        self.reduction = reduction
        self.built = False
        self.output_names = output_names
        self._user_loss = loss
        self._user_loss_weights = loss_weights
        self._terms: list[_Term] = []
        self._trackers: list[Mean] = []

    @property
    def metrics(self) -> list[Mean]:
        """The means of the single losses, unweighted; none where there is only one."""
        return self._trackers

    @property
    def variables(self) -> list[Any]:
        """The state of the metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Match the losses to outputs; tensors or KerasTensors, of which only shapes are used."""
        outputs = _Outputs(y_pred, self.output_names)
        found = list(_Matching(outputs).terms(self._choices(outputs)))
        wanted = sorted({place for _, node, _ in found for place in tree.flatten(node)})
        labels = outputs.spread(y_true, wanted) if found else []
        if labels is None:
            raise outputs.mismatch("compile", y_true)
        self._outputs, self._wanted = outputs, wanted
        self._terms = [
            _Term(
                _loss(choice.identifier, labels, outputs.leaves, node), choice.weight, label, node
            )
            for choice, node, label in found
        ]
        several = len(self._terms) > 1
        self._trackers = [Mean(name=f"{term.label}_loss") for term in self._terms if several]
        self.built = True

    def _choices(self, outputs: _Outputs) -> Any:
        """The losses with their weights, in the nesting of the losses."""
        loss = _listed_by_name(self._user_loss, outputs)
        weights: Any = self._user_loss_weights
        if weights is None or not tree.is_nested(weights):
            return tree.map_structure(lambda each: _Choice(each, weights), loss)
        if not tree.is_nested(loss) and len(tree.flatten(weights)) == outputs.count:
            # One loss, but weights for each output.
            loss = tree.map_structure(lambda _: loss, outputs.places)
        if not isinstance(loss, dict) and set(weights) == set(outputs.by_name()):
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
        pairs = [_Choice(*pair) for pair in zip(flat, flat_weights, strict=True)]
        return tree.pack_sequence_as(loss, pairs)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The scalar to make small, None where no output has a loss; gathers the metrics."""
        if not self.built:
            self.build(y_true, y_pred)
        if not self._terms:
            return None
        outputs = self._outputs
        predictions = outputs.spread(y_pred, range(outputs.count))
        labels = outputs.spread(y_true, self._wanted)
        if predictions is None or labels is None:
            raise outputs.mismatch("loss", y_true)
        weights = outputs.spread_weights(sample_weight, self._wanted)
        total = None
        for index, term in enumerate(self._terms):
            first = tree.flatten(term.places)[0]
            if labels[first] is None and isinstance(y_true, dict):
                raise outputs.missing(term.label, y_true)
            value = term.loss(
                _pick(labels, term.places), _pick(predictions, term.places), weights[first]
            )
            if self._trackers:
                shape = ops.shape(predictions[first])
                self._trackers[index].update_state(value, sample_weight=shape[0] if shape else 1)
            if term.weight is not None:
                value = ops.multiply(value, term.weight)
            total = value if total is None else total + value
        return total

    call = __call__


def _pick(leaves: Sequence[Any], places: Any) -> Any:
    if isinstance(places, int):
        return leaves[places]
    return tree.map_structure(lambda place: leaves[place], places)


def _loss(identifier: Any, labels: Sequence[Any], leaves: Sequence[Any], node: Any) -> Loss:
    """The loss that an identifier means for some outputs."""
    found = identifier
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        first = tree.flatten(node)[0]
        found = f"{_kind_of_labels(labels[first], leaves[first])}_crossentropy"
    found = losses.get(found)
    if isinstance(found, Loss):
        return found
    return LossFunctionWrapper(found, name=_label(identifier))


def _label(identifier: Any) -> str:
    return identifier if isinstance(identifier, str) else _object_name(identifier)


def _in_order(outputs: _Outputs) -> list[Any]:
    named = outputs.by_name()
    return sorted(named, key=named.__getitem__)


def _listed_by_name(loss: Any, outputs: _Outputs) -> Any:
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


class _Matching:
    """Which losses are for which outputs, by the rules at the head of this file."""

    def __init__(self, outputs: _Outputs):
        self.outputs = outputs

    def terms(self, spec: Any) -> Iterator[tuple[_Choice, Any, str]]:
        """The losses, each with its outputs and its name in logs."""
        root = self.outputs.places
        if isinstance(spec, _Choice) and tree.is_nested(root):
            for path, place in self._leaves_below(root, ()):
                yield from self._at(spec, place, path)
        else:
            yield from self._match(spec, root, ())

    def _match(self, spec: Any, node: Any, path: Path) -> Iterator[tuple[_Choice, Any, str]]:
        if isinstance(spec, _Choice):
            yield from self._at(spec, node, path)
        elif tree.is_nested(node) and _matches_leaves(spec, node):
            below = self._leaves_below(node, path)
            ordered = sorted(below, key=lambda pair: pair[1])
            for choice, (place_path, place) in zip(tree.flatten(spec), ordered, strict=True):
                yield from self._at(choice, place, place_path)
        elif tree.is_nested(node) and _kind(spec) == _kind(node):
            inside = dict(_children(node))
            for key, each in _children(spec):
                if key in inside:
                    yield from self._match(each, inside[key], (*path, key))
                elif not _is_nothing(each):
                    raise self._unknown((*path, key))
        elif isinstance(spec, dict):
            raise self._unknown((*path, *spec))
        else:
            for _, each in _children(spec):
                yield from self._match(each, node, path)

    def _at(self, choice: _Choice, node: Any, path: Path) -> Iterator[tuple[_Choice, Any, str]]:
        if choice.identifier is None:
            return
        label = _label(choice.identifier)
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
        for key, each in _children(node):
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
    is_list = not isinstance(spec, dict) and _is_flat(spec)
    return is_list and len(spec) == len(tree.flatten(node))


def _is_nothing(spec: Any) -> bool:
    return all(choice.identifier is None for choice in tree.flatten(spec))


# Metrics ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _OutputMetrics:
    """The metrics of one output, and what their names begin with in logs."""

    place: int
    prefix: str | None
    metrics: list[Metric]


class CompileMetrics(Metric):
    """The metrics of a model's outputs; their results are a dict by name.

    `metrics` and `weighted_metrics`, which take weights of samples into account, are as
    `Model.compile` takes them. Raises ArgumentError for what does not fit the outputs, at the first
    update.
    """

    def __init__(
        self,
        metrics: Any,
        weighted_metrics: Any,
        name: str = "compile_metrics",
        output_names: Sequence[str] | None = None,
    ):
        super().__init__(name=name)
        for argument, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given and not isinstance(given, (list, tuple, dict)):
                raise ArgumentError(
                    explain(
                        "compile",
                        f"{argument} as a list or dict. Expected `{argument}` argument to be a "
                        "list, tuple, or dict",
                        f"instead: {argument}={given} of type {type(given)}",
                        f"Write {argument}=[{given!r}].",
                    )
                )
        # Not attributes of the usual kind, which would be tracked: the user's containers stay.
        self.__dict__["_given"] = (("metrics", metrics), ("weighted_metrics", weighted_metrics))
        self.__dict__["_sets"] = ([], [])
        self.built = False
        self.output_names = output_names

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, first those without weights; none before the first update."""
        return [metric for each in self._sets for one in each for metric in one.metrics]

    @property
    def variables(self) -> list[Any]:
        """The state of the metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Match the metrics to outputs; tensors or KerasTensors, of which only shapes are used."""
        outputs = _Outputs(y_pred, self.output_names)
        wanted = [self._by_output(argument, given, outputs) for argument, given in self._given]
        has_any = [i for i in range(outputs.count) if any(each[i] for each in wanted)]
        labels = self._labels(outputs, y_true, has_any)
        sets = tuple(
            [
                _OutputMetrics(
                    place,
                    self._prefix(outputs, place),
                    [_metric(each, labels[place], outputs.leaves[place]) for each in chosen[place]],
                )
                for place in self._order(outputs)
                if chosen[place]
            ]
            for chosen in wanted
        )
        self.__dict__.update(_sets=sets, _outputs=outputs, _wanted=has_any)
        self.built = True

    def _labels(self, outputs: _Outputs, y_true: Any, wanted: Sequence[int]) -> list[Any]:
        if y_true is None:
            return [None] * outputs.count
        found = outputs.spread(y_true, wanted)
        if found is None:
            raise outputs.mismatch("metrics", y_true)
        return found

    def _order(self, outputs: _Outputs) -> list[int]:
        """The outputs in the order of their results: that of the names where they are the keys."""
        if outputs.keys is not None and outputs.names and set(outputs.keys) == set(outputs.names):
            return [outputs.keys[name] for name in outputs.names]
        return list(range(outputs.count))

    def _prefix(self, outputs: _Outputs, place: int) -> str | None:
        if outputs.count == 1:
            return None
        if outputs.keys is not None:
            return next(key for key, each in outputs.keys.items() if each == place)
        return outputs.names[place] if outputs.names else None

    def _by_output(self, argument: str, given: Any, outputs: _Outputs) -> list[list[Any]]:
        """The metrics, as the user wrote them, of each output."""
        if not given:
            return [[] for _ in range(outputs.count)]
        if outputs.count == 1:
            return [tree.flatten(given)]
        named = outputs.by_name()
        if isinstance(given, dict) and set(given) <= set(named):
            found: list[list[Any]] = [[] for _ in range(outputs.count)]
            for name, each in given.items():
                found[named[name]] = _listed(each)
            return found
        if _is_flat(outputs.places) and not isinstance(given, dict) and len(given) == outputs.count:
            return [_listed(given[i]) for i in _inverse(self._order(outputs))]
        found = [[] for _ in range(outputs.count)]
        if not _fill(found, given, outputs.places):
            names = f"{self.output_names} or match " if self.output_names else ""
            raise ArgumentError(
                explain(
                    "compile",
                    f"metrics for each output. Invalid `{argument}`. `{argument}` should contain "
                    f"metrics objects and match {names}the output structure of the model: "
                    f"{tree.map_structure(lambda _: 'X', outputs.places)}",
                    f"{argument}={given}",
                    f"Write {argument}={_example(outputs)}.",
                )
            )
        return found

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather a batch."""
        if not self.built:
            self.build(y_true, y_pred)
        outputs = self._outputs
        predictions = outputs.spread(y_pred, range(outputs.count))
        if predictions is None:
            raise outputs.mismatch("metrics", y_pred)
        labels = self._labels(outputs, y_true, self._wanted)
        plain, weighted = self._sets
        for each in plain:
            for metric in each.metrics:
                metric.update_state(labels[each.place], predictions[each.place])
        if weighted:
            weights = outputs.spread_weights(sample_weight, self._wanted)
            for each in weighted:
                place = each.place
                for metric in each.metrics:
                    metric.update_state(labels[place], predictions[place], weights[place])

    def reset_state(self) -> None:
        """Let all metrics begin again."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """The values by name, `[output_][weighted_]name[_number]`.

        "weighted_" and a number stand only where the name without them is taken.
        """
        if not self.built:
            raise ArgumentError(
                explain(
                    "metrics",
                    "to be updated first",
                    "Cannot get result() since the metric has not yet been built.",
                )
            )
        found: dict[str, Any] = {}
        for each, is_weighted in zip(self._sets, (False, True), strict=True):
            for one in each:
                prefix = f"{one.prefix}_" if one.prefix else ""
                for metric in one.metrics:
                    name = f"{prefix}{metric.name}"
                    if is_weighted and name in found:
                        name = f"{prefix}weighted_{metric.name}"
                    found[_free(name, found)] = values_of(metric.result())
        return found

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            explain("compile", "get_compile_config of the model", "get_config of its metrics")
        )


def _listed(given: Any) -> list[Any]:
    return [] if given is None else tree.flatten(given)


def _inverse(order: Sequence[int]) -> list[int]:
    found = [0] * len(order)
    for position, place in enumerate(order):
        found[place] = position
    return found


def _fill(found: list[list[Any]], given: Any, node: Any) -> bool:
    """Enter nested metrics at the outputs that they stand for; False where they do not match."""
    if not tree.is_nested(node):
        found[node] = _listed(given)
        return True
    if not tree.is_nested(given):
        return given is None
    inside = dict(_children(node))
    is_alike = isinstance(given, dict) == isinstance(node, dict)
    if not is_alike or not set(dict(_children(given))) <= set(inside):
        return False
    if not isinstance(given, dict) and len(given) != len(inside):
        return False
    return all(_fill(found, each, inside[key]) for key, each in _children(given))


def _example(outputs: _Outputs) -> str:
    if outputs.by_name():
        return str({name: ["mse"] for name in outputs.by_name()})
    return str(tree.map_structure(lambda _: "mse", outputs.places))


def _free(name: str, taken: dict[str, Any]) -> str:
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _metric(identifier: Any, y_true: Any, y_pred: Any) -> Metric:
    """The metric that an identifier means for an output."""
    if identifier is None:
        raise ArgumentError(explain("compile", "Expected metric, received `None`", "None"))
    if isinstance(identifier, Metric):
        return identifier
    found: Any
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        found = _ACCURACIES[_kind_of_labels(y_true, y_pred)](name=identifier)
    else:
        found = metrics.get(identifier)
    name = identifier if isinstance(identifier, str) else _object_name(found)
    if not isinstance(found, Metric):
        found = MeanMetricWrapper(found, name=name)
    found.name = name
    return found


_ACCURACIES: dict[str, Callable[..., Metric]] = {
    "binary": metrics.BinaryAccuracy,
    "sparse_categorical": metrics.SparseCategoricalAccuracy,
    "categorical": metrics.CategoricalAccuracy,
}
