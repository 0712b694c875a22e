"""Variable: the engine's variable with Keras' names, and the scopes that change what it means.

Within an `AutocastScope` float variables read as another float type; within a `StatelessScope`
reading and assigning go to a table instead of the variable.
"""

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from thalweg.array.creation import asarray
from thalweg.array.data_types import astype
from thalweg.array.operators import OPERANDS
from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.context import keep_state_elsewhere, outside
from thalweg.engine.tensor import Tensor
from thalweg.engine.variable import Variable as EngineVariable
from thalweg.ir.dim import Dim
from thalweg.ir.types import as_dtype
from thalweg.keras import naming, settings
from thalweg.keras.dtypes import is_float_dtype, standardize_dtype
from thalweg.keras.operators import for_variables
from thalweg.keras.saving.registration import namespace
from thalweg.keras.symbol import KerasTensor, standardize_shape

AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")
SYNCHRONIZATIONS = (None, "none", "on_read", "on_write", "auto")


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.autocast: str | None = None
        self.stateless: StatelessScope | None = None


_scopes = _Scopes()


class AutocastScope:
    """Within this block float variables that allow it read as `dtype`; None reads them as kept."""

    def __init__(self, dtype: Any):
        self.dtype = standardize_dtype(dtype) if dtype is not None else None
        if self.dtype is not None and not is_float_dtype(self.dtype):
            raise ArgumentError(
                explain(
                    "AutocastScope",
                    "a floating-point dtype; `AutocastScope` can only be used with one, such as "
                    "'float16'",
                    f"dtype={dtype}",
                )
            )
        self._former: str | None = None

    def __enter__(self) -> "AutocastScope":
        self._former = _scopes.autocast
        _scopes.autocast = self.dtype
        return self

    def __exit__(self, *exception: object) -> None:
        _scopes.autocast = self._former


