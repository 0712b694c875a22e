"""TensorBoard: the course of training as files that TensorBoard shows.

{log_dir}/train         epoch_{metric}, epoch_learning_rate, batch_{metric}, the model's graph,
                        {weight}/histogram, {weight}/image, tables of embeddings
{log_dir}/validation    epoch_{metric}, evaluation_{metric}_vs_iterations
"""

import math
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import door
from thalweg.keras.callbacks import event_file
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.event_file import EventFile
from thalweg.keras.callbacks.learning_rates import rates
from thalweg.keras.utils.model_graph import LayerGraph, model_graph

PROJECTOR = "projector_config.pbtxt"
MOST_TILES = 64
"""Filters of a convolution that its picture shows."""


class TensorBoard(Callback):
    """Writes event files for TensorBoard: run `tensorboard --logdir logs` to look at them.

    `update_freq` is "epoch", "batch", or a number of batches after which metrics are written.
    Every `histogram_freq` epochs the weights are written as histograms, and as pictures if
    `write_images`. `write_graph` writes the layers as a graph. `write_steps_per_second` writes the
    speed. `profile_batch`, a number of a batch or a pair of the first and the last, writes where
    Python spent its time in these. Every `embeddings_freq` epochs the embeddings named in
    `embeddings_metadata` (layer: file of labels in `log_dir`; or one file for all) are written for
    the projector. Errors: ArgumentError for other values.
    """

    state_attributes = ("_train_batch",)

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        super().__init__()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        if self.update_freq != "epoch" and not isinstance(self.update_freq, int):
            raise ArgumentError(
                explain("TensorBoard", "'epoch', 'batch' or a number", f"{update_freq=}")
            )
        self._profiled = _first_and_last(profile_batch)
        self._profiler: Any = None
        self._train = EventFile(os.path.join(self.log_dir, "train"))
        self._validation = EventFile(os.path.join(self.log_dir, "validation"))
        self._train_batch = 0
        self._has_graph = False
        self._is_training = False
        self._epoch_begin = (0.0, 0)
        self._batch_begin = 0.0

    # The course of training -----------------------------------------------------------------------

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._has_graph = False
        if self.embeddings_freq:
            self._write_projector()

    def on_train_begin(self, logs: Any = None) -> None:
        self._is_training = True
        if self.write_graph and not self._has_graph:
            self._write_graph()

    def on_train_end(self, logs: Any = None) -> None:
        self._is_training = False
        self._stop_profiling()
        self._train.close()
        self._validation.close()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_begin = time.perf_counter(), self._step()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = dict(logs or {})
        training = {name: value for name, value in logs.items() if not name.startswith("val_")}
        validation = {
            name.removeprefix("val_"): value
            for name, value in logs.items()
            if name.startswith("val_")
        }
        training = self._collect_learning_rate(training)
        if self.write_steps_per_second:
            began, step = self._epoch_begin
            seconds = time.perf_counter() - began
            training["steps_per_second"] = (self._step() - step) / seconds if seconds else 0.0
        _add_scalars(self._train, "epoch_{}", training, epoch)
        _add_scalars(self._validation, "epoch_{}", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        self._train.flush()
        self._validation.flush()

    def _collect_learning_rate(self, logs: dict[str, Any]) -> dict[str, Any]:
        return {**logs, **rates(getattr(self.model, "optimizer", None))}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch_begin = time.perf_counter()
        if self._profiled is not None and self._train_batch + 1 == self._profiled[0]:
            self._profiler = door.profiler()
            self._profiler.enable()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._train_batch += 1
        end = self._profiled[1] if self._profiled is not None else None
        if self._profiler is not None and self._train_batch == end:
            self._stop_profiling()
        step = self._train_batch - 1
        if self.write_steps_per_second:
            seconds = time.perf_counter() - self._batch_begin
            speed = {"steps_per_second": 1 / seconds if seconds else 0.0}
            _add_scalars(self._train, "batch_{}", speed, step)
        if isinstance(self.update_freq, int) and self.update_freq and not batch % self.update_freq:
            _add_scalars(self._train, "batch_{}", dict(logs or {}), step)
            self._train.flush()

    def on_test_end(self, logs: Any = None) -> None:
        if self.model.optimizer is not None:
            step = int(self.model.optimizer.iterations)
            _add_scalars(self._validation, "evaluation_{}_vs_iterations", dict(logs or {}), step)
        if self._is_training:
            self._validation.flush()
        else:
            self._validation.close()

    def _step(self) -> int:
        optimizer = self.model.optimizer
        return int(optimizer.iterations) if optimizer is not None else self._train_batch

    # Graph, weights, embeddings -------------------------------------------------------------------

    def _write_graph(self) -> None:
        self._has_graph = True
        graph = model_graph(self.model, expand_nested=True)
        self._train.add(0, graph_def=event_file.graph(_graph_nodes(graph)))

    def _write_weights(self, epoch: int) -> None:
        for weight in self.model.weights:
            values = np.asarray(weight.numpy(), np.float32)
            path = weight.path.replace(":", "_")
            self._train.add(epoch, summary=event_file.histogram(f"{path}/histogram", values))
            picture = weight_picture(values) if self.write_images else None
            if picture is not None:
                summary = event_file.images(f"{path}/image", [picture])
                self._train.add(epoch, summary=summary)

    def _embeddings(self) -> list[tuple[int, Any, str | None]]:
        """The layers to show, their numbers among layers with weights, and their labels."""
        wanted = self.embeddings_metadata
        layers = [layer for layer in self.model.layers if layer.weights or _is_embedding(layer)]
        found = []
        for number, layer in enumerate(layers):
            if not _is_embedding(layer):
                continue
            if isinstance(wanted, dict):
                if layer.name in wanted:
                    found.append((number, layer, wanted[layer.name]))
            else:
                found.append((number, layer, wanted))
        if isinstance(wanted, dict):
            unknown = set(wanted) - {layer.name for _, layer, _ in found}
            if unknown:
                raise ArgumentError(
                    explain(
                        "TensorBoard",
                        "names of Embedding layers in embeddings_metadata, of which there are "
                        f"{[layer.name for layer in layers if _is_embedding(layer)]}",
                        f"Unrecognized `Embedding` layer names {sorted(unknown)}",
                    )
                )
        return found

    def _write_projector(self) -> None:
        """Say which tables there are: in the train folder, and in Keras' words above it.

        TensorBoard reads tables from files of text, which the words of Keras have no place for:
        those refer to checkpoints of TensorFlow.
        """
        embeddings = self._embeddings()
        train = os.path.join(self.log_dir, "train")
        os.makedirs(train, exist_ok=True)
        above, below = "", ""
        for number, layer, labels in embeddings:
            name = f"layer_with_weights-{number}/embeddings/.ATTRIBUTES/VARIABLE_VALUE"
            above += _entry(tensor_name=name, metadata_path=labels)
            below += _entry(
                tensor_name=layer.name, metadata_path=labels, tensor_path=f"{layer.name}.tsv"
            )
            source = os.path.join(self.log_dir, labels) if labels else ""
            if os.path.isfile(source):
                shutil.copyfile(source, os.path.join(train, os.path.basename(labels or "")))
        for folder, content in ((self.log_dir, above), (train, below)):
            with open(os.path.join(folder, PROJECTOR), "w", encoding="utf-8") as file:
                file.write(content)

    def _write_embeddings(self) -> None:
        for _, layer, _ in self._embeddings():
            path = os.path.join(self.log_dir, "train", f"{layer.name}.tsv")
            table = np.asarray(layer.embeddings.numpy(), np.float32)
            np.savetxt(path, table, fmt="%.7g", delimiter="\t")

    # Profile --------------------------------------------------------------------------------------

    def _stop_profiling(self) -> None:
        profiler, self._profiler = self._profiler, None
        if profiler is None:
            return
        profiler.disable()
        assert self._profiled is not None
        text = "\n".join(f"    {line}" for line in door.profile_text(profiler).splitlines())
        tag = f"batch_{self._profiled[1]}"
        self._train.add(self._train_batch, summary=event_file.text(tag, text))
        self._train.flush()


def _first_and_last(profile_batch: Any) -> tuple[int, int] | None:
    """The batches to profile, from 1 on; None for 0."""
    given = profile_batch
    try:
        if isinstance(given, str):
            given = [int(each) for each in given.split(",")]
        first, last = (given, given) if isinstance(given, int) else (int(given[0]), int(given[1]))
        if first < 0 or last < first:
            raise ValueError
    except (TypeError, ValueError, IndexError):
        raise ArgumentError(
            explain(
                "TensorBoard",
                "`profile_batch` to be a number of a batch, or a pair of numbers that do not fall",
                f"profile_batch={profile_batch!r}",
            )
        ) from None
    return (first, last) if last else None


def _add_scalars(file: EventFile, tag: str, values: dict[str, Any], step: int) -> None:
    for name, value in values.items():
        if getattr(value, "ndim", 0):
            continue
        file.add(step, summary=event_file.scalar(tag.format(name), value))


def _graph_nodes(graph: LayerGraph) -> Iterator[tuple[str, str, list[str], list[tuple[int, ...]]]]:
    """The layers as nodes of a graph; a box around others is a part of their names."""
    places = dict(_places(graph, graph.model.name))
    before: dict[int, list[str]] = {}
    for inner in _graphs(graph):
        for start, end in inner.arrows:
            before.setdefault(id(end), []).append(places[id(start)])
    for _, box in graph.walk():
        if box.inner is None:
            shapes = [
                tuple(-1 if size is None else size for size in symbol.shape)
                for symbol in box.outputs
            ]
            yield places[id(box)], type(box.layer).__name__, before.get(id(box), []), shapes


def _places(graph: LayerGraph, path: str) -> Iterator[tuple[int, str]]:
    for place, box in graph.walk(path):
        yield id(box), place


def _graphs(graph: LayerGraph) -> Iterator[LayerGraph]:
    yield graph
    for box in graph.boxes:
        if box.inner is not None:
            yield from _graphs(box.inner)


def weight_picture(values: np.ndarray) -> np.ndarray | None:
    """A weight as a picture in grey, u8[h,w,1], from its lowest value to its highest.

    A vector is a row, a matrix lies on its long side, of what has more axes each slice along the
    last is a tile; None for a scalar and for more than four axes.
    """
    array = np.squeeze(values)
    if array.ndim == 4:
        array = array.reshape(*array.shape[:2], -1)
    if array.ndim == 1:
        array = array[None]
    elif array.ndim == 3:
        array = _tiled(array[:, :, :MOST_TILES])
    elif array.ndim == 2 and array.shape[0] > array.shape[1]:
        array = array.T
    if array.ndim != 2 or not array.size:
        return None
    low, high = np.nanmin(array), np.nanmax(array)
    if not np.isfinite([low, high]).all():
        return None
    scaled = (array - low) / (high - low) if high > low else np.full_like(array, 0.5)
    return np.round(np.nan_to_num(scaled) * 255).astype(np.uint8)[:, :, None]


def _tiled(array: np.ndarray) -> np.ndarray:
    """Slices along the last axis beside and below one another."""
    height, width, count = array.shape
    across = math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    tiles = np.full((down, across, height + 1, width + 1), array.min(), array.dtype)
    for number in range(count):
        tiles[number // across, number % across, :height, :width] = array[:, :, number]
    return tiles.transpose(0, 2, 1, 3).reshape(down * (height + 1), across * (width + 1))


def _is_embedding(layer: Any) -> bool:
    return hasattr(layer, "embeddings")


def _entry(**fields: str | None) -> str:
    lines = "".join(f'  {name}: "{value}"\n' for name, value in fields.items() if value)
    return f"embeddings {{\n{lines}}}\n"
