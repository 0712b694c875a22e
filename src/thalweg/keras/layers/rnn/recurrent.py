"""RNN: a cell along a sequence; StackedRNNCells: cells one upon the other as one cell.

B samples, T steps, F features, U units.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.context import outside
from thalweg.keras import naming, ops, regularizers, tree
from thalweg.keras.dtype_policies import get as policy_of
from thalweg.keras.layers.layer import Layer
from thalweg.keras.layers.rnn.cell import GatedCell, is_own, is_plain
from thalweg.keras.layers.rnn.dropout import DropoutRNNCell
from thalweg.keras.layers.rnn.loop import rnn, swap_time
from thalweg.keras.layers.rnn.settings import of_cell, written
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.variable import Variable, tensor


class StackedRNNCells(Layer):
    """Cells as one: each gets the output of the one before; the states are those of all.

    Raises ArgumentError for what has no `call` or `state_size`.
    """

    def __init__(self, cells: Any, **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            for name, what in (("call", "method"), ("state_size", "attribute")):
                if name not in dir(cell):
                    raise ArgumentError(
                        explain(
                            "StackedRNNCells",
                            f"cells; All cells must have a `{name}` {what}",
                            f"cell without a `{name}`: {cell}",
                        )
                    )
        self.cells = cells

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The initial states of each cell."""
        return [_initial_state(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        batch_size = tree.flatten(input_shape)[0]
        for cell in self.cells:
            _build(cell, input_shape)
            input_shape = (batch_size, _output_size(cell))

    def call(
        self, inputs: Any, states: Any, training: bool = False, **kwargs: Any
    ) -> tuple[Any, Any]:
        new_states = []
        for cell, state in zip(self.cells, states, strict=False):
            is_list = tree.is_nested(state)
            own = {**kwargs, **_training(cell, training)}
            inputs, new = _call_of(cell)(inputs, list(state) if is_list else [state], **own)
            if not is_list and tree.is_nested(new) and len(new) == 1:
                new = new[0]
            new_states.append(new)
        return inputs, new_states[0] if len(new_states) == 1 else new_states

    def get_config(self) -> dict[str, Any]:
        cells = [serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "StackedRNNCells":
        config = with_policy(config)
        cells = [
            deserialize_keras_object(each, custom_objects=custom_objects)
            for each in config.pop("cells")
        ]
        return cls(cells, **config)


class RNN(Layer):
    """A cell, or a list of them, along the steps of (B, T, F).

    A cell has `call(inputs, states) -> output, new_states` and `state_size`, an integer or a list
    of them; optionally `output_size` and `get_initial_state(batch_size)`. The result is the last
    output (B, U), or all of them (B, T, U) with `return_sequences`, followed by the last states
    with `return_state`. With `stateful` a batch begins with the states that the one before ended
    with. Where `mask` (B, T) is false a step is skipped: it has the output of the one before, or
    zeros if `zero_output_for_mask`. Raises ArgumentError for what is no cell.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        size = _checked_cell(cell)
        super().__init__(**kwargs)
        self.zero_output_for_mask = zero_output_for_mask
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.supports_masking = True
        self.input_spec = None
        self.states = None
        self._expected_batch_size: int | None = None
        self.single_state = isinstance(size, int)
        self.state_size = [size] if isinstance(size, int) else list(size)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch_size, length = sequences_shape[:2]
        size = getattr(self.cell, "output_size", None)
        size = self.state_size[0] if size is None else size
        if not isinstance(size, int):
            raise ArgumentError(
                explain(self.name, "output_size must be an integer", f"output_size={size!r}")
            )
        output = (batch_size, length, size) if self.return_sequences else (batch_size, size)
        if not self.return_state:
            return output
        return output, *(
            (batch_size, each) if isinstance(each, int) else [(batch_size, size) for size in each]
            for each in self.state_size
        )

    def compute_mask(self, _: Any, mask: Any) -> Any:
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        return [mask, *(None for _ in self.state_size)] if self.return_state else mask

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        _build(self.cell, (sequences_shape[0], *sequences_shape[2:]))
        if not self.stateful:
            return
        if self.states is not None:
            self.reset_state()
            return
        if sequences_shape[0] is None:
            raise ArgumentError(
                explain(
                    self.name,
                    "a known batch size to keep states for. When using `stateful=True` in a RNN, "
                    "the batch size must be static",
                    f"Found dynamic batch size: sequence.shape={sequences_shape}",
                    "Give it: Input(shape=..., batch_size=...).",
                )
            )
        self._create_state_variables(sequences_shape[0])
        self._expected_batch_size = sequences_shape[0]

    def _create_state_variables(self, batch_size: int) -> None:
        with outside(), naming.scope_path(self.path):
            states = tree.map_structure(
                lambda value: Variable(
                    value, trainable=False, dtype=self.variable_dtype, name="rnn_state"
                ),
                self.get_initial_state(batch_size),
            )
        # Straight into the instance: states between batches are no weights of the layer.
        self.__dict__["states"] = states

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states to begin with, for so many samples; zeros unless the cell says otherwise."""
        found = _initial_state(self.cell, batch_size, self.compute_dtype)
        return list(found) if tree.is_nested(found) else [found]

    def reset_state(self) -> None:
        """Set the states kept between batches to zeros."""
        for state in tree.flatten(self.states):
            if state is not None:
                state.assign(ops.zeros_like(state.value))

    def reset_states(self) -> None:
        """Set the states kept between batches to zeros."""
        self.reset_state()

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        self._check_steps(sequences)
        if initial_state is None:
            initial_state = (
                self.states if self.stateful else self.get_initial_state(ops.shape(sequences)[0])
            )
        states = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        states = tree.map_structure(lambda x: tensor(x, dtype), states)
        with self._dropout_masks(sequences, states, training):
            last, outputs, states = self.inner_loop(
                sequences, states, tree.flatten(mask)[0], training
            )
        output = ops.cast(outputs if self.return_sequences else last, self.compute_dtype)
        states = tree.map_structure(lambda x: ops.cast(x, self.compute_dtype), states)
        if self.stateful:
            for variable, value in zip(
                tree.flatten(self.states), tree.flatten(states), strict=True
            ):
                variable.assign(ops.cast(value, variable.dtype))
        return (output, *states) if self.return_state else output

    def _check_steps(self, sequences: Any) -> None:
        batch_size, length = sequences.shape[:2]
        if self.unroll and not isinstance(length, int):
            raise ArgumentError(
                explain(
                    self.name,
                    "a known number of steps. Cannot unroll a RNN if the time dimension is "
                    "undefined",
                    f"sequences of shape {tuple(sequences.shape)}",
                    "Give it in Input(shape=(steps, features)), or unroll=False.",
                )
            )
        expected = self._expected_batch_size
        if expected is not None and isinstance(batch_size, int) and batch_size != expected:
            raise ShapeError(
                explain(
                    self.name,
                    f"batches of {expected} samples. If an RNN is stateful, the batch size of the "
                    "input sequences must be the same as the batch size of the initial state",
                    f"batch size: {batch_size}",
                )
            )

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, Any]:
        """The last output, all outputs and the last states, of the cell along the sequence."""
        cell = self.cell
        states = initial_state if tree.is_nested(initial_state) else [initial_state]
        settings: dict[str, Any] = {
            "go_backwards": self.go_backwards,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "return_all_outputs": self.return_sequences,
        }
        if is_plain(cell, self.compute_dtype):
            # (T, B, F) @ (F, G * U) -> (T, B, G * U), one product for all steps
            rows = cell.project(swap_time(sequences), training)
            last, outputs, states = rnn(
                lambda row, states: cell.advance(row, states, training),
                rows,
                states,
                mask=None if mask is None else swap_time(mask),
                time_major=True,
                **settings,
            )
            return last, swap_time(outputs), states
        own = _training(cell, training)

        def step(inputs: Any, states: Any) -> tuple[Any, Any]:
            output, new = _call_of(cell)(inputs, states, **own)
            return output, new if tree.is_nested(new) else [new]

        return rnn(step, sequences, states, mask=mask, **settings)

    @contextmanager
    def _dropout_masks(self, sequences: Any, states: Any, training: bool) -> Iterator[None]:
        """Within this block each cell has its dropout masks, the same for all steps."""
        cells = self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]
        own_states = states if isinstance(self.cell, StackedRNNCells) else [states]
        try:
            row = None
            for cell, state in zip(cells, own_states, strict=False):
                state = state[0] if isinstance(state, (list, tuple)) else state
                if isinstance(cell, DropoutRNNCell) and (training or not is_own(cell)):
                    if row is None:
                        row = tree.map_structure(lambda x: x[:, 0], sequences)
                    cell.get_dropout_mask(row)
                    cell.get_recurrent_dropout_mask(state)
                if len(cells) > 1:
                    shape = (ops.shape(state)[0], _output_size(cell))
                    row = ops.zeros(shape, dtype=state.dtype.name)
            yield
        finally:
            for cell in cells:
                if isinstance(cell, DropoutRNNCell):
                    cell.reset_dropout_mask()
                    cell.reset_recurrent_dropout_mask()

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }
        return {**config, **self._cell_config()}

    def _cell_config(self) -> dict[str, Any]:
        return {"cell": serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RNN":
        config = with_policy(config)
        if "cell" in config:
            cell = deserialize_keras_object(config.pop("cell"), custom_objects=custom_objects)
            return cls(cell, **config)
        return cls(**config)


class GatedRNN(RNN):
    """An RNN that makes its own cell, of the class `CELL`, and has the cell's settings."""

    CELL: type[GatedCell]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "CELL" in vars(cls):
            for name in cls.CELL.SETTINGS:
                setattr(cls, name, of_cell(name))

    def _set_up(self, given: dict[str, Any]) -> None:
        """Make the cell and the loop of the constructor's arguments."""
        kwargs = dict(given["kwargs"])
        names = [name for name in ("rank", *self.CELL.SETTINGS, "seed") if name in given]
        more = (
            {"implementation": kwargs.pop("implementation")} if "implementation" in kwargs else {}
        )
        cell = self.CELL(
            **{name: given[name] for name in names},
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name=naming.to_snake_case(self.CELL.__name__),
            **more,
        )
        loop = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        RNN.__init__(
            self,
            cell,
            **{name: given[name] for name in (*loop, "activity_regularizer") if name in given},
            **kwargs,
        )

    def _keep_use_cudnn(self, use_cudnn: Any) -> None:
        """Note whether another library may be used, which changes nothing here."""
        if use_cudnn not in ("auto", True, False):
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "Invalid valid received for argument `use_cudnn`. Expected one of "
                    "{'auto', True, False}",
                    f"use_cudnn={use_cudnn}",
                )
            )
        self.use_cudnn = use_cudnn

    def _cell_config(self) -> dict[str, Any]:
        return {
            **written(self.cell, self.CELL.SETTINGS),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "seed": self.cell.seed,
        }


