"""Bidirectional: a recurrent layer and its mirror image, along the sequence and back.

Two LSTMs or two GRUs that differ in their weights only go along one loop together, whose step
does both. B samples, T steps, U units, G gates.
"""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops, tree
from thalweg.keras.layers.layer import Layer
from thalweg.keras.layers.rnn.cell import is_plain
from thalweg.keras.layers.rnn.gru import GRU
from thalweg.keras.layers.rnn.loop import rnn, swap_time
from thalweg.keras.layers.rnn.lstm import LSTM
from thalweg.keras.layers.rnn.recurrent import RNN, with_policy
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

MERGES = {
    "sum": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "ave": lambda x, y: (x + y) / 2,
    "concat": lambda x, y: ops.concatenate([x, y], axis=-1),
    None: lambda x, y: (x, y),
}
"""How the outputs of both directions become one."""

SHARED = ("stateful", "return_sequences", "return_state")
"""What both directions must agree on."""


class Bidirectional(Layer):
    """A recurrent layer made anew from `layer`'s config, and one that goes the other way.

    `backward_layer` is used instead of a copy where it is given; it must differ in `go_backwards`
    and agree in the rest. Outputs are joined by `merge_mode`: concat, sum, mul, ave, or None for
    both; states follow, those of the first direction first. Raises ArgumentError for layers that
    do not fit.
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        _check_layer("Please initialize `Bidirectional` layer with a", layer)
        if backward_layer is not None:
            _check_layer("`backward_layer` need to be a", backward_layer)
        if merge_mode not in MERGES:
            raise ArgumentError(
                explain(
                    "Bidirectional",
                    "Merge mode should be one of {'sum', 'mul', 'ave', 'concat', None}",
                    f"Invalid merge mode. Received: {merge_mode}",
                )
            )
        super().__init__(**kwargs)
        # The given layer may have been called already: its state is not to be carried over.
        self.forward_layer = _remade(layer, "forward")
        self.backward_layer = (
            _remade(layer, "backward", go_backwards=True)
            if backward_layer is None
            else backward_layer
        )
        if hasattr(layer, "use_cudnn"):
            self.forward_layer.use_cudnn = self.backward_layer.use_cudnn = layer.use_cudnn
        self._check_pair()
        for each in (self.forward_layer, self.backward_layer):
            # Steps that are masked must not add the outputs of steps from the other end.
            if getattr(each, "zero_output_for_mask", None) is not None:
                each.zero_output_for_mask = each.return_sequences
        self.merge_mode = merge_mode
        self._initial_weights = weights
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ArgumentError(
                explain(
                    "Bidirectional",
                    "one layer along the sequence and one back; Forward layer and backward layer "
                    "should have different `go_backwards` value",
                    f"go_backwards={forward.go_backwards} for both",
                    "Give backward_layer go_backwards=True.",
                )
            )
        for name in SHARED:
            values = getattr(forward, name), getattr(backward, name)
            if values[0] != values[1]:
                raise ArgumentError(
                    explain(
                        "Bidirectional",
                        "Forward layer and backward layer are expected to have the same value for "
                        f'attribute "{name}"',
                        f'"{values[0]}" for forward layer and "{values[1]}" for backward layer',
                    )
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
                layer.built = True
        if self._initial_weights:
            half = len(self._initial_weights) // 2
            self.forward_layer.set_weights(self._initial_weights[:half])
            self.backward_layer.set_weights(self._initial_weights[half:])

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        found = self.forward_layer.compute_output_shape(sequences_shape)
        output, states = (found[0], tuple(found[1:])) if self.return_state else (found, ())
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        if self.merge_mode is None:
            return (output, output, *states, *states)
        return (output, *states, *states) if self.return_state else tuple(output)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        if self._can_attempt_fused_lstm(mask, initial_state) or self._can_attempt_fused_gru(
            mask, initial_state
        ):
            found, states = self._together(sequences, initial_state)
        else:
            found, states = self._one_after_other(sequences, initial_state, mask, training)
        forward, backward = (ops.cast(output, self.compute_dtype) for output in found)
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)
        output = MERGES[self.merge_mode](forward, backward)
        if self.merge_mode is None:
            return (*output, *states)
        return (output, *states) if self.return_state else output

    def _one_after_other(
        self, sequences: Any, initial_state: Any, mask: Any, training: Any
    ) -> tuple[list[Any], tuple]:
        """The outputs of both layers, and their states if they return them."""
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = (initial_state[:half], initial_state[half:])
        given = {"mask": mask, "training": training}
        found = []
        for layer, state in zip((self.forward_layer, self.backward_layer), halves, strict=True):
            takes = {name: value for name, value in given.items() if name in layer._call_names}
            found.append(layer(sequences, initial_state=state, **takes))
        if not self.return_state:
            return found, ()
        states = tuple(state for outputs in found for state in outputs[1:])
        return [outputs[0] for outputs in found], states

    def _can_attempt_fused_lstm(self, mask: Any, initial_state: Any = None) -> bool:
        """True for two LSTMs that one loop can serve."""
        return self._fits(LSTM, mask, initial_state)

    def _can_attempt_fused_gru(self, mask: Any, initial_state: Any = None) -> bool:
        """True for two GRUs that one loop can serve."""
        return self._fits(GRU, mask, initial_state) and all(
            layer.reset_after for layer in (self.forward_layer, self.backward_layer)
        )

    def _fits(self, kind: Any, mask: Any, initial_state: Any) -> bool:
        layers = (self.forward_layer, self.backward_layer)
        if mask is not None or self.stateful or not all(_is_own(each, kind) for each in layers):
            return False
        count = sum(len(layer.state_size) for layer in layers)
        if initial_state is not None and len(initial_state) != count:
            return False
        settings = [
            (type(cell), cell.units, cell.activation, cell.recurrent_activation, cell.compute_dtype)
            for cell in (layer.cell for layer in layers)
        ]
        return settings[0] == settings[1] and layers[0].compute_dtype == self.compute_dtype

    def _together(self, sequences: Any, initial_state: Any) -> tuple[list[Any], tuple]:
        """Outputs and states as `_one_after_other` has them, in one loop over pairs of rows."""
        cells = (self.forward_layer.cell, self.backward_layer.cell)
        rows = swap_time(sequences)
        if self.forward_layer.go_backwards:
            rows = ops.flip(rows, axis=0)
        # (T, 2, B, G * U), the second of each pair from the other end
        projected = [cells[0].project(rows), cells[1].project(ops.flip(rows, axis=0))]
        if initial_state is None:
            batch_size = ops.shape(sequences)[0]
            initial_state = [x for cell in cells for x in cell.get_initial_state(batch_size)]
        half = len(initial_state) // 2
        starts = [
            ops.stack([ops.cast(x, cells[0].compute_dtype) for x in pair], axis=0)
            for pair in zip(initial_state[:half], initial_state[half:], strict=True)
        ]
        pair = _Pair(*cells)
        last, outputs, states = rnn(
            pair.advance,
            ops.stack(projected, axis=1),
            starts,
            time_major=True,
            return_all_outputs=self.return_sequences,
        )
        found = [last[0], last[1]]
        if self.return_sequences:
            found = [swap_time(outputs[:, place]) for place in (0, 1)]
        kept = tuple(ops.cast(x[place], self.compute_dtype) for place in (0, 1) for x in states)
        return found, kept if self.return_state else ()

    def compute_mask(self, _: Any, mask: Any) -> Any:
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        outputs = (mask,) if self.merge_mode else (mask, mask)
        if self.return_state:
            return outputs + (None,) * (2 * len(self.forward_layer.state_size))
        return outputs if len(outputs) > 1 else mask

    def reset_state(self) -> None:
        """Set the states kept between batches to zeros."""
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """Set the states kept between batches to zeros."""
        self.reset_state()

    @property
    def states(self) -> Any:
        """The states kept between batches, of both directions; None where there are none."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return None if forward is None or backward is None else (*forward, *backward)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Bidirectional":
        config = with_policy(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)


