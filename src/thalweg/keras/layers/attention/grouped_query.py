"""GroupedQueryAttention: heads of queries share those of keys and values (Ainslie et al. 2023)."""

from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.layers.attention.heads import (
    WEIGHT_SETTINGS,
    HeadAttention,
    check_keys,
    without_masks,
)
from thalweg.keras.symbol import KerasTensor


class GroupedQueryAttention(HeadAttention):
    """Attention in which groups of `num_query_heads` share `num_key_value_heads`.

    query (B, T, D), value (B, S, D), key (B, S, D'), by default the value -> (B, T, D), followed by
    the scores (B, num_query_heads, T, S) if `return_attention_scores`. Masks and `use_gate` are as
    in MultiHeadAttention. Raises ArgumentError for heads that cannot be shared evenly.
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
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
        if num_query_heads % num_key_value_heads:
            raise ArgumentError(
                explain(
                    "GroupedQueryAttention",
                    "`num_query_heads` must be divisible by `num_key_value_heads`",
                    f"num_query_heads={num_query_heads}, num_key_value_heads={num_key_value_heads}",
                )
            )
        self.head_dim = self._width = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads
        self.num_repeats = num_query_heads // num_key_value_heads
        self._attention_axes = (1,)
        self._return_attention_scores = False
        self._set_up(given)
        self.dropout, self.use_bias, self.use_gate = dropout, use_bias, use_gate
        self.sliding_window = sliding_window
        for name in WEIGHT_SETTINGS:
            setattr(self, name, self._weight_settings[name])

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        queries = (self.num_query_heads, self.head_dim)
        shared = (self.num_key_value_heads, self.head_dim)
        self.feature_dim = query_shape[-1]
        self._query_dense = self._project("query", 1, queries, 3)
        self._query_dense.build(query_shape)
        self._key_dense = self._project("key", 1, shared, 3)
        self._key_dense.build(key_shape)
        if self._use_gate:
            self._gate_dense = self._project("gate", 1, queries, 3, "sigmoid")
            self._gate_dense.build(query_shape)
        self._value_dense = self._project("value", 1, shared, 3)
        self._value_dense.build(value_shape)
        self._make_attention(4)
        self._output_dense = self._project("attention_output", 2, (self.feature_dim,), 4)
        self._output_dense.build((None, None, *queries))

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
        self._return_attention_scores = return_attention_scores
        key = value if key is None else key
        masks = (query_mask, value_mask, key_mask, attention_mask)
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
                self._repeated(self._key_dense(key)),
                self._repeated(self._value_dense(value)),
                attention_mask=mask,
                training=training,
                **own,
            )
            output = self._output_dense(output if gate is None else ops.multiply(output, gate))
        return (output, scores) if return_attention_scores else output

    def _repeated(self, x: Any) -> Any:
        """Keys or values (B, S, G, K) once for each head of queries, (B, S, H, K)."""
        return x if self.num_repeats == 1 else ops.repeat(x, self.num_repeats, axis=2)

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """What projected queries (B, T, H, K) find, and the scores or None; may be overridden."""
        wants_scores = self._return_attention_scores
        return self._attend(
            query, key, value, attention_mask, training, wants_scores, use_causal_mask
        )

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> Any:
        if query_shape[-1] != value_shape[-1]:
            raise ShapeError(
                explain(
                    self.name,
                    "queries and values of as many features. The last dimension of `query_shape` "
                    "and `value_shape` must be equal",
                    f"query_shape={query_shape}, value_shape={value_shape}",
                )
            )
        check_keys(self.name, value_shape, value_shape if key_shape is None else key_shape)
        return query_shape

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
        keys = value.shape[1] if key is None else key.shape[1]
        scores = (query.shape[0], self.num_query_heads, query.shape[1], keys)
        return output, KerasTensor(scores, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "head_dim": self.head_dim,
            "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "sliding_window": self.sliding_window,
            "dropout": self.dropout,
            **self._written_settings(),
            "seed": self.seed,
        }
