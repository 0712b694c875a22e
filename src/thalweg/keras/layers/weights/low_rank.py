"""LowRank: a weight that stays as it is, plus the product of two small ones that are trained.

    w + (alpha / rank) * (a @ b)        a (..., rank), b (rank, last axis of w)

Hu et al., LoRA, https://arxiv.org/abs/2106.09685. Files hold the sum.
"""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import initializers, ops
from thalweg.keras.layers.layer import Layer
from thalweg.keras.variable import Variable


class LowRank(Layer):
    """A layer whose main weight, kept as `_{MAIN}` and read as `{MAIN}`, can be adapted.

    `MAIN_WORDS` is what the weight is called in messages.
    """

    MAIN = "kernel"
    MAIN_WORDS = "kernel"

    def _set_low_rank(self, rank: int | None, alpha: float | None) -> None:
        """Take the constructor's arguments; the small weights are made after `build`."""
        self.lora_rank = rank
        self.lora_alpha = rank if alpha is None else alpha
        self.lora_enabled = False

    def _post_build(self) -> None:
        super()._post_build()
        if self.lora_rank and not self.lora_enabled:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Train two weights of `rank` columns and rows in place of the main one.

        Their product counts `lora_alpha` / `rank` times, once by default. Both are float32. Raises
        ArgumentError for a layer that is not built, adapted already, or has a constraint.
        """
        self._check_low_rank()
        shape = self._adapted_shape()
        regularizer = getattr(self, f"{self.MAIN}_regularizer")
        parts = (
            ("a", (*shape[:-1], rank), a_initializer),
            ("b", (rank, shape[-1]), b_initializer),
        )
        with self._open_state():
            for part, own, initializer in parts:
                name = f"lora_{self.MAIN}_{part}"
                weight = self.add_weight(
                    name=name,
                    shape=own,
                    initializer=initializers.get(initializer),
                    dtype="float32",
                    regularizer=regularizer,
                )
                setattr(self, name, weight)
        self._main.trainable = False
        self.lora_enabled = True
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha

    def _check_low_rank(self) -> None:
        where = f"enable_lora of {self.name}"
        if getattr(self, f"{self.MAIN}_constraint"):
            raise ArgumentError(
                explain(
                    where,
                    f"a weight that may change freely. Lora is incompatible with {self.MAIN_WORDS} "
                    "constraints",
                    f"{self.MAIN}_constraint={getattr(self, f'{self.MAIN}_constraint')}",
                    f"Leave out the argument {self.MAIN}_constraint.",
                )
            )
        if not self.built:
            raise ArgumentError(
                explain(
                    where,
                    "a layer that is built. Cannot enable lora on a layer that isn't yet built.",
                    f"{type(self).__name__} before its first call",
                    "Call it on data, or build it, before.",
                )
            )
        if self.lora_enabled:
            raise ArgumentError(
                explain(
                    where,
                    "a layer without it. lora is already enabled. This can only be done once per "
                    "layer",
                    f"lora_rank={self.lora_rank}",
                )
            )

    @property
    def _main(self) -> Variable:
        """The variable that holds the main weight."""
        return getattr(self, f"_{self.MAIN}")

    def _adapted_shape(self) -> tuple[int, ...]:
        """The shape of the main weight as it is used."""
        return tuple(self._main.shape)

    def _low_rank_parts(self) -> tuple[Any, Any]:
        return getattr(self, f"lora_{self.MAIN}_a"), getattr(self, f"lora_{self.MAIN}_b")

    @property
    def _low_rank_factor(self) -> float:
        assert self.lora_alpha is not None
        assert self.lora_rank is not None
        return self.lora_alpha / self.lora_rank

    def _adapted(self, weight: Any) -> Any:
        """A float weight of the main one's shape with the product added, where there is one."""
        if not self.lora_enabled:
            return weight
        change = ops.multiply(ops.matmul(*self._low_rank_parts()), self._low_rank_factor)
        return ops.add(weight, change)

    def _readable_main(self) -> Any:
        """The main weight as programs read it: adapted, in the type that the layer computes in."""
        if not self.built:
            raise AttributeError(
                f"[{type(self).__name__}] wants to be built first.\nReceived a question for "
                f"`{self.MAIN}`: You must build the layer before accessing `{self.MAIN}`.\n"
                "Call it on data, or build it."
            )
        found = self._main
        return ops.cast(self._adapted(found), self.compute_dtype) if self.lora_enabled else found

    def _low_rank_config(self) -> dict[str, Any]:
        if not self.lora_rank:
            return {}
        return {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}

    # Files ---------------------------------------------------------------------------------------

    def _names_in_files(self) -> list[str]:
        """The names of the weights in files, in their order."""
        return [self.MAIN, "bias"]

    def _stored_names(self) -> list[str]:
        """The names that this layer has something for."""
        return [name for name in self._names_in_files() if self._stored(name) is not None]

    def _stored(self, name: str) -> Any:
        return getattr(self, f"_{name}" if name == self.MAIN else name, None)

    def _merged(self) -> dict[str, Any]:
        """What files hold in place of some weights: the main one with its product added."""
        return {self.MAIN: self._adapted(self._main)} if self.lora_enabled else {}

    def save_own_variables(self, store: Any) -> None:
        if not self.built:
            return
        merged = self._merged()
        for index, name in enumerate(self._stored_names()):
            store[str(index)] = merged[name] if name in merged else self._stored(name)

    def load_own_variables(self, store: Any) -> None:
        if not self.built:
            # As any layer that was never built: refused, but for an empty store.
            super().load_own_variables(store)
            return
        self._load_in_order([self._stored(name) for name in self._stored_names()], store)
        if self.lora_enabled:
            for part in self._low_rank_parts():
                part.assign(ops.zeros(part.shape, dtype=part.dtype))
