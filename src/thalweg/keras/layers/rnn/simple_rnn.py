"""SimpleRNN: a state that is a function of the input and itself.

h' = activation(x @ kernel + bias + h @ recurrent_kernel)
"""

from typing import Any

from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.rnn.cell import GatedCell
from thalweg.keras.layers.rnn.recurrent import GatedRNN
from thalweg.keras.layers.rnn.settings import DROPOUTS, weight_settings


class SimpleRNNCell(GatedCell):
    """One step of SimpleRNN: x (B, features) and [h (B, units)] -> h (B, units), [h].

    Raises ArgumentError for units that are no positive integer.
    """

    gates = 1
    SETTINGS = ("units", "activation", "use_bias", *weight_settings(), *DROPOUTS)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(**kwargs)
        self._set_up(given, units, implementation=None)
        self.state_size = self.units

    def call(self, sequence: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        return super().call(sequence, states, training)

    def advance(self, projected: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        is_list = isinstance(states, (list, tuple))
        h = states[0] if is_list else states
        h = projected + self._recur(h, training)
        if self.activation is not None:
            h = self.activation(h)
        return h, [h] if is_list else h


class SimpleRNN(GatedRNN):
    """h' = activation(x @ kernel + bias + h @ recurrent_kernel) along (B, T, features).

    The last h (B, units), or all of them (B, T, units) with `return_sequences`.
    """

    CELL = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        self._set_up(dict(locals()))
        self.input_spec = [InputSpec(ndim=3)]

    def _cell_config(self) -> dict[str, Any]:
        config = super()._cell_config()
        del config["seed"]  # not in Keras' config
        return config
