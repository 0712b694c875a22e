"""The variables that an optimizer keeps for those of a model: made, found, saved."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, ThalwegError, explain
from thalweg.keras import initializers, naming
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.utils.messages import warn
from thalweg.keras.variable import Variable, tensor

UNTRACKED = ("_variables", "_trainable_variables", "_memo")
"""Attributes that hold variables which are not the optimizer's own, or known to be."""


class ForgottenInitError(ThalwegError, RuntimeError):
    """A subclass whose constructor does not call that of its base class first."""


class OptimizerState:
    """What an optimizer has of its own: variables that become attributes, alone or in lists.

    A subclass's constructor calls `_start` before it sets any attribute.
    """

    name: str
    built: bool
    _variables: list[Variable]
    _trainable_variables: list[Any]
    _trainable_variables_indices: dict[int, int]

    def _start(self) -> None:
        self.__dict__.update(
            _variables=[], _trainable_variables=[], _trainable_variables_indices={}
        )

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's own variables, in the order in which they are saved."""
        for name, value in self.__dict__.items():
            if name not in UNTRACKED and isinstance(value, (list, dict)):
                self._track(value)  # what was appended since the list became an attribute
        return self._variables[:]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str | None = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable of the optimizer; floatx where no dtype is given.

        `aggregation` is kept, `layout` has no meaning on one device.
        """
        self._check_super_called()
        with naming.name_scope(self.name):
            variable = Variable(
                initializers.get(initializer),
                shape=shape,
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                name=name,
            )
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A new variable of the shape and dtype of another, named `{path of that}_{name}`."""
        path = getattr(reference_variable, "path", None) or str(reference_variable.name)
        return self.add_variable(
            reference_variable.shape,
            initializer,
            standardize_dtype(reference_variable.dtype),
            name=f"{path.replace('/', '_').replace(':', '_')}_{name or 'var'}",
        )

    def add_optimizer_variables(
        self,
        trainable_variables: Sequence[Any],
        name: str | Sequence[str],
        initializer: Any = "zeros",
    ) -> Any:
        """A new variable for each of a model, or for each and each of several names.

        Gives a list, or for several names a tuple of lists; `initializer` may be one for all names
        or as many as names. Variables that are overwritten by their gradients get None.
        """
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, (list, tuple))
        found = list(initializer) if several else [initializer] * len(names)
        if len(found) != len(names):
            raise self._bad(
                "one initializer for each name; the number of provided names must match the "
                "number of provided initializers",
                f"name={name!r}, initializer={initializer!r}",
            )
        slots: tuple[list[Variable | None], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for slot, each, initial in zip(slots, names, found, strict=True):
                is_kept = not self._overwrite_variable_with_gradient(variable)
                slot.append(
                    self.add_variable_from_reference(variable, each, initial) if is_kept else None
                )
        return slots[0] if isinstance(name, str) else slots

    def _track(self, value: Any) -> None:
        """Enter the variables among a value, however nested, as the optimizer's own."""
        known = set(map(id, self._variables)) | self._trainable_variables_indices.keys()
        for each in _variables_in(value):
            if id(each) not in known:
                known.add(id(each))
                self._variables.append(each)

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_super_called()
        super().__setattr__(name, value)
        if name in self.__dict__ and name not in UNTRACKED:
            self._track(value)

    def _check_super_called(self) -> None:
        if "_variables" not in self.__dict__:
            kind = type(self).__name__
            raise ForgottenInitError(
                explain(
                    kind,
                    "its base class to be set up first: In optimizer "
                    f"'{kind}', you forgot to call `super().__init__()`",
                    "an attribute or a variable before that",
                    "Write super().__init__(learning_rate, ...) as first line of __init__.",
                )
            )

    def _bad(self, wanted: str, received: str, do: str = "") -> ArgumentError:
        return ArgumentError(explain(type(self).__name__, wanted, received, do))

    def _var_key(self, variable: Any) -> int:
        return id(variable)

    def _get_variable_index(self, variable: Any) -> int:
        return self._trainable_variables_indices[self._var_key(variable)]

    def _overwrite_variable_with_gradient(self, variable: Any) -> bool:
        return getattr(variable, "overwrite_with_gradient", False)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give the optimizer's variables values, in the order of `variables`."""
        if not self.built:
            raise self._bad(
                "its variables first. You are calling `set_weights()` on an optimizer that has "
                "not yet been built",
                "an optimizer without them",
                "Call optimizer.build(trainable_variables) before.",
            )
        own = self.variables
        if len(weights) != len(own):
            raise self._bad(f"{len(own)} weights", f"{len(weights)}")
        for variable, weight in zip(own, weights, strict=True):
            value = tensor(weight, variable.dtype)
            if tuple(value.shape) != variable.shape:
                raise ShapeError(
                    explain(
                        f"{self.name}.set_weights",
                        f"a weight of shape {variable.shape} for {variable.path}",
                        f"one of shape {tuple(value.shape)}, not compatible",
                    )
                )
            variable.assign(value)

    def save_own_variables(self, store: Any) -> None:
        """Put the variables' values into a mapping, under "0", "1", and so on."""
        for position, variable in enumerate(self.variables):
            store[str(position)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take the values that `save_own_variables` put there; with a warning, none of too few."""
        own = self.variables
        if len(store.keys()) != len(own):
            if self.built and len(store.keys()) == self._count_before_build():
                return  # it had not begun: all that it had is in its config
            warn(
                f"Skipping variable loading for optimizer '{self.name}', because it has "
                f"{len(own)} variables whereas the saved optimizer has {len(store.keys())} "
                "variables. Call optimizer.build(trainable_variables) before, with the same "
                "settings and model."
            )
            return
        for position, variable in enumerate(own):
            variable.assign(store[str(position)])

    def _count_before_build(self) -> int:
        """How many variables an optimizer like this has before it is built; -1 if none is made."""
        try:
            fresh: Any = type(self).from_config(self.get_config())  # type: ignore[attr-defined]
        except Exception:  # a class of the user's own need not be saved by its config
            return -1
        return len(fresh.variables)


def _variables_in(value: Any) -> Iterator[Variable]:
    if isinstance(value, Variable):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _variables_in(each)
    elif isinstance(value, dict):
        yield from _variables_in(list(value.values()))
