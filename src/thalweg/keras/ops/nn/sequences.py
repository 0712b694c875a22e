"""Connectionist temporal classification: labels of sequences whose timing is not known."""

from typing import Any

from thalweg.array import ctc
from thalweg.array.data_types import astype
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.dtypes import result_type
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import shape_of, tensor_dtype
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor


def _loss_spec(
    target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0
) -> KerasTensor:
    given = {
        "target": target,
        "output": output,
        "target_length": target_length,
        "output_length": output_length,
    }
    shapes = {name: shape_of(each) for name, each in given.items()}
    batches = {shape[0] for shape in shapes.values() if shape} - {None}
    if len(batches) > 1 or not all(shapes.values()):
        raise ShapeError(
            explain(
                "ctc_loss",
                "one batch size; all arguments must have the same first dimension",
                ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items()),
            )
        )
    dtype = result_type(tensor_dtype(output), "float32")
    return KerasTensor((batches.pop() if batches else None,), dtype=dtype)


@op(data=("target", "output", "target_length", "output_length"), name="CTCLoss", spec=_loss_spec)
def ctc_loss(
    target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0
) -> Tensor:
    """Minus the logarithm of the probability of labels, for each example: (B,).

    `target` (B, S) counts up to `target_length` (B,), `output`, logits (B, T, C), up to
    `output_length` (B,); `mask_index` is the class that stands for no label. Labels that the output
    is too short for have a loss of about 1e5.
    """
    return ctc.ctc_loss(
        tensor(target), tensor(output), tensor(target_length), tensor(output_length), mask_index
    )


@op(data=("inputs", "sequence_lengths"), name="CTCDecode")
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Tensor, Tensor]:
    """The likeliest labels of logits (B, T, C), and their scores.

    "greedy" gives labels (1, B, T) of the likeliest class of each step and minus the sum of its
    logits (B, 1); "beam_search" gives `top_paths` labels (P, B, T) and the logarithms of their
    probabilities (B, P). -1 stands after the last label. `mask_index` is the class that stands for
    no label. Raises ArgumentError for another strategy.
    """
    logits, lengths = tensor(inputs), tensor(sequence_lengths)
    if strategy == "greedy":
        found = ctc.ctc_greedy_decode(logits, lengths, mask_index, bool(merge_repeated))
    elif strategy == "beam_search":
        found = ctc.ctc_beam_decode(logits, lengths, beam_width, top_paths, mask_index)
    else:
        raise ArgumentError(
            explain(
                "ctc_decode",
                "a strategy among 'greedy' and 'beam_search'",
                f"Invalid strategy {strategy!r}",
            )
        )
    return astype(found.labels, "int32"), found.scores
