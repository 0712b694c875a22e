"""GRU: a state that is mixed with a candidate, gate by gate (Cho et al. 2014).

z, r, x_h = x @ kernel + bias        three blocks of U columns; r: recurrent_activation
z' = r(z + h @ R_z),  r' = r(r + h @ R_r)
candidate = a(x_h + r' * (h @ R_h + recurrent bias))        reset_after
            a(x_h + (r' * h) @ R_h)                         otherwise
h' = z' * h + (1 - z') * candidate
"""

from typing import Any

from thalweg.keras import ops
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.rnn.cell import GatedCell
from thalweg.keras.layers.rnn.recurrent import GatedRNN
from thalweg.keras.layers.rnn.settings import DROPOUTS, weight_settings


class GRUCell(GatedCell):
    """One step of GRU: x (B, features) and [h (B, units)] -> h (B, units), [h].

    With `reset_after` the reset gate acts on h @ recurrent_kernel, and the bias has two rows, for x
    and for h. Raises ArgumentError for units that are no positive integer.
    """

    gates = 3
    SETTINGS = (
        "units", "activation", "recurrent_activation", "use_bias", *weight_settings(), *DROPOUTS,
        "reset_after",
    )  # fmt: skip

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._set_up(given, units, implementation)
        self.state_size = self.units

    def _bias_shape(self) -> tuple[int, ...]:
        columns = super()._bias_shape()
        return (2, *columns) if self.reset_after else columns

    def _input_bias(self) -> Any:
        return self.bias[0] if self.bias is not None and self.reset_after else self.bias

    def advance(self, projected: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        is_list = isinstance(states, (list, tuple))
        h = states[0] if is_list else states
        x_z, x_r, x_h = ops.split(projected, 3, axis=-1)
        sigma = self.recurrent_activation
        if self.reset_after:
            inner = self._recur(h, training)
            if self.bias is not None:
                inner = inner + self.bias[1]
            h_z, h_r, h_h = ops.split(inner, 3, axis=-1)
            z, r = sigma(x_z + h_z), sigma(x_r + h_r)
            candidate = self.activation(x_h + r * h_h)
        else:
            width = 2 * self.units
            first, last = self.recurrent_kernel[:, :width], self.recurrent_kernel[:, width:]
            h_z, h_r = ops.split(self._recur(h, training, first), 2, axis=-1)
            z, r = sigma(x_z + h_z), sigma(x_r + h_r)
            masks = self._state_masks(h, training)
            seen = h if masks is None else h * masks[2]
            candidate = self.activation(x_h + ops.matmul(r * seen, last))
        h = z * h + (1 - z) * candidate
        return h, [h] if is_list else h


class GRU(GatedRNN):
    """Gated recurrent units along (B, T, features).

    The last h (B, units), or all of them (B, T, units) with `return_sequences`; with `return_state`
    followed by the last h. `use_cudnn` chooses a library elsewhere and changes nothing here.
    """

    CELL = GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        self._set_up(dict(locals()))
        self._keep_use_cudnn(use_cudnn)
        self.input_spec = InputSpec(ndim=3)
