"""An update that may turn out not to count: whether it does is known only while the graph runs."""

from collections.abc import Iterable
from typing import Any

from thalweg.array.searching import where
from thalweg.engine.tensor import Tensor, node_of


class Attempt:
    """The values of variables before an update, to be taken back where a condition says so.

    attempt = Attempt(variables); update(); attempt.keep_if(condition)

    Each variable that the update assigned to becomes `where(condition, new, old)`. That is fused
    with the update itself; running it in a branch would copy all variables in and out.
    """

    def __init__(self, variables: Iterable[Any]):
        self.before = [(variable, variable.value) for variable in variables]

    def keep_if(self, condition: Tensor) -> None:
        """Assign the new values where the condition (a boolean scalar) holds, else the old ones."""
        for variable, before in self.before:
            after = variable.value
            if node_of(after) is not node_of(before):
                variable.assign(where(condition, after, before))
