"""Attention: what each query finds among keys."""

from typing import Any

from thalweg.array import nn
from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import common_dtype, like, shape_of
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor


def _spec(query: Any, key: Any, value: Any, **_: Any) -> KerasTensor:
    _check_ranks(query, key, value)
    shape = (*shape_of(query)[:3], shape_of(value)[3])
    return like(query, shape, common_dtype(query, key, value, float))


def _check_ranks(*operands: Any) -> None:
    shapes = [shape_of(each) for each in operands]
    if any(len(shape) != 4 for shape in shapes):
        raise ShapeError(
            explain(
                "dot_product_attention",
                "query, key and value of shape (batch, position, head, feature); only supports 4D "
                "inputs",
                "query.shape={}, key.shape={}, value.shape={}".format(*shapes),
                "Add the axis that is missing with expand_dims.",
            )
        )


@op(data=("query", "key", "value", "bias", "mask", "scale"), spec=_spec)
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: Any = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """softmax(query . key * scale + bias) . value for each head.

    query [B, T, H, D], key [B, S, G, D] and value [B, S, G, E] give [B, T, H, E]; G divides H, and
    heads in a row share a key. `bias` (added) and `mask` (true where a key may be seen) stretch to
    [B, H, T, S]; a query that may see nothing gives the mean of all values. `is_causal` hides keys
    at later positions. `scale` is 1 / sqrt(D) by default, `attn_logits_soft_cap` holds the scaled
    products between -cap and cap. `flash_attention` says how it is computed elsewhere; here the
    result is the same. Raises ShapeError for other ranks.
    """
    _check_ranks(query, key, value)
    dtype = common_dtype(query, key, value, float)
    return nn.dot_product_attention(
        tensor(query, dtype),
        tensor(key, dtype),
        tensor(value, dtype),
        bias=None if bias is None else tensor(bias),
        mask=None if mask is None else tensor(mask),
        scale=scale,
        is_causal=bool(is_causal),
        soft_cap=attn_logits_soft_cap,
        blind_sees_all=True,
    )
