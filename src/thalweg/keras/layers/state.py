"""The state of a layer: its weights, the layers within it, metrics and seed generators."""

import collections
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.context import outside
from thalweg.keras import constraints, initializers, naming, regularizers
from thalweg.keras.dtypes import is_float_dtype, standardize_dtype
from thalweg.keras.metrics.metric import Metric
from thalweg.keras.random.seed_generator import SeedGenerator
from thalweg.keras.tracking import Tracker
from thalweg.keras.variable import Variable

BUILT_MESSAGE = (
    "You cannot add new elements of state (variables or sub-layers) to a layer that is already "
    "built. All state must be created in the `__init__()` method or in the `build()` method."
)


class LayerState:
    """What a layer keeps between calls, and how it is counted, read, replaced and stored."""

    if TYPE_CHECKING:
        # Layers set attributes freely.
        def __getattr__(self, name: str) -> Any: ...

    name: str
    built: bool
    variable_dtype: str
    _path: str | None
    _trainable: bool
    _tracker: Tracker
    _trainable_variables: list[Variable]
    _non_trainable_variables: list[Variable]
    _metrics: list[Metric]
    _layers: list[Any]
    _seed_generators: list[SeedGenerator]

    def _initialize_tracker(self) -> None:
        if "_tracker" in self.__dict__:
            return
        stores: dict[str, tuple[Any, list]] = {
            "trainable_variables": (lambda x: isinstance(x, Variable) and x.trainable, []),
            "non_trainable_variables": (lambda x: isinstance(x, Variable), []),
            "metrics": (lambda x: isinstance(x, Metric), []),
            "layers": (lambda x: isinstance(x, LayerState), []),
            "seed_generators": (lambda x: isinstance(x, SeedGenerator), []),
        }
        tracker = Tracker(stores, {"non_trainable_variables": ["trainable_variables"]})
        for name, (_, store) in stores.items():
            self.__dict__[f"_{name}"] = store
        self.__dict__["_tracker"] = tracker

    def __setattr__(self, name: str, value: Any) -> None:
        if "_tracker" not in self.__dict__:
            self._initialize_tracker()
        super().__setattr__(name, self._tracker.track(value))

    def __delattr__(self, name: str) -> None:
        value = self.__dict__.get(name)
        if value is not None and "_tracker" in self.__dict__:
            self._tracker.untrack(value)
        super().__delattr__(name)

    def _track_variable(self, variable: Variable) -> None:
        which = "trainable_variables" if variable.trainable else "non_trainable_variables"
        if not self._tracker.is_in_store(which, variable):
            self._tracker.add_to_store(which, variable)
        if not self._trainable:
            variable.trainable = False

    def _untrack_variable(self, variable: Variable) -> None:
        locked = self._tracker.message
        self._tracker.unlock()
        self._tracker.untrack(variable)
        self._tracker.message = locked

    def _lock_state(self) -> None:
        if not self._tracker.locked:
            self._tracker.lock(BUILT_MESSAGE)

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """The layer and those within it, each once, from the outside in."""
        found: dict[int, Any] = {}
        pending: collections.deque[Any] = collections.deque([self])
        while pending:
            layer = pending.popleft()
            if id(layer) in found:
                continue
            found[id(layer)] = layer
            if recursive or layer is self:
                pending.extendleft(reversed(layer._layers))
        return [layer for layer in found.values() if include_self or layer is not self]

    def add_weight(
        self,
        *args: Any,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> Variable:
        """Make a weight of the layer: zeros for integers, GlorotUniform for floats by default.

        `shape` holds integers; `initializer`, `regularizer` and `constraint` are objects or names.
        """
        given = _positional_weight(args, shape, initializer, dtype)
        shape, initializer, dtype = given
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        dtype = standardize_dtype(dtype) if dtype is not None else self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if is_float_dtype(dtype) else "zeros"
        with outside(), naming.scope_path(self.path):
            weight = Variable(
                initializers.get(initializer),
                shape=shape,
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
                **kwargs,
            )
        weight.regularizer = regularizers.get(regularizer)
        weight.constraint = constraints.get(constraint)
        weight.overwrite_with_gradient = overwrite_with_gradient
        self._track_variable(weight)
        return weight

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """The same as `add_weight`, with a shape and an initializer that must be given."""
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=trainable,
            autocast=autocast,
            regularizer=regularizer,
            constraint=constraint,
            name=name,
        )

    @property
    def path(self) -> str:
        """The names of the layers around and of the layer, joined by slashes."""
        if self._path is not None:
            return self._path
        scope = naming.current_path()
        return f"{scope}/{self.name}" if scope else self.name

    @property
    def trainable(self) -> bool:
        """Whether optimizers change the weights; setting it sets all layers within."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        for variable in self._trainable_variables:
            variable.trainable = value
        for layer in self._layers:
            layer.trainable = value
        self._trainable = value

    @property
    def variables(self) -> list[Variable]:
        """All state: weights, and the states of random generators; no metrics."""
        found: dict[int, Variable] = {}
        for variable in self._trainable_variables + self._non_trainable_variables:
            found.setdefault(id(variable), variable)
        for generator in self._seed_generators:
            found.setdefault(id(generator.state), generator.state)
        for layer in self._layers:
            for variable in layer.variables:
                found.setdefault(id(variable), variable)
        return list(found.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """The state that optimizers change."""
        return [each for each in self.variables if each.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The state that optimizers leave alone."""
        if not self.trainable:
            return self.variables
        return [each for each in self.variables if not each.trainable]

    @property
    def weights(self) -> list[Variable]:
        """The weights, of the layer and of those within it, without states of generators."""
        found: dict[int, Variable] = {}
        for variable in self._trainable_variables + self._non_trainable_variables:
            found.setdefault(id(variable), variable)
        for layer in self._layers:
            for variable in layer.weights:
                found.setdefault(id(variable), variable)
        return list(found.values())

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that optimizers change."""
        return [each for each in self.weights if each.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that optimizers leave alone."""
        if not self.trainable:
            return self.weights
        return [each for each in self.weights if not each.trainable]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of the layer and of those within it."""
        found = list(self._metrics)
        for layer in self._layers:
            found.extend(layer.metrics)
        return found

    @property
    def metrics_variables(self) -> list[Variable]:
        """The state of the metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def get_weights(self) -> list[Any]:
        """The values of the weights as NumPy arrays."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace the values of the weights. Raises ArgumentError for other numbers or shapes."""
        own = self.weights
        if len(own) != len(weights):
            raise ArgumentError(
                explain(
                    f"set_weights of {self.name}",
                    f"{len(own)} arrays; You called `set_weights(weights)` on layer '{self.name}' "
                    f"with a weight list of length {len(weights)}, but the layer was expecting "
                    f"{len(own)} weights",
                    f"{len(weights)} arrays",
                )
            )
        for variable, value in zip(own, weights, strict=True):
            if tuple(variable.shape) != tuple(value.shape):
                raise ArgumentError(
                    explain(
                        f"set_weights of {self.name}",
                        f"shape {variable.shape} for {variable.path}",
                        f"Layer {self.name} weight shape {variable.shape} is not compatible with "
                        f"provided weight shape {tuple(value.shape)}",
                    )
                )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of scalars in the weights. Raises ArgumentError before the layer is built."""
        if not self.built:
            raise ArgumentError(
                explain(
                    f"count_params of {self.name}",
                    "a layer that is built",
                    f"You tried to call `count_params` on layer '{self.name}', but the layer "
                    "isn't built",
                    f"Call it on data, or build it: {self.name}.build(input_shape).",
                )
            )
        return sum(math.prod(weight.shape) for weight in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Put the layer's own weights into a store under "0", "1", ..."""
        for index, variable in enumerate(self._trainable_variables + self._non_trainable_variables):
            store[f"{index}"] = variable

    def load_own_variables(self, store: Any) -> None:
        """Take the layer's own weights from a store. Raises ArgumentError for other numbers."""
        own = self._trainable_variables + self._non_trainable_variables
        self._load_in_order(own, store)

    def _load_in_order(self, own: Sequence[Variable], store: Any) -> None:
        """Take these weights from a store with as many values: "0", "1", ..."""
        if len(store.keys()) != len(own):
            if not own and not self.built:
                advice = (
                    f"Layer '{self.name}' was never built and thus it doesn't have any variables. "
                    "Call it on data, or build it, before loading."
                )
            else:
                advice = "Load into a layer of the same class and settings."
            raise ArgumentError(
                explain(
                    f"load {self.path}",
                    f"Layer '{self.name}' expected {len(own)} variables: "
                    f"{[variable.path for variable in own]}",
                    f"{len(store.keys())} variables during loading",
                    advice,
                )
            )
        for index, variable in enumerate(own):
            value = store[f"{index}"]
            if tuple(value.shape) != tuple(variable.shape):
                raise ArgumentError(
                    explain(
                        f"load {variable.path}",
                        f"shape {variable.shape}; the shape of the target variable and the shape "
                        "of the target value must match",
                        f"shape {tuple(value.shape)}",
                    )
                )
            variable.assign(value)


def _positional_weight(args: tuple, shape: Any, initializer: Any, dtype: Any) -> tuple:
    names = ("shape", "initializer", "dtype")
    if len(args) > 3:
        raise ArgumentTypeError(
            explain(
                "add_weight",
                "shape, initializer and dtype by position; add_weight takes at most 3 positional "
                "arguments",
                f"{len(args)} of them",
            )
        )
    if args and isinstance(args[0], str):
        raise ArgumentError(
            explain(
                "add_weight",
                "a shape first; pass the `name` as a keyword argument",
                f"the string {args[0]!r}",
                f"Write add_weight(shape=..., name={args[0]!r}).",
            )
        )
    given = {"shape": shape, "initializer": initializer, "dtype": dtype}
    for name, value in zip(names, args, strict=False):
        if given[name] is not None:
            raise ArgumentError(
                explain(
                    "add_weight",
                    f"`{name}` once",
                    f"`{name}` was passed both positionally and as a keyword argument",
                )
            )
        given[name] = value
    return given["shape"], given["initializer"], given["dtype"]
