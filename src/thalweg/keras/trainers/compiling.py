"""The losses and metrics that `compile` is told, as one of each for a training step to call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import losses, metrics, ops, tree
from thalweg.keras.losses.functions import sparse_categorical_crossentropy
from thalweg.keras.losses.loss import Loss, LossFunctionWrapper
from thalweg.keras.metrics.metric import Metric, values_of
from thalweg.keras.metrics.reduction import Mean, MeanMetricWrapper
from thalweg.keras.trainers.matching import Matching, choices, label_of
from thalweg.keras.trainers.outputs import (
    Outputs,
    children,
    is_flat,
    kind_of_labels,
    object_name,
)
from thalweg.keras.utils.sample_weight import unpack_x_y_sample_weight


@dataclass(frozen=True)
class _Term:
    """A loss of some outputs: `places` is their nesting, or the number of one."""

    loss: Loss
    weight: Any
    label: str
    places: Any


@dataclass(frozen=True, slots=True)
class _Classes:
    """Labels that are class numbers: where they stand, how many classes there are."""

    place: int
    label: str
    count: int
    ignored: int | None

    def check(self, labels: np.ndarray) -> None:
        """Refuse what is no class number: its loss would be NaN, or that of another class."""
        if not labels.size or (labels.min() >= 0 and labels.max() < self.count):
            return
        wrong = (labels < 0) | (labels >= self.count)
        if self.ignored is not None:
            wrong &= labels != self.ignored
        if not wrong.any():
            return
        index = tuple(int(each) for each in np.argwhere(wrong)[0])
        raise ArgumentError(
            explain(
                f"labels of {self.label}",
                f"class numbers from 0 to {self.count - 1}, as many as the output has classes",
                f"{labels[index]} at {index[0] if len(index) == 1 else index} of the batch",
                "Give the last layer as many units as there are classes, count these from 0, or "
                "leave labels out by SparseCategoricalCrossentropy(ignore_class=...).",
            )
        )


def _classes_of(term: _Term, leaves: Sequence[Any]) -> _Classes | None:
    """What to expect of a term's labels, where they are class numbers along a known axis."""
    loss = term.loss
    if not isinstance(loss, LossFunctionWrapper) or loss.fn is not sparse_categorical_crossentropy:
        return None
    settings = loss._fn_kwargs
    if not isinstance(term.places, int):
        return None
    shape = leaves[term.places].shape
    count = shape[settings.get("axis", -1)] if shape else None
    ignored = settings.get("ignore_class")
    return _Classes(term.places, term.label, count, ignored) if isinstance(count, int) else None


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
        self._classes: list[_Classes] = []
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
        outputs = Outputs(y_pred, self.output_names)
        found = list(
            Matching(outputs).terms(choices(self._user_loss, self._user_loss_weights, outputs))
        )
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
        self._classes = [
            each for term in self._terms if (each := _classes_of(term, outputs.leaves))
        ]
        several = len(self._terms) > 1
        self._trackers = [Mean(name=f"{term.label}_loss") for term in self._terms if several]
        self.built = True

    def check_classes(self, data: Any) -> None:
        """Raise ArgumentError for class numbers of a batch that no output has a place for."""
        if not self._classes:
            return
        labels = self._outputs.spread(unpack_x_y_sample_weight(data)[1], self._wanted)
        if labels is None:
            return
        for each in self._classes:
            given = labels[each.place]
            if isinstance(given, Tensor) and not given.is_traced and given.dtype.is_integer:
                each.check(given.numpy())

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
        found = f"{kind_of_labels(identifier, labels[first], leaves[first])}_crossentropy"
    found = losses.get(found)
    if isinstance(found, Loss):
        return found
    return LossFunctionWrapper(found, name=label_of(identifier))


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
        outputs = Outputs(y_pred, self.output_names)
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

    def _labels(self, outputs: Outputs, y_true: Any, wanted: Sequence[int]) -> list[Any]:
        if y_true is None or not wanted:
            return [None] * outputs.count
        found = outputs.spread(y_true, wanted)
        if found is None:
            raise outputs.mismatch("metrics", y_true)
        named = outputs.by_name()
        for name in named if isinstance(y_true, dict) else ():
            if named[name] in wanted and found[named[name]] is None:
                raise outputs.missing(name, y_true)
        return found

    def _order(self, outputs: Outputs) -> list[int]:
        """The outputs in the order of their results: that of the names where they are the keys."""
        if outputs.keys is not None and outputs.names and set(outputs.keys) == set(outputs.names):
            return [outputs.keys[name] for name in outputs.names]
        return list(range(outputs.count))

    def _prefix(self, outputs: Outputs, place: int) -> str | None:
        if outputs.count == 1:
            return None
        if outputs.keys is not None:
            return next(key for key, each in outputs.keys.items() if each == place)
        return outputs.names[place] if outputs.names else None

    def _by_output(self, argument: str, given: Any, outputs: Outputs) -> list[list[Any]]:
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
        if is_flat(outputs.places) and not isinstance(given, dict) and len(given) == outputs.count:
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
    inside = dict(children(node))
    is_alike = isinstance(given, dict) == isinstance(node, dict)
    if not is_alike or not set(dict(children(given))) <= set(inside):
        return False
    if not isinstance(given, dict) and len(given) != len(inside):
        return False
    return all(_fill(found, each, inside[key]) for key, each in children(given))


def _example(outputs: Outputs) -> str:
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
        raise ArgumentError(
            explain("compile", "metrics only. Expected metric, received `None`", "None")
        )
    if isinstance(identifier, Metric):
        return identifier
    found: Any
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        found = _ACCURACIES[kind_of_labels(identifier, y_true, y_pred)](name=identifier)
    else:
        found = metrics.get(identifier)
    name = identifier if isinstance(identifier, str) else object_name(found)
    if not isinstance(found, Metric):
        found = MeanMetricWrapper(found, name=name)
    found.name = name
    return found


_ACCURACIES: dict[str, Callable[..., Metric]] = {
    "binary": metrics.BinaryAccuracy,
    "sparse_categorical": metrics.SparseCategoricalAccuracy,
    "categorical": metrics.CategoricalAccuracy,
}