class StatelessScope:
    """Within this block variables read from a table, and assigning changes only the table.

    `state_mapping` gives pairs of a variable and its value; with `collect_losses` the losses of
    layers go to the scope's list `losses`.
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Any, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ):
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.losses: list[Any] = []
        self.owners: list[Any] = []
        self.state_mapping: dict[int, Any] = {}
        self._former: StatelessScope | None = None
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise ArgumentError(
                    explain(
                        "StatelessScope",
                        "variables as keys; all keys in argument `mapping` must be Variable "
                        "instances",
                        f"invalid reference variable in StatelessScope: {variable!r}",
                    )
                )
            value = tensor(value, variable.dtype)
            if tuple(value.shape) != tuple(variable.shape):
                raise ArgumentError(
                    explain(
                        "StatelessScope",
                        f"shape {variable.shape}; all values in argument `mapping` must be tensors "
                        "with a shape that matches the corresponding variable shape",
                        f"invalid variable value in StatelessScope: {variable.path} of shape "
                        f"{value.shape}",
                    )
                )
            self.state_mapping[id(variable)] = value

    def __enter__(self) -> "StatelessScope":
        self._former = _scopes.stateless
        _scopes.stateless = self
        keep_state_elsewhere(True)
        return self

    def __exit__(self, *exception: object) -> None:
        _scopes.stateless = self._former
        keep_state_elsewhere(self._former is not None)

    def add_loss(self, loss: Any, owner: Any = None) -> None:
        """Collect a loss of a layer that is called within, the `owner`."""
        self.losses.append(loss)
        self.owners.append(owner)

    def losses_of(self, owner: Any) -> list[Any]:
        """The losses that a layer added within."""
        pairs = zip(self.losses, self.owners, strict=True)
        return [loss for loss, each in pairs if each is owner]

    def forget_losses(self, owner: Any) -> None:
        """Drop the losses that a layer added within, before it is called again."""
        kept = [index for index, each in enumerate(self.owners) if each is not owner]
        self.losses[:] = [self.losses[index] for index in kept]
        self.owners[:] = [self.owners[index] for index in kept]

    def add_update(self, update: tuple["Variable", Any]) -> None:
        """Note a new value of a variable."""
        variable, value = update
        self.state_mapping[id(variable)] = value

    def get_current_value(self, variable: "Variable") -> Any:
        """The value that the variable has within, or None where it has its own."""
        return self.state_mapping.get(id(variable))


def in_stateless_scope() -> bool:
    """True within a StatelessScope."""
    return _scopes.stateless is not None


def stateless_scope() -> StatelessScope | None:
    """The innermost StatelessScope, if any."""
    return _scopes.stateless


def autocast_dtype() -> str | None:
    """What float variables read as now, or None for as they are."""
    return _scopes.autocast


@for_variables((*OPERANDS, KerasTensor))
class Variable(EngineVariable):
    """A tensor that training changes: `assign` replaces it by another of equal shape and dtype.

    `initializer` is an array, a number, the name of an initializer, or a function of shape and
    dtype; `shape` is needed for names and functions. `autocast=False` keeps its type in layers that
    compute in another. Raises ArgumentError for a missing or incomplete shape.
    """

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        **kwargs: Any,
    ):
        kwargs.pop("layout", None)
        if kwargs:
            raise ArgumentTypeError(explain("Variable", "known arguments", f"{', '.join(kwargs)}"))
        name = name or naming.auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise ArgumentError(
                explain(
                    "Variable",
                    "`name` to be a string without slashes; Argument `name` must be a string and "
                    "cannot contain character `/`",
                    f"name={name}",
                )
            )
        _check_choice("aggregation", aggregation, AGGREGATIONS)
        _check_choice("synchronization", synchronization, SYNCHRONIZATIONS)
        scope = naming.current_path()
        self._path = f"{scope}/{name}" if scope else name
        self._aggregation = aggregation or "none"
        self._synchronization = synchronization or "none"
        self._autocast = bool(autocast)
        self._constraint: Any = None
        self._regularizer: Any = None
        self._overwrite_with_gradient = False
        with outside():
            value = _initial_value(initializer, shape, dtype, name)
        super().__init__(value, name=name, trainable=bool(trainable))
        self._shape: tuple[int, ...] = tuple(map(int, self._type.shape))
        self._dtype = self._type.dtype.name

    @property
    def value(self) -> Tensor:
        """The tensor that the variable stands for now, in the type that the scope asks for."""
        scope = _scopes.stateless
        found = scope.get_current_value(self) if scope is not None else None
        if found is None:
            found = EngineVariable.value.fget(self)  # type: ignore[attr-defined]
        cast = _scopes.autocast
        if cast is not None and self._autocast and cast != self._dtype and self._is_float():
            return astype(found, cast)
        return found

    @property
    def _value(self) -> Tensor:
        return EngineVariable.value.fget(self)  # type: ignore[attr-defined]

    def _is_float(self) -> bool:
        return self._type.dtype.is_inexact and not self._type.dtype.is_complex

    def assign(self, value: Any) -> Tensor:
        """Replace the value; numbers and arrays are converted. Returns the new value.

        Raises ArgumentError for another shape.
        """
        new = tensor(value, self._type.dtype)
        if tuple(new.shape) != self._shape:
            raise ArgumentError(
                explain(
                    f"assign to {self._path}",
                    "the shape of the target variable and the shape of the target value in "
                    "`variable.assign(value)` to match",
                    f"variable.shape={self._shape}, value.shape={tuple(new.shape)}, "
                    f"target variable: {self._path}",
                )
            )
        if _scopes.stateless is not None:
            _scopes.stateless.add_update((self, new))
        else:
            super().assign(new)
        return new

    def assign_add(self, value: Any) -> Tensor:
        """Add to the value; returns the new one."""
        return self.assign(self._uncast() + tensor(value, self._type.dtype))

    def assign_sub(self, value: Any) -> Tensor:
        """Subtract from the value; returns the new one."""
        return self.assign(self._uncast() - tensor(value, self._type.dtype))

    def _uncast(self) -> Tensor:
        with AutocastScope(None):
            return self.value

    @property
    def dtype(self) -> str:
        """The element type as it reads now, as a string."""
        cast = _scopes.autocast
        return cast if cast is not None and self._autocast and self._is_float() else self._dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self._shape

    @shape.setter
    def shape(self, value: Any) -> None:
        raise AttributeError("The shape of a Variable stays; make a new one for another shape.")

    @property
    def path(self) -> str:
        """The name with those of the layers around it."""
        return self._path

    @property
    def aggregation(self) -> str:
        """How values of several replicas would be put together."""
        return self._aggregation

    @property
    def synchronization(self) -> str:
        """When values of several replicas would be put together."""
        return self._synchronization

    @property
    def constraint(self) -> Any:
        """A function that optimizers apply to the value after each step, or None."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Any) -> None:
        self._constraint = _callable("constraint", value)

    @property
    def regularizer(self) -> Any:
        """A function from the value to a loss that training adds, or None."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Any) -> None:
        self._regularizer = _callable("regularizer", value)

    @property
    def overwrite_with_gradient(self) -> bool:
        """Whether optimizers put the gradient in the value's place, as for scales of float8."""
        return self._overwrite_with_gradient

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise ArgumentTypeError(
                explain("Variable", "`overwrite_with_gradient` must be a boolean.", repr(value))
            )
        self._overwrite_with_gradient = value

    def __bool__(self) -> bool:
        self._check_scalar("if", "A Keras Variable cannot be used as a boolean.")
        return super().__bool__()

    def __int__(self) -> int:
        self._check_scalar("int", "Only scalar arrays can be converted to Python scalars.")
        return super().__int__()

    def __float__(self) -> float:
        self._check_scalar("float", "Only scalar arrays can be converted to Python scalars.")
        return super().__float__()

    def _check_scalar(self, where: str, wanted: str) -> None:
        if self._shape:
            do = "Index it, or reduce it with keras.ops.all, any, sum or mean."
            raise ArgumentTypeError(explain(where, wanted, f"{self._path} of {self._shape}", do))

    def __repr__(self) -> str:
        head = f"<Variable path={self.path}, shape={self.shape}, dtype={self._dtype}"
        value = self._tensor
        return f"{head}>" if value.is_traced else f"{head}, value={value.numpy()}>"

    __hash__ = object.__hash__


