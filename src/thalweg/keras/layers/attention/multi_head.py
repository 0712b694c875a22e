"""MultiHeadAttention (Vaswani et al. 2017)."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops
from thalweg.keras.layers.attention.heads import HeadAttention, check_keys, without_masks
from thalweg.keras.layers.core.einsum_dense import EinsumDense
from thalweg.keras.layers.layer import mask_of
from thalweg.keras.symbol import KerasTensor


class MultiHeadAttention(HeadAttention):
    """softmax(q . k / sqrt(key_dim)) @ v in several heads at once, projected back.

    query (B, T, D), value (B, S, D'), key (B, S, D''), by default the value -> (B, T, D), or
    (B, T, *output_shape), followed by the scores (B, H, T, S) if `return_attention_scores`.
    `attention_axes` are the axes that attention runs along where there are more. `attention_mask`
    (B, T, S) is true where a query may see a value; the masks that ride on the inputs, a causal one
    and a `sliding_window` are joined to it. `use_gate` multiplies what the heads found by a sigmoid
    of the query. Raises ArgumentError for sizes that are no positive integers.
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(**kwargs)
        self._num_heads = _positive("num_heads", num_heads)
        self._key_dim = self._width = _positive("key_dim", key_dim)
        self._value_dim = key_dim if value_dim is None else _positive("value_dim", value_dim)
        self._output_shape = _sizes(output_shape)
        self._attention_axes = _axes(attention_axes)
        self._set_up(given)

    num_heads = property(lambda self: self._num_heads, doc="The number of heads.")
    key_dim = property(lambda self: self._key_dim, doc="The size of queries and keys in a head.")
    value_dim = property(lambda self: self._value_dim, doc="The size of values in a head.")
    dropout = property(lambda self: self._dropout_rate, doc="The rate at which scores are dropped.")
    use_bias = property(lambda self: self._use_bias, doc="Whether projections have biases.")
    attention_axes = property(lambda self: self._attention_axes, doc="The axes of attention.")
    # By these names files hold the projections.
    query_dense = property(lambda self: self._query_dense, doc="The projection of queries.")
    key_dense = property(lambda self: self._key_dense, doc="The projection of keys.")
    value_dense = property(lambda self: self._value_dense, doc="The projection of values.")
    output_dense = property(lambda self: self._output_dense, doc="The projection of the result.")

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        check_keys(self.name, value_shape, key_shape)
        keys, values = (self._num_heads, self._key_dim), (self._num_heads, self._value_dim)
        self._query_dense = self._built("query", keys, query_shape)
        self._key_dense = self._built("key", keys, key_shape)
        if self._use_gate:
            self._gate_dense = self._built("gate", values, query_shape, "sigmoid")
        self._value_dense = self._built("value", values, value_shape)
        rank = len(query_shape) + 1
        if self._attention_axes is None:
            self._attention_axes = tuple(range(1, rank - 2))
        else:
            self._attention_axes = tuple(
                axis if axis >= 0 else rank - 1 + axis for axis in self._attention_axes
            )
        self._make_attention(rank)
        self._output_dense = self._project(
            "attention_output", 2, self._output_shape or query_shape[-1:], rank
        )
        self._output_dense.build((*query_shape[:-1], *values))

    def _built(self, name: str, sizes: Any, shape: Any, activation: Any = None) -> EinsumDense:
        layer = self._project(name, 1, sizes, len(shape), activation)
        layer.build(tuple(shape))
        return layer

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        # As in Keras the queries' mask is the one that rides on them, and no other.
        masks = (mask_of(query), value_mask, key_mask, attention_mask)
        own: dict[str, Any] = {}
        with without_masks(query, value, key):
            if self._is_causal_alone(use_causal_mask, *masks):
                mask, own = None, {"use_causal_mask": True}
            else:
                mask = self._compute_attention_mask(
                    query, value, *masks, use_causal_mask=use_causal_mask
                )
            gate = self._gate_dense(query) if self._use_gate else None
            output, scores = self._compute_attention(
                self._query_dense(query),
                self._key_dense(key),
                self._value_dense(value),
                mask,
                training,
                return_attention_scores,
                **own,
            )
            output = self._output_dense(output if gate is None else ops.multiply(output, gate))
        return (output, scores) if return_attention_scores else output

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """What projected queries (B, T, H, K) find, and the scores or None; may be overridden."""
        return self._attend(
            query, key, value, attention_mask, training, return_attention_scores, use_causal_mask
        )

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> tuple:
        check_keys(self.name, value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:-1], *(self._output_shape or query_shape[-1:]))

    def compute_output_spec(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        shape = self.compute_output_shape(
            query.shape, value.shape, None if key is None else key.shape
        )
        output = KerasTensor(shape, dtype=self.compute_dtype)
        if not return_attention_scores:
            return output
        axes = self._attention_axes or range(1, len(query.shape) - 1)
        batch = [size for axis, size in enumerate(query.shape[:-1]) if axis not in axes]
        ends = [each.shape[axis] for each in (query, value) for axis in axes]
        scores = (*batch, self._num_heads, *ends)
        return output, KerasTensor(scores, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self._num_heads,
            "key_dim": self._key_dim,
            "value_dim": self._value_dim,
            "dropout": self._dropout_rate,
            "use_bias": self._use_bias,
            "use_gate": self._use_gate,
            "output_shape": self._output_shape,
            "attention_axes": self._attention_axes,
            "sliding_window": self._sliding_window,
            **self._written_settings(),
            "seed": self.seed,
        }


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ArgumentError(
            explain(
                "MultiHeadAttention",
                f"a positive integer. Received an invalid value for argument `{name}`",
                f"{name}={value}",
            )
        )
    return value


def _sizes(output_shape: Any) -> tuple[int, ...] | None:
    if not output_shape:
        return None
    if isinstance(output_shape, int):
        return (output_shape,)
    if not isinstance(output_shape, (list, tuple)):
        raise ArgumentError(
            explain(
                "MultiHeadAttention",
                "an integer or a tuple of them as `output_shape`",
                f"Invalid `output_shape`: {output_shape}",
            )
        )
    return tuple(output_shape)


def _axes(axes: Any) -> Any:
    if isinstance(axes, int):
        return (axes,)
    if axes and not isinstance(axes, (list, tuple)):
        raise ArgumentError(
            explain(
                "MultiHeadAttention",
                "`attention_axes` must be an int, list, or tuple",
                f"attention_axes={axes}",
            )
        )
    return axes
