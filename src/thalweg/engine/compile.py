"""From a traced graph to what runs: the stages, each computed when first asked for."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thalweg.backends import door
from thalweg.base import observers
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.run import own
from thalweg.ir.function import Function
from thalweg.ir.show import show
from thalweg.passes.pipeline import PIPELINE, run_pass
from thalweg.transforms.evaluate import run

if TYPE_CHECKING:
    from thalweg.backends.llvm.program import Program


class Stages(Mapping):
    """The stages of one Function by name, from `trace` on; later ones are made on demand.

    `seconds` says how long each took to make.
    """

    def __init__(self, traced: Function):
        self._made: dict[str, Function] = {"trace": traced}
        self._is_announced = False
        self._programs: dict[str, Program] = {}
        self.seconds: dict[str, float] = {}

    @property
    def program(self) -> "Program":
        """The last stage as native kernels and segments, made when first asked for."""
        return self.program_for("host")

    def program_for(self, target: str) -> "Program":
        """The same for a target by its name. Raises ArgumentError where there is none of it."""
        found = self._programs.get(target)
        if found is None:
            found = door.native().Program(self[PIPELINE[-1].name], door.target(target))
            self._programs[target] = found
        return found

    def __getitem__(self, name: str) -> Function:
        if not self._is_announced:
            self._is_announced = True
            for observer in observers.of_stages:
                observer(self)
        if name not in self._made:
            names = list(self)
            if name not in names:
                known = ", ".join((*names, *NATIVE_STAGES))
                raise ArgumentError(explain("stages", f"one of {known}", repr(name)))
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


Runner = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]


def runner(made: Stages, arrays: Sequence[np.ndarray], backend: str) -> Runner:
    """What computes the results of a Function, by a backend, for arrays shaped like these.

    The results are contiguous and read-only.
    """
    if backend == "native":
        plan = made.program.plan(arrays)
        if plan.gives_outputs:
            return plan.run
        return lambda arrays: list(map(own, plan.run(arrays)))
    function = made[PIPELINE[-1].name]
    return lambda arrays: list(map(own, run(function, *arrays)))


NATIVE_STAGES = ("fused", "loops", "scheduled", "llvm", "assembly")
"""What the native backend makes of the last stage, as text."""


def show_stage(made: Stages, stage: str, comments: bool = False, target: str | None = None) -> str:
    """The text of one stage, of the Function's own or of the native backend's for a target.

    Raises ArgumentError for a target that there is not, or of a stage that is for none.
    """
    if stage in NATIVE_STAGES:
        return made.program_for(target or "host").text(stage)
    if target is not None:
        stages = ", ".join(NATIVE_STAGES)
        given = f"target={target!r} for {stage!r}, which is the same for all"
        raise ArgumentError(explain("show", f"a target with a stage of {stages}", given))
    return show(made[stage], comments)
