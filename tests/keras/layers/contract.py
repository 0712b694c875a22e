"""What every layer owes: one contract, checked against real Keras on JAX for a table of cases.

A test file lists cases and hands them to `checks`. All cases of a file are one JAX program: by one,
each would wait for a compiler.
"""

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg import keras

masking = import_module("keras.src.backend.common.masking")
"""How real Keras hangs masks on the arrays of JAX."""

# The program runs once: compiling it quickly is what counts.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
RATE = 0.01
STEPS = 2
POLICIES = {"mixed_bfloat16": 4e-2, "mixed_float16": 5e-3, "float16": 1e-2, "float64": 2e-5}
"""Policies, and how far outputs may be from those in float32."""


@dataclass(frozen=True)
class Of:
    """A setting that is an object of the package under test: `Of(lambda keras: ...)`."""

    make: Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Case:
    """A layer with settings, and the shape of its input or a list of shapes.

    `unknown` lists axes that may be None in symbolic calls; `below` makes inputs integers from 0 to
    below; `masked` gives inputs masks over so many leading axes; `random` says that training draws
    numbers, or else differs between backends of real Keras; `policies` lists the dtype policies to
    check; `call` has further arguments of the call.
    """

    name: str
    inputs: Any
    settings: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[int, ...] = (0,)
    below: int | None = None
    masked: int | None = None
    random: bool = False
    policies: tuple[str, ...] = ("mixed_bfloat16", "float64")
    call: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 2e-5

    def __str__(self) -> str:
        shown = [f"{k}={'...' if isinstance(v, Of) else v}" for k, v in self.settings.items()]
        shape = str(self.inputs).replace(" ", "")
        rest = "" if self.masked is None else "-masked"
        return f"{self.name}({','.join(shown)}){shape}{rest}".replace(" ", "").replace("'", "")

    @property
    def is_many(self) -> bool:
        return isinstance(self.inputs, list)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return self.inputs if self.is_many else [self.inputs]

    def layer(self, package: Any, **more: Any) -> Any:
        """The layer as one of the two packages makes it."""
        given = {
            key: value.make(package) if isinstance(value, Of) else value
            for key, value in self.settings.items()
        }
        return getattr(package.layers, self.name)(**{"name": "it", **given, **more})

    def nested(self, leaves: Sequence[Any]) -> Any:
        """Values of the inputs as the layer takes them."""
        return list(leaves) if self.is_many else leaves[0]

    def values(self) -> list[np.ndarray]:
        """The same numbers at each call."""
        generator = np.random.default_rng(len(self.shapes))
        if self.below is not None:
            return [generator.integers(0, self.below, each, "int32") for each in self.shapes]
        return [generator.standard_normal(each).astype("float32") for each in self.shapes]

    def masks(self) -> list[np.ndarray | None]:
        """A mask for each input, with a True in each row."""
        if self.masked is None:
            return [None] * len(self.shapes)
        generator = np.random.default_rng(7)
        found: list[np.ndarray | None] = []
        for shape in self.shapes:
            mask = generator.random(shape[: self.masked]) > 0.4
            mask[..., 0] = True
            found.append(mask)
        return found

    def symbols(self, package: Any, dtype: str = "float32") -> Any:
        """Symbolic inputs with None at the unknown axes."""
        kind = "int32" if self.below is not None else dtype
        return self.nested(
            [
                package.KerasTensor(
                    [None if axis in self.unknown else size for axis, size in enumerate(shape)],
                    dtype=kind,
                )
                for shape in self.shapes
            ]
        )

    def built(self, package: Any, **more: Any) -> Any:
        """The layer, built for the shapes of the inputs."""
        layer = self.layer(package, **more)
        with quiet(), zeros() if package is real else contextlib.nullcontext():
            layer.build(self.nested(self.shapes))
        return layer


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within this block warnings are not errors: real Keras and JAX have some of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def zeros() -> Any:
    """Within this block real Keras' weights are zeros: each shape's first draw would compile."""

    def start(variable: Any, _: Any) -> None:
        variable._initialize(np.zeros(variable._shape, variable._dtype))

    return mock.patch.object(real.Variable, "_initialize_with_initializer", start)


def weights_for(layer: Any) -> list[np.ndarray]:
    """Numbers for all variables of a layer: spread ones, variances above zero."""
    generator = np.random.default_rng(3)
    found = []
    for variable in layer.variables:
        shape = tuple(variable.shape)
        if "int" in str(variable.dtype):
            found.append(np.zeros(shape, str(variable.dtype)))
        elif any(part in variable.name for part in ("variance", "stddev")):
            found.append(generator.uniform(0.5, 2, shape).astype("float32"))
        else:
            found.append(generator.normal(0.3, 0.4, shape).astype("float32"))
    return found


