"""LSTM: a state h and a carry c that gates open and close (Hochreiter and Schmidhuber 1997).

i, f, g, o = x @ kernel + bias + h @ recurrent_kernel        four blocks of U columns
c' = r(f) * c + r(i) * a(g)        r: recurrent_activation, a: activation
h' = r(o) * a(c')
"""

from typing import Any

from thalweg.keras import ops
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.rnn.cell import GatedCell
from thalweg.keras.layers.rnn.recurrent import GatedRNN
from thalweg.keras.layers.rnn.settings import DROPOUTS, weight_settings


def open_gates(cell: Any, gates: Any, c: Any, axis: int = -1) -> tuple[Any, list[Any]]:
    """The output and the states (h, c) of a step, from four gates side by side along an axis."""
    i, f, g, o = ops.split(gates, 4, axis=axis)
    r, a = cell.recurrent_activation, cell.activation
    c = r(f) * c + r(i) * a(g)
    h = r(o) * a(c)
    return h, [h, c]


class LSTMCell(GatedCell):
    """One step of LSTM: x (B, features) and [h, c], each (B, units) -> h, [h, c].

    `unit_forget_bias` starts the forget gate's bias at 1. Raises ArgumentError for units that are
    no positive integer.
    """

    gates = 4
    SETTINGS = (
        "units", "activation", "recurrent_activation", "use_bias",
        *weight_settings("unit_forget_bias"), *DROPOUTS,
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
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._set_up(given, units, implementation)
        self.state_size = [self.units, self.units]

    def advance(self, projected: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        h, c = states
        return open_gates(self, projected + self._recur(h, training), c)


class LSTM(GatedRNN):
    """Long short-term memory along (B, T, features).

    The last h (B, units), or all of them (B, T, units) with `return_sequences`; with `return_state`
    followed by the last h and c. `use_cudnn` chooses a library elsewhere and changes nothing here.
    """

    CELL = LSTMCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        self._set_up(dict(locals()))
        self._keep_use_cudnn(use_cudnn)
        self.input_spec = InputSpec(ndim=3)
