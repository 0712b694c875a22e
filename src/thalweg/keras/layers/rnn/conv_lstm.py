"""ConvLSTM1D, 2D, 3D: LSTM whose products with kernels are convolutions (Shi et al. 2015).

B samples, T steps, spatial axes, C channels: (B, T, spatial..., C), or (B, T, C, spatial...).
"""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops
from thalweg.keras.layers.convolutional.settings import padding_of, sizes
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.rnn.cell import GatedCell
from thalweg.keras.layers.rnn.lstm import open_gates
from thalweg.keras.layers.rnn.recurrent import GatedRNN
from thalweg.keras.layers.rnn.settings import DROPOUTS, keep, weight_settings
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.symbol import KerasTensor


class ConvLSTMCell(GatedCell):
    """One step of ConvLSTM: images (B, spatial..., C) and [h, c] (B, spatial..., filters).

    The input's convolution has strides, padding and dilation; that of the state keeps its size.
    Raises ArgumentError for settings that do not go together.
    """

    gates = 4
    SHAPING = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate")
    SETTINGS = (
        *SHAPING, "activation", "recurrent_activation", "use_bias",
        *weight_settings("unit_forget_bias"), *DROPOUTS,
    )  # fmt: skip

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        super().__init__(**kwargs)
        name = type(self).__name__
        if rank not in (1, 2, 3):
            raise ArgumentError(
                explain(
                    name,
                    f"1 to 3 spatial axes; Rank {rank} convolutions are not currently implemented",
                    f"rank={rank}",
                )
            )
        if not isinstance(filters, int) or filters <= 0:
            raise ArgumentError(explain(name, "a number of filters above 0", f"filters={filters}"))
        self.rank = rank
        self.filters = filters
        self.kernel_size = sizes("kernel_size", kernel_size, rank, name)
        self.strides = sizes("strides", strides, rank, name)
        self.padding = padding_of(padding, name, allow_causal=False)
        self.data_format = standardize_data_format(data_format)
        self.dilation_rate = sizes("dilation_rate", dilation_rate, rank, name)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                explain(
                    name,
                    "strides or dilation. Specifying `strides > 1` is not compatible with "
                    "`dilation_rate > 1`",
                    f"strides={self.strides} and dilation_rate={self.dilation_rate}",
                    "Leave `strides=1` or `dilation_rate=1`.",
                )
            )
        keep(self, given, [each for each in self.SETTINGS if each not in self.SHAPING])
        self._make_masks(seed, implementation=1)
        self.channel_axis = -1 if self.data_format == "channels_last" else -(rank + 1)
        self.input_spec = InputSpec(ndim=rank + 2)
        self.state_size = -1  # states are images, whose shape follows from the input

    def build(self, inputs_shape: Any, states_shape: Any = None) -> None:
        channels = inputs_shape[self.channel_axis]
        is_last = self.data_format == "channels_last"
        self.spatial_dims = tuple(inputs_shape[1:-1] if is_last else inputs_shape[2:])
        if channels is None or None in self.spatial_dims:
            raise ArgumentError(
                explain(
                    self.name,
                    "images of known size and number of channels. ConvLSTM layers only support "
                    "static input shapes for the spatial dimension",
                    f"input_shape={inputs_shape}",
                    "Give the sizes in Input(shape=...).",
                )
            )
        self.input_dim = channels
        columns = self.gates * self.filters
        self.kernel = self._make("kernel", "kernel", (*self.kernel_size, channels, columns))
        self.recurrent_kernel = self._make(
            "recurrent_kernel", "recurrent", (*self.kernel_size, self.filters, columns)
        )
        if self.use_bias:
            self.bias = self._make("bias", "bias", (columns,))

    def _input_bias(self) -> Any:
        if self.bias is None or self.channel_axis == -1:
            return self.bias
        return ops.reshape(self.bias, (-1, *([1] * self.rank)))

    def _input_product(self, x: Any, kernel: Any) -> Any:
        whole = ops.shape(x)
        steps = whole[: -(self.rank + 1)]
        # All steps of all samples are images of one batch: (T, B, ...) -> (T * B, ...)
        images = ops.reshape(x, (-1, *whole[len(steps) :])) if len(steps) > 1 else x
        found = ops.conv(
            images,
            kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return ops.reshape(found, (*steps, *ops.shape(found)[1:])) if len(steps) > 1 else found

    def _state_product(self, h: Any, kernel: Any) -> Any:
        return ops.conv(h, kernel, strides=1, padding="same", data_format=self.data_format)

    def advance(self, projected: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        h, c = states
        return open_gates(self, projected + self._recur(h, training), c, axis=self.channel_axis)

    def compute_output_shape(self, inputs_shape: Any, states_shape: Any = None) -> Any:
        channels = inputs_shape[self.channel_axis]
        images = ops.conv(
            KerasTensor(inputs_shape),
            KerasTensor((*self.kernel_size, channels, self.filters)),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return images.shape, [images.shape, images.shape]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        is_last = self.data_format == "channels_last"
        channels = (self.input_dim,)
        sizes = (*self.spatial_dims, *channels) if is_last else (*channels, *self.spatial_dims)
        shape = (batch_size, *self.compute_output_shape((None, *sizes))[0][1:])
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(2)]


class _ConvLSTM(GatedRNN):
    """ConvLSTM of `rank` spatial axes."""

    rank: int
    CELL = ConvLSTMCell

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ):
        self._set_up({**locals(), "rank": self.rank})
        self.input_spec = InputSpec(ndim=self.rank + 3)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch_size, length = sequences_shape[:2]
        step = (batch_size, *sequences_shape[2:])
        state = (batch_size, *self.cell.compute_output_shape(step)[0][1:])
        output = (batch_size, length, *state[1:]) if self.return_sequences else state
        return (output, state, state) if self.return_state else output

    def compute_mask(self, _: Any, mask: Any) -> Any:
        mask = super().compute_mask(_, mask)
        return [mask[0], None, None] if self.return_state else mask


class ConvLSTM1D(_ConvLSTM):
    """LSTM with convolutions along (B, T, length, C)."""

    rank = 1


class ConvLSTM2D(_ConvLSTM):
    """LSTM with convolutions along images (B, T, height, width, C)."""

    rank = 2


class ConvLSTM3D(_ConvLSTM):
    """LSTM with convolutions along volumes (B, T, depth, height, width, C)."""

    rank = 3
