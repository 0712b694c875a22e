"""Where a loss that is not finite comes from: the data, the weights, or the first op to blame.

A step is run once more, op by op, on the batches and the state that it had. Nothing of this is
paid for before: state and batches are only held on to, see TerminateOnNaN.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from thalweg.array.debugging import disable_check_numerics, enable_check_numerics
from thalweg.base.errors import CheckError
from thalweg.base.options import options
from thalweg.engine.tensor import evaluate
from thalweg.keras import tree
from thalweg.keras.saving.walk import children, is_saveable, members
from thalweg.keras.utils.sample_weight import unpack_x_y_sample_weight

State = list[tuple[Any, Any]]
"""Variables, and the tensors that they stood for."""


def state_of(variables: Iterable[Any]) -> State:
    """Variables with their present tensors, without a copy."""
    return [(variable, variable._tensor) for variable in variables]


def explain_nonfinite(model: Any, batches: Sequence[Any], state: State) -> str:
    """One sentence or more on where the first value that is not finite arises; "" if unknown."""
    for batch in batches:
        found = _in_data(batch)
        if found:
            return found
    return _in_state(state) or _in_steps(model, batches, state)


def _in_data(batch: Any) -> str:
    """What is wrong with a batch as it was given."""
    parts = {"data": batch}
    if isinstance(batch, tuple) and len(batch) <= 3:
        names = ("input", "target", "sample weight")
        parts = dict(zip(names, unpack_x_y_sample_weight(batch), strict=True))
    for name, part in parts.items():
        for path, leaf in tree.flatten_with_path(part):
            found = _first_nonfinite(leaf)
            if found:
                where = "".join(f"[{key!r}]" for key in path)
                return f"The data are not finite: {name}{where} has {found}. Clean them first."
    return ""


def _in_state(state: State) -> str:
    for variable, value in state:
        found = _first_nonfinite(value)
        if found:
            return (
                f"It was not finite before this step: {variable.path} has {found}. A step before "
                "made it so without showing in its loss; try a smaller learning rate or clipnorm=1."
            )
    return ""


def _in_steps(model: Any, batches: Sequence[Any], state: State) -> str:
    """Run the steps again with a look at every value; the model is left as it is now."""
    now = state_of(_all_variables(model))
    was_on = options().stop_at_nonfinite
    try:
        for variable, value in state:
            variable.assign(value)
        model.reset_metrics()
        enable_check_numerics()
        for batch in batches:
            logs = model.train_step(batch)
            # Losses before weights, so that what is found is the first in the order of the model.
            evaluate(list(logs.values()))
            evaluate([variable._tensor for variable, _ in now])
    except CheckError as error:
        return f"It begins here:\n{error}"
    except Exception:
        # A step that only runs traced, or that met the cause in another way: nothing to tell.
        return ""
    finally:
        if not was_on:
            disable_check_numerics()
        for variable, value in now:
            variable.assign(value)
        model._clear_losses()
    return ""


def _all_variables(model: Any) -> list[Any]:
    """Everything that a step may assign to, optimizers and metrics that are attributes included."""
    found: dict[int, Any] = {}
    met: set[int] = set()
    pending = [model]
    while pending:
        value = pending.pop()
        if id(value) in met:
            continue
        met.add(id(value))
        if is_saveable(value):
            found.update((id(each), each) for each in getattr(value, "variables", ()))
            pending += [each for _, each in children(value)]
        else:
            pending += [each for _, each in members(value)]
    found.update((id(each), each) for each in getattr(model, "metrics_variables", ()))
    return list(found.values())


def _first_nonfinite(value: Any) -> str:
    """`NaN at [3, 0]` for a value that is not finite, else an empty text."""
    if value is None:
        return ""
    array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    if array.dtype.kind in "iubOSU":
        return ""
    is_finite = np.isfinite(array)
    if is_finite.all():
        return ""
    first = tuple(int(place) for place in np.argwhere(~is_finite)[0])
    what = "NaN" if np.isnan(array[first]) else "an infinity"
    return f"{what} at {list(first)}" if first else what