def _initial_value(initializer: Any, shape: Any, dtype: Any, name: str) -> Tensor:
    if isinstance(initializer, str):
        initializer = namespace("keras.initializers").get(initializer)
    if not callable(initializer):
        found = initializer
        if dtype is None and not hasattr(found, "dtype"):
            dtype = None if np.asarray(found).dtype.kind in "iub" else settings.floatx()
        value = tensor(found, dtype)
        if shape is not None and tuple(standardize_shape(shape)) != tuple(value.shape):
            raise ArgumentError(
                explain(
                    f"Variable {name}",
                    f"an initial value of shape {tuple(shape)}",
                    f"one of shape {value.shape}",
                )
            )
        return value
    if shape is None:
        raise ArgumentError(
            explain(
                f"Variable {name}",
                "a shape. When creating a Variable from an initializer, the `shape` argument "
                "should be specified",
                f"initializer={initializer} and shape={shape}",
            )
        )
    shape = standardize_shape(shape)
    if None in shape:
        raise ArgumentError(
            explain(
                f"Variable {name}",
                "a shape that is fully defined; shapes used to initialize variables must be",
                f"shape={shape}. Dynamic dimensions (None) have no size",
            )
        )
    value = tensor(initializer(shape, dtype=standardize_dtype(dtype)), standardize_dtype(dtype))
    if tuple(value.shape) != tuple(shape):
        raise ArgumentError(
            explain(
                f"Variable {name}", f"an initializer that gives shape {shape}", f"{value.shape}"
            )
        )
    return value


def tensor(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of a tensor, variable, array, number or nested lists; numbers are int32 or floatx.

    Raises ArgumentError for a KerasTensor, which has no value.
    """
    if isinstance(x, KerasTensor):
        raise ArgumentError(
            explain(
                "convert_to_tensor",
                "something with a value",
                f"the symbolic {x!r}",
                "Use the functions of keras.ops on it, or a layer.",
            )
        )
    if dtype is not None:
        dtype = as_dtype(standardize_dtype(dtype))
    if isinstance(x, EngineVariable):
        x = x.value
    if x.__class__ is not Tensor and not isinstance(x, Tensor):
        return _from_value(x, dtype)
    if x.is_weak and dtype is None:
        return asarray(x)
    return x if dtype is None or x.dtype is dtype else astype(x, dtype)


def _from_value(x: Any, dtype: Any) -> Tensor:
    if dtype is None and not hasattr(x, "dtype") and not isinstance(x, Dim):
        dtype = _default_dtype(x)
    if hasattr(x, "detach") and hasattr(x, "cpu"):  # torch, with or without a gradient
        x = x.detach().cpu().numpy()
    elif not isinstance(x, (np.ndarray, np.generic, list, tuple, bool, int, float, complex, Dim)):
        x = np.asarray(x) if hasattr(x, "__array__") else x
    if dtype is not None and isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "iufbcV":
        return astype(asarray(x), dtype) if x.dtype != dtype.numpy else asarray(x)
    # Python's floats straight into their type: by way of float32 a float64 would lose digits.
    is_direct = dtype is None or dtype.is_inexact
    return asarray(x, dtype=dtype) if is_direct else astype(asarray(x), dtype)


def _default_dtype(x: Any) -> Any:
    """Keras' type of a number or nested lists: int32 or floatx; None for other leaves."""
    if isinstance(x, bool):
        return as_dtype("bool")
    if isinstance(x, int):
        return as_dtype("int32" if -(2**31) <= x < 2**31 else "int64")
    if isinstance(x, float):
        return as_dtype(settings.floatx())
    if isinstance(x, (list, tuple)):
        kinds = {type(leaf) for leaf in _leaves(x)}
        if not kinds or (float in kinds and kinds <= {bool, int, float}):
            return as_dtype(settings.floatx())
        if kinds == {int} or kinds == {bool, int}:
            return as_dtype("int32")
    return None


def _leaves(x: Any) -> Iterable[Any]:
    if isinstance(x, (list, tuple)):
        for each in x:
            yield from _leaves(each)
    else:
        yield x


def _check_choice(name: str, value: Any, choices: tuple) -> None:
    if value not in choices:
        raise ArgumentError(
            explain(
                "Variable",
                f"`{name}` to be one of {choices}",
                f"Invalid value for argument `{name}`: {name}={value}",
            )
        )


def _callable(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise ArgumentError(
            explain(
                "Variable",
                f"a {name} that can be called",
                f"Invalid value for attribute `{name}`: {value!r:.60}",
            )
        )
    return value
