"""Metric: state that gathers over batches, and a result computed from it.

The state is made of Variables, so within a traced step a metric is part of the same program.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg.array.creation import zeros
from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import dtype_policies, initializers, naming, settings, tree
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.tracking import Tracker
from thalweg.keras.variable import StatelessScope, Variable


class Metric:
    """Subclasses write `__init__`, `update_state(y_true, y_pred, sample_weight)` and `result()`.

    `dtype` is a type or policy; the state is kept in its compute type.
    """

    if TYPE_CHECKING:
        # Metrics set attributes freely.
        def __getattr__(self, name: str) -> Any: ...

    _tracker: Tracker
    _variables: list[Variable]
    _metrics: list["Metric"]

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or naming.auto_name(type(self).__name__)
        self._dtype_policy = dtype_policies.get(dtype or settings.floatx())
        self._dtype = self._dtype_policy.compute_dtype
        self._initialize_tracker()

    def _initialize_tracker(self) -> None:
        if "_tracker" in self.__dict__:
            return
        stores: dict[str, tuple[Any, list]] = {
            "variables": (_is_variable, []),
            "metrics": (_is_metric, []),
        }
        self.__dict__["_variables"] = stores["variables"][1]
        self.__dict__["_metrics"] = stores["metrics"][1]
        self.__dict__["_tracker"] = Tracker(stores)

    def __setattr__(self, name: str, value: Any) -> None:
        if "_tracker" not in self.__dict__:
            self._initialize_tracker()
        super().__setattr__(name, self._tracker.track(value))

    @property
    def dtype(self) -> str:
        """The type in which the state is kept."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state, that of metrics within included."""
        found = list(self._variables)
        for metric in self._metrics:
            found.extend(metric.variables)
        return found

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any,
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a piece of state; `initializer` is an object or a name."""
        self._check_super_called()
        with naming.scope_path(f"{naming.current_path()}/{self.name}".lstrip("/")):
            variable = Variable(
                initializers.get(initializer),
                shape=(shape,) if isinstance(shape, int) else tuple(shape),
                dtype=dtype or self.dtype,
                trainable=False,
                aggregation=aggregation,
                name=name,
            )
        self._tracker.add_to_store("variables", variable)
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """The same as `add_variable`, under its older name."""
        return self.add_variable(shape=shape, initializer=initializer, dtype=dtype, name=name)

    def reset_state(self) -> None:
        """Return to the state of the beginning: zeros."""
        for variable in self.variables:
            variable.assign(_zeros_like(variable))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Gather one batch."""
        raise NotImplementedError(explain(type(self).__name__, "a method `update_state`", "none"))

    def result(self) -> Any:
        """The value so far: a scalar, or a dict of scalars."""
        raise NotImplementedError(explain(type(self).__name__, "a method `result`", "none"))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_super_called()
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> list:
        """The state that a batch leads to from the given state."""
        with StatelessScope(state_mapping=self._paired(metric_variables)) as scope:
            self.update_state(*args, **kwargs)
        found = []
        for variable in self.variables:
            value = scope.get_current_value(variable)
            found.append(value if value is not None else variable.value)
        return found

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """The value for the given state."""
        with StatelessScope(state_mapping=self._paired(metric_variables)):
            return values_of(self.result())

    def stateless_reset_state(self) -> list:
        """The state of the beginning."""
        with StatelessScope() as scope:
            self.reset_state()
        return [scope.get_current_value(variable) for variable in self.variables]

    def _paired(self, values: Sequence[Any]) -> list[tuple[Variable, Any]]:
        own = self.variables
        if len(values) != len(own):
            raise ArgumentError(
                explain(
                    self.name,
                    "Argument `metric_variables` must be a list of tensors corresponding 1:1 to "
                    f"{type(self).__name__}().variables",
                    f"list with length {len(values)}, but expected {len(own)} variables",
                )
            )
        return list(zip(own, values, strict=True))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Metric":
        """The metric of a config."""
        return cls(**config)

    def _check_super_called(self) -> None:
        if "_dtype_policy" not in self.__dict__:
            raise RuntimeError(
                explain(
                    type(self).__name__,
                    "super().__init__() first",
                    f"You forgot to call `super().__init__()` in the `__init__()` method of "
                    f"{type(self).__name__}.",
                )
            )

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def values_of(result: Any) -> Any:
    """A result with the present values of variables in their places."""
    return tree.map_structure(lambda x: x.value if isinstance(x, Variable) else x, result)


def _is_variable(x: Any) -> bool:
    return isinstance(x, Variable)


def _is_metric(x: Any) -> bool:
    return isinstance(x, Metric)


def _zeros_like(variable: Variable) -> Any:
    return zeros(variable.shape, dtype=variable._dtype)


register_builtins("keras", {"Metric": Metric})
