"""A step of training, evaluation or prediction, traced once and run by the tier that suits it.

The tier follows from the number of steps that are planned, see engine/tiers.py, and stays the same
for all of them: a run that is taken up again after an interruption gives the same numbers.
`compile(jit_compile=True)` and `False` choose by hand, and so does the option `backend`.
"""

from typing import Any

from thalweg.base.options import options
from thalweg.engine.tiers import worth_compiling
from thalweg.engine.trace import TracedFunction
from thalweg.ir.dim import UndecidedError, symbols
from thalweg.keras import tree
from thalweg.transforms.cost import cost

BATCH = "batch"
"""The name of the batch axis in traced steps."""
UNKNOWN_STEPS = 1000
"""So many steps are assumed of data that does not say how much there is."""


class TracedStep:
    """A method of a trainer traced with a named batch axis, or with fixed sizes if it must be.

    `expect` says how many steps are planned.
    """

    def __init__(self, trainer: Any, name: str):
        self.trainer = trainer
        self.name = name
        self.traced = TracedFunction(self._run, shapes={"data": (BATCH, ...)}, name=name)
        self.steps = 1
        self._is_checked = False
        self._is_decided = False

    def expect(self, steps: int | None) -> None:
        """Plan so many steps; None where the data does not say."""
        self.steps = UNKNOWN_STEPS if steps is None else steps
        self._is_decided = False

    def _run(self, data: Any) -> Any:
        result = getattr(self.trainer, self.name)(data)
        self.trainer._clear_losses()
        return result

    def __call__(self, data: Any) -> Any:
        if not self._is_decided:
            self._decide(data)
        try:
            return self.traced(data)
        except UndecidedError:
            if not self.traced.given_shapes:
                raise
            # Another size than the batch's has become a name, and the step needs it as a number.
            self._trace_without_names()
            return self.traced(data)

    def _decide(self, data: Any) -> None:
        if not self._is_checked:
            try:
                self.traced.trace(data)
            except Exception:
                # A step that needs the number of samples as a number is traced for each. If it is
                # wrong for another reason, that comes up again, and with the sizes in sight.
                self._trace_without_names()
            self._is_checked = True
        self.traced.backend = self._backend(data)
        self._is_decided = True

    def _trace_without_names(self) -> None:
        backend = self.traced.backend
        self.traced = TracedFunction(self._run, name=self.name)
        self.traced.backend = backend

    def _backend(self, data: Any) -> str:
        choice = self.trainer._jit_compile
        if choice != "auto":
            return "native" if choice else "reference"
        if options().backend != "auto":
            return options().backend
        if self.traced.backend == "native":
            return "native"
        graph = self.traced.trace(data)
        sizes = [leaf.shape[0] for leaf in tree.flatten(data) if getattr(leaf, "ndim", 0)]
        flops = cost(graph).flops
        named = dict.fromkeys(symbols(flops), sizes[0] if sizes else 1)
        return "native" if self.steps >= worth_compiling(graph, named) else "reference"
