"""Optimizer: from gradients to new values of the variables.

    apply(gradients, variables)
      first call: build               iteration, learning rate, [averages], [sums], slots
      gradients that are None         left out
      overwrite_with_gradient         the variable becomes its gradient, and is left out
      / loss_scale_factor             undoes scale_loss
      [gradient_accumulation_steps]   sums; what follows counts at every n-th call only
      clip, weight decay, update_step for each variable
      moving averages, constraints, iteration + 1

All of it is part of the training step's graph, where tensors have no values: what depends on values
is chosen element by element. A step is traced for some hundred variables, so what is the same for
all of them (the learning rate, bias corrections) is computed once, see `_constants`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from thalweg.array.data_types import astype
from thalweg.array.elementwise import maximum
from thalweg.array.searching import where
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    ShapeError,
    explain,
)
from thalweg.engine.tensor import Tensor
from thalweg.keras import initializers, naming, settings
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.optimizers import clipping
from thalweg.keras.optimizers.attempt import Attempt
from thalweg.keras.optimizers.schedules import LearningRateSchedule
from thalweg.keras.optimizers.state import OptimizerState
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.utils.messages import warn
from thalweg.keras.variable import StatelessScope, Variable, tensor

LearningRate = float | LearningRateSchedule | Callable[[], Any]

COMMON = (
    "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema", "ema_momentum",
    "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
)  # fmt: skip
"""The arguments that every optimizer has, beside its name and learning rate."""


class Optimizer(OptimizerState):
    """The base of optimizers; override `build`, `update_step` and `get_config` for your own.

    `learning_rate` is a float, a schedule, or a function without arguments. Of `clipnorm` (for the
    norm of each gradient), `clipvalue` (each element) and `global_clipnorm` (the norm of all
    together) at most one is given. `weight_decay` takes that share of each variable, times the
    learning rate, off at each step. `use_ema` keeps moving averages of the variables, which replace
    them every `ema_overwrite_frequency` steps and at the end of `fit`. `loss_scale_factor`
    multiplies the loss and divides the gradients. With `gradient_accumulation_steps` the variables
    change at every that many calls, by the mean of the gradients since. Raises ArgumentError for
    values out of range.

    >>> from thalweg import keras
    >>> class Descent(keras.optimizers.Optimizer):
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         self.assign_sub(variable, gradient * learning_rate)
    >>> x = keras.Variable([1.0, 2.0])
    >>> Descent(0.5).apply([keras.ops.ones(2)], [x])
    >>> x.numpy()
    array([0.5, 1.5], dtype=float32)
    """

    arguments: tuple[str, ...] = ()
    """Constructor arguments beyond the common ones, kept as attributes; the config has them too."""

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        self._start()
        if kwargs.pop("decay", None) is not None:
            warn("Argument `decay` is no longer supported and will be ignored.")
        kind = type(self).__name__
        if kwargs:
            wanted = f"the arguments that help(keras.optimizers.{kind}) lists"
            raise ArgumentError(explain(kind, wanted, f"Argument(s) not recognized: {kwargs}"))
        self.name = naming.auto_name(kind) if name is None else name
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.global_clipnorm = global_clipnorm
        self.clipvalue = clipvalue
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_arguments()
        self.built = False
        self._undecayed: set[int] = set()
        self._undecayed_names: re.Pattern[str] | None = None
        self._memo: dict[Any, Any] | None = None
        self._iterations = self.add_variable(
            (), "zeros", "int32", "only_first_replica", name="iteration"
        )
        self._learning_rate = self._new_learning_rate(learning_rate)

    def _check_arguments(self) -> None:
        steps = self.gradient_accumulation_steps
        if steps and not steps >= 2:
            raise self._bad(
                "an integer >= 2 as `gradient_accumulation_steps`, or None to update at every step",
                f"gradient_accumulation_steps={steps}",
            )
        frequency = self.ema_overwrite_frequency
        if self.use_ema and not 0 <= self.ema_momentum <= 1:
            raise self._bad(
                "`ema_momentum` in the range [0, 1]", f"ema_momentum={self.ema_momentum}"
            )
        if self.use_ema and frequency and (not isinstance(frequency, int) or frequency < 1):
            raise self._bad(
                "an integer >= 1 as `ema_overwrite_frequency`, or None",
                f"ema_overwrite_frequency={frequency!r}",
            )
        clipping_names = ("clipnorm", "clipvalue", "global_clipnorm")
        given = {name: getattr(self, name) for name in clipping_names}
        if sum(value is not None for value in given.values()) > 1:
            raise self._bad(
                "one way of clipping. Only one of `clipnorm`, `clipvalue` and `global_clipnorm` "
                "can be set",
                ", ".join(f"{name}={value}" for name, value in given.items()),
            )

    def _new_learning_rate(self, value: Any) -> Any:
        if callable(value):  # a schedule, too
            return value
        if not isinstance(value, float):
            is_number = isinstance(value, (int, np.number)) and not isinstance(value, bool)
            raise self._bad(
                "a float, a LearningRateSchedule, or a function without arguments. Argument "
                "`learning_rate` should be float",
                f"learning_rate={value!r} of {type(value).__name__}",
                f"Write learning_rate={float(value)!r}." if is_number else "",
            )
        initial = initializers.Constant(value)
        return self.add_variable(
            (), initial, settings.floatx(), "only_first_replica", name="learning_rate"
        )

    # Variables ------------------------------------------------------------------------------------

    @property
    def iterations(self) -> Any:
        """The number of updates so far: an int32 scalar."""
        steps = self.gradient_accumulation_steps
        return self._iterations.value // steps if steps else self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate now: a variable, or what the schedule or the function gives.

        A float can be assigned to an optimizer made with a float, a schedule or function to any.
        """
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(self._iterations)
        return self._learning_rate() if callable(self._learning_rate) else self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        former = self._learning_rate
        if callable(learning_rate):
            self._learning_rate = learning_rate
            self._variables[:] = [each for each in self._variables if each is not former]
        elif isinstance(former, Variable):
            former.assign(learning_rate)
        else:
            kind = type(former).__name__
            made = "LearningRateSchedule" if isinstance(former, LearningRateSchedule) else kind
            raise ArgumentTypeError(
                explain(
                    f"{self.name}.learning_rate",
                    f"a schedule or a function. This optimizer was created with a `{made}` as its "
                    "`learning_rate`, hence its learning rate is not settable",
                    repr(learning_rate),
                    "Make the optimizer with a float as learning_rate to set it later.",
                )
            )

    def build(self, variables: Sequence[Any]) -> None:
        """Make the optimizer's variables for the variables of a model, once.

        A subclass calls this first and then adds its own.
        """
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(
                variables, "average"
            )
        self._trainable_variables = list(variables)
        self._trainable_variables_indices = {
            self._var_key(variable): index for index, variable in enumerate(variables)
        }
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = [
                self.add_variable_from_reference(variable, "gradient_accumulator")
                for variable in variables
            ]
        self.built = True

    # Applying gradients ---------------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> Variable:
        """Update variables by pairs of a gradient and a variable; gives the iterations."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self._iterations

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """Update variables by their gradients, one each; None for a variable that has none.

        Without `trainable_variables`, those that the optimizer was built with. Raises ArgumentError
        for variables it was not built with and where there is no gradient at all.
        """
        gradients = list(grads)
        if not gradients:
            return
        variables = self._variables_of(gradients, trainable_variables)
        gradients, variables = self._without_missing(gradients, variables)
        gradients, variables = self._without_overwritten(gradients, variables)
        if gradients:
            if self.loss_scale_factor is not None:
                gradients = [gradient / self.loss_scale_factor for gradient in gradients]
            self._apply_present(gradients, variables)
            for variable in variables:
                constraint = getattr(variable, "constraint", None)
                if constraint is not None:
                    variable.assign(constraint(variable))
        self._iterations.assign_add(1)

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:
        """New values of the model's and of the optimizer's variables; nothing is assigned.

        Values stand in the order of the variables that `build` was given, and of `variables`.
        """
        self._check_super_called()
        own = self.variables
        kind = type(self).__name__
        if not self.built:
            raise self._bad(
                f"its variables first. To call `stateless_apply`, {kind} must be built",
                "an optimizer without them",
                "Call optimizer.build(trainable_variables) before.",
            )
        if len(optimizer_variables) != len(own):
            raise self._bad(
                "Argument `optimizer_variables` must be a list of tensors corresponding 1:1 to "
                f"{kind}().variables, of which there are {len(own)}",
                f"list with length {len(optimizer_variables)}",
            )
        if len(trainable_variables) != len(self._trainable_variables):
            raise self._bad(
                "Argument `trainable_variables` must be a list of tensors corresponding 1:1 to "
                f"the {len(self._trainable_variables)} variables that the optimizer was built with",
                f"list with length {len(trainable_variables)}",
            )
        state = [
            *zip(self._trainable_variables, trainable_variables, strict=True),
            *zip(own, optimizer_variables, strict=True),
        ]
        with StatelessScope(state) as scope:
            self.apply(grads)
        return (
            [scope.get_current_value(variable) for variable in self._trainable_variables],
            [scope.get_current_value(variable) for variable in own],
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Assign to one variable and its slots; the subclass says how."""
        raise NotImplementedError(
            explain(type(self).__name__, "its own update_step", "a call of that of Optimizer")
        )

    def assign(self, variable: Any, value: Any) -> None:
        """Give a variable a value."""
        variable.assign(value)

    def assign_add(self, variable: Any, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Any, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`, whose gradients `apply` takes."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def _variables_of(self, gradients: Sequence[Any], given: Iterable[Any] | None) -> list[Any]:
        if given is None:
            if not self.built:
                raise self._bad(
                    "variables. When passing `grads` without `variables`, the optimizer must "
                    "already be built on a list of variables",
                    "an optimizer without them",
                    "Call optimizer.build(trainable_variables) first.",
                )
            variables = self._trainable_variables
        else:
            variables = list(given)
            if not self.built:
                self.build(variables)
                self.built = True
        if len(gradients) != len(variables):
            raise self._bad(
                "one gradient for each variable; gradients must match variables one-to-one",
                f"{len(gradients)} gradients for {len(variables)} trainable variables",
            )
        for variable in variables:
            if self._var_key(variable) not in self._trainable_variables_indices:
                raise self._bad(
                    "the variables that it was built with",
                    f"Unknown variable: {_path(variable)}",
                    "Make a new optimizer for another model or set of variables.",
                )
        return variables

    def _without_missing(
        self, gradients: Sequence[Any], variables: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        pairs = [
            (tensor(gradient), variable)
            for gradient, variable in zip(gradients, variables, strict=True)
            if gradient is not None
        ]
        if not pairs:
            raise self._bad(
                "a gradient for some variable",
                f"No gradients provided for any variable. The variables are {_paths(variables)}",
                "Does the loss depend on them, through functions of keras.ops only?",
            )
        missing = [v for g, v in zip(gradients, variables, strict=True) if g is None]
        if missing:
            warn(
                f"Gradients do not exist for variables {_paths(missing)} when minimizing the "
                "loss. If using `model.compile()`, did you forget to provide a `loss` argument?"
            )
        for gradient, variable in pairs:
            if not _spreads(gradient.shape, tuple(variable.shape)):
                raise ShapeError(
                    explain(
                        self.name,
                        f"a gradient of shape {tuple(variable.shape)} for {_path(variable)}",
                        f"one of shape {tuple(gradient.shape)}",
                        "Are gradients and variables in the same order?",
                    )
                )
        return [gradient for gradient, _ in pairs], [variable for _, variable in pairs]

    def _without_overwritten(
        self, gradients: list[Tensor], variables: list[Any]
    ) -> tuple[list[Tensor], list[Any]]:
        """Assign the gradients that are new values; what is left is to be updated by."""
        kept = []
        steps = self.gradient_accumulation_steps
        for gradient, variable in zip(gradients, variables, strict=True):
            if not self._overwrite_variable_with_gradient(variable):
                kept.append((gradient, variable))
            elif steps:
                # Such values are maxima of what passed through a layer.
                accumulator = self._accumulated_gradients[self._get_variable_index(variable)]
                is_due = self._is_due(steps)
                highest = maximum(tensor(gradient, variable.dtype), accumulator.value)
                variable.assign(where(is_due, highest, variable.value))
                accumulator.assign(where(is_due, 0, highest))
            else:
                variable.assign(gradient)
        return [gradient for gradient, _ in kept], [variable for _, variable in kept]

    def _is_due(self, steps: int) -> Tensor:
        return (self._iterations.value + 1) % steps == 0

    def _apply_present(self, gradients: list[Tensor], variables: list[Any]) -> None:
        steps = self.gradient_accumulation_steps
        if steps:
            self._accumulate(gradients, variables, steps)
        else:
            self._update(gradients, variables)
        if self.use_ema:
            self._update_averages()

    def _accumulate(self, gradients: list[Tensor], variables: list[Any], steps: int) -> None:
        is_due = self._is_due(steps)
        attempt = Attempt([*variables, *self.variables])
        sums = [
            (accumulator, tensor(gradient, accumulator.dtype) + accumulator.value)
            for gradient, accumulator in zip(
                gradients,
                [self._accumulated_gradients[self._get_variable_index(v)] for v in variables],
                strict=True,
            )
        ]
        self._update([gradients / steps for _, gradients in sums], variables)
        attempt.keep_if(is_due)
        for accumulator, gradient in sums:
            accumulator.assign(where(is_due, 0, gradient))

    def _update(self, gradients: list[Tensor], variables: list[Any]) -> None:
        with self._one_step():
            gradients = self._clip_gradients(gradients)
            self._apply_weight_decay(variables)
            self._update_variables(gradients, variables, self._current_learning_rate())

    def _update_variables(
        self, gradients: list[Tensor], variables: list[Any], learning_rate: Any
    ) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    # Once in a step -------------------------------------------------------------------------------

    @contextmanager
    def _one_step(self) -> Iterator[None]:
        self._memo = {}
        try:
            yield
        finally:
            self._memo = None

    def _shared(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What `compute` gives, computed once in a step; outside of one, each time."""
        if self._memo is None:
            return compute()
        if key not in self._memo:
            self._memo[key] = compute()
        return self._memo[key]

    def _current_learning_rate(self) -> Any:
        return self._shared("learning_rate", lambda: self.learning_rate)

    def _constants(self, learning_rate: Any, variable: Any) -> tuple[Tensor, ...]:
        """What `_step_constants` gives, in the variable's element type.

        Scalars of 16-bit variables are computed in float32: 0.999 is 1 in bfloat16, and a bias
        correction 0.
        """
        dtype = standardize_dtype(variable.dtype)
        wide = _wide(dtype)

        def compute() -> tuple[Any, ...]:
            found = self._step_constants(tensor(learning_rate, wide), wide)
            # The learning rate is kept so that no other takes its id.
            return tuple(astype(each, dtype) for each in found), learning_rate

        return self._shared((id(learning_rate), dtype), compute)[0]

    def _step_constants(self, learning_rate: Tensor, dtype: str) -> tuple[Tensor, ...]:
        """The scalars that `update_step` uses for every variable of an element type."""
        return (learning_rate,)

    def _step_number(self, dtype: str) -> Tensor:
        """1 in the first step."""
        return tensor(self.iterations + 1, dtype)

    # Clipping, weight decay, averages -------------------------------------------------------------

    def _clip_gradients(self, gradients: Sequence[Any]) -> list[Any]:
        if self.clipnorm and self.clipnorm > 0:
            return clipping.by_norm(gradients, self.clipnorm)
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clipping.by_global_norm(gradients, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return clipping.by_value(gradients, self.clipvalue)
        return list(gradients)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Any] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Leave variables out of weight decay, before the first step: these, and by name.

        A name of `var_names` stands for all variables whose names contain it.
        """
        self._undecayed = {self._var_key(variable) for variable in var_list or ()}
        names = list(dict.fromkeys(var_names or ()))
        self._undecayed_names = re.compile("|".join(names)) if names else None

    def _use_weight_decay(self, variable: Any) -> bool:
        pattern = self._undecayed_names
        is_named = pattern is not None and pattern.search(variable.name) is not None
        return not is_named and self._var_key(variable) not in self._undecayed

    def _weight_decay_of(self, variable: Any) -> float | None:
        return self.weight_decay

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        for variable in variables:
            decay = self._weight_decay_of(variable)
            if decay is not None and self._use_weight_decay(variable):
                share = self._decay_share(decay, standardize_dtype(variable.dtype))
                variable.assign(variable.value - variable.value * share)

    def _decay_share(self, decay: float, dtype: str) -> Tensor:
        def compute() -> Tensor:
            rate = tensor(self._current_learning_rate(), _wide(dtype))
            return astype(rate * decay, dtype)

        return self._shared(("decay", decay, dtype), compute)

    def _update_averages(self) -> None:
        """Move each average toward its variable: all the way in the first step."""
        is_first = tensor(self.iterations) == 0
        pull = where(is_first, 1.0, 1 - self.ema_momentum)
        frequency = self.ema_overwrite_frequency
        is_due = (tensor(self.iterations) + 1) % frequency == 0 if frequency else None
        pulls: dict[Any, Tensor] = {}
        for variable, average in self._averages():
            value, former = variable.value, average.value
            dtype = former.dtype
            if dtype not in pulls:
                pulls[dtype] = astype(pull, dtype)
            new = former + (value - former) * pulls[dtype]
            average.assign(new)
            if is_due is not None:
                variable.assign(where(is_due, new, value))

    def _averages(self) -> list[tuple[Any, Variable]]:
        """The variables that have a moving average, each with it."""
        return [
            (variable, average)
            for variable, average in zip(
                self._trainable_variables, self._model_variables_moving_average, strict=True
            )
            if average is not None
        ]

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """At the end of training: variables become their moving averages, where there are some."""
        if not self.use_ema:
            return
        if len(var_list) != len(self._trainable_variables):
            raise self._bad(
                f"the {len(self._trainable_variables)} variables that it was built with",
                f"{len(var_list)} variables",
            )
        for variable, average in self._averages():
            variable.assign(average.value)

    # Saving ---------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            rate = float(rate.numpy())
        else:
            rate = serialize_keras_object(rate)
        names = (*COMMON, *self.arguments)
        return {
            "name": self.name,
            "learning_rate": rate,
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> "Optimizer":
        """The optimizer that a config describes."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize_keras_object(
                config["learning_rate"], custom_objects=custom_objects
            )
        return cls(**config)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its config and scalars; the slots belong to a model, see `build`."""
        scalars = {v.path: v.numpy() for v in self.variables if not v.shape}
        return _revive, (type(self), self.get_config(), scalars)

    def __repr__(self) -> str:
        state = f"{len(self.variables)} variables" if self.built else "not built"
        return f"<{type(self).__name__} {self.name}, {state}>"


def _revive(cls: type[Optimizer], config: dict[str, Any], scalars: dict[str, Any]) -> Optimizer:
    optimizer = cls.from_config(config)
    for variable in optimizer.variables:
        if variable.path in scalars:
            variable.assign(scalars[variable.path])
    return optimizer


def _wide(dtype: str) -> str:
    """The element type in which scalars for variables of another are computed."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def _path(variable: Any) -> str:
    return getattr(variable, "path", None) or str(variable.name)


def _paths(variables: Iterable[Any]) -> list[str]:
    return [_path(variable) for variable in variables]


def _spreads(shape: Sequence[Any], target: tuple[Any, ...]) -> bool:
    """True for a shape that broadcasts to the target."""
    tail = target[len(target) - len(shape) :] if len(shape) <= len(target) else ()
    return len(tail) == len(shape) and all(
        size in (1, wanted) for size, wanted in zip(shape, tail, strict=True)
    )
