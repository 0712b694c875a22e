"""`function`: trace a Python function once and run the graph from then on.

One trace serves every call with the same structure of arguments: the nesting, the element types
and the numbers of axes, and the values of static arguments. A Python number that is passed is an
input, never a reason to trace again; a default is part of the function. When a call brings another
size along an axis, the function is traced once more with that axis symbolic, and serves every size
from then on. `why` lists each trace and its reason.
"""

import copy
import dis
import enum
import functools
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    TraceError,
    explain,
)
from thalweg.base.options import options
from thalweg.engine.compile import Runner, Stages, runner, show_stage
from thalweg.engine.context import Trace, current_trace
from thalweg.engine.tape import active_recorder, pause, resume
from thalweg.engine.tensor import Tensor, computed, from_buffer, node_of, wrap
from thalweg.engine.tiers import worth_compiling
from thalweg.engine.tree import LEAF, Structure, flatten, unflatten
from thalweg.engine.variable import Variable, arrays_of, take
from thalweg.ir.dim import Dim, compares_strictly, named, solve, substitute
from thalweg.ir.function import Function
from thalweg.ir.leaves import items
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DType,
    Shape,
    TensorType,
    as_dtype,
    float64,
    int64,
    shape_text,
    tensor_type,
)
from thalweg.ops.control import call
from thalweg.ops.elementwise import cast
from thalweg.transforms.evaluate import bind_sizes, concrete

STATIC_TYPES = (bool, str, bytes, type, DType, Dim, Variable, enum.Enum)
NUMBERS = {int: int64, float: float64, complex: as_dtype("complex128")}
MOST_WATCHED = 256
"""Containers with more entries are not compared at every call."""

MOST_SERVED = 64
"""So many sets of shapes are remembered for a trace, with the sizes that fit them and what runs it,
and so many of a function's calls with tensors alone."""

Watched = tuple[Any, tuple, str]
"""A captured container, what it held when traced, and its name."""


