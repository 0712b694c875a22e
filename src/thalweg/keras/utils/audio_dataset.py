"""Sounds in folders as batches of samples: `audio_dataset_from_directory`, and WAV files.

A WAV file is a RIFF file: chunks of a name, a length and contents. "fmt " says how samples lie in
"data": PCM of 8 (unsigned), 16, 24 or 32 bits, or IEEE floats of 32 or 64.
"""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.data import AUTOTUNE, Dataset
from thalweg.keras.utils.folders import Files, Request, as_tensors, datasets, with_file

WHERE = "audio_dataset_from_directory"
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
ZERO_CROSSINGS = 16  # of the sinc on each side: about 90 dB away from the band's edge
MOST_WEIGHTS = 1 << 22  # that are held at a time


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """A data set of the .wav files below a folder, with the subfolder's number as label.

    It yields float32 (batch, samples, channels), values -1 to 1, or pairs of that and labels: int32
    (batch,), float32 (batch, classes) for "categorical", float32 (batch, 1) for "binary"; without a
    batch axis for `batch_size=None`. Sounds are cut or filled up with zeros to
    `output_sequence_length` samples, else to the longest of their batch. With `sampling_rate`
    (samples a second) sounds of another rate are resampled first. For `subset="both"` it is a list
    of two data sets.

    Errors: ArgumentError for settings that do not go together, when there is no sound, for a file
    that is no WAV file, and for `ragged=True` with batches: there are no ragged tensors here.
    """
    if ragged and output_sequence_length is not None:
        raise _error("Cannot set both `ragged` and `output_sequence_length`", "both")
    if ragged and batch_size is not None:
        raise _error(
            "batches of sounds of one length, as there are no ragged tensors",
            "ragged=True",
            "Pass batch_size=None, output_sequence_length=..., or let batches be filled up.",
        )
    if sampling_rate is not None:
        if not isinstance(sampling_rate, int):
            raise _error(
                "`sampling_rate` should have an integer value", f"sampling_rate={sampling_rate!r}"
            )
        if sampling_rate <= 0:
            raise _error(
                "`sampling_rate` should be higher than 0", f"sampling_rate={sampling_rate}"
            )

    def pipeline(rows: Dataset, files: Files) -> Dataset:
        def load(number: int) -> np.ndarray:
            return load_sound(files.paths[number], sampling_rate, output_sequence_length)

        rows = rows.map(with_file(load), num_parallel_calls=AUTOTUNE)
        if batch_size is not None and output_sequence_length is not None:
            rows = rows.batch(batch_size)
        elif batch_size is not None:
            rows = rows.padded_batch(batch_size)
        return rows.map(as_tensors).prefetch(AUTOTUNE)

    request = Request(
        where=WHERE,
        noun="audio",
        endings=(".wav",),
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
    )
    return datasets(request, pipeline)


def _error(wanted: str, received: str, do: str = "") -> ArgumentError:
    return ArgumentError(explain(WHERE, wanted, received, do))


def load_sound(path: str, sampling_rate: int | None, length: int | None) -> np.ndarray:
    """The samples (length, channels) of a WAV file, at another rate and length where given."""
    samples, rate = read_wav(path)
    if sampling_rate is not None and sampling_rate != rate:
        samples = resample(samples, rate, sampling_rate)
    if length is None:
        return samples
    result = np.zeros((length, samples.shape[1]), np.float32)
    kept = samples[:length]
    result[: len(kept)] = kept
    return result


# ---- WAV files -----------------------------------------------------------------------------------


def read_wav(path: str) -> tuple[np.ndarray, int]:
    """The samples float32 (N, channels) of a WAV file, integers scaled to [-1, 1), and its rate.

    Errors: ArgumentError for a file that is damaged or coded otherwise.
    """
    data = Path(path).read_bytes()
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _no_wav(path, f"a file that begins with {data[:12]!r}")
    chunks = _chunks(data)
    head, body = chunks.get(b"fmt "), chunks.get(b"data")
    if head is None or body is None or len(head) < 16:
        raise _no_wav(path, f"the chunks {[name.decode('latin-1') for name in chunks]}")
    kind, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", head)
    if kind == EXTENSIBLE and len(head) >= 26:
        (kind,) = struct.unpack_from("<H", head, 24)
    if not channels or not rate or bits % 8 or frame * 8 != channels * bits:
        raise _no_wav(path, f"{channels} channels of {bits} bits at {rate} a second")
    body = body[: len(body) - len(body) % frame]
    samples = _samples(bytes(body), kind, bits)
    if samples is None:
        raise _no_wav(path, f"samples of type {kind} with {bits} bits")
    return samples.reshape(-1, channels), rate


def _chunks(data: bytes) -> dict[bytes, memoryview]:
    """The first chunk of each name; a last one that is cut is as long as it is."""
    found: dict[bytes, memoryview] = {}
    place = 12
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        found.setdefault(name, memoryview(data)[place + 8 : place + 8 + length])
        place += 8 + length + length % 2
    return found


def _samples(body: bytes, kind: int, bits: int) -> np.ndarray | None:
    if kind == FLOAT and bits in (32, 64):
        return np.frombuffer(body, f"<f{bits // 8}").astype(np.float32)
    if kind != PCM:
        return None
    if bits == 8:
        return (np.frombuffer(body, np.uint8).astype(np.float32) - 128) / 128
    if bits == 24:
        low, middle, high = np.frombuffer(body, np.uint8).reshape(-1, 3).T.astype(np.int32)
        return ((low << 8 | middle << 16 | high << 24) / 2.0**31).astype(np.float32)
    if bits in (16, 32):
        return (np.frombuffer(body, f"<i{bits // 8}") / 2.0 ** (bits - 1)).astype(np.float32)
    return None


def _no_wav(path: str, what: str) -> ArgumentError:
    return _error(
        "WAV files with integer samples of 8, 16, 24 or 32 bits, or floats", f"{what} in {path}"
    )


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Samples (N, channels) at another rate: (ceil(N * new_rate / rate), channels) float32.

    Each new sample is a sum of old ones, weighted by a sinc under a Hann window, whose band ends at
    half the lower of the two rates; weights add up to 1, and beyond the ends there is silence.
    """
    count = -(-len(samples) * new_rate // rate)
    band = min(1.0, new_rate / rate)
    reach = math.ceil(ZERO_CROSSINGS / band)
    padded = np.pad(samples.astype(np.float64), ((reach, reach + 1), (0, 0)))
    result = np.empty((count, samples.shape[1]), np.float32)
    offsets = np.arange(-reach + 1, reach + 1)
    rows = max(1, MOST_WEIGHTS // len(offsets))
    for start in range(0, count, rows):
        # Exact places, in whole old samples and a rest: products of two rates stay integers.
        numerator = np.arange(start, min(start + rows, count), dtype=np.int64) * rate
        whole, rest = np.divmod(numerator, new_rate)
        distance = offsets - (rest / new_rate)[:, None]
        weights = np.sinc(distance * band) * np.cos(np.pi / 2 * distance / reach) ** 2
        weights[np.abs(distance) >= reach] = 0
        weights /= weights.sum(axis=1, keepdims=True)
        taken = padded[whole[:, None] + offsets + reach]
        result[start : start + len(whole)] = np.einsum("nk,nkc->nc", weights, taken)
    return result
