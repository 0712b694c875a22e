"""rnn: a step function along a sequence, as one loop or spelled out step by step.

    output, states = step(x[t], states)        for each t

B samples, T steps. A step that is masked keeps the states and the output of the step before.
"""

from collections.abc import Callable, Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops, tree
from thalweg.keras.operation import without_values
from thalweg.keras.variable import tensor

SPELLED_OUT = 8
"""Sequences up to this length are spelled out in any case.

So few steps fuse into a few kernels and need no loop around them; more would take longer to
compile than the loop loses.
"""


def rnn(
    step_function: Callable,
    inputs: Any,
    initial_states: Any,
    go_backwards: bool = False,
    mask: Any = None,
    constants: Sequence[Any] | None = None,
    unroll: bool = False,
    input_length: int | None = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, Any]:
    """The last output, all outputs, and the last states of a step function along a sequence.

    `step_function(x, states) -> output, new_states` gets slices (B, ...) of `inputs` (B, T, ...),
    nested or not, and the states followed by `constants`. `mask` (B, T) is false where a step is to
    be skipped: the states stay, and the output is that of the step before, or zeros if
    `zero_output_for_mask`; before the first step it is the state that the output becomes, or
    zeros. With `go_backwards` the steps come in reverse, and so do the outputs. `time_major` says
    that inputs, mask and outputs are (T, B, ...). Without `return_all_outputs` the outputs are only
    the last one, (B, 1, ...). T may be unknown unless `unroll`; `input_length` is not needed.
    Raises ArgumentError for no steps at all, and for a step that returns other states.
    """
    rows = tree.map_structure(tensor, inputs)
    kept = _kept(mask)
    if not time_major:
        rows = tree.map_structure(swap_time, rows)
        kept = None if kept is None else swap_time(kept)
    steps = ops.shape(tree.flatten(rows)[0])[0]
    _check_steps(steps, unroll)
    states = tree.map_structure(tensor, initial_states)
    loop = _Loop(step_function, states, list(constants or ()), zero_output_for_mask)
    if (kept is not None and not zero_output_for_mask) or not return_all_outputs:
        loop.watch_output(tree.map_structure(lambda row: row[0], rows), kept)
    body = loop.masked if kept is not None else loop.plain
    xs = (rows, kept) if kept is not None else rows
    carry = (states, loop.held)
    if isinstance(steps, int) and (unroll or steps <= SPELLED_OUT):
        order = range(steps - 1, -1, -1) if go_backwards else range(steps)
        outputs = []
        for t in order:
            carry, output = body(carry, tree.map_structure(lambda row, t=t: row[t], xs))
            outputs.append(output)
        last = outputs[-1]
        if return_all_outputs:
            outputs = tree.map_structure(lambda *each: ops.stack(each, axis=0), *outputs)
    elif return_all_outputs:
        carry, outputs = ops.scan(body, carry, xs, reverse=go_backwards)
        last = tree.map_structure(lambda each: each[0 if go_backwards else -1], outputs)
        if go_backwards:
            outputs = tree.map_structure(lambda each: ops.flip(each, axis=0), outputs)
    else:
        carry, _ = ops.scan(lambda *each: (body(*each)[0], None), carry, xs, reverse=go_backwards)
        last = loop.outputs_in(carry)
    if not return_all_outputs:
        outputs = tree.map_structure(lambda each: ops.expand_dims(each, axis=0), last)
    if not time_major:
        outputs = tree.map_structure(swap_time, outputs)
    return last, outputs, carry[0]


def swap_time(x: Any) -> Any:
    """x (B, T, ...) as (T, B, ...), or back."""
    return ops.swapaxes(x, 0, 1)


def _kept(mask: Any) -> Any:
    """A mask as booleans (B, T): a step counts if it does for any of its trailing entries."""
    if mask is None:
        return None
    mask = ops.cast(mask, "bool")
    if len(mask.shape) > 2:
        mask = ops.any(mask, axis=tuple(range(2, len(mask.shape))))
    return mask


def _check_steps(steps: Any, unroll: bool) -> None:
    if unroll and not isinstance(steps, int):
        raise ArgumentError(
            explain(
                "rnn",
                "a known number of steps to unroll. Unrolling requires a fixed number of timesteps",
                f"{steps} steps",
                "Give the length in Input(shape=(length, features)), or unroll=False.",
            )
        )
    if isinstance(steps, int) and not steps:
        raise ArgumentError(explain("rnn", "a sequence of at least one step", "0 steps"))


class _Loop:
    """The body of the loop: from states, held outputs and a slice to the next and an output.

    `places` says for each part of the output which of the new states it is, or None; those that
    are no state are held in the carry where the output of the step before is needed.
    """

    def __init__(self, step: Callable, states: Any, constants: list[Any], zeroes: bool):
        self.step = step
        self.states = states
        self.constants = constants
        self.zeroes = zeroes
        self.places: list[int | None] | None = None
        self.held: list[Any] = []
        self.nesting: Any = None

    def watch_output(self, row: Any, kept: Any) -> None:
        """Find out what the output is made of, on values that are never computed."""
        with without_values("step"):
            output, new = self._stepped(row, self.states)
            found = tree.flatten(output)
            leaves = tree.flatten(new)
        self.nesting = output
        # Where masked outputs are zeros, the last output may differ from the state it was.
        is_state = not (self.zeroes and kept is not None)
        self.places = [_place(each, leaves) if is_state else None for each in found]
        self.held = [
            ops.zeros(each.shape, dtype=each.dtype.name)
            for each, place in zip(found, self.places, strict=True)
            if place is None
        ]

    def _stepped(self, row: Any, states: Any) -> tuple[Any, Any]:
        given = [*states, *self.constants] if self.constants else states
        output, new = self.step(row, given)
        found, wanted = tree.flatten(new), tree.flatten(states)
        if len(found) != len(wanted):
            raise ArgumentError(
                explain(
                    "rnn",
                    f"a step that returns as many states as it gets, {len(wanted)}",
                    f"{len(found)} states",
                    "Return (output, new_states) with a list of all states.",
                )
            )
        return tree.map_structure(tensor, output), tree.pack_sequence_as(states, found)

    def outputs_in(self, carry: Any) -> Any:
        """The output of the step before, of its parts among the states and those held."""
        states, held = carry
        leaves, rest = tree.flatten(states), iter(held)
        assert self.places is not None
        parts = [next(rest) if place is None else leaves[place] for place in self.places]
        return tree.pack_sequence_as(self.nesting, parts)

    def plain(self, carry: Any, row: Any) -> tuple[Any, Any]:
        """One step that all samples take."""
        states, _ = carry
        output, new = self._stepped(row, states)
        return self._carried(states, new, output), output

    def masked(self, carry: Any, row_and_kept: Any) -> tuple[Any, Any]:
        """One step that the samples take where `kept` is true."""
        states, _ = carry
        row, kept = row_and_kept
        output, new = self._stepped(row, states)
        before = (
            tree.map_structure(ops.zeros_like, output) if self.zeroes else self.outputs_in(carry)
        )
        new = tree.map_structure(lambda x, y: _choose(kept, x, y), new, states)
        output = tree.map_structure(lambda x, y: _choose(kept, x, y), output, before)
        return self._carried(states, new, output), output

    def _carried(self, states: Any, new: Any, output: Any) -> Any:
        # A state keeps the type in which the loop began.
        new = tree.map_structure(lambda x, y: ops.cast(x, y.dtype.name), new, states)
        if self.places is None:
            return new, []
        pairs = zip(tree.flatten(output), self.places, strict=True)
        return new, [each for each, place in pairs if place is None]


def _place(value: Any, leaves: Sequence[Any]) -> int | None:
    return next((place for place, leaf in enumerate(leaves) if leaf is value), None)


def _choose(kept: Any, x: Any, y: Any) -> Any:
    """x for the samples (B,) that are kept, y for the others."""
    return ops.where(ops.reshape(kept, (-1, *([1] * (len(x.shape) - 1)))), x, y)
