"""Windows of a time series as batches: `timeseries_dataset_from_array`."""

from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.data import AUTOTUNE, Dataset
from thalweg.data.structure import as_array
from thalweg.keras.utils.folders import FORMATS, as_tensors

WHERE = "timeseries_dataset_from_array"


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Any:
    """A data set of windows (batch, sequence_length, ...) of data (steps, ...), with their targets.

    Windows start `sequence_stride` steps apart and take every `sampling_rate`-th step, of the steps
    from `start_index` up to below `end_index`; `targets[i]` belongs to the window that starts at
    step i. It yields (windows, targets), windows alone for `targets=None`, and single ones for
    `batch_size=None`. The windows are views of the data until they are batched.

    `format="grain"` yields shuffled windows in the same order each epoch.

    Errors: ArgumentError for indices or steps that the data do not have.
    """
    series = as_array(data, WHERE)
    _check(len(series), start_index, end_index, sampling_rate, sequence_stride, format)
    if sequence_length < 1:
        raise _error("`sequence_length` must be higher than 0", f"{sequence_length=}")
    if seed is None:
        seed = int(np.random.randint(1_000_000))
    first, last = start_index or 0, end_index or len(series)
    span = (sequence_length - 1) * sampling_rate + 1
    count = max(0, last - first - span + 1)
    labels = None if targets is None else as_array(targets, WHERE)[first:]
    if labels is not None:
        count = min(count, len(labels))
    starts = slice(0, count, sequence_stride)
    windows = _windows(series[first:last], span)[starts, ::sampling_rate]
    rows = Dataset.from_tensor_slices(windows if labels is None else (windows, labels[starts]))
    if shuffle and len(windows):
        rows = rows.shuffle(len(windows), seed, reshuffle_each_iteration=format == "tf")
    if batch_size is not None:
        rows = rows.batch(batch_size)
    return rows.map(as_tensors).prefetch(AUTOTUNE)


def _windows(series: np.ndarray, span: int) -> np.ndarray:
    """All windows of `span` steps, (windows, span, ...), as a view."""
    if len(series) < span:
        return np.empty((0, span, *series.shape[1:]), series.dtype)
    view = np.lib.stride_tricks.sliding_window_view(series, span, axis=0)
    return np.moveaxis(view, -1, 1)


def _check(
    count: int,
    start_index: int | None,
    end_index: int | None,
    sampling_rate: int,
    sequence_stride: int,
    format: str,
) -> None:
    if start_index and start_index < 0:
        raise _error("`start_index` must be 0 or greater", f"{start_index=}")
    if start_index and start_index >= count:
        raise _error(
            "`start_index` must be lower than the length of the data", f"{start_index=}", count
        )
    if end_index:
        if start_index and end_index <= start_index:
            raise _error("`end_index` must be higher than `start_index`", f"{end_index=}")
        if end_index >= count:
            raise _error(
                "`end_index` must be lower than the length of the data", f"{end_index=}", count
            )
        if end_index < 0:
            raise _error("`end_index` must be higher than 0", f"{end_index=}")
    for name, value in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if value <= 0:
            raise _error(f"`{name}` must be higher than 0", f"{name}={value}")
        if value >= count:
            raise _error(
                f"`{name}` must be lower than the length of the data", f"{name}={value}", count
            )
    if format not in FORMATS:
        raise _error('`format` should be either "tf" or "grain"', f"{format=}")


def _error(wanted: str, received: str, count: int | None = None) -> ArgumentError:
    length = "" if count is None else f" for data of length {count}"
    return ArgumentError(explain(WHERE, wanted, received + length))
