"""Calibration: a model is run, block after block, on data, and its kernels are rounded for what
they saw.

    texts -> integers -> windows -> layers before the blocks -> block 1 -> block 2 -> ...

Each block is run twice: to see the inputs of its kernels, and rounded, to give the inputs of the
next.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras import ops
from thalweg.keras.quantizers.awq import LargestInputs
from thalweg.keras.quantizers.calibrated_config import CalibratedConfig
from thalweg.keras.quantizers.gptq import SecondMoments

OBSERVERS: dict[str, Any] = {"gptq": SecondMoments, "awq": LargestInputs}


def block_inputs(structure: dict[str, Any], config: CalibratedConfig) -> list[Any]:
    """What goes into the first of the structure's "sequential_blocks", for each sample.

    Data goes through the structure's "pre_block_layers" first. Raises ArgumentError without data,
    tokenizer or blocks.
    """
    if config.dataset is None or config.tokenizer is None:
        name = type(config).__name__
        raise ArgumentError(
            explain(
                "quantize",
                f"data to calibrate with. {config.mode.upper()} quantization requires a dataset "
                f"and a tokenizer. Please provide them in the `{name}`",
                f"dataset={config.dataset!r:.60}, tokenizer={config.tokenizer!r:.60}",
            )
        )
    if not structure.get("sequential_blocks"):
        raise ArgumentError(
            explain(
                "quantize",
                "blocks of layers to run one after another. No sequential blocks found in the "
                "structure to quantize",
                f"{structure}",
            )
        )
    samples = []
    for tokens in windows(
        config.tokenizer, config.sequence_length, config.dataset, config.num_samples
    ):
        x = ops.convert_to_tensor(tokens, dtype="int32")
        for layer in structure.get("pre_block_layers") or []:
            x = layer(x)
        samples.append(_with_batch(x))
    return samples


def calibrate(
    layers: Sequence[Any], blocks: Sequence[Any], samples: Sequence[Any], config: CalibratedConfig
) -> None:
    """Round the kernels of these layers, which are within the blocks.

    `samples` are inputs of the first block.
    """
    chosen = {id(layer) for layer in layers}
    for block in blocks:
        inner = [layer for layer in block._flatten_layers() if id(layer) in chosen]
        _calibrate_block(block, inner, samples, config)
        samples = [_with_batch(_first(block(x))) for x in samples]


def _calibrate_block(
    block: Any, layers: Sequence[Any], samples: Sequence[Any], config: CalibratedConfig
) -> None:
    observers = [OBSERVERS[config.mode](layer.matrix_shape[0], config) for layer in layers]
    for layer, observer in zip(layers, observers, strict=True):
        layer._observe = observer.see
    try:
        for x in samples:
            # Values are computed when looked at: the observers look.
            block(x)
    finally:
        for layer in layers:
            layer._observe = None
    for layer, observer in zip(layers, observers, strict=True):
        kernel = np.asarray(ops.convert_to_numpy(layer._kernel), "float32")
        layer._calibrate(observer.calibrated(kernel.reshape(layer.matrix_shape)))


def _with_batch(x: Any) -> Any:
    """Samples without a batch axis, (T, features), with one."""
    return ops.expand_dims(x, axis=0) if len(x.shape) == 2 else x


def _first(outputs: Any) -> Any:
    """The values that a block hands on: the first of several outputs."""
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def windows(
    tokenizer: Any, sequence_length: int, dataset: Iterable[Any], num_samples: int
) -> np.ndarray:
    """Windows of integers, spread evenly over the data: (num_samples, 1, sequence_length), int32.

    `dataset` has texts, for `tokenizer.tokenize`, or arrays of integers; too little of it is
    repeated. Raises ArgumentTypeError for what is no such collection, ArgumentError for none.
    """
    if isinstance(dataset, (str, bytes)) or not hasattr(dataset, "__iter__"):
        raise ArgumentTypeError(
            explain(
                "quantize",
                "data to calibrate with. The `dataset` argument must be an iterable (e.g., a list "
                "of strings, a generator, or a NumPy array)",
                f"{type(dataset).__name__}",
            )
        )
    pieces = [
        np.asarray(
            ops.convert_to_numpy(tokenizer.tokenize(each) if isinstance(each, str) else each)
        ).reshape(-1)
        for each in dataset
    ]
    tokens = np.concatenate(pieces).astype("int32") if pieces else np.zeros(0, "int32")
    if not tokens.size:
        raise ArgumentError(explain("quantize", "data. Provided dataset is empty.", "no tokens"))
    wanted = num_samples * sequence_length
    if tokens.size < wanted:
        tokens = np.tile(tokens, math.ceil(wanted / tokens.size))
    room = tokens.size - sequence_length + 1
    starts = np.arange(num_samples) * max(1, room // num_samples) % room
    return np.lib.stride_tricks.sliding_window_view(tokens, sequence_length)[starts][:, None, :]
