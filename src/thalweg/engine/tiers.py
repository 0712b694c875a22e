"""Which tier runs a graph: the reference interpreter, or machine code that takes time to make.

Compiling costs once, about as much for each node; interpreting costs at every run. Which is chosen
follows from the graph, its sizes and the number of its runs, never from a clock, so that equal runs
give equal numbers:

    runs * (flops + FLOPS_OF_A_NODE * nodes) >= FLOPS_TO_COMPILE_A_NODE * nodes   ->   native
"""

from collections.abc import Mapping

from thalweg.ir.dim import Dim, substitute
from thalweg.ir.function import Function
from thalweg.ir.walk import postorder
from thalweg.transforms.cost import cost

FLOPS_OF_A_NODE = 10_000
"""What the reference interpreter could compute in the time that it takes to look at a node."""
FLOPS_TO_COMPILE_A_NODE = 8_000_000
"""The same for the time that compiling takes for each node, nothing being on disk yet."""


def worth_compiling(graph: Function, sizes: Mapping[str, int]) -> int:
    """The number of runs from which compiling a graph is worth its time, for such sizes."""
    nodes = max(1, len(postorder(graph.results)))
    flops = cost(graph).flops
    if isinstance(flops, Dim):
        flops = substitute(flops, sizes)
    run = (int(flops) if isinstance(flops, int) else 0) + FLOPS_OF_A_NODE * nodes
    return -(-FLOPS_TO_COMPILE_A_NODE * nodes // run)
