"""GatedCell: what the cells of SimpleRNN, LSTM, GRU and ConvLSTM are.

    call(x, states)  =  advance(project(x), states)

`project` is all that follows from the input alone, so a layer does it for all steps at once before
its loop; `advance` is the rest. The gates of a step lie side by side along the channel axis.

B samples, T steps, F features, U units, G gates.
"""

from collections.abc import Callable
from typing import Any

from thalweg.keras import initializers, ops
from thalweg.keras.layers.layer import Layer
from thalweg.keras.layers.rnn.dropout import DropoutRNNCell
from thalweg.keras.layers.rnn.settings import keep, positive_units, written
from thalweg.keras.random.seed_generator import SeedGenerator


class GatedCell(Layer, DropoutRNNCell):
    """A cell whose gates are functions of x @ kernel and h @ recurrent_kernel."""

    gates: int
    """G, how many blocks of U columns the kernels have."""
    SETTINGS: tuple[str, ...]
    """The constructor's arguments that make its config, in order."""

    units: int
    use_bias: bool
    activation: Any
    bias: Any = None
    channel_axis = -1

    def _set_up(self, given: dict[str, Any], units: Any, implementation: int | None) -> None:
        """Keep the settings. With implementation 1 each gate has a dropout mask of its own."""
        self.units = positive_units(type(self).__name__, units)
        keep(self, given, [name for name in self.SETTINGS if name != "units"])
        self._make_masks(given["seed"], implementation)
        self.output_size = self.units

    def _make_masks(self, seed: Any, implementation: int | None) -> None:
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        if implementation is not None:
            self.implementation = 1 if self.recurrent_dropout else implementation
            if self.implementation == 1:
                self.dropout_mask_count = self.gates

    def build(self, input_shape: Any) -> None:
        columns = self.gates * self.units
        self.kernel = self._make("kernel", "kernel", (input_shape[-1], columns))
        self.recurrent_kernel = self._make("recurrent_kernel", "recurrent", (self.units, columns))
        if self.use_bias:
            self.bias = self._make("bias", "bias", self._bias_shape())

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _make(self, name: str, kind: str, shape: tuple[int, ...]) -> Any:
        initializer = getattr(self, f"{kind}_initializer")
        if kind == "bias" and getattr(self, "unit_forget_bias", False):
            initializer = _with_forget_ones(initializer, shape[0] // self.gates)
        return self.add_weight(
            shape=shape,
            name=name,
            initializer=initializer,
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        return self.advance(self.project(inputs, training), states, training)

    def project(self, inputs: Any, training: bool = False) -> Any:
        """The input's part of the gates, (..., F) -> (..., G * U)."""
        masks = self.get_dropout_mask(inputs) if training and 0 < self.dropout < 1 else None
        found = self._by_gate(inputs, masks, self.kernel, self._input_product)
        bias = self._input_bias()
        return found if bias is None else ops.add(found, bias)

    def _input_bias(self) -> Any:
        return self.bias

    def advance(self, projected: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """The output and the new states, from the input's part of the gates (B, G * U)."""
        raise NotImplementedError

    def _recur(self, h: Any, training: bool, kernel: Any = None) -> Any:
        """The state's part of the gates, (B, U) -> (B, G * U), or of the first of them."""
        kernel = self.recurrent_kernel if kernel is None else kernel
        return self._by_gate(h, self._state_masks(h, training), kernel, self._state_product)

    def _state_masks(self, h: Any, training: bool) -> Any:
        rate = self.recurrent_dropout
        return self.get_recurrent_dropout_mask(h) if training and 0 < rate < 1 else None

    def _by_gate(self, x: Any, masks: Any, kernel: Any, product: Callable) -> Any:
        """The product of x and a kernel; with a list of masks, of x as each gate may see it."""
        if masks is None:
            return product(x, kernel)
        if not isinstance(masks, list):
            return product(x * masks, kernel)
        width = self.kernel.shape[-1] // self.gates
        parts = ops.split(kernel, kernel.shape[-1] // width, axis=-1)
        pairs = zip(masks, parts, strict=False)
        found = [product(x * mask, part) for mask, part in pairs]
        return ops.concatenate(found, axis=self.channel_axis)

    def _input_product(self, x: Any, kernel: Any) -> Any:
        return ops.matmul(x, kernel)

    def _state_product(self, h: Any, kernel: Any) -> Any:
        return ops.matmul(h, kernel)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for all states, for so many samples."""
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in sizes]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **written(self, self.SETTINGS), "seed": self.seed}


def _with_forget_ones(initializer: Callable, units: int) -> Callable:
    """The initializer of a bias whose forget gate, the second of four, starts open."""

    def initialize(_: Any, *args: Any, **kwargs: Any) -> Any:
        ones = initializers.get("ones")
        parts = ((initializer, units), (ones, units), (initializer, 2 * units))
        return ops.concatenate([make((size,), *args, **kwargs) for make, size in parts])

    return initialize


def is_own(cell: Any) -> bool:
    """True for a cell of this package, or of a class that keeps its call."""
    if not isinstance(cell, GatedCell) or type(cell).__call__ is not Layer.__call__:
        return False
    owner = next(base for base in type(cell).__mro__ if "call" in vars(base))
    return owner.__module__.startswith("thalweg.keras.layers.rnn.")


def is_plain(cell: Any, compute_dtype: str) -> bool:
    """True for a cell whose two halves may be run apart instead of its call."""
    is_alone = is_own(cell) and cell.activity_regularizer is None
    return is_alone and cell.compute_dtype == compute_dtype
