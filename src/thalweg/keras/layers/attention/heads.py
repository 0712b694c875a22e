"""Attention with several heads: projections of query, key and value, and what they share.

B samples, T queries, S keys, D features, H heads of queries, G of keys and values, K features of a
head. A projection is an EinsumDense; the axes that attention runs along may be several.
"""

import math
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras import constraints, dtype_policies, initializers, ops, regularizers
from thalweg.keras.layers.activations.activation import Softmax
from thalweg.keras.layers.core.einsum_dense import EinsumDense
from thalweg.keras.layers.layer import Layer
from thalweg.keras.layers.regularization.dropout import Dropout
from thalweg.keras.settings import is_flash_attention_enabled

WEIGHT_SETTINGS = {
    "kernel_initializer": initializers,
    "bias_initializer": initializers,
    "kernel_regularizer": regularizers,
    "bias_regularizer": regularizers,
    "activity_regularizer": regularizers,
    "kernel_constraint": constraints,
    "bias_constraint": constraints,
}
"""The settings that all projections share, and who finds and writes them."""


class HeadAttention(Layer):
    """What MultiHeadAttention and GroupedQueryAttention share.

    `_attention_axes` are the axes of queries and keys that attention runs along, `_width` is K of
    queries and keys.
    """

    _attention_axes: Any
    _dropout_rate: float
    _use_bias: bool
    _use_gate: bool
    _sliding_window: int | None
    _width: int
    _query_dense: EinsumDense
    _key_dense: EinsumDense
    _value_dense: EinsumDense
    _output_dense: EinsumDense

    def _set_up(self, given: dict[str, Any]) -> None:
        self.supports_masking = True
        self.seed = given["seed"]
        self._dropout_rate = given["dropout"]
        self._use_bias = given["use_bias"]
        self._use_gate = given["use_gate"]
        self._sliding_window = _checked_window(self.name, given["sliding_window"])
        self._weight_settings = {
            name: module.get(given[name]) for name, module in WEIGHT_SETTINGS.items()
        }
        self._flash_attention = given["flash_attention"] or is_flash_attention_enabled()
        if self._flash_attention and self._dropout_rate > 0:
            raise ArgumentError(
                explain(
                    self.name,
                    "no dropout. Dropout is not supported when flash attention is enabled.",
                    f"flash_attention={given['flash_attention']}, dropout={self._dropout_rate}",
                    "Set dropout=0.0, or flash_attention=False.",
                )
            )

    def _written_settings(self) -> dict[str, Any]:
        return {
            name: module.serialize(self._weight_settings[name])
            for name, module in WEIGHT_SETTINGS.items()
        }

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        own = self._dtype_policy
        if isinstance(own, dtype_policies.DTypePolicyMap):
            return config
        others = {
            layer.path: layer.dtype_policy
            for layer in self._flatten_layers(include_self=False)
            if layer.quantization_mode is not None and layer.dtype_policy != own
        }
        if others:
            # Projections that were quantized are to be made so again.
            policies = dtype_policies.DTypePolicyMap(own, others)
            config["dtype"] = dtype_policies.serialize(policies)
        return config

    def _project(
        self, name: str, bound: int, sizes: Sequence[int], rank: int, activation: Any = None
    ) -> EinsumDense:
        """A projection of the last `bound` axes of so many to axes of these sizes."""
        letters = iter(string.ascii_lowercase)
        free, inner, outer = (
            "".join(next(letters) for _ in range(count))
            for count in (rank - bound, bound, len(sizes))
        )
        own = dict(self._weight_settings)
        for kind in ("kernel_initializer", "bias_initializer"):
            # The same object with a seed of its own would draw the same values for each.
            own[kind] = type(own[kind]).from_config(own[kind].get_config())
        return EinsumDense(
            f"{free}{inner},{inner}{outer}->{free}{outer}",
            output_shape=(*(None for _ in free[1:]), *sizes),
            bias_axes=outer if self._use_bias else None,
            activation=activation,
            name=name,
            dtype=self._dtype_policy,
            **own,
        )

    def _make_attention(self, rank: int) -> None:
        """The equations of attention between projections of this rank, softmax and dropout."""
        self._dot_product_equation, self._combine_equation, scores = attention_equations(
            rank, self._attention_axes
        )
        axes = tuple(range(scores - len(self._attention_axes), scores))
        self._softmax = Softmax(axis=axes, dtype=self._dtype_policy)
        self._dropout_layer = Dropout(
            rate=self._dropout_rate, dtype=self._dtype_policy, seed=self.seed
        )

    def _compute_causal_mask(self, query: Any, value: Any = None) -> Any:
        """(1, T, S), true where a value does not come after the query."""
        rows, columns = _positions(query, value)
        return rows >= columns

    def _compute_sliding_window_mask(self, query: Any, value: Any = None) -> Any:
        """(1, T, S), true where query and value are less than the window apart."""
        rows, columns = _positions(query, value)
        return ops.abs(rows - columns) < self._sliding_window

    def _compute_attention_mask(
        self,
        query: Any,
        value: Any,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """All masks as one (B, T, S), true where a query may see a value; None for all."""
        parts = [
            None if each is None else ops.expand_dims(ops.cast(each, "bool"), axis=axis)
            for each, axis in ((query_mask, -1), (value_mask, -2), (key_mask, -2))
        ]
        if use_causal_mask:
            parts.append(self._compute_causal_mask(query, value))
        if self._sliding_window is not None:
            parts.append(self._compute_sliding_window_mask(query, value))
        if attention_mask is not None:
            parts.append(ops.cast(attention_mask, "bool"))
        return _all_of(parts)

    def _is_causal_alone(self, use_causal_mask: bool, *masks: Any) -> bool:
        """True where being causal is all that is masked, and the attention is this class's own."""
        own = next(base for base in type(self).__mro__ if "_compute_attention" in vars(base))
        return (
            use_causal_mask
            and self._sliding_window is None
            and all(mask is None for mask in masks)
            and own.__module__.startswith("thalweg.keras.layers.attention.")
        )

    def _attend(
        self,
        query: Any,
        key: Any,
        value: Any,
        mask: Any,
        training: bool | None,
        wants_scores: bool,
        is_causal: bool,
    ) -> tuple[Any, Any]:
        """The values (B, T, H, K) that queries find, and the scores (B, H, T, S) or None."""
        if self._flash_attention and wants_scores:
            raise ArgumentError(
                explain(
                    self.name,
                    "no scores to return. Returning attention scores is not supported when flash "
                    "attention is enabled. Please disable flash attention to access attention "
                    "scores.",
                    "return_attention_scores=True",
                )
            )
        scale = 1.0 / math.sqrt(self._width)
        # Heads come before the axes of queries and keys.
        heads_axis = -2 * len(self._attention_axes) - 1
        if not (self._dropout_rate > 0 or wants_scores or len(query.shape) != 4):
            if mask is not None:
                mask = ops.cast(_of_rank(mask, 4, heads_axis), "bool")
            output = ops.dot_product_attention(
                query,
                key,
                value,
                mask=mask,
                scale=scale,
                is_causal=bool(is_causal),
                flash_attention=self._flash_attention,
            )
            return output, None
        if is_causal:
            mask = None if mask is None else ops.cast(mask, "bool")
            mask = _all_of([mask, self._compute_causal_mask(query, value)])
        query = ops.multiply(query, ops.cast(scale, query.dtype))
        scores = ops.einsum(self._dot_product_equation, query, key)
        scores = self._masked_softmax(scores, mask)
        weights = scores
        if self._dropout_rate > 0:
            weights = self._dropout_layer(scores, training=training)
        return ops.einsum(self._combine_equation, weights, value), scores

    def _masked_softmax(self, attention_scores: Any, attention_mask: Any = None) -> Any:
        if attention_mask is None:
            return self._softmax(attention_scores)
        axis = -2 * len(self._attention_axes) - 1
        mask = _of_rank(attention_mask, len(attention_scores.shape), axis)
        return self._softmax(attention_scores, mask=mask)


def attention_equations(rank: int, axes: Sequence[int]) -> tuple[str, str, int]:
    """How queries meet keys, how scores meet values, and the rank of the scores.

    Queries and keys (batch..., H, K) have letters of their own along `axes` only; the scores are
    (batch..., H, query axes..., key axes...).

    >>> attention_equations(4, (1,))
    ('abcd,aecd->acbe', 'acbe,aecd->abcd', 4)
    """
    query = string.ascii_lowercase[:rank]
    others = iter(string.ascii_lowercase[rank:])
    key = "".join(next(others) if axis in axes else query[axis] for axis in range(rank))
    batch = "".join(query[axis] for axis in range(rank - 1) if axis not in axes)
    ends = "".join(letters[axis] for letters in (query, key) for axis in axes)
    scores = batch + ends
    return f"{query},{key}->{scores}", f"{scores},{key}->{query}", len(scores)


@contextmanager
def without_masks(*values: Any) -> Iterator[None]:
    """Within this block no mask rides on these tensors: projections know no masks."""
    masked = [each for each in values if getattr(each, "_keras_mask", None) is not None]
    masks = [each._keras_mask for each in masked]
    try:
        for each in masked:
            each._keras_mask = None
        yield
    finally:
        for each, mask in zip(masked, masks, strict=True):
            each._keras_mask = mask


def check_keys(name: str, value_shape: Any, key_shape: Any) -> None:
    """Refuse keys and values that differ in more than their features."""
    if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
        raise ShapeError(
            explain(
                name,
                "as many keys as values. All dimensions of `value` and `key`, except the last one, "
                "must be equal",
                f"value_shape={value_shape} and key_shape={key_shape}",
            )
        )


def _checked_window(name: str, window: Any) -> int | None:
    if window is not None and (not isinstance(window, int) or window <= 0):
        raise ArgumentError(
            explain(
                name,
                "`sliding_window` must be `None` or a positive integer",
                f"sliding_window={window}",
            )
        )
    return window


def _positions(query: Any, value: Any) -> tuple[Any, Any]:
    """The positions of queries (1, T, 1) and of values (1, 1, S)."""
    queries = ops.arange(ops.shape(query)[1], dtype="int32")
    values = queries if value is None else ops.arange(ops.shape(value)[1], dtype="int32")
    return ops.expand_dims(queries, axis=(0, 2)), ops.expand_dims(values, axis=(0, 1))


def _all_of(masks: Sequence[Any]) -> Any:
    """The places that all masks leave; None where there is no mask."""
    found = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else ops.logical_and(found, mask)
    return found


def _of_rank(mask: Any, rank: int, axis: int) -> Any:
    """The mask with axes of size 1 put in at an axis until it has so many."""
    for _ in range(rank - len(mask.shape)):
        mask = ops.expand_dims(mask, axis=axis)
    return mask
