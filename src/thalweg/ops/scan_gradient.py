"""The derivative of scan: a loop the other way, and sums over all steps.

    forward      h[t+1] = body(w, h[t], x[t])
    backward     dh[t], dx[t] = derivative of the body at (w, h[t], x[t]) for dh[t+1], dy[t]
    afterwards   dw = the sum over t of the body's derivative by w

The first loop is run again with all that the second needs stacked: the carry that enters each step,
and the products of the body that its derivative needs, which would be dear to compute again. What
constants get is a sum over steps: made afterwards, by one product of what is stacked, where
`totals.py` knows how, and else carried along.
"""

from collections.abc import Callable, Sequence

from thalweg.ir.function import Function, build, inline
from thalweg.ir.leaves import full_like, items
from thalweg.ir.node import Node
from thalweg.ir.types import Size, TensorType
from thalweg.ir.walk import dependents, postorder, substitute
from thalweg.ops.contract import conv, dot
from thalweg.ops.cotangents import kept, spread
from thalweg.ops.elementwise import add
from thalweg.ops.totals import total_over


def differentiate_scan(
    dy: Sequence[Node | None],
    y: Sequence[Node],
    *args: Node,
    body: Function,
    constants: int,
    carries: int,
    length: Size,
    reverse: bool,
    differentiate: Callable,
    active: Sequence[bool],
) -> list[Node | None]:
    """The cotangents of a scan's arguments, of those that are active."""
    scan, split = y[0].args[0].op, constants + carries  # each y is an item of the scan's results
    fixed, xs = args[:constants], args[split:]
    flags = _active(body, list(active), constants, carries)
    is_moving = [flag and each.dtype.is_inexact for flag, each in zip(flags, args, strict=True)]
    moving_fixed = [each for each, flag in zip(fixed, is_moving, strict=False) if flag]
    moving_dy = [each for each, flag in zip(dy, is_moving[constants:split], strict=False) if flag]
    dcarry, dys = kept(moving_dy), kept(dy[carries:])
    count = len(moving_fixed)
    attrs = {"constants": constants, "carries": carries, "length": length, "reverse": reverse}

    pulled = differentiate(body, flags)
    step = _backward_step(
        body, pulled, is_moving, [*args[:split], *xs], dcarry, dys, constants, carries
    )
    own = [*step.parameters[:constants],
           *step.parameters[constants + len(dcarry) :][: carries + len(xs)]]  # fmt: skip
    again = _products(body, step, own)
    keeper = _keeper(body, list(again.values()), constants, carries)
    history = items(scan(*args, body=keeper, **attrs))[carries:]
    sequences = [*history[:carries], *xs, *dys, *history[carries:]]

    sliced = [*step.parameters[constants + len(dcarry) :], *again]
    given = dict(zip(sliced, sequences, strict=True))
    totals = [total_over(term) for term in step.results[:count]]
    own_fixed = set(step.parameters[:constants])
    totals = [each if each and not own_fixed & set(each.operands) else None for each in totals]
    carried = [each for each, total in zip(moving_fixed, totals, strict=True) if total is None]
    operands = [each for total in totals if total for each in total.operands]
    stacked = list(dict.fromkeys(each for each in operands if each not in given))

    def summing(*inner: Node) -> list[Node]:
        sums = inner[constants : constants + len(carried)]
        rest = (*inner[:constants], *inner[constants + len(carried) :])
        replaced = dict(zip((*step.parameters, *again), rest, strict=True))
        found = substitute([*step.results, *stacked], replaced)
        terms = [each for each, total in zip(found, totals, strict=False) if total is None]
        summed = [add(total, term) for total, term in zip(sums, terms, strict=True)]
        return [*summed, *found[count:]]

    start = [*(full_like(each, 0) for each in carried), *dcarry]
    types = [*(each.type for each in (*fixed, *start)), *map(_slice, sequences)]
    attrs |= {"carries": len(start), "reverse": not reverse}
    backward = build(step.name, types, summing)
    results = items(scan(*fixed, *start, *sequences, body=backward, **attrs))
    sums, end = iter(results[: len(carried)]), len(results) - len(stacked)
    given |= zip(stacked, results[end:], strict=True)
    dfixed = [
        next(sums) if total is None else total.join([given[each] for each in total.operands])
        for total in totals
    ]
    return spread(args, [*dfixed, *results[len(carried) : end]], flags)


def _slice(sequence: Node) -> TensorType:
    return sequence.type.with_shape(sequence.type.shape[1:])


def _active(body: Function, flags: list[bool], constants: int, carries: int) -> list[bool]:
    """Which arguments are active: a carry also when what comes round to it is."""
    while True:
        changed = _reached(body, flags)[:carries]
        carry = flags[constants : constants + carries]
        grown = [old or new for old, new in zip(carry, changed, strict=True)]
        if grown == carry:
            return flags
        flags = [*flags[:constants], *grown, *flags[constants + carries :]]


def _reached(function: Function, flags: Sequence[bool]) -> list[bool]:
    """Which results depend on the parameters that are marked."""
    marked = [each for each, flag in zip(function.parameters, flags, strict=True) if flag]
    found = dependents(function.order(), marked)
    return [y in found for y in function.results]


def _backward_step(
    body: Function,
    pulled: Function,
    is_moving: Sequence[bool],
    args: Sequence[Node],
    dcarry: Sequence[Node],
    dys: Sequence[Node],
    constants: int,
    carries: int,
) -> Function:
    """(constants, dcarry, entering carry, xs, dys) -> (dconstants, dcarry, dxs) of one step."""
    split = constants + carries
    types = [each.type for each in (*args[:constants], *dcarry, *args[constants:split])]
    types += map(_slice, (*args[split:], *dys))
    count_xs = len(args) - split

    def backward(*inner: Node) -> list[Node]:
        own_fixed, rest = inner[:constants], inner[constants:]
        dnext, rest = iter(rest[: len(dcarry)]), rest[len(dcarry) :]
        entering, rest = rest[:carries], rest[carries:]
        own_xs, own_dys = rest[:count_xs], rest[count_xs:]
        # What leaves a carry that is not active does not matter.
        leaving = [
            next(dnext) if flag else full_like(each, 0)
            for each, flag in zip(entering, is_moving[constants:split], strict=True)
            if each.dtype.is_inexact
        ]
        return inline(pulled, [*own_fixed, *entering, *own_xs, *leaving, *own_dys])

    return build(f"{body.name}_backward", types, backward)


def _products(body: Function, step: Function, own: Sequence[Node]) -> dict[Node, Node]:
    """The products of the body that the step computes again: its node, and the body's."""
    products = [node for node in postorder(body.results) if node.op is dot or node.op is conv]
    there = substitute(products, dict(zip(body.parameters, own, strict=True)))
    needed = set(postorder(step.results))
    return {each: node for each, node in zip(there, products, strict=True) if each in needed}


def _keeper(body: Function, products: Sequence[Node], constants: int, carries: int) -> Function:
    """The body, stacking the carry that enters each step and some of its own values."""

    def keeping(*inner: Node) -> list[Node]:
        results = inline(body, inner)
        values = substitute(products, dict(zip(body.parameters, inner, strict=True)))
        return [*results[:carries], *inner[constants : constants + carries], *values]

    return build(f"{body.name}_kept", body.parameter_types, keeping, body.parameter_names)