class _Pair:
    """Two cells as one whose states are (2, B, U): a step is that of the first, its products both.

    What is not here is the first one's, and the same for both.
    """

    def __init__(self, first: Any, second: Any):
        self.first = first
        cells = (first, second)
        self.recurrent_kernel = ops.stack([cell.recurrent_kernel for cell in cells], axis=0)
        # The rows of a GRU's biases: that of the input is part of the projections.
        rows = [cell.bias[1] for cell in cells] if isinstance(first, GRU.CELL) else []
        self.bias = [None, ops.expand_dims(ops.stack(rows, axis=0), axis=1)] if rows else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.first, name)

    def _recur(self, h: Any, training: bool) -> Any:
        return ops.matmul(h, self.recurrent_kernel)

    def advance(self, projected: Any, states: Any) -> tuple[Any, Any]:
        """The output (2, B, U) and the new states."""
        return type(self.first).advance(self, projected, states)


def _is_own(layer: Any, kind: Any) -> bool:
    """True for a built layer of a kind that does nothing but go along its cell."""
    return (
        isinstance(layer, kind)
        and type(layer).call is RNN.call
        and type(layer).inner_loop is RNN.inner_loop
        and layer.built
        and layer.activity_regularizer is None
        and layer.use_cudnn in (True, "auto")
        and not layer.unroll
        and is_plain(layer.cell, layer.compute_dtype)
        and layer.cell.use_bias
        and not layer.cell.dropout
        and not layer.cell.recurrent_dropout
    )


def _check_layer(wanted: str, layer: Any) -> None:
    text = f"{wanted} `keras.layers.Layer` instance"
    if not isinstance(layer, Layer):
        raise ArgumentError(explain("Bidirectional", text, repr(layer)))
    missing = [name for name in (*SHARED, "go_backwards") if not hasattr(layer, name)]
    if missing:
        raise ArgumentError(
            explain(
                "Bidirectional",
                "a recurrent layer",
                f"{layer}, which has no {', '.join(missing)}",
                "Wrap an LSTM, GRU, SimpleRNN or RNN.",
            )
        )


def _remade(layer: Layer, direction: str, **changed: Any) -> Any:
    """A new layer of the same config under another name."""
    record = serialize_keras_object(layer)
    name = f"{direction}_{layer.name.removeprefix(f'{direction}_')}"
    record["config"] = {**record["config"], **changed, "name": name}
    # Classes of the user's own need not be registered: here they are.
    own = {type(each).__name__: type(each) for each in layer._flatten_layers()}
    return deserialize_keras_object(record, custom_objects=own)
