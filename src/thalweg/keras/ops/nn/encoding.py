"""Class numbers as rows of zeros and ones."""

from typing import Any

from thalweg.array import nn, statistical
from thalweg.array.data_types import astype
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.operation import infer, op
from thalweg.keras.ops.operands import axis_of
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor


def _one_hot(x: Any, num_classes: int, axis: int, dtype: Any) -> Tensor:
    x = tensor(x)
    if not x.dtype.is_integer:
        x = astype(x, "int32")
    place = axis_of("one_hot", axis, x.ndim + 1)
    return nn.one_hot(x, num_classes, place, standardize_dtype(dtype))


def _multi_hot(inputs: Any, num_classes: int, axis: int, dtype: Any) -> Tensor:
    # Keras reduces the axis after the batch, wherever the classes stand.
    hot = _one_hot(inputs, num_classes, axis, dtype)
    return statistical.max(hot, axis=1 if hot.ndim > 2 else 0)


def _marked(found: KerasTensor, sparse: bool) -> KerasTensor:
    return KerasTensor(found.shape, dtype=found.dtype, sparse=sparse) if sparse else found


def _one_hot_spec(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> KerasTensor:
    return _marked(infer(_one_hot, (x, num_classes, axis, dtype), {}), sparse)


@op(spec=_one_hot_spec)
def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Tensor:
    """1 at each class number along a new axis of `num_classes`, 0 elsewhere.

    A number that is no class, such as -1, gives zeros. `dtype` is the default float type for None.
    Values are dense; `sparse` is kept for programs that ask.
    """
    return _one_hot(x, num_classes, axis, dtype)


def _classes(num_classes: int | None, kwargs: dict[str, Any]) -> int:
    found = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    if found is None:
        raise ArgumentError(
            explain(
                "multi_hot",
                "the number of classes; Argument `num_classes` must be specified",
                "num_classes=None",
            )
        )
    return found


def _multi_hot_spec(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> KerasTensor:
    found = infer(_multi_hot, (inputs, _classes(num_classes, kwargs), axis, dtype), {})
    return _marked(found, sparse)


@op(data=("inputs",), spec=_multi_hot_spec)
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """1 at every class number of an example, 0 elsewhere: (B, N) -> (B, num_classes).

    A number that is no class is left out. `dtype` is the default float type for None. Values are
    dense; `sparse` is kept for programs that ask.
    """
    return _multi_hot(inputs, _classes(num_classes, kwargs), axis, dtype)
