"""From a traced graph to what runs: the stages, each computed when first asked for."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.run import own
from thalweg.engine.tensor import Tensor, from_buffer
from thalweg.ir.function import Function
from thalweg.ir.show import show
from thalweg.passes.pipeline import PIPELINE, run_pass
from thalweg.transforms.evaluate import run


class Stages(Mapping):
    """The stages of one Function by name, from `trace` on; later ones are made on demand.

    `seconds` says how long each took to make.
    """

    def __init__(self, traced: Function):
        self._made: dict[str, Function] = {"trace": traced}
        self._is_announced = False
        self.seconds: dict[str, float] = {}

    def __getitem__(self, name: str) -> Function:
        if not self._is_announced:
            self._is_announced = True
            for observer in observers:
                observer(self)
        if name not in self._made:
            names = list(self)
            if name not in names:
                raise ArgumentError(explain("stages", f"one of {', '.join(names)}", repr(name)))
            index = names.index(name) - 1
            before = self[names[index]]
            start = time.perf_counter()
            self._made[name] = run_pass(PIPELINE[index], before)
            self.seconds[name] = time.perf_counter() - start
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("trace", *(stage.name for stage in PIPELINE)))

    def __len__(self) -> int:
        return 1 + len(PIPELINE)


observers: list[Callable[[Stages], None]] = []
"""Called once for each traced Function, when it is first run or its stages are first asked for."""


def run_stages(made: Stages, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The results of a Function for computed inputs, by its last stage."""
    *_, last = made
    arrays = [tensor.numpy() for tensor in inputs]
    return [from_buffer(own(result)) for result in run(made[last], *arrays)]


def show_stage(made: Mapping[str, Function], stage: str, comments: bool = False) -> str:
    """The text of one stage."""
    return show(made[stage], comments)
