"""Texts in folders as batches of strings: `text_dataset_from_directory`."""

from pathlib import Path
from typing import Any

import numpy as np

from thalweg.data import AUTOTUNE, Dataset
from thalweg.keras.utils.folders import Files, Request, datasets, with_file

WHERE = "text_dataset_from_directory"


class Texts(np.ndarray):
    """An array of strings, with the one method of tensors that programs ask of it."""

    def numpy(self) -> np.ndarray:
        """The same as a plain NumPy array."""
        return self.view(np.ndarray)


def texts(strings: Any) -> Texts:
    """The array of strings; its element type is NumPy's for strings of variable length."""
    return np.array(strings, np.dtypes.StringDType()).view(Texts)


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """A data set of the .txt files below a folder, with the subfolder's number as label.

    It yields arrays of strings (batch,), or pairs of that and labels: int32 (batch,), float32
    (batch, classes) for "categorical", float32 (batch, 1) for "binary"; single texts for
    `batch_size=None`. Texts are read as UTF-8 and cut after `max_length` characters. `labels` may
    be a list of integers in the order of the sorted paths, or None. For `subset="both"` it is a
    list of two data sets.

    `format="grain"` yields every epoch in the same order, and single texts as Python strings.

    Errors: ArgumentError for settings that do not go together or when there is no text.
    """

    def pipeline(rows: Dataset, files: Files) -> Dataset:
        def load(number: int) -> str:
            text = Path(files.paths[number]).read_bytes().decode("utf-8", errors="replace")
            return text if max_length is None else text[:max_length]

        def load_batch(numbers: np.ndarray) -> Texts:
            return texts([load(number) for number in numbers])

        def load_single(number: int) -> Any:
            return load(number) if format == "grain" else texts(load(number))

        if batch_size is None:
            rows = rows.map(with_file(load_single), num_parallel_calls=AUTOTUNE)
        else:
            rows = rows.batch(batch_size)
            rows = rows.map(with_file(load_batch), num_parallel_calls=AUTOTUNE)
        return rows.prefetch(AUTOTUNE)

    request = Request(
        where=WHERE,
        noun="text",
        endings=(".txt",),
        directory=directory,
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        verbose=verbose,
        format=format,
    )
    return datasets(request, pipeline)