def weigh(outputs: Any) -> Any:
    """A number that depends on each element of each output in its own way."""
    total: Any = 0.0
    for leaf in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
        generator = np.random.default_rng(5)
        total = total + (leaf * generator.standard_normal(leaf.shape).astype("float32")).sum()
    return total


@dataclass
class Found:
    """What a package finds for a case: outputs, masks, and each step's gradients and new state."""

    outputs: Any
    mask: Any
    trained: Any = None
    slopes: Any = None
    input_slopes: Any = None
    state: Any = None
    second: Any = None


jax.tree_util.register_pytree_node(
    Found,
    lambda x: (tuple(vars(x).values()), None),
    lambda _, values: Found(*values),
)


def training(layer: Any, flag: bool) -> dict[str, bool]:
    """The argument `training`, where the layer's call takes it."""
    return {"training": flag} if "training" in inspect.signature(layer.call).parameters else {}


def wanted(case: Case, values: list[Any], masks: list[Any], weights: list[Any]) -> Found:
    """What real Keras finds, as a function of arrays that JAX can compile."""
    layer = case.built(real)
    trainable = {id(each) for each in layer.trainable_variables}
    kinds = [id(each) in trainable for each in layer.variables]

    def split(each: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        pairs = list(zip(each, kinds, strict=True))
        return [x for x, kind in pairs if kind], [x for x, kind in pairs if not kind]

    def run(free: Any, fixed: Any, inputs: Any, flag: bool) -> tuple[Any, Any]:
        for value, mask in zip(inputs, masks, strict=True):
            if mask is not None:
                masking.set_keras_mask(value, mask)
        state = [*layer.trainable_variables, *layer.non_trainable_variables]
        mapping = zip(state, [*free, *fixed], strict=True)
        # Not `stateless_call`, which leaves out the layer's own activity regularizer and its mask.
        with real.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            outputs = layer(case.nested(inputs), **training(layer, flag), **case.call)
            total = weigh(outputs) + sum(layer.losses)
        rest = [scope.get_current_value(each) for each in layer.non_trainable_variables]
        return total, (outputs, masking.get_keras_mask(outputs), rest)

    free, fixed = split(weights)
    outputs, mask, _ = run(free, fixed, values, False)[1]
    found = Found(outputs, mask)
    if case.random:
        return found
    is_float = case.below is None
    for step in range(STEPS):
        if is_float:
            slope = jax.grad(run, argnums=(0, 2), has_aux=True)
            (slopes, input_slopes), aux = slope(free, fixed, values, True)
        elif free:
            slopes, aux = jax.grad(run, has_aux=True)(free, fixed, values, True)
            input_slopes = None
        else:
            slopes, input_slopes = [], None
            aux = run(free, fixed, values, True)[1]
        free = [x - RATE * slope for x, slope in zip(free, slopes, strict=True)]
        fixed = aux[2]
        if step == 0:
            found.trained, found.slopes, found.input_slopes = aux[0], slopes, input_slopes
            found.state = fixed
    found.second = [*free, *fixed]
    return found


def got(case: Case) -> Found:
    """What we find."""
    layer = case.built(keras)
    given = weights_for(layer)
    for variable, value in zip(layer.variables, given, strict=True):
        variable.assign(value)
    values = [tw.asarray(each) for each in case.values()]
    for value, mask in zip(values, case.masks(), strict=True):
        if mask is not None:
            value._keras_mask = tw.asarray(mask)
    outputs = layer(case.nested(values), **training(layer, False), **case.call)
    found = Found(outputs, getattr(outputs, "_keras_mask", None))
    if case.random:
        return found
    for step in range(STEPS):
        with tw.GradientTape() as tape:
            if case.below is None:
                tape.watch(values)
            trained = layer(case.nested(values), **training(layer, True), **case.call)
            total = weigh(trained) + sum(layer.losses)
        free = layer.trainable_variables
        sources = [*free, *(values if case.below is None else ())]
        slopes = tape.gradient(total, sources) if sources else []
        slopes = [
            tw.zeros(source.shape) if slope is None else slope
            for slope, source in zip(slopes, sources, strict=True)
        ]
        for variable, slope in zip(free, slopes, strict=False):
            variable.assign_sub(RATE * slope)
        if step == 0:
            found.trained, found.slopes = trained, slopes[: len(free)]
            found.input_slopes = slopes[len(free) :]
            found.state = [each.numpy() for each in layer.non_trainable_variables]
    found.second = [*layer.trainable_variables, *layer.non_trainable_variables]
    return found


def close(found: Any, other: Any, tolerance: float, what: str) -> None:
    """Equal nesting, shapes and types, and close values."""
    if other is None:
        assert found is None, what
        return
    if isinstance(other, (list, tuple)):
        assert len(found) == len(other), what
        for index, (one, two) in enumerate(zip(found, other, strict=True)):
            close(one, two, tolerance, f"{what}[{index}]")
        return
    ours, theirs = (np.asarray(x.numpy() if hasattr(x, "numpy") else x) for x in (found, other))
    assert ours.dtype == theirs.dtype, f"{what}: {ours.dtype} for {theirs.dtype}"
    assert ours.shape == theirs.shape, f"{what}: {ours.shape} for {theirs.shape}"
    ours, theirs = ours.astype("float64"), theirs.astype("float64")
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=what)


