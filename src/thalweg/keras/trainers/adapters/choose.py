"""Which adapter takes which data, and what cannot go with it."""

from collections.abc import Mapping
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.trainers.adapters import parts
from thalweg.keras.trainers.adapters.adapter import DataAdapter
from thalweg.keras.trainers.adapters.arrays import ArrayDataAdapter, can_convert_arrays
from thalweg.keras.utils.messages import warn


def get_data_adapter(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
) -> DataAdapter:
    """The adapter for training data; an adapter is returned as it is.

    Errors: ArgumentError for data of no known kind, for targets or weights beside data that brings
    its own, and for arrays that do not fit together.
    """
    if isinstance(x, DataAdapter):
        return x
    if can_convert_arrays((x, y, sample_weight)):
        return ArrayDataAdapter(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
    for name, is_one, adapter, weighs in parts.STREAMS:
        if is_one(x):
            _refuse(name, "y", "the targets", y)
            _refuse(name, "sample_weights", "the sample weights", sample_weight)
            options: dict[str, Any] = {"class_weight": class_weight} if weighs else {}
            if class_weight is not None and not weighs:
                raise ArgumentError(
                    explain(
                        "fit",
                        f"a {name} to yield the weights of its samples",
                        f"`class_weight`={class_weight}, which is not supported for {name} inputs",
                        "Yield (x, y, sample_weight) instead.",
                    )
                )
            is_ordered = adapter is not parts.PyDatasetAdapter
            if not is_ordered:
                options["shuffle"] = bool(shuffle)
            # True is what `fit` passes when nobody asked for anything.
            if is_ordered and shuffle not in (False, True, None):
                warn(f"shuffle={shuffle!r} is ignored: a {name} comes in an order of its own.")
            return adapter(x, **options)
    raise ArgumentError(
        explain(
            "fit",
            "arrays, tensors, a dataset, a PyDataset or a generator",
            f"Unrecognized data type: {_kinds(x, y, sample_weight)}",
            "Write numpy.array(x) for lists of numbers.",
        )
    )


def _refuse(name: str, argument: str, what: str, value: Any) -> None:
    if value is not None:
        raise ArgumentError(
            explain(
                "fit",
                f"a {name} to bring its own {what.removeprefix('the ')}",
                f"`{argument}` as well",
                f"When providing `x` as a {name}, `{argument}` should not be passed. Instead, "
                f"{what} should be included as part of the {name}.",
            )
        )


def _kinds(x: Any, y: Any, sample_weight: Any) -> str:
    given = {"x": x, "y": y, "sample_weight": sample_weight}
    return ", ".join(
        f"{name}={_short(value)} of {type(value).__name__}"
        for name, value in given.items()
        if value is not None
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
