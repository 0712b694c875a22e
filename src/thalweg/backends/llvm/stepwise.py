"""Loops and branches from Python: where something inside them has no kernel.

The Functions inside are programs; each step is a run of their plans.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thalweg.backends.llvm.loops import inner_sizes
from thalweg.backends.llvm.plan import Plan
from thalweg.ir.node import Node
from thalweg.ops.control import scan, switch, while_
from thalweg.transforms.evaluate import concrete

if TYPE_CHECKING:
    from thalweg.backends.llvm.program import Program


class Stepwise:
    """A loop or switch within known sizes, as a function of arrays."""

    def __init__(self, node: Node, bodies: Sequence["Program"], sizes: Mapping[str, int]):
        self.plans = [
            Plan(body.steps, len(body.function.parameters), body.results, inner)
            for body, inner in zip(bodies, inner_sizes(node, sizes, bodies), strict=True)
        ]
        types = node.type if isinstance(node.type, tuple) else (node.type,)
        self.layouts = [(concrete(type.shape, sizes), type.dtype.numpy) for type in types]
        self.attrs = {name: concrete(value, sizes) for name, value in node.attributes.items()}
        self.run = {while_: self._while, switch: self._switch, scan: self._scan}[node.op]

    def __call__(self, *args: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(self.run(args))

    def working_bytes(self, workers: int) -> int:
        """What a run by so many threads takes besides its arguments and results."""
        return sum(plan.working_bytes(workers) + 2 * plan.result_bytes for plan in self.plans)

    def _while(self, args: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        condition, body = self.plans
        constants = self.attrs["constants"]
        fixed, state = list(args[:constants]), list(args[constants:])
        while bool(condition.run([*fixed, *state])[0]):
            state = body.run([*fixed, *state])
        return state

    def _switch(self, args: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        index, *given = args
        return self.plans[min(max(int(index), 0), len(self.plans) - 1)].run(given)

    def _scan(self, args: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        (body,) = self.plans
        constants, carries = self.attrs["constants"], self.attrs["carries"]
        split = constants + carries
        carry = list(args[constants:split])
        stacked = [np.empty(*layout) for layout in self.layouts[carries:]]
        order = range(self.attrs["length"])
        for step in reversed(order) if self.attrs["reverse"] else order:
            slices = [np.asarray(x[step]) for x in args[split:]]
            results = body.run([*args[:constants], *carry, *slices])
            carry = results[:carries]
            for column, value in zip(stacked, results[carries:], strict=True):
                column[step] = value
        return [*carry, *stacked]