class Oracle:
    """What real Keras finds for all cases of a file, computed when first asked for."""

    def __init__(self, cases: Sequence[Case]):
        self.cases = list(cases)
        self._found: list[Found] | None = None
        self._has_failed = False

    def __getitem__(self, case: Case) -> Found:
        if self._found is None:
            assert not self._has_failed, "real Keras has refused a case, as an earlier test says"
            self._has_failed = True
            given = [
                (each.values(), each.masks(), weights_for(each.built(keras))) for each in self.cases
            ]

            def run(arrays: Any) -> list[Found]:
                pairs = zip(self.cases, arrays, strict=True)
                return [wanted(each, *parts) for each, parts in pairs]

            with quiet():
                self._found = jax.jit(run).lower(given).compile(OPTIONS)(given)
        return self._found[next(i for i, each in enumerate(self.cases) if each is case)]


# The checks ---------------------------------------------------------------------------------------


def config(case: Case, _: Oracle) -> None:
    """The config is real Keras', and makes an equal layer; so do the arguments by position."""
    ours, theirs = case.layer(keras), case.layer(real)
    assert ours.get_config() == theirs.get_config()
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config()
    record = keras.layers.serialize(ours)
    assert record == real.layers.serialize(theirs)
    assert keras.layers.deserialize(record).get_config() == ours.get_config()
    names = inspect.signature(type(theirs).__init__).parameters.values()
    plain = [each for each in list(names)[1:] if each.kind is each.POSITIONAL_OR_KEYWORD]
    ends = [index for index, each in enumerate(plain) if each.name == "lora_rank"]
    plain = plain[: ends[0]] if ends else plain
    given = {key: v.make(keras) if isinstance(v, Of) else v for key, v in case.settings.items()}
    rest = {key: given.pop(key) for key in list(given) if key not in {p.name for p in plain}}
    place = [given.get(each.name, each.default) for each in plain]
    if not any(each.name == "name" for each in plain):
        rest["name"] = "it"
    else:
        place[[each.name for each in plain].index("name")] = "it"
    assert type(ours)(*place, **rest).get_config() == ours.get_config()


def weights(case: Case, _: Oracle) -> None:
    """Weights have real Keras' names, paths, shapes, types and order, trainable or frozen."""
    for package in (keras, real):
        package.backend.clear_session()  # so that generators are counted alike
    ours, theirs = case.built(keras), case.built(real)

    def listed(layer: Any) -> list[tuple]:
        return [
            (each.name, each.path, tuple(each.shape), str(each.dtype), each.trainable)
            for each in layer.variables
        ]

    assert listed(ours) == listed(theirs)
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    assert ours.built and theirs.built
    assert ours.get_build_config() == theirs.get_build_config()
    assert ours.get_config() == theirs.get_config()
    for value in (False, True):
        ours.trainable = theirs.trainable = value
        assert listed(ours) == listed(theirs)
        for name in ("trainable_weights", "non_trainable_weights", "trainable_variables"):
            paths = [[w.path for w in getattr(each, name)] for each in (ours, theirs)]
            assert paths[0] == paths[1], name
    if _takes(case, "trainable"):
        frozen, other = (case.built(package, trainable=False) for package in (keras, real))
        assert [w.path for w in frozen.non_trainable_weights] == [
            w.path for w in other.non_trainable_weights
        ]
        assert frozen.trainable_weights == other.trainable_weights == []


def _takes(case: Case, name: str) -> bool:
    parameters = inspect.signature(getattr(real.layers, case.name).__init__).parameters.values()
    return any(each.name == name or each.kind is each.VAR_KEYWORD for each in parameters)


