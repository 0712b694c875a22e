"""What callbacks that save have in common: when it is time, and names that hold metrics."""

import re
from typing import Any

from thalweg.base.errors import ArgumentError, ThalwegError, explain
from thalweg.keras.callbacks.logs import plain


class MissingMetricError(ThalwegError, KeyError):
    """A file name asks for a metric that there is not."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class SavesAtTimes:
    """Counts batches and tells when `save_freq` of them have passed."""

    save_freq: Any
    _last_batch_seen: int | None = None
    _batches_since_saving = 0

    def _should_save_on_batch(self, batch: int) -> bool:
        last = self._last_batch_seen
        # After the last batch of an epoch the numbers begin again.
        self._batches_since_saving += batch + 1 if last is None or batch <= last else batch - last
        self._last_batch_seen = batch
        if self.save_freq == "epoch" or not self.save_freq:
            return False
        if self._batches_since_saving < self.save_freq:
            return False
        self._batches_since_saving = 0
        return True


def file_name(pattern: str, epoch: int, batch: int | None, logs: Any) -> str:
    """A pattern with `{epoch}`, `{batch}` and metrics filled in; both numbers from 1 on.

    Raises MissingMetricError for a name that the logs do not have.
    """
    values = {name: plain(value) for name, value in (logs or {}).items()}
    values["epoch"] = epoch + 1
    if batch is not None:
        values["batch"] = batch + 1
    try:
        return pattern.format(**values)
    except KeyError as error:
        raise MissingMetricError(
            explain(
                "filepath",
                f"names among {', '.join(sorted(values))}",
                f'Failed to format this callback filepath: "{pattern}". Reason: {error}',
                "Is there validation data, and does it come before this callback saves?"
                if re.search(r"val_", str(error))
                else "",
            )
        ) from None


def unknown_frequency(where: str, save_freq: Any) -> ArgumentError:
    """The error for a frequency that is neither "epoch" nor a number of batches."""
    return ArgumentError(
        explain(
            where,
            "save_freq to be 'epoch' or a number of batches",
            f"Invalid value for argument `save_freq`. Unrecognized save_freq: {save_freq!r}",
        )
    )
