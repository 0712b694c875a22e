"""Check what every Function must satisfy; run after each pass when checking is on.

A Function that does not verify is a defect of Thalweg, never of the user's program.
"""

from typing import NoReturn

from thalweg.base.errors import ThalwegError, VerifyError, explain
from thalweg.ir.function import Function, free_sizes, inner_functions
from thalweg.ir.leaves import hole, parameter
from thalweg.ir.node import ANY, Node, make, type_text


def verify(function: Function, outer_sizes: frozenset[str] = frozenset()) -> Function:
    """Return the Function unchanged, or raise VerifyError that names the first broken invariant.

    Checked: the function and its parameters have distinct names that text can hold; no foreign
    parameter, hole or pattern is reached; attributes are in normal form; every type is what
    inference says; every node is the interned one; every result is one tensor; named sizes come
    from the parameters (for an inner Function, also from around it); Functions among the
    attributes verify in turn.
    """
    _verify(function, outer_sizes, set(), {})
    return function


def _verify(
    function: Function,
    outer_sizes: frozenset[str],
    done: set[tuple[Function, frozenset[str]]],
    free: dict[Function, set[str]],
) -> None:
    if (function, outer_sizes) in done:
        return
    done.add((function, outer_sizes))
    names = function.parameter_names
    is_plain = all(map(_is_name, (function.name, *names)))
    if not is_plain or len(set(names)) != len(names):
        received = f"{function.name}({', '.join(map(str, names))})"
        _fail(function, "distinct names of letters, digits and _", received)
    own = set(function.parameters)
    sizes = outer_sizes.union(free_sizes(function.parameter_types))
    inner: dict[Function, None] = {}
    for node in function.order():
        _verify_node(function, node, own)
        unknown = free_sizes((node.type, *node.attrs), free) - sizes
        if unknown:
            received = f"{', '.join(sorted(unknown))} in {node!r}"
            _fail(function, "sizes named by its parameters", received)
        inner.update(dict.fromkeys(inner_functions(node.attrs)))
    for result in function.results:
        if isinstance(result.type, tuple):
            _fail(function, "single tensors as results", type_text(result.type))
    for each in inner:
        _verify(each, sizes, done, free)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isascii() and name.isidentifier()


def _verify_node(function: Function, node: Node, own: set[Node]) -> None:
    if node.op is hole or node.type is ANY:
        _fail(function, "no part of a pattern", repr(node))
    if node.op is parameter:
        if node not in own:
            _fail(function, "its own parameters only", f"{node.attrs[0]}: {node.type}")
        return
    arity = node.op.arity
    if arity is not None and len(node.args) != arity:
        _fail(function, f"{node.op.name} of {arity} operands", f"{len(node.args)}")
    named = len(node.op.attribute_names)
    if len(node.attrs) != named:
        _fail(function, f"{node.op.name} with {named} attributes", f"{len(node.attrs)}")
    try:
        if not _is_same(node.op.bind(node.attributes), node.attrs):
            _fail(function, f"attributes of {node.op.name} in normal form", repr(node.attrs))
        inferred = node.op.infer(*(arg.type for arg in node.args), **node.attributes)
    except VerifyError:
        raise
    except Exception as error:  # whatever a broken graph makes of the rules of an op
        received = error.message if isinstance(error, ThalwegError) else repr(error)
        _fail(function, f"a well formed {node.op.name}", received.rstrip("."))
    if inferred != node.type:
        _fail(function, f"{node.op.name} of type {type_text(inferred)}", type_text(node.type))
    if make(node.op, node.args, node.attrs) is not node:
        _fail(function, "interned nodes", f"a copy of {node!r}")


def _is_same(a: object, b: object) -> bool:
    """Equal, and of the same types all the way: 1 is not True, and (1,) not [1]."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_is_same, a, b))
    return a == b


def _fail(function: Function, wanted: str, received: str) -> NoReturn:
    raise VerifyError(explain(f"verify {function.name}", wanted, received))
