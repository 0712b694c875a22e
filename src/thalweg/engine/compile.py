"""From a traced graph to what runs: the stages, each computed when first asked for."""

from collections.abc import Iterator, Mapping, Sequence

from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.run import own
from thalweg.engine.tensor import Tensor, from_buffer
from thalweg.ir.function import Function
from thalweg.ir.show import show
from thalweg.passes.pipeline import PIPELINE, run_pass
from thalweg.transforms.evaluate import run


class Stages(Mapping):
    """The stages of one Function by name, from `trace` on; later ones are made on demand."""

    def __init__(self, traced: Function):
        self._made: dict[str, Function] = {"trace": traced}

    def __getitem__(self, name: str) -> Function:
        if name not in self._made:
            names = list(self)
            if name not in names:
                raise ArgumentError(explain("stages", f"one of {', '.join(names)}", repr(name)))
            before = names[names.index(name) - 1]
            self._made[name] = run_pass(PIPELINE[names.index(name) - 1], self[before])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("trace", *(stage.name for stage in PIPELINE)))

    def __len__(self) -> int:
        return 1 + len(PIPELINE)


def run_stages(made: Stages, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The results of a Function for computed inputs, by its last stage."""
    *_, last = made
    arrays = [tensor.numpy() for tensor in inputs]
    return [from_buffer(own(result)) for result in run(made[last], *arrays)]


def show_stage(made: Mapping[str, Function], stage: str, comments: bool = False) -> str:
    """The text of one stage."""
    return show(made[stage], comments)
