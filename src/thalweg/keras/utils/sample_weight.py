"""The three forms of a batch: x, (x, y), and (x, y, sample_weight)."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The shortest form that says the same: x, (x, y) or (x, y, sample_weight).

    An `x` that is a list or tuple itself comes as (x,), so that it is not taken for (x, y).
    """
    if y is None:
        return (x,) if isinstance(x, list | tuple) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of a batch, with None for what it lacks.

    Errors: ArgumentError for a list or tuple of none or more than three.
    """
    if not isinstance(data, list | tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ArgumentError(
            explain(
                "unpack_x_y_sample_weight",
                "data in the form `x`, `(x,)`, `(x, y)`, or `(x, y, sample_weight)`",
                f"{type(data).__name__} of {len(data)}",
            )
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight
