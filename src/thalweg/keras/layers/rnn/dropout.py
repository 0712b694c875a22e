"""Dropout in recurrent cells: one mask for all steps of a sequence."""

from typing import Any

from thalweg.keras import ops, random


class DropoutRNNCell:
    """What a cell with `dropout`, `recurrent_dropout` and `seed_generator` gets beside Layer.

    A mask is drawn at its first use and kept until it is reset; an RNN layer draws the masks before
    its loop and resets them after it. A cell with `dropout_mask_count` gets that many masks, as a
    list, one for each gate.
    """

    dropout: float
    recurrent_dropout: float
    seed_generator: Any
    _dropout_mask: Any = None
    _recurrent_dropout_mask: Any = None

    def get_dropout_mask(self, step_input: Any) -> Any:
        """The mask for an input like this one, or None without dropout."""
        if self._dropout_mask is None and self.dropout > 0:
            self._keep("_dropout_mask", step_input, self.dropout)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        """The mask for a state like this one, or None without dropout."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout > 0:
            self._keep("_recurrent_dropout_mask", step_input, self.recurrent_dropout)
        return self._recurrent_dropout_mask

    def reset_dropout_mask(self) -> None:
        """Forget the mask for inputs."""
        self.__dict__["_dropout_mask"] = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Forget the mask for states."""
        self.__dict__["_recurrent_dropout_mask"] = None

    def _keep(self, name: str, like: Any, rate: float) -> None:
        ones = ops.ones_like(like)
        count = getattr(self, "dropout_mask_count", None)
        masks = [random.dropout(ones, rate, seed=self.seed_generator) for _ in range(count or 1)]
        # Straight into the instance: a layer would track what is set on it.
        self.__dict__[name] = masks if count else masks[0]
