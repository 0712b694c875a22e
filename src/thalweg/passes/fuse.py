"""Fusion: partition a graph into kernels, each a small Function that one nest of loops computes.

    fuse(function, is_native) -> the Function with every kernel behind a `call`

Not a rule table: a partition. A node is a root, whose value is stored, when it is a result, when an
operation outside any kernel needs it, when several kernels need it and it is dear to compute again,
when it is a reduction whose result is asked for at other places than its own, or when a reshape or
a contraction reads it. All else is computed where it is used. So a reduction takes its producers
with it, and stays inside the kernel of its user when that works on the reduction's own places (an
epilogue). A scatter has a kernel to itself. Roots of one shape that read each other at the same
places are stored by one kernel, as long as everything else that they read is finished before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.ir.function import Function, close, fresh
from thalweg.ir.leaves import items
from thalweg.ir.node import Node, made_by, make
from thalweg.ir.walk import postorder
from thalweg.ops.control import call
from thalweg.passes.families import (
    CONTRACTIONS,
    COSTLY,
    FREE,
    MOVES,
    PLACED,
    REDUCTIONS,
    RUNNING,
    SCATTERS,
    STEPS,
    VIEWS,
    is_unit_reshape,
)

DEAR = 8
"""So many operations are stored rather than done in two kernels; see COSTLY."""

MANY_ROWS = 48
"""Rows of a product that share its columns from which these are copied for them."""

LONG_SUM = 1024
"""Products in one sum from which it is made in slices; a number with a name may be as large."""

LONGEST = 200
"""Nodes in one kernel: LLVM's time grows faster than the text it is given. Where they are many, two
that are not dear count as one."""


def fuse(function: Function, is_native: Callable[[Node], bool]) -> Function:
    """The Function as calls of kernels and the operations that no kernel takes."""
    return _Fusion(function, is_native).result()


@dataclass(slots=True, eq=False)
class _Kernel:
    """One nest: the roots it stores, and the axes that its reductions share."""

    roots: list[Node]
    signature: tuple | None = None
    length: int = 1


class _Fusion:
    def __init__(self, function: Function, is_native: Callable[[Node], bool]):
        self.function = function
        self.order = postorder(function.results)
        self.is_native = {node: is_native(node) for node in self.order}
        self.kernels: dict[Node, _Kernel] = {}
        # For each node inside kernels, whether each kernel asks for it at its root's own places.
        self.uses: dict[Node, dict[_Kernel, bool]] = {}
        # What kernels read, and results: these are wanted row after row.
        self.is_read = set(function.results)
        for node in self.order:
            if self.is_native[node] or node.op.name in STEPS:
                self.is_read.update(node.args)
        self._choose_roots()

    def _choose_roots(self) -> None:
        stored = set(self.function.results)
        weight: dict[Node, int] = {}
        # Nodes of the expression that computes a value, of what its users repeat of it, and of what
        # is left of that at other places than its own, where reductions are stored.
        whole: dict[Node, int] = {}
        length: dict[Node, int] = {}
        elsewhere: dict[Node, int] = {}
        for node in self.order:
            name = node.op.name
            own = DEAR if name in COSTLY or name in CONTRACTIONS else int(name not in FREE)
            inner = [arg for arg in node.args if self._is_inside(arg)]
            weight[node] = own + sum(weight[arg] for arg in inner)
            counted = length if self._keeps_places(node) or name in REDUCTIONS else elsewhere
            whole[node] = length[node] = 1 + sum(counted[arg] for arg in inner)
            elsewhere[node] = 1 + sum(elsewhere[arg] for arg in inner)
            if self._signature(node) is not None:
                weight[node] = 0  # stored wherever two kernels need it: never done again
                elsewhere[node] = 1
            if weight[node] >= DEAR and self._spreads(node):
                weight[node] = 0  # of what is stored for it
                length[node] = elsewhere[node] = 1
            if length[node] > LONGEST:
                # What is used several times was counted as often, and is written once.
                whole[node] = length[node] = self._count(node, stored)
            if length[node] > LONGEST:
                stored.add(node)
                length[node] = weight[node] = elsewhere[node] = 1
        users: dict[Node, list[Node]] = {}
        operands: dict[Node, str] = {}
        for node in self.order:
            for arg in node.args:
                users.setdefault(arg, []).append(node)
        for node in reversed(self.order):
            if not self._is_inside(node):
                continue
            uses: dict[_Kernel, bool] = {}
            is_root = node in stored or self._is_alone(node)
            for user in users.get(node, ()):
                if (
                    not self._is_inside(user)
                    or self._reads_memory(user)
                    or self._repeats(user, node)
                    or (weight[node] >= DEAR and self._spreads(user))
                ):
                    is_root = True
                    continue
                place = operands.get(user) or self._operand(user, node)
                if place is not None:
                    # What a contraction reads it reads many times: moved, but not computed; and
                    # the neighbours of its second operand must stay neighbours.
                    is_move = node.op.name in MOVES and bool(node.args)
                    if (
                        not is_move
                        or self._reads_memory(node)
                        or (
                            (place == "rhs" and not self._is_plain_move(node))
                            and not self._is_turned_well(user, node)
                        )
                    ):
                        is_root = True
                        continue
                    operands[node] = place
                for kernel, is_aligned in self.uses[user].items():
                    same = is_aligned and self._keeps_places(user)
                    uses[kernel] = uses.get(kernel, True) and same
            signature = self._signature(node)
            if signature is not None and not is_root:
                is_root = len(uses) != 1 or not all(
                    aligned and kernel.signature in (None, signature)
                    for kernel, aligned in uses.items()
                )
            if not is_root and len(uses) > 1 and weight[node] > DEAR:
                is_root = True
            if is_root:
                kernel = _Kernel([node], signature, whole[node])
                self.kernels[node] = kernel
                uses = {kernel: True}
            elif signature is not None:
                (kernel,) = uses
                kernel.signature = signature
            self.uses[node] = uses

    def _count(self, node: Node, stored: set[Node]) -> int:
        """How long the expression of a value is, or that it is longer than it may be."""
        seen, pending = {node}, [node]
        while pending and len(seen) <= 2 * LONGEST:
            for arg in pending.pop().args:
                if arg not in seen and arg not in stored and self._is_inside(arg):
                    seen.add(arg)
                    pending.append(arg)
        return -(-sum(1 + (each.op.name in COSTLY) for each in seen) // 2)

    def _is_inside(self, node: Node) -> bool:
        """True for a node that a kernel may compute."""
        return self.is_native[node]

    @staticmethod
    def _reads_memory(node: Node) -> bool:
        """True for a move that can only ask a value that is stored."""
        return node.op.name == "reshape" and not is_unit_reshape(node.args[0].shape, node.shape)

    @staticmethod
    def _repeats(user: Node, node: Node) -> bool:
        """True where a gather asks for more elements than what it reads has: that is stored."""
        if user.op.name != "gather" or user.args[0] is not node:
            return False
        is_cheap = node.op.name in FREE and not node.args
        return not is_cheap and not is_known_at_least(node.type.size - user.type.size, 0)

    @staticmethod
    def _spreads(user: Node) -> bool:
        """True for a broadcast that asks for each of several elements many times.

        What is the same for all elements is computed before the loops.
        """
        if user.op.name != "broadcast":
            return False
        few, many = user.args[0].type.size, user.type.size
        return not any(is_known_equal(*pair) for pair in ((few, 1), (few, many), (many, 0)))

    @staticmethod
    def _operand(user: Node, node: Node) -> str | None:
        """Which operand of a contraction a node is."""
        if user.op.name not in CONTRACTIONS:
            return None
        return "rhs" if user.args[1] is node else "lhs"

    @staticmethod
    def _is_plain_move(node: Node) -> bool:
        """True for a move that leaves the last axis last, so that neighbours stay neighbours."""
        name, attrs = node.op.name, node.attributes
        last = node.type.rank - 1
        if name == "transpose":
            return attrs["axes"][last] == last
        if name == "reverse":
            return last not in attrs["axes"]
        if name == "slice":
            return attrs["stride"][last] == 1
        return name == "reshape" and is_unit_reshape(node.args[0].shape, node.shape)

    @staticmethod
    def _is_turned_well(user: Node, node: Node) -> bool:
        """True for a transposed factor of so many rows that its columns are copied anyway.

        Its neighbours in memory are then what is summed over.
        """
        if user.op.name != "dot" or node.op.name != "transpose":
            return False
        attrs = user.attributes
        taken = (*attrs["contract"][0], *attrs["batch"][0])
        rows = prod(size for axis, size in enumerate(user.args[0].shape) if axis not in taken)
        summed = attrs["contract"][1][-1:]
        is_last = [node.attributes["axes"][axis] == node.type.rank - 1 for axis in summed]
        return is_last == [True] and (not isinstance(rows, int) or rows >= MANY_ROWS)

    @staticmethod
    def _keeps_places(node: Node) -> bool:
        """True for an op that asks its operands at its own index."""
        name = node.op.name
        return (
            name not in REDUCTIONS
            and name not in CONTRACTIONS
            and name not in PLACED
            and name not in RUNNING
            and name not in SCATTERS
            and (name not in MOVES or name in ("barrier", "stop_gradient", "alias"))
        )

    @staticmethod
    def _is_alone(node: Node) -> bool:
        """True for what has a kernel to itself: scatters, and long sums of rows by rows.

        Those are the gradients of weights. Their sums wait in the result while the samples are
        gone through in slices, so nothing may be done to them before the end.
        """
        if node.op.name in SCATTERS:
            return True
        if node.op.name != "dot" or node.attributes["batch"] != ((), ()):
            return False
        summed = node.attributes["contract"][0]
        count = prod(node.args[0].shape[axis] for axis in summed)
        lies_along = all(set(axes) == set(range(len(axes))) for axes in node.attributes["contract"])
        is_long = not isinstance(count, int) or count >= LONG_SUM
        return lies_along and bool(summed) and is_long

    @staticmethod
    def _signature(node: Node) -> tuple | None:
        """The loops that a reduction needs, or None for any other op."""
        if node.op.name in CONTRACTIONS or node.op.name in SCATTERS:
            return (node,)
        if node.op.name in RUNNING:
            return ("running", node.shape, node.attrs)
        if node.op.name not in REDUCTIONS:
            return None
        return node.args[0].shape, node.attrs

    # Building ---------------------------------------------------------------------------------

    def result(self) -> Function:
        """The fused Function; every kernel is placed when the first of its values is needed."""
        groups = self._grouped()
        new: dict[Node, Node] = {}
        serial = 0
        stack = list(self.function.results)
        while stack:
            node = stack[-1]
            if node in new:
                stack.pop()
                continue
            group = groups.get(node)
            if group is not None and not self._is_worth_it(group):
                group = None
            needed = node.args if group is None else self._group_inputs(group)
            missing = [each for each in needed if each not in new]
            if missing:
                stack.extend(missing)
            elif group is not None:
                self._emit(group, new, serial)
                serial += 1
            else:
                args = tuple([new[arg] for arg in node.args])
                with made_by("fuse", node):
                    new[node] = node if args == node.args else make(node.op, args, node.attrs)
        return self.function.with_results(new[root] for root in self.function.results)

    def _group_inputs(self, group: _Kernel) -> list[Node]:
        own = set(group.roots)
        return [node for root in group.roots for node in self._inputs(root) if node not in own]

    def _is_worth_it(self, group: _Kernel) -> bool:
        """False for a view of what is stored that nobody asks to lie in memory in its own order."""
        if len(group.roots) > 1:
            return True
        root = node = group.roots[0]
        is_ordered = True
        while node.op.name in VIEWS:
            is_ordered = is_ordered and self._keeps_order(node)
            (node,) = node.args
            if node in self.kernels or not self._is_inside(node):
                return not is_ordered and root in self.is_read
        return True

    @staticmethod
    def _keeps_order(node: Node) -> bool:
        """True for a move whose result lies in its operand's memory in one piece."""
        name, attrs = node.op.name, node.attributes
        if name == "slice":
            whole = zip(node.shape[1:], node.args[0].shape[1:], strict=True)
            return attrs["stride"][:1] in ((), (1,)) and all(
                is_known_equal(*pair) for pair in whole
            )
        return name not in ("transpose", "reverse")

    def _grouped(self) -> dict[Node, _Kernel]:
        """Kernels joined along aligned reads between roots of one shape.

        A group reads only what has a lower level than its own, so that no two groups wait for
        each other. All that a root reads at the highest level must therefore become its group.
        """
        level: dict[Node, int] = {}
        groups: dict[Node, _Kernel] = {}
        for node in self.order:
            if node not in self.kernels:
                if not self._is_inside(node):
                    level[node] = 1 + max((level[arg] for arg in node.args), default=0)
                continue
            kernel = self.kernels[node]
            inputs = self._inputs(node)
            depth = max((level[each] for each in inputs), default=0)
            last = [each for each in inputs if level[each] == depth]
            joined = {
                id(groups[each]): groups[each]
                for each in last
                if inputs[each] and each in groups and each.shape == node.shape
            }
            members = [*joined.values(), kernel]
            signatures = {each.signature for each in members} - {None}
            if (
                joined
                and all(each in groups and id(groups[each]) in joined for each in last)
                and all(inputs[each] for each in last)
                and all(map(self._is_worth_it, joined.values()))
                and len(signatures) <= 1
                and not any(self._is_alone(root) for each in members for root in each.roots)
                and sum(each.length for each in members) <= LONGEST
            ):
                roots = [root for each in members for root in each.roots]
                length = sum(each.length for each in members)
                group = _Kernel(roots, next(iter(signatures), None), length)
                groups.update(dict.fromkeys(roots, group))
                level[node] = depth
            else:
                groups[node] = kernel
                level[node] = depth + 1
        return self._beside(groups, level)

    def _beside(self, groups: dict[Node, _Kernel], level: dict[Node, int]) -> dict[Node, _Kernel]:
        """Reductions over the same axes of what they both read done in one pass over it.

        One that could be done earlier waits for the other, unless something in between needs it.
        """
        alike: dict[tuple, list[_Kernel]] = {}
        for group in dict.fromkeys(groups.values()):
            if group.signature is not None and len(group.signature) == 2:
                alike.setdefault((group.signature, group.roots[0].shape), []).append(group)
        if all(len(members) == 1 for members in alike.values()):
            return groups
        wanted = self._wanted(groups, level)
        for ((whole, _), _), members in alike.items():
            members.sort(key=lambda group: -level[group.roots[0]])
            while len(members) > 1:
                last = members.pop(0)
                at = level[last.roots[0]]
                read = {each for each in self._group_inputs(last) if each.shape == whole}
                joined = [last]
                length = last.length
                for other in list(members):
                    if (
                        length + other.length <= LONGEST
                        and wanted.get(id(other), at + 1) > at
                        and not read.isdisjoint(self._group_inputs(other))
                    ):
                        members.remove(other)
                        joined.append(other)
                        length += other.length
                if len(joined) > 1:
                    roots = [root for each in joined for root in each.roots]
                    groups.update(dict.fromkeys(roots, _Kernel(roots, last.signature, length)))
        return groups

    def _wanted(self, groups: dict[Node, _Kernel], level: dict[Node, int]) -> dict[int, int]:
        """The lowest level at which something outside of a group reads what it makes."""
        found: dict[int, int] = {}
        for user in self.order:
            places = [user] if user in level else [each.roots[0] for each in self.uses[user]]
            for arg in user.args:
                group = groups.get(arg)
                for place in places if group is not None else ():
                    if groups.get(place) is not group:
                        key = id(group)
                        found[key] = min(found.get(key, level[place]), level[place])
        return found

    def _inputs(self, root: Node) -> dict[Node, bool]:
        """What a root's kernel reads, and whether always at the root's own places."""
        found: dict[Node, bool] = {}
        seen: dict[Node, bool] = {}
        pending = [(arg, self._keeps_places(root)) for arg in root.args]
        while pending:
            node, is_aligned = pending.pop()
            if node in self.kernels or not self._is_inside(node):
                found[node] = found.get(node, True) and is_aligned
                continue
            if node in seen and (seen[node] == is_aligned or not seen[node]):
                continue
            seen[node] = is_aligned
            keeps = is_aligned and self._keeps_places(node)
            pending.extend((arg, keeps) for arg in node.args)
        return found

    def _emit(self, group: _Kernel, new: dict[Node, Node], serial: int) -> None:
        """Put a kernel behind a call, and its roots' values where their users look."""
        inner: dict[Node, Node] = {}
        inputs: list[Node] = []
        parameters: list[Node] = []
        own = set(group.roots)
        for node in postorder(group.roots, _Boundary(self, own)):
            if node not in own and (node in self.kernels or not self._is_inside(node)):
                inputs.append(new[node])
                parameters.append(fresh(f"x{len(parameters)}", node.type))
                inner[node] = parameters[-1]
            else:
                args = tuple([inner[arg] for arg in node.args])
                with made_by("fuse", node):
                    inner[node] = make(node.op, args, node.attrs)
        name = f"k{serial}_{group.roots[-1].op.name}"
        function = close(name, parameters, [inner[root] for root in group.roots])
        with made_by("fuse", group.roots[-1]):
            results = items(call(*inputs, function=function))
        for root, value in zip(group.roots, results, strict=True):
            new[root] = value


class _Boundary:
    """Where the walk through a kernel ends: at what other kernels and operations store."""

    def __init__(self, fusion: _Fusion, own: set[Node]):
        self.fusion = fusion
        self.own = own

    def __contains__(self, node: Node) -> bool:
        if node in self.own:
            return False
        return node in self.fusion.kernels or not self.fusion._is_inside(node)


def kernels(function: Function) -> Sequence[Function]:
    """The kernels of a fused Function, in the order in which they run."""
    return [node.attrs[0] for node in postorder(function.results) if node.op is call]
