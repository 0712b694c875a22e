"""Comparing layers with real Keras' of the same settings and weights: results, derivatives, config.

All cases of a file are compiled as one JAX program, quickly and badly: it runs once.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg import keras

OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers as float32."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("float32")


def booleans(*rows: str) -> np.ndarray:
    """A mask of rows of 1 and 0."""
    return np.array([[each == "1" for each in row] for row in rows])


@dataclass(frozen=True)
class Case:
    """A call of the layer that `make(keras.layers)` gives: positional and keyword arguments.

    `is_list` says that the layer takes its inputs as one list; `settings` are keyword arguments
    that are no arrays.
    """

    name: str
    make: Callable[[Any], Any]
    inputs: tuple
    arrays: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_list: bool = False
    tolerance: float = 2e-5

    def __str__(self) -> str:
        return self.name

    def built(self, package: Any) -> Any:
        """The layer of a package, with weights that follow from their shapes."""
        layer = self.make(package.layers)
        shapes = [np.shape(each) for each in self.inputs]
        layer.build(shapes) if self.is_list else layer.build(*shapes)
        layer.built = True
        layer.set_weights(self.weights(layer))
        return layer

    @staticmethod
    def weights(layer: Any) -> list[np.ndarray]:
        return [0.5 * numbers(*w.shape, seed=place) for place, w in enumerate(layer.weights)]

    def called(self, layer: Any, trainable: Sequence[Any], inputs: Sequence[Any]) -> Any:
        """What the layer gives with these weights."""
        state = [variable.value for variable in layer.non_trainable_variables]
        args = [list(inputs)] if self.is_list else inputs
        outputs, _ = layer.stateless_call(trainable, state, *args, **self.arrays, **self.settings)
        return outputs


def _total(leaves: Sequence[Any], ops: Any) -> Any:
    """One number that depends on each element of the results in a way of its own."""
    found = 0
    for leaf in leaves:
        factors = np.cos(np.arange(int(np.prod(leaf.shape)))).reshape(leaf.shape)
        found = found + ops.sum(ops.cast(leaf, "float32") * factors.astype("float32"))
    return found


@dataclass(frozen=True)
class Found:
    """The results of a call, flat, and derivatives by weights and by inputs."""

    outputs: list[np.ndarray]
    by_weights: list[np.ndarray]
    by_inputs: list[np.ndarray]


class Beside:
    """The cases of a file, and what real Keras gives for them, computed at the first question."""

    def __init__(self, cases: Sequence[Case]):
        self.cases = {case.name: case for case in cases}
        self._theirs: dict[str, Found] = {}
        self.layers: dict[str, Any] = {}

    def theirs(self, case: Case) -> Found:
        if not self._theirs:
            self._compute()
        return self._theirs[case.name]

    def _compute(self) -> None:
        self.layers = {name: case.built(real) for name, case in self.cases.items()}

        def everything(weights: Any, inputs: Any) -> Any:
            total, outputs = 0, {}
            for name, case in self.cases.items():
                found = case.called(self.layers[name], weights[name], inputs[name])
                outputs[name] = jax.tree_util.tree_leaves(found)
                total = total + _total(outputs[name], real.ops)
            return total, outputs

        weights = {
            name: [variable.value for variable in layer.trainable_variables]
            for name, layer in self.layers.items()
        }
        inputs = {name: list(case.inputs) for name, case in self.cases.items()}
        program = jax.jit(jax.value_and_grad(everything, argnums=(0, 1), has_aux=True))
        compiled = program.lower(weights, inputs).compile(compiler_options=OPTIONS)
        (_, outputs), (by_weights, by_inputs) = compiled(weights, inputs)
        for name in self.cases:
            parts = (outputs[name], by_weights[name], by_inputs[name])
            self._theirs[name] = Found(*([np.asarray(x, "float32") for x in p] for p in parts))

    def check(self, case: Case) -> None:
        """Compare values, called plainly and traced, and derivatives; config and shapes."""
        theirs = self.theirs(case)
        layer = case.built(keras)
        args = [list(case.inputs)] if case.is_list else case.inputs
        plain = keras.tree.flatten(layer(*args, **case.arrays, **case.settings))

        def total(weights: list, inputs: list) -> tuple[Any, list]:
            outputs = keras.tree.flatten(case.called(layer, weights, inputs))
            return _total(outputs, keras.ops), outputs

        program = tw.value_and_grad(total, argnums=(0, 1), has_aux=True)
        weights = [variable.value for variable in layer.trainable_variables]
        (_, outputs), (by_weights, by_inputs) = program(
            weights, [tw.asarray(each) for each in case.inputs]
        )
        for found, wanted in (
            (plain, theirs.outputs),
            (outputs, theirs.outputs),
            (by_weights, theirs.by_weights),
            (by_inputs, theirs.by_inputs),
        ):
            assert len(found) == len(wanted)
            for x, y in zip(found, wanted, strict=True):
                assert tuple(x.shape) == y.shape
                close(np.asarray(x.numpy(), "float32"), y, case.tolerance)
        self.check_config(case, layer)

    def check_config(self, case: Case, layer: Any) -> None:
        """Compare configs, names, orders and shapes of weights, and a layer made of the config."""
        fresh = case.make(keras.layers)
        assert plain_config(fresh) == plain_config(case.make(real.layers))
        assert plain_config(type(fresh).from_config(fresh.get_config())) == plain_config(fresh)
        twin = self.layers[case.name]
        for ours, theirs in ((layer.weights, twin.weights), (layer.variables, twin.variables)):
            assert [tuple(w.shape) for w in ours] == [tuple(w.shape) for w in theirs]
            assert [w.name for w in ours] == [w.name for w in theirs]
        assert [w.path for w in layer.weights] == [w.path for w in twin.weights]


def close(x: np.ndarray, y: np.ndarray, tolerance: float = 2e-5) -> None:
    """Assert that arrays are equal within a tolerance relative to the largest element."""
    scale = max(1.0, float(np.abs(y).max(initial=0)))
    np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * scale)


def plain_config(layer: Any) -> Any:
    """A layer's config, tuples as lists, as a file would hold it."""
    return _plain(layer.get_config())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def check_signatures(name: str) -> None:
    """Compare the arguments and defaults of a layer's methods with those of real Keras'."""
    ours, theirs = getattr(keras.layers, name), getattr(real.layers, name)
    for method in ("__init__", "call", "build", "compute_output_shape", "compute_output_spec"):
        if method in vars(theirs):
            assert _parameters(getattr(ours, method)) == _parameters(getattr(theirs, method))
    own = [base for base in theirs.__mro__ if base is not real.layers.Layer]
    own = own[: next(i for i, base in enumerate(own) if issubclass(real.layers.Layer, base))]
    public = {each for base in own for each in vars(base) if not each.startswith("_")}
    assert not public - set(dir(ours))


def _parameters(method: Any) -> list[tuple[str, Any]]:
    found = inspect.signature(method).parameters.values()
    return [(each.name, each.default) for each in found]
