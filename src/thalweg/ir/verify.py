"""Check what every Function must satisfy; run after each pass when checking is on.

A Function that does not verify is a defect of Thalweg, never of the user's program.
"""

from thalweg.base.errors import ThalwegError, VerifyError, explain
from thalweg.ir.dim import symbols
from thalweg.ir.function import Function
from thalweg.ir.leaves import hole, parameter
from thalweg.ir.node import ANY, Node, make, type_text


def verify(function: Function, outer_sizes: frozenset[str] = frozenset()) -> Function:
    """Return the Function unchanged, or raise VerifyError that names the first broken invariant.

    Checked: parameter names are distinct strings; no foreign parameter, hole or pattern is reached;
    every type is what inference says; every node is the interned one; every result is one tensor;
    named sizes come from the parameters (for an inner Function, also from around it); Functions
    among the attributes verify in turn.
    """
    names = function.parameter_names
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        _fail(function, "parameters with distinct names", ", ".join(map(str, names)))
    own = set(function.parameters)
    sizes = outer_sizes.union(*(_symbols(type.shape) for type in function.parameter_types))
    pending: list[Function] = []
    for node in function.order():
        _verify_node(function, node, own)
        pending.extend(_functions(node.attrs))
        for type in node.type if isinstance(node.type, tuple) else (node.type,):
            unknown = _symbols(type.shape) - sizes
            if unknown:
                _fail(function, "sizes named by its parameters", f"{sorted(unknown)} in {type}")
    for result in function.results:
        if isinstance(result.type, tuple):
            _fail(function, "single tensors as results", type_text(result.type))
    for inner in pending:
        verify(inner, sizes)
    return function


def _verify_node(function: Function, node: Node, own: set[Node]) -> None:
    if node.op is hole or node.type is ANY:
        _fail(function, "no part of a pattern", repr(node))
    if node.op is parameter:
        if node not in own:
            _fail(function, "its own parameters only", f"{node.attrs[0]}: {node.type}")
        return
    try:
        inferred = node.op.infer(*(arg.type for arg in node.args), **node.attributes)
    except ThalwegError as error:
        _fail(function, f"a well typed {node.op.name}", error.message)
    if inferred != node.type:
        _fail(function, f"{node.op.name} of type {type_text(inferred)}", type_text(node.type))
    if make(node.op, node.args, node.attrs) is not node:
        _fail(function, "interned nodes", f"a copy of {node!r}")


def _functions(value: object) -> list[Function]:
    if isinstance(value, Function):
        return [value]
    if isinstance(value, tuple):
        return [function for each in value for function in _functions(each)]
    return []


def _symbols(shape: tuple) -> set[str]:
    return {name for size in shape if type(size) is not int for name in symbols(size)}


def _fail(function: Function, wanted: str, received: str) -> None:
    raise VerifyError(explain(f"verify {function.name}", wanted, received))
