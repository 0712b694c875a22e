"""Data sets from folders of files, one subfolder a class: what pictures, texts and sounds share.

    folder/class_a/1.jpg          which files there are, their labels and their split into training
    folder/class_b/2.jpg          and validation are those of Keras for equal arguments and seeds

A data set that comes from here is a `thalweg.data.Dataset` with the attributes `class_names` and
`file_paths`. Shuffled, it has another order in each epoch.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.array.creation import asarray
from thalweg.base.errors import ArgumentError, explain
from thalweg.data import Dataset
from thalweg.keras.utils.messages import print_message

LABEL_MODES = ("int", "categorical", "binary", None)
SUBSETS = ("training", "validation", "both", None)
FORMATS = ("tf", "grain")


@dataclass(frozen=True)
class Request:
    """What a user asks of a folder; `where` is the function asked, `noun` what the files hold."""

    where: str
    noun: str
    endings: tuple[str, ...]
    directory: str
    labels: Any
    label_mode: str | None
    class_names: Sequence[str] | None
    batch_size: int | None
    shuffle: bool
    seed: int | None
    validation_split: float | None
    subset: str | None
    follow_links: bool
    verbose: bool
    format: str = "tf"

    def checked(self) -> "Request":
        """The same with labels and label mode both None if one is, and a seed.

        Errors: ArgumentError for settings that do not go together.
        """
        if self.labels not in ("inferred", None):
            if not isinstance(self.labels, list | tuple):
                raise self.error(
                    f"`labels` argument should be a list or tuple of integers, one for each"
                    f' {self.noun} file, "inferred" (from the names of the subfolders) or None',
                    f"labels={self.labels!r}",
                )
            if self.class_names:
                raise self.error(
                    'no class names with labels: you can only pass `class_names` if `labels="infer'
                    'red"`',
                    f"class_names={self.class_names} with labels of your own",
                )
        if self.label_mode not in LABEL_MODES:
            raise self.error(
                '`label_mode` argument must be one of "int", "categorical", "binary", or None',
                f"label_mode={self.label_mode!r}",
            )
        if self.format not in FORMATS:
            raise self.error('`format` should be either "tf" or "grain"', f"format={self.format!r}")
        self._check_split()
        without = self.labels is None or self.label_mode is None
        return replace(
            self,
            labels=None if without else self.labels,
            label_mode=None if without else self.label_mode,
            # NumPy's own generator, as in Keras: `set_random_seed` sets it.
            seed=int(np.random.randint(1_000_000)) if self.seed is None else self.seed,
        )

    def _check_split(self) -> None:
        split, subset = self.validation_split, self.subset
        if split and not 0 < split < 1:
            raise self.error(
                "a share of the files: `validation_split` must be between 0 and 1",
                f"validation_split={split}",
            )
        if bool(split) != bool(subset):
            raise self.error(
                "both or none: if `subset` is set, `validation_split` must be set, and inversely",
                f"validation_split={split}, subset={subset!r}",
            )
        if subset not in SUBSETS:
            raise self.error(
                '`subset` must be either "training", "validation" or "both"', f"subset={subset!r}"
            )
        if split and self.shuffle and self.seed is None:
            raise self.error(
                "a seed where it splits and shuffles: you must provide a `seed` argument, so that"
                " the training and validation files are never the same ones",
                "seed=None",
                "Pass the same seed for both subsets, or shuffle=False.",
            )

    def error(self, wanted: str, received: str, do: str = "") -> ArgumentError:
        """An error in the name of the function that was asked."""
        return ArgumentError(explain(self.where, wanted, received, do))


@dataclass(frozen=True)
class Files:
    """Files of one subset, their labels as numbers (None without), and the names of the classes."""

    paths: list[str]
    labels: np.ndarray | None
    class_names: list[str] | None


# ---- files ---------------------------------------------------------------------------------------


def find_files(request: Request) -> Files:
    """All files of a folder in alphabetical order, class by class, or shuffled.

    Errors: ArgumentError when class names or labels do not fit to what is there.
    """
    if request.labels == "inferred":
        found = sorted(
            entry.name
            for entry in os.scandir(request.directory)
            if entry.is_dir() and not entry.name.startswith(".")
        )
        names = _chosen_names(request, found)
        paths, numbers = [], []
        for number, name in enumerate(names):
            inside = list(_walk(os.path.join(request.directory, name), request))
            paths += inside
            numbers += [number] * len(inside)
        files = Files(paths, np.array(numbers, np.int32), names)
    else:
        if request.class_names is not None:
            raise request.error(
                "no class names where labels are not inferred: argument `class_names` cannot be"
                " specified",
                f"class_names={request.class_names}",
            )
        paths = list(_walk(request.directory, request))
        if request.labels is None:
            files = Files(paths, None, None)
        else:
            files = _labelled(request, paths)
    if request.verbose:
        classes = f" belonging to {len(files.class_names)} classes" if files.class_names else ""
        print_message(f"Found {len(files.paths)} files{classes}.")
    return _shuffled(files, request.seed) if request.shuffle else files


def _chosen_names(request: Request, found: list[str]) -> list[str]:
    if request.class_names is None:
        return found
    if not set(request.class_names) <= set(found):
        raise request.error(
            f"names of subfolders, {found} or some of them: the `class_names` passed did not match",
            f"class_names={request.class_names}",
        )
    return list(request.class_names)


def _walk(folder: str, request: Request) -> Iterator[str]:
    """The files below a folder with the right endings; folders in order, then files in order."""
    walk = os.walk(folder, followlinks=request.follow_links)
    for root, _, names in sorted(walk, key=lambda entry: entry[0]):
        for name in sorted(names):
            if name.lower().endswith(request.endings):
                yield os.path.join(root, name)


def _labelled(request: Request, paths: list[str]) -> Files:
    labels = list(request.labels)
    if len(labels) != len(paths):
        raise request.error(
            "one label for each file: Expected the lengths of `labels` to match the number of"
            " files in the target directory",
            f"{len(labels)} labels for {len(paths)} files in {request.directory}",
        )
    return Files(paths, np.array(labels, np.int32), [str(label) for label in sorted(set(labels))])


def _shuffled(files: Files, seed: int | None) -> Files:
    order = np.arange(len(files.paths))
    np.random.RandomState(seed).shuffle(order)
    labels = None if files.labels is None else files.labels[order]
    return Files([files.paths[number] for number in order], labels, files.class_names)


def subsets(request: Request, files: Files) -> list[Files]:
    """The files that were asked for: all, one subset, or training and validation.

    Errors: ArgumentError when there is no file in one of them.
    """
    names = ["training", "validation"] if request.subset == "both" else [request.subset]
    parts = []
    for name in names:
        part = _subset(request, files, name)
        if not part.paths:
            kind = f"{name} {request.noun}" if request.subset == "both" else request.noun
            raise request.error(
                f"files with the endings {', '.join(request.endings)}",
                f"none: No {_found_as(kind)} found in directory {request.directory}",
            )
        parts.append(part)
    return parts


def _found_as(noun: str) -> str:
    """`image` -> `images`, `text` -> `text files`: what Keras says, and programs look for."""
    return f"{noun}s" if noun.endswith("image") else f"{noun} files"


def _subset(request: Request, files: Files, name: str | None) -> Files:
    if not request.validation_split:
        return files
    held_out = int(request.validation_split * len(files.paths))
    first = len(files.paths) - held_out
    chosen = slice(None, first) if name == "training" else slice(first, None)
    if request.verbose:
        print_message(f"Using {len(files.paths[chosen])} files for {name}.")
    labels = None if files.labels is None else files.labels[chosen]
    return Files(files.paths[chosen], labels, files.class_names)


def encoded_labels(request: Request, files: Files) -> np.ndarray | None:
    """Labels as int32 (N,), as float32 (N, 1) for "binary", or one-hot for "categorical"."""
    if files.labels is None or files.class_names is None:
        return None
    if request.label_mode == "binary":
        return files.labels[:, None].astype(np.float32)
    if request.label_mode == "categorical":
        return np.eye(len(files.class_names), dtype=np.float32)[files.labels]
    return files.labels


# ---- data sets -----------------------------------------------------------------------------------


def datasets(request: Request, pipeline: Callable[[Dataset, Files], Dataset]) -> Any:
    """The data set of a request, or a list of two; `pipeline` makes it of the files' numbers.

    The data set that `pipeline` is given yields the number of a file, or (number, label).
    """
    request = request.checked()
    files = find_files(request)
    if request.label_mode == "binary" and len(files.class_names or ()) != 2:
        raise request.error(
            'two classes: when passing `label_mode="binary"`, there must be exactly 2 class_names',
            f"class_names={files.class_names}",
        )
    results = []
    for index, part in enumerate(subsets(request, files)):
        numbers = np.arange(len(part.paths))
        labels = encoded_labels(request, part)
        rows = Dataset.from_tensor_slices(numbers if labels is None else (numbers, labels))
        if request.shuffle and index == 0:
            rows = rows.shuffle(
                len(numbers), request.seed, reshuffle_each_iteration=request.format == "tf"
            )
        result: Any = pipeline(rows, part)
        result.class_names = part.class_names
        result.file_paths = part.paths
        results.append(result)
    return results if request.subset == "both" else results[0]


def with_file(load: Callable[[Any], Any]) -> Callable[..., Any]:
    """A function of (number) or (number, label) that puts what `load` gives in number's place."""

    def function(number: Any, *label: Any) -> Any:
        value = load(number)
        return (value, *label) if label else value

    return function


def as_tensors(*parts: Any) -> Any:
    """The arrays of an element as tensors; their memory is not copied."""
    tensors = tuple([asarray(part) for part in parts])
    return tensors if len(tensors) > 1 else tensors[0]