def symbols(case: Case, _: Oracle) -> None:
    """A symbolic call announces real Keras' shape and type, and those that values have."""
    with quiet(), zeros():
        theirs = case.layer(real)(case.symbols(real), **case.call)
    ours = case.layer(keras)(case.symbols(keras), **case.call)
    _agree(ours, theirs)
    layer = case.layer(keras)
    found = layer(case.nested(case.values()), **case.call)
    for symbol, value in zip(keras.tree.flatten(ours), keras.tree.flatten(found), strict=True):
        assert symbol.dtype == value.dtype.name
        assert len(symbol.shape) == value.ndim
        assert all(a in (None, b) for a, b in zip(symbol.shape, value.shape, strict=True))


def _agree(ours: Any, theirs: Any) -> None:
    """Symbols of equal type and shape; ours may know a size that theirs leave open."""
    pairs = zip(keras.tree.flatten(ours), real.tree.flatten(theirs), strict=True)
    for one, two in pairs:
        assert one.dtype == two.dtype
        assert len(one.shape) == len(two.shape)
        assert all(b in (None, a) for a, b in zip(one.shape, two.shape, strict=True)), (one, two)


def any_size(case: Case, _: Oracle) -> None:
    """A model of the layer with unknown sizes gives what the layer gives."""
    inputs = [
        keras.Input(batch_shape=each.shape, dtype=each.dtype)
        for each in keras.tree.flatten(case.symbols(keras))
    ]
    layer = case.layer(keras)
    model = keras.Model(case.nested(inputs), layer(case.nested(inputs), **case.call))
    values = case.nested(case.values())
    close(model(values), layer(values, **case.call), 0, "model")


def outputs(case: Case, oracle: Oracle) -> None:
    """Outputs, their mask, gradients and two steps of training are real Keras'."""
    ours, theirs = got(case), oracle[case]
    for name in vars(theirs):
        tolerance = case.tolerance * (1 if name in ("outputs", "mask", "trained") else 20)
        one, two = getattr(ours, name), getattr(theirs, name)
        if name == "input_slopes" and two is None:
            continue
        close(one, two, tolerance, name)


def types(case: Case, _: Oracle) -> None:
    """Under each policy weights and outputs have real Keras' types, and outputs are near."""
    base = case.built(keras)
    numbers = weights_for(base)
    _assign(base, numbers)
    reference = base(case.nested(case.values()), **case.call)
    for policy in case.policies:
        ours = case.built(keras, dtype=policy)
        if policy != "float64":  # which JAX does not have by default
            theirs = case.layer(real, dtype=policy)
            with quiet(), zeros():
                announced = theirs(case.symbols(real), **case.call)
            assert [str(v.dtype) for v in ours.variables] == [
                str(v.dtype) for v in theirs.variables
            ]
            symbolic = case.layer(keras, dtype=policy)(case.symbols(keras), **case.call)
            _agree(symbolic, announced)
            expected = announced.dtype
        else:
            expected = "float64" if case.below is None else reference.dtype.name
            expected = "float64" if ours.variables else expected
        _assign(ours, numbers)
        found = ours(case.nested(case.values()), **case.call)
        assert found.dtype.name == expected, policy
        tolerance = POLICIES[policy]
        np.testing.assert_allclose(
            found.numpy().astype("float64"),
            reference.numpy().astype("float64"),
            rtol=tolerance,
            atol=tolerance * (1 + float(np.abs(reference.numpy()).max())),
        )


def _assign(layer: Any, values: Sequence[Any]) -> None:
    for variable, value in zip(layer.variables, values, strict=True):
        variable.assign(value)


def files(case: Case, _: Oracle) -> None:
    """Own variables go to a store as real Keras puts them, and come back into an equal layer."""
    ours, theirs = case.built(keras), case.built(real)
    numbers = weights_for(ours)
    _assign(ours, numbers)
    _assign(theirs, numbers)
    own: dict[str, Any] = {}
    other: dict[str, Any] = {}
    ours.save_own_variables(own)
    theirs.save_own_variables(other)
    assert list(own) == list(other)
    for key, value in other.items():
        np.testing.assert_array_equal(np.asarray(own[key]), np.asarray(value))
    again = type(ours).from_config(ours.get_config())
    again.build_from_config(ours.get_build_config())
    again.load_own_variables({key: np.asarray(value) for key, value in own.items()})
    for one, two in zip(again._trainable_variables, ours._trainable_variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


CHECKS = (config, weights, symbols, any_size, outputs, types, files)


def checks(cases: Sequence[Case]) -> Callable:
    """A decorator that runs a test for each case and each check; it gets a function to call."""
    oracle = Oracle(cases)
    rows = [
        pytest.param(functools.partial(check, case, oracle), id=f"{case}-{check.__name__}")
        for case in cases
        for check in CHECKS
        if case.policies or check is not types
    ]
    return pytest.mark.parametrize("check", rows)
