"""MultiOptimizer: different optimizers for different variables of one model."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras.optimizers.loss_scale import LossScaleOptimizer
from thalweg.keras.optimizers.optimizer import Optimizer
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object


class OptimizerMap(MutableMapping[str, Optimizer]):
    """Optimizers by the paths of variables.

    A key is a path, or a pattern that matches whole paths (`encoder/.*`); a path that none matches
    has the default. Raises ArgumentError for a path that several patterns match.
    """

    def __init__(
        self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None
    ):
        if not isinstance(default_optimizer, Optimizer):
            raise ArgumentTypeError(
                explain(
                    "OptimizerMap",
                    "default_optimizer must be a Keras Optimizer instance",
                    repr(default_optimizer),
                )
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise ArgumentTypeError(
                explain("OptimizerMap", "optimizer_map must be a dictionary", f"{optimizer_map!r}")
            )
        self._default_optimizer = default_optimizer
        self._optimizer_map: dict[str, Optimizer] = optimizer_map or {}

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of paths that no key matches."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._optimizer_map:
            return self._optimizer_map[key]
        matches = [pattern for pattern in self._optimizer_map if re.fullmatch(pattern, key)]
        if len(matches) > 1:
            raise ArgumentError(
                explain(
                    "OptimizerMap",
                    "one optimizer for each variable",
                    f"Multiple optimizers assigned to variable {key}, by {', '.join(matches)}",
                )
            )
        return self._optimizer_map[matches[0]] if matches else self._default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if key in self._optimizer_map:
            raise ArgumentError(
                explain(
                    "OptimizerMap",
                    "each key once",
                    f"'{key}' already exists in the OptimizerMap with value "
                    f"{self._optimizer_map[key]}",
                    f"Delete it first: del optimizer_map[{key!r}].",
                )
            )
        if not isinstance(key, str):
            raise ArgumentError(explain("OptimizerMap", "key must be a string", repr(key)))
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(
                explain(
                    "OptimizerMap", "optimizer must be a Keras Optimizer instance", repr(optimizer)
                )
            )
        if isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
            kind = type(optimizer).__name__
            raise ArgumentError(
                explain("OptimizerMap", f"a plain optimizer; optimizer cannot be {kind}", key)
            )
        self._optimizer_map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizer_map[key]

    def __len__(self) -> int:
        return len(self._optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizer_map)

    def __call__(self, variable: Any) -> Optimizer:
        """The optimizer of a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {
            "default_optimizer": serialize_keras_object(self._default_optimizer),
            "optimizer_map": serialize_keras_object(self._optimizer_map),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> "OptimizerMap":
        """The map that a config describes."""
        return cls(
            deserialize_keras_object(config["default_optimizer"], custom_objects),
            deserialize_keras_object(config["optimizer_map"], custom_objects),
        )


class MultiOptimizer(Optimizer):
    """Hands each variable's gradient to an optimizer of its own.

    `optimizer_map` is an OptimizerMap or a function from a variable to its optimizer.
    `loss_scale_factor` takes the place of those of all of them; there is no common learning rate.
    Raises ArgumentError, when built, for optimizers that hold others.
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Any], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ):
        super().__init__(learning_rate=0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._optimizer_map = optimizer_map
        self._inner_optimizers: list[Optimizer] = []
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._number_of(optimizer)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers, in the order in which their variables are saved."""
        return self._inner_optimizers

    def _number_of(self, optimizer: Optimizer) -> int:
        """The position of an optimizer among all, as the last one if it is new."""
        for position, known in enumerate(self._inner_optimizers):
            if known is optimizer:
                return position
        optimizer.loss_scale_factor = self.loss_scale_factor
        self._inner_optimizers.append(optimizer)
        return len(self._inner_optimizers) - 1

    def build(self, var_list: Sequence[Any]) -> None:
        """Find each variable's optimizer, and make the variables of all."""
        if self.built:
            return
        found = {self._var_key(each): self._number_of(self._checked(each)) for each in var_list}
        self._var_to_optimizer_idx = found
        for number, optimizer in enumerate(self._inner_optimizers):
            variables = [each for each in var_list if found[self._var_key(each)] == number]
            if variables:
                optimizer.build(variables)
        super().build(var_list)

    def _checked(self, variable: Any) -> Optimizer:
        optimizer = self._optimizer_map(variable)
        if not isinstance(optimizer, Optimizer):
            raise self._bad(
                f"an optimizer for each variable; that for variable {variable.path} is not an "
                "Optimizer instance",
                repr(optimizer),
            )
        if isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
            kind = type(optimizer).__name__
            raise self._bad(
                f"plain optimizers. {kind} cannot be used inside an MultiOptimizer",
                f"one for {variable.path}",
                "Put the MultiOptimizer inside the LossScaleOptimizer."
                if kind == "LossScaleOptimizer"
                else "",
            )
        return optimizer

    @property
    def variables(self) -> list[Any]:
        """Its own variables and then those of its optimizers, one after another."""
        return [
            *super().variables,
            *(each for optimizer in self._inner_optimizers for each in optimizer.variables),
        ]

    @property
    def iterations(self) -> Any:
        """The number of calls of `apply`: an int32 scalar."""
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """There is none: that of each of `optimizers` is its own."""
        raise self._no_rate("accessed")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise self._no_rate("set")

    def _no_rate(self, verb: str) -> AttributeError:
        return AttributeError(
            explain(
                "MultiOptimizer",
                "the learning rate of one of its optimizers",
                f"Learning rate cannot be {verb} on a MultiOptimizer",
                "Use optimizer.optimizers[0].learning_rate.",
            )
        )

    @property
    def loss_scale_factor(self) -> float | None:
        """What the loss is multiplied by; setting it sets it for all optimizers."""
        return self.__dict__.get("_loss_scale_factor")

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = value
        for optimizer in self.__dict__.get("_inner_optimizers", ()):
            optimizer.loss_scale_factor = value

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """Update variables by their gradients, each by its own optimizer."""
        gradients = list(grads)
        if not gradients:
            return
        variables = self._variables_of(gradients, trainable_variables)
        shares: list[list[tuple[Any, Any]]] = [[] for _ in self._inner_optimizers]
        for gradient, variable in zip(gradients, variables, strict=True):
            shares[self._var_to_optimizer_idx[self._var_key(variable)]].append((gradient, variable))
        for optimizer, pairs in zip(self._inner_optimizers, shares, strict=True):
            if pairs:
                optimizer.apply_gradients(pairs)
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """At the end of training: what each optimizer does with its variables."""
        for number, optimizer in enumerate(self._inner_optimizers):
            found = self._var_to_optimizer_idx
            variables = [each for each in var_list if found[self._var_key(each)] == number]
            if variables:
                optimizer.finalize_variable_values(variables)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {
            "optimizer_map": serialize_keras_object(self._optimizer_map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> "MultiOptimizer":
        """The optimizer that a config describes."""
        config = dict(config)
        config["optimizer_map"] = deserialize_keras_object(config["optimizer_map"], custom_objects)
        return cls(**config)