def with_policy(config: dict[str, Any]) -> dict[str, Any]:
    config = dict(config)
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = policy_of(config["dtype"])
    return config


def _checked_cell(cell: Any) -> Any:
    """The `state_size` of a cell."""
    if "call" not in dir(cell):
        raise ArgumentError(
            explain("RNN", "a cell; Argument `cell` should have a `call` method", f"cell={cell}")
        )
    if "state_size" not in dir(cell):
        raise ArgumentError(
            explain(
                "RNN",
                "a cell; The RNN cell should have a `state_size` attribute (single integer or list "
                "of integers, one integer per RNN state)",
                f"cell={cell}",
            )
        )
    size = cell.state_size
    if not isinstance(size, (list, tuple, int)):
        raise ArgumentError(
            explain(
                "RNN",
                "state_size must be an integer, or a list/tuple of integers (one for each state "
                "tensor)",
                f"state_size={size!r}; state_size must be specified as property on the RNN cell",
            )
        )
    return size


def _output_size(cell: Any) -> Any:
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    return cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size


def _initial_state(cell: Any, batch_size: Any, dtype: str) -> Any:
    make = getattr(cell, "get_initial_state", None)
    if make is not None:
        return make(batch_size=batch_size)
    dtype = getattr(cell, "compute_dtype", dtype)
    size = cell.state_size
    if isinstance(size, int):
        return ops.zeros((batch_size, size), dtype=dtype)
    return [ops.zeros((batch_size, each), dtype=dtype) for each in size]


def _build(cell: Any, input_shape: Any) -> None:
    if isinstance(cell, Layer) and not cell.built:
        cell.build(input_shape)
        cell.built = True


def _training(cell: Any, training: bool) -> dict[str, Any]:
    takes = isinstance(cell, Layer) and cell._call_has_training_arg
    return {"training": training} if takes else {}


def _call_of(cell: Any) -> Any:
    return cell if callable(cell) else cell.call
