"""The flat list of passes that takes a traced Function to the one that runs.

Each row is a stage that users see by name. With `THALWEG_CHECK=1` every result is verified; with 2
it is also evaluated beside its input on random data, and the pass that changed a value is named.
"""

from collections.abc import Callable
from dataclasses import dataclass

from thalweg.base.errors import VerifyError, explain
from thalweg.base.options import options
from thalweg.ir.function import Function
from thalweg.ir.rewrite import Rewriter
from thalweg.ir.verify import verify
from thalweg.ops.control import fits
from thalweg.passes import algebra, movement, numerics
from thalweg.passes.check import check_values
from thalweg.passes.fold import fold
from thalweg.passes.inline import inline_calls, merge_scans
from thalweg.transforms.expand import expand


@dataclass(frozen=True, slots=True)
class Stage:
    """A named step from Function to Function; `steps` are run in order."""

    name: str
    steps: tuple[Callable[[Function], Function], ...]


def simplify(function: Function) -> Function:
    """The Function under the rule tables that the options allow, to a fixpoint."""
    tables = [algebra.rules, movement.rules]
    if not options().exact_only:
        tables += [numerics.finite, numerics.approximate]
    return Rewriter(tables).function(function)


PIPELINE: tuple[Stage, ...] = (
    Stage("expanded", (inline_calls, merge_scans, expand)),
    Stage("simplified", (simplify, fold, simplify)),
)


def run_pass(stage: Stage, function: Function) -> Function:
    """One stage, checked as far as the options say."""
    level = options().check
    for step in stage.steps:
        result = step(function)
        name = f"{stage.name}: {step.__name__}"
        if level >= 1:
            _check_form(name, function, result)
        if level >= 2:
            check_values(name, function, result)
        function = result
    return function


def _check_form(guilty: str, before: Function, after: Function) -> None:
    """Raise VerifyError, which names the pass, for a broken graph or one called otherwise."""
    if after.parameters != before.parameters or not fits(after.result_types, before.result_types):
        raise VerifyError(
            explain(f"pass {guilty}", f"to keep parameters and results as in {before}", f"{after}")
        )
    try:
        verify(after)
    except VerifyError as error:
        wanted = "to leave a graph that verifies"
        raise VerifyError(explain(f"pass {guilty}", wanted, error.message.rstrip("."))) from error