class Static:
    """A value that is compiled in. Two are equal when a program could not tell them apart."""

    __slots__ = ("key", "value")

    key: tuple[type, Any]

    def __init__(self, value: Any):
        kind = type(value)
        self.value = value
        if kind in (float, complex):
            # 0.0 equals -0.0 to Python, and no NaN equals itself.
            self.key = (kind, repr(value))
        elif isinstance(value, Variable):
            self.key = (kind, id(value))
        else:
            self.key = (kind, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a trace assumes of one argument: its kind, and for tensors the element type and rank."""

    kind: str
    dtype: DType | None = None
    rank: int = 0
    static: Static | None = None


@dataclass(slots=True)
class Chosen:
    """What runs a trace, and the types of the results that are returned.

    After `runs_left` more runs another tier is chosen; 0 for never.
    """

    run: Runner
    types: list[TensorType]
    runs_left: int


@dataclass(slots=True)
class Variant:
    """One trace: the shapes it serves, its graph, and what it captured and changed."""

    shapes: tuple[tuple, ...]
    graph: Function
    stages: Stages
    variables: list[Variable]
    assigned: list[Variable]
    captured: list[Tensor]
    structure: Structure
    outputs: list[Any]
    why: str
    watched: list[Watched]
    runners: dict[tuple, Chosen] = field(default_factory=dict)
    is_hot: bool = False
    served: dict[tuple[Shape, ...], dict[str, int]] = field(default_factory=dict)

    def serves(self, shapes: Sequence[Shape]) -> dict[str, int] | None:
        """The sizes that fit this trace's shapes to a call's, or None."""
        key = tuple(shapes)
        found = self.served.get(key)
        if found is None:
            found = self._sizes(shapes)
            if found is not None:
                if len(self.served) >= MOST_SERVED:
                    self.served.clear()
                self.served[key] = found
        return found

    def _sizes(self, shapes: Sequence[Shape]) -> dict[str, int] | None:
        sizes: dict[str, int] = {}
        for pattern, shape in zip(self.shapes, shapes, strict=True):
            for wanted, found in zip(pattern, shape, strict=True):
                if wanted.__class__ is int or found.__class__ is not int:
                    if wanted != found:
                        return None
                    continue
                solved = solve(wanted, found, sizes) if found >= 1 else None
                if solved is None:
                    return None
                sizes.update(solved)
        return sizes


class Traces:
    """The traces of one function, by what they assume of its arguments, and the newest last."""

    def __init__(self) -> None:
        self.groups: dict[Any, list[Variant]] = {}
        self.variants: list[Variant] = []
        self.shortcuts: dict[tuple[TensorType, ...], tuple[Variant, dict[str, int]]] = {}
        self.lock = threading.Lock()

    def find(self, key: Any, shapes: Sequence[Shape]) -> tuple[Variant, dict[str, int]] | None:
        """A trace that serves a call, and the sizes that fit it."""
        for variant in tuple(self.groups.get(key, ())):
            sizes = variant.serves(shapes)
            if sizes is not None:
                return variant, sizes
        return None

    def add(self, key: Any, shapes: Sequence[Shape], new: Variant) -> Variant:
        """Enter a trace; where another thread was faster, its one is taken."""
        with self.lock:
            found = self.find(key, shapes)
            if found is not None:
                return found[0]
            self.groups.setdefault(key, []).insert(0, new)
            self.variants.append(new)
            return new


class TracedFunction:
    """A Python function whose graph is traced on first use and run on every call.

    `backend` runs it by another backend than the options name.
    """

    def __init__(
        self,
        function: Callable,
        static: Sequence[str] = (),
        shapes: Mapping[str, Sequence[Any]] | None = None,
        name: str | None = None,
    ):
        self.python_function = function
        self.name = str(name or getattr(function, "__name__", "function"))
        self.backend: str | None = None
        self.static = (static,) if isinstance(static, str) else tuple(static)
        self.signature = _signature(function)
        self._positional = _positional(self.signature)
        self._fewest = _fewest(self.signature)
        self.given_shapes = {key: tuple(shape) for key, shape in (shapes or {}).items()}
        self._check_names()
        self._traces = Traces()
        self._of_instances: dict[int, tuple[Any, Traces]] = {}
        self._method_signature: inspect.Signature | None = None
        # Not its own attributes: those of another traced function would take the place of these.
        functools.update_wrapper(self, function, updated=())

    def _check_names(self) -> None:
        if self.signature is None:
            return
        known = set(self.signature.parameters)
        for name in (*self.static, *self.given_shapes):
            if name not in known:
                raise ArgumentError(
                    explain(
                        self.name, f"argument names among {', '.join(sorted(known))}", repr(name)
                    )
                )

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        # A traced method is traced for each instance: its attributes are part of the program.
        bound = object.__new__(TracedFunction)
        bound.__dict__.update(self.__dict__)
        bound.python_function = functools.partial(self.python_function, instance)
        if self._method_signature is None:
            self._method_signature = _signature(bound.python_function)
        bound.signature = self._method_signature
        bound._positional = _positional(bound.signature)
        bound._fewest = _fewest(bound.signature)
        bound._traces = self._traces_of(instance)
        return bound

    def _traces_of(self, instance: Any) -> Traces:
        """The traces of a method for one instance; they live as long as the instance does."""
        key = id(instance)
        found = self._of_instances.get(key)
        if found is None or found[0]() is not instance:
            forget = functools.partial(_forget, self._of_instances, key)
            try:
                holder: Any = weakref.ref(instance, forget)
            except TypeError:
                # Slots without __weakref__: the instance is kept.
                holder = functools.partial(_identity, instance)
            found = self._of_instances[key] = (holder, Traces())
        return found[1]

    def __deepcopy__(self, memo: dict) -> "TracedFunction":
        python_function = copy.deepcopy(self.python_function, memo)
        return TracedFunction(python_function, self.static, self.given_shapes, self.name)

    def __reduce__(self) -> Any:
        module = sys.modules.get(self.__module__)
        name = getattr(self, "__qualname__", "")
        if getattr(module, name, None) is self:
            return name
        return TracedFunction, (self.python_function, self.static, self.given_shapes, self.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        variant, tensors, sizes = self._found(args, kwargs)
        if current_trace() is None and active_recorder() is None:
            results = self._run(variant, tensors)
        else:
            results = self._build(variant, tensors)
            count = len(results) - len(variant.assigned)
            for variable, value in zip(variant.assigned, results[count:], strict=True):
                variable.assign(value)
        if variant.structure is LEAF and variant.outputs[0] is _TENSOR:
            return results[0]
        found = iter(results)
        outputs = [
            next(found)
            if output is _TENSOR
            else substitute(output, sizes)
            if isinstance(output, Dim)
            else output
            for output in variant.outputs
        ]
        return unflatten(variant.structure, outputs)

    def _found(self, args: tuple, kwargs: dict) -> tuple[Variant, Sequence[Tensor], dict[str, int]]:
        """The trace for a call, its tensors, and the sizes that fit; traced now where it is new.

        Of tensors alone the types say it all, so what they led to once is remembered.
        """
        is_whole = self._fewest <= len(args) <= len(self._positional)
        if kwargs or self.static or not is_whole:
            return self._prepare(args, kwargs)
        types = []
        for each in args:
            if each.__class__ is not Tensor or each._weak:
                return self._prepare(args, kwargs)
            cell = each._cell
            types.append(cell._type or cell.type)
        key = tuple(types)
        shortcuts = self._traces.shortcuts
        met = shortcuts.get(key)
        if met is None:
            variant, tensors, sizes = self._prepare(args, kwargs)
            if len(shortcuts) >= MOST_SERVED:
                shortcuts.clear()
            shortcuts[key] = variant, sizes
            return variant, tensors, sizes
        if met[0].watched:
            self._check_watched(met[0])
        return met[0], args, met[1]

    def inputs(self, *args: Any, **kwargs: Any) -> tuple[Variant, list[np.ndarray]]:
        """The trace for a call and what its graph is given: arguments, variables, captures."""
        variant, tensors, _ = self._found(args, kwargs)
        return variant, _arrays(variant, tensors)

    def stand_ins(self, *args: Any, **kwargs: Any) -> tuple[Variant, list[np.ndarray]]:
        """As `inputs`, with arrays that have types and shapes alone: no tensor is computed."""
        variant, _, sizes = self._found(args, kwargs)
        types = variant.graph.parameter_types
        return variant, [
            np.broadcast_to(np.zeros((), type.dtype.numpy), concrete(type.shape, sizes))
            for type in types
        ]

    def _run(self, variant: Variant, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The results computed now, by the last stage of the trace; variables take theirs."""
        arrays = _arrays(variant, tensors)
        chosen_options = options()
        backend = self.backend or chosen_options.backend
        if chosen_options.stop_at_nonfinite:
            backend = "reference"
        key = (backend, *[each._cell._type or each._cell.type for each in tensors])
        chosen = variant.runners.get(key)
        if chosen is None or chosen.runs_left == 1:
            chosen = self._choose(variant, key, arrays)
        elif chosen.runs_left:
            chosen.runs_left -= 1
        results, types = chosen.run(arrays), chosen.types
        if variant.assigned:
            take(variant.assigned, results[len(types) :])
        return [computed(value, type) for value, type in zip(results, types, strict=False)]

    def _choose(self, variant: Variant, key: tuple, arrays: Sequence[np.ndarray]) -> Chosen:
        """What runs a trace for inputs of some types from now on."""
        backend = key[0]
        former = variant.runners.get(key)
        sizes = bind_sizes(variant.graph, arrays)
        runs_left = 0
        if backend == "auto":
            if former is None and not variant.is_hot:
                runs_left = worth_compiling(variant.graph, sizes) - 1
            variant.is_hot = runs_left == 0
            backend = "reference" if runs_left else "native"
        results = variant.graph.results[: len(variant.graph.results) - len(variant.assigned)]
        types = [tensor_type(each.dtype, concrete(each.type.shape, sizes)) for each in results]
        if len(variant.runners) >= MOST_SERVED:
            variant.runners.clear()
        found = Chosen(runner(variant.stages, arrays, backend), types, runs_left)
        variant.runners[key] = found
        return found

    def _build(self, variant: Variant, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The results as part of the graph around this call: another trace, or a recorder's."""
        nodes = [node_of(tensor) for tensor in tensors]
        nodes += [node_of(variable.value) for variable in variant.variables]
        nodes += [node_of(tensor) for tensor in variant.captured]
        return [wrap(node) for node in items(call(*nodes, function=variant.graph))]

    # What users look at --------------------------------------------------------------------------

    @property
    def variants(self) -> list[Variant]:
        """The traces, in the order in which they were made."""
        return self._traces.variants

    @property
    def why(self) -> list[str]:
        """Why the function was traced, once for each time."""
        return [variant.why for variant in self.variants]

    @property
    def stages(self) -> Stages:
        """The stages of the newest trace by name: trace, expanded, simplified, ..."""
        if not self.variants:
            raise ArgumentError(
                explain(
                    self.name,
                    "to have been called once",
                    "no trace yet",
                    "Call it, or trace(...) it with the arguments you want.",
                )
            )
        return self.variants[-1].stages

    def trace(self, *args: Any, **kwargs: Any) -> Function:
        """The graph for these arguments, traced if it is new; nothing is run."""
        return self._prepare(args, kwargs)[0].graph

    def show(
        self, stage: str = "simplified", comments: bool = False, target: str | None = None
    ) -> str:
        """The text of a stage of the newest trace; of the native ones for a target by its name.

        `thalweg targets` lists the names: `f.show("assembly", target="aarch64")`. Raises
        ArgumentError for another stage or target.
        """
        return show_stage(self.stages, stage, comments, target)

    def __repr__(self) -> str:
        return f"<traced function {self.name}, {len(self.variants)} traces>"

    # From a call to a trace ----------------------------------------------------------------------

    def _prepare(self, args: tuple, kwargs: dict) -> tuple[Variant, list[Tensor], dict[str, int]]:
        names, values = self._bind(args, kwargs)
        leaves, structure = flatten(values)
        tops = self._tops(names, structure)
        kinds: list[Leaf] = []
        tensors: list[Tensor] = []
        for index, leaf in enumerate(leaves):
            if leaf.__class__ is Tensor and tops is None:
                kinds.append(_kind_of(leaf._weak, leaf.dtype, leaf.ndim))
                tensors.append(leaf)
                continue
            kind, tensor = self._leaf(leaf, index, names, values, tops)
            kinds.append(kind)
            if tensor is not None:
                tensors.append(tensor)
        shapes = [tensor.shape for tensor in tensors]
        key: Any = (structure, tuple(kinds))
        if _has_named_sizes(kinds, shapes):
            # The sizes belong to the function around this call, so the trace is for them alone.
            key = (*key, tuple(shapes))
        found = self._traces.find(key, shapes)
        if found is not None:
            self._check_watched(found[0])
            return found[0], tensors, found[1]
        origins = zip(_origins(names, values), kinds, strict=True)
        inputs = [origin for origin, kind in origins if kind.static is None]
        variant = self._traces.add(key, shapes, self._trace(key, inputs, shapes))
        return variant, tensors, variant.serves(shapes) or {}

    def _bind(self, args: tuple, kwargs: dict) -> tuple[tuple[str, ...], tuple]:
        if self.signature is None:
            names = tuple(f"x{index}" for index in range(len(args))) + tuple(sorted(kwargs))
            return names, (*args, *(kwargs[name] for name in sorted(kwargs)))
        if self._positional and not kwargs and len(args) == len(self._positional):
            return self._positional, args
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentTypeError(
                explain(self.name, f"arguments {self.signature}", f"a call with {error}")
            ) from None
        given = set(bound.arguments)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            # A default is part of the function's text: a number there is no input, so that
            # `axis=-1` works as it does untraced.
            if name not in given and type(value) in NUMBERS:
                bound.arguments[name] = Static(value)
        return tuple(bound.arguments), tuple(bound.arguments.values())

    def _tops(self, names: Sequence[str], structure: Structure) -> list[str] | None:
        """For each leaf the argument that it stands in, where some arguments are static."""
        if not self.static:
            return None
        pairs = zip(names, structure.children, strict=True)
        return [name for name, child in pairs for _ in range(child.count)]

    def _leaf(
        self, leaf: Any, index: int, names: tuple, values: tuple, tops: list[str] | None
    ) -> tuple[Leaf, Tensor | None]:
        def where() -> str:
            return f"{self.name}({_origins(names, values)[index]})"

        if isinstance(leaf, Static):
            return Leaf("static", static=leaf), None
        if (tops is not None and tops[index] in self.static) or isinstance(leaf, STATIC_TYPES):
            static = Static(leaf)
            try:
                is_value = hash(static) is not None and not isinstance(leaf, Tensor)
            except TypeError:
                is_value = False
            if not is_value:
                raise ArgumentTypeError(
                    explain(
                        where(),
                        "a hashable value for a static argument",
                        f"{type(leaf).__name__}",
                        "Pass a tuple or a number.",
                    )
                )
            return Leaf("static", static=static), None
        kind = type(leaf)
        if kind in NUMBERS:
            tensor = from_buffer(_number(leaf, NUMBERS[kind], where))
            return Leaf("number", tensor.dtype), tensor
        if isinstance(leaf, (np.ndarray, np.generic)):
            leaf = from_buffer(_array(leaf, where))
        if isinstance(leaf, Tensor):
            return _kind_of(leaf._weak, leaf.dtype, leaf.ndim), leaf
        if callable(leaf) and kind.__hash__ is not None:
            return Leaf("static", static=Static(leaf)), None
        top = _origins(names, values)[index].split(".")[0]
        raise ArgumentTypeError(
            explain(
                where(),
                "tensors, arrays, numbers, strings, booleans, or nested tuples, lists, dicts",
                f"{leaf!r} of {kind.__name__}",
                f"Convert it with asarray, or mark it static: function(static=({top!r},)).",
            )
        )

    def _trace(self, key: Any, inputs: list[str], shapes: list[Shape]) -> Variant:
        symbolic, why = self._generalise(key, inputs, shapes)
        if symbolic != shapes:
            try:
                return self._trace_shapes(key, inputs, symbolic, why)
            except Exception as error:
                if self.given_shapes:
                    raise
                # The body needs numbers where the symbols stand, so this shape is served alone. If
                # it is wrong for another reason, that comes up again, and with the sizes in sight.
                first = str(error).split("\n")[0]
                why = f"{why}; the body needs fixed sizes ({first})"
        return self._trace_shapes(key, inputs, shapes, why)

    def _generalise(
        self, key: Any, inputs: list[str], shapes: list[Shape]
    ) -> tuple[list[Shape], str]:
        """The shapes to trace with: given ones, or symbols where this call differs from before."""
        if len(key) > 2:
            return shapes, "named sizes of the function around it"
        given = [self._given(origin, shape) for origin, shape in zip(inputs, shapes, strict=True)]
        group = self._traces.groups.get(key)
        if not group:
            if self.variants:
                return given, "arguments of another structure, element type or static value"
            return given, "the first call"
        taken = {str(size) for shape in given for size in shape if isinstance(size, Dim)}
        changes: dict[tuple[Any, Any], Dim] = {}
        result: list[Shape] = []
        reasons: list[str] = []
        for origin, old, new in zip(inputs, group[0].shapes, given, strict=True):
            entry: list[Any] = []
            for axis, (was, now) in enumerate(zip(old, new, strict=True)):
                if now == 0 and was != 0:
                    reasons.append(f"{origin} axis {axis} is 0")
                if was == now or now == 0 or isinstance(now, Dim):
                    entry.append(now)
                    continue
                reasons.append(f"{origin} axis {axis} was {was}, is {now}")
                # Axes that change together share one name; those that turn out not to get their
                # own at the next call.
                if (was, now) not in changes:
                    changes[was, now] = _new_size(f"{_identifier(origin)}_{axis}", taken)
                entry.append(changes[was, now])
            result.append(tuple(entry))
        return result, "; ".join(reasons)

    def _given(self, origin: str, shape: tuple) -> tuple:
        top = origin.split(".")[0]
        if top not in self.given_shapes:
            return tuple(shape)
        wanted = self.given_shapes[top]
        if wanted and wanted[-1] is ...:
            # The named axes as far as there are any, then the rest as it comes.
            wanted = (*wanted[:-1], *shape[len(wanted) - 1 :])[: len(shape)]
        if len(wanted) != len(shape):
            raise ArgumentError(
                explain(self.name, f"{origin} with shape {shape_text(wanted)}", shape_text(shape))
            )
        # A size of zero is never that of a name.
        return tuple(
            size if each is None or size == 0 else named(each) if isinstance(each, str) else each
            for each, size in zip(wanted, shape, strict=True)
        )

    def _trace_shapes(self, key: Any, inputs: list[str], shapes: list[Shape], why: str) -> Variant:
        """One trace; two where variables were made in the first, as they must be made once."""
        with _underway(self, (key, tuple(shapes))):
            variant, made = self._trace_once(key, inputs, shapes, why)
            if made:
                variant, made = self._trace_once(key, inputs, shapes, why)
        if made:
            raise TraceError(
                explain(
                    self.name,
                    "its variables to be made once, not at every call",
                    f"a variable {made[0].name!r} of type {made[0].type}, made anew each time",
                    "Make it before the first call, or keep it where the function finds it again: "
                    "`if self.w is None: self.w = Variable(...)`.",
                )
            )
        return variant

    def _trace_once(
        self, key: Any, inputs: list[str], shapes: list[Shape], why: str
    ) -> tuple[Variant, list[Variable]]:
        structure, kinds = key[:2]
        trace = Trace(self.name, current_trace(), holds_state=True)
        watched = _watch(self.python_function)
        recorder = pause()
        is_symbolic = any(isinstance(size, Dim) for shape in shapes for size in shape)
        try:
            with trace, compares_strictly() if is_symbolic else nullcontext():
                position = iter(zip(inputs, shapes, strict=True))
                values = []
                for kind in kinds:
                    if kind.static is not None:
                        values.append(kind.static.value)
                        continue
                    origin, shape = next(position)
                    node = trace.parameter(_identifier(origin), tensor_type(kind.dtype, shape))
                    values.append(wrap(node, weak=kind.kind in ("number", "weak")))
                output = self._call_python(unflatten(structure, values))
                self._check_result(output)
                leaves, out_structure = flatten(output)
                results, outputs = _results(leaves, self.name)
                assigned = list(trace.current)
                assigned = [v for v in assigned if trace.current[v] is not trace.variables[v]]
                results += [trace.current[variable] for variable in assigned]
        finally:
            resume(recorder)
        watched = _still_watched(self.name, watched)
        graph = trace.close(results)
        variant = Variant(
            shapes=tuple(shapes),
            graph=graph,
            stages=Stages(graph),
            variables=list(trace.variables),
            assigned=assigned,
            captured=[tensor for tensor, _ in trace.captured.values()],
            structure=out_structure,
            outputs=outputs,
            why=why,
            watched=watched,
        )
        return variant, trace.made

    def _call_python(self, values: tuple) -> Any:
        if self.signature is None:
            return self.python_function(*values)
        bound = inspect.BoundArguments(
            self.signature, dict(zip(self._names(), values, strict=True))
        )
        return self.python_function(*bound.args, **bound.kwargs)

    def _names(self) -> tuple[str, ...]:
        assert self.signature is not None
        return tuple(self.signature.parameters)

    def _check_result(self, output: Any) -> None:
        if inspect.isgenerator(output) or inspect.iscoroutine(output):
            output.close()
            raise ArgumentTypeError(
                explain(
                    self.name,
                    "a function that returns tensors",
                    type(output).__name__,
                    "Return a list or a tuple instead of yielding or awaiting.",
                )
            )

    def _check_watched(self, variant: Variant) -> None:
        for container, before, name in variant.watched:
            if not _same(container, before):
                raise TraceError(
                    explain(
                        self.name,
                        f"the captured {type(container).__name__} {name!r} to stay as it was "
                        "when the function was traced",
                        "a changed one, which the traced graph does not see",
                        f"Pass {name} as an argument, or keep changing values in a Variable.",
                    )
                )


def _arrays(variant: Variant, tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """The values of the graph's parameters, computed where they wait."""
    arrays = []
    for tensor in (*tensors, *variant.captured) if variant.captured else tensors:
        buffer = tensor._cell.buffer
        arrays.append(tensor._array() if buffer is None else buffer)
    if variant.variables:
        arrays[len(tensors) : len(tensors)] = arrays_of(variant.variables)
    return arrays


class _Placeholder:
    """Stands for a tensor among the outputs of a traced function."""


_TENSOR = _Placeholder()


class _Local(threading.local):
    """What this thread is tracing: pairs of a function and what the trace assumes."""

    def __init__(self) -> None:
        self.underway: list[tuple[Traces, Any]] = []


_local = _Local()


@contextmanager
def _underway(function: TracedFunction, assumed: Any) -> Iterator[None]:
    """Refuse a function that calls itself with the same kinds of arguments: it would never end."""
    entry = (function._traces, assumed)
    if any(each[0] is entry[0] and each[1] == assumed for each in _local.underway):
        raise TraceError(
            explain(
                function.name,
                "an end to its recursion: while it is traced, all calls are followed",
                "a call of itself with arguments of the same types",
                "Write while_loop or scan, or count down with a static argument.",
            )
        )
    _local.underway.append(entry)
    try:
        yield
    finally:
        _local.underway.pop()


def _forget(found: dict[int, tuple[Any, Traces]], key: int, holder: Any) -> None:
    if key in found and found[key][0] is holder:
        del found[key]


def _identity(value: Any) -> Any:
    return value


def function(
    python_function: Callable | None = None,
    *,
    static: Sequence[str] = (),
    shapes: Mapping[str, Sequence[Any]] | None = None,
) -> Any:
    """Trace a function on first use and run its graph from then on; also a decorator.

    `static` names arguments that are compiled in: a new value is a new trace. `shapes` gives shapes
    with named sizes from the start, for instance `shapes={"x": ("b", 784)}`; None keeps a size as
    it comes, and `...` at the end the rest of the axes: `("b", ...)` names the first axis of every
    array in a nested argument.

    >>> import thalweg as tw
    >>> @tw.function
    ... def scale(x, factor):
    ...     return x * factor
    >>> scale(tw.asarray([1.0, 2.0]), 3.0)
    Tensor([3., 6.], dtype=float32)
    """
    if python_function is None:
        return functools.partial(function, static=static, shapes=shapes)
    if not callable(python_function):
        raise ArgumentTypeError(explain("function", "a Python function", repr(python_function)))
    return TracedFunction(python_function, static, shapes)


def _signature(python_function: Callable) -> inspect.Signature | None:
    try:
        return inspect.signature(python_function)
    except (TypeError, ValueError):
        return None


def _positional(signature: inspect.Signature | None) -> tuple[str, ...]:
    """The parameters' names, where each takes one positional argument; else nothing."""
    if signature is None:
        return ()
    parameter = inspect.Parameter
    plain = {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
    is_plain = all(each.kind in plain for each in signature.parameters.values())
    return tuple(signature.parameters) if is_plain else ()


def _fewest(signature: inspect.Signature | None) -> int:
    """How many arguments a call has at least whose others have defaults that never change."""
    kept = (int, float, complex, str, bytes, type(None))
    defaults = [each.default for each in signature.parameters.values()] if signature else []
    while defaults and isinstance(defaults[-1], kept):
        defaults.pop()
    return len(defaults)


def _origins(names: Sequence[str], values: Sequence[Any]) -> list[str]:
    """For each leaf of the arguments, the path to it, such as `params.w1` or `x`."""
    found: list[str] = []
    for name, value in zip(names, values, strict=True):
        _walk_origin(name, value, found)
    return found


def _walk_origin(path: str, value: Any, found: list[str]) -> None:
    if value is None:
        return
    if isinstance(value, dict):
        _, structure = flatten(value)
        for key in structure.keys:
            _walk_origin(f"{path}.{key}", value[key], found)
    elif type(value) is list or isinstance(value, tuple):
        for index, each in enumerate(value):
            _walk_origin(f"{path}.{index}", each, found)
    else:
        found.append(path)


def _identifier(origin: str) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in origin)
    return name if name[:1].isalpha() or name[:1] == "_" else f"x_{name}"


def _new_size(name: str, taken: set[str]) -> Dim:
    """A named size that no other axis has."""
    while name in taken:
        name += "_"
    taken.add(name)
    return named(name)


def _has_named_sizes(kinds: Sequence[Leaf], shapes: Sequence[Shape]) -> bool:
    sizes = [size for shape in shapes for size in shape]
    sizes += [kind.static.value for kind in kinds if kind.static is not None]
    return any(isinstance(size, Dim) for size in sizes)


@functools.cache
def _kind_of(is_weak: bool, dtype: DType, rank: int) -> Leaf:
    return Leaf("weak" if is_weak else "tensor", dtype, rank)


def _array(value: Any, where: Callable[[], str]) -> np.ndarray:
    """A copy of an array in one of our element types and in this machine's byte order."""
    array = np.array(value)
    try:
        return array.astype(as_dtype(array.dtype.newbyteorder("=")).numpy, copy=False)
    except DTypeError:
        raise DTypeError(
            explain(
                where(),
                "an array of numbers or booleans",
                f"an array of {array.dtype}",
                "Convert it first, for instance with x.astype('float32').",
            )
        ) from None


def _number(value: Any, dtype: DType, where: Callable[[], str]) -> np.ndarray:
    try:
        return np.array(value, dtype.numpy)
    except OverflowError:
        raise ArgumentError(explain(where(), "an integer of at most 64 bits", f"{value}")) from None


def _results(leaves: Sequence[Any], name: str) -> tuple[list[Node], list[Any]]:
    """The nodes of a function's tensor outputs, and a template of all its outputs."""
    nodes: list[Node] = []
    outputs: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Variable):
            leaf = leaf.value
        if isinstance(leaf, np.ndarray):
            leaf = from_buffer(np.array(leaf))
        if isinstance(leaf, Tensor):
            node = node_of(leaf)
            if leaf._weak:
                node = strong(node)
            nodes.append(node)
            outputs.append(_TENSOR)
        else:
            outputs.append(leaf)
    return nodes, outputs


def strong(node: Node) -> Node:
    """A weak number in the default type of its kind."""
    defaults = {float64: as_dtype(float), as_dtype("complex128"): as_dtype(complex)}
    target = defaults.get(node.dtype)
    return node if target is None else cast(node, dtype=target)


def _watch(python_function: Callable) -> list[Watched]:
    """The mutable containers a function reads from its closure and globals, and what they hold."""
    while isinstance(python_function, functools.partial):
        python_function = python_function.func
    code = getattr(python_function, "__code__", None)
    if code is None:
        return []
    found: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, python_function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    scope = getattr(python_function, "__globals__", {})
    for instruction in dis.get_instructions(code):
        # Names of attributes and of methods stand in the same table of the code.
        if instruction.opname == "LOAD_GLOBAL" and instruction.argval in scope:
            found.setdefault(instruction.argval, scope[instruction.argval])
    return [
        (value, _snapshot(value), name)
        for name, value in found.items()
        if type(value) in (list, dict, set) and len(value) <= MOST_WATCHED
    ]


def _snapshot(container: Any) -> Any:
    return tuple(container.items()) if type(container) is dict else tuple(container)


def _same(container: Any, before: tuple) -> bool:
    now = _snapshot(container)
    if len(now) != len(before):
        return False
    if type(container) is dict:
        return all(a[0] is b[0] and a[1] is b[1] for a, b in zip(now, before, strict=True))
    return all(a is b for a, b in zip(now, before, strict=True))


def _still_watched(name: str, watched: Sequence[Watched]) -> list[Watched]:
    """What to watch from now on; refuses traced tensors that were stored outside.

    A container that the function itself changes with plain values, such as a counter of traces, is
    its own business.
    """
    kept = []
    for container, before, label in watched:
        if _same(container, before):
            kept.append((container, before, label))
            continue
        if any(isinstance(leaf, Tensor) and leaf.is_traced for leaf in _values(container)):
            raise TraceError(
                explain(
                    name,
                    f"its tensors to stay inside; the captured {type(container).__name__} "
                    f"{label!r} keeps one",
                    "a change made while tracing, which happens once and not at every call",
                    f"Return what should go into {label}, or keep it in a Variable.",
                )
            )
    return kept


def _values(container: Any) -> list[Any]:
    values = container.values() if isinstance(container, dict) else container
    return flatten(list(values))[0]
