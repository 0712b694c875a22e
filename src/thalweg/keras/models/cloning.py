"""clone_model: a model of the same layers with new weights."""

from collections.abc import Callable
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import tree
from thalweg.keras.layers.core.input_layer import Input, InputLayer
from thalweg.keras.models.functional import Functional, functional_like_constructor
from thalweg.keras.models.sequential import Sequential
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.symbol import KerasTensor


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model like another one, with layers, and so weights, of its own.

    `input_tensors` are KerasTensors to draw it from; `clone_function(layer)` makes each new layer,
    by its config if not given; `call_function(layer, *args, **kwargs)` calls it, for functional
    models only; `recursive` clones models within in the same way. A layer that is used twice stays
    one layer. Raises ArgumentError where a subclassed model is given any of these.
    """
    cache = kwargs.pop("cache", None)
    if kwargs:
        raise ArgumentError(
            explain(
                "clone_model",
                "known arguments",
                f"others. Unexpected keyword argument(s): {tuple(kwargs)}",
            )
        )
    has_extras = clone_function is not None or input_tensors is not None
    if isinstance(model, Sequential):
        if call_function is not None:
            raise ArgumentError(
                explain(
                    "clone_model",
                    "no `call_function` for a Sequential model, whose layers are listed, not "
                    "called; `call_function` argument is not supported with Sequential models",
                    f"a {type(model).__name__}",
                )
            )
        clone = _cloning(clone_function, None, recursive, cache)
        return _compiled_like(_clone_sequential(model, clone, input_tensors), model)
    if isinstance(model, Functional):
        clone = _cloning(clone_function, call_function, recursive, cache)
        copy = _clone_functional(model, clone, call_function, input_tensors)
        return _compiled_like(copy, model)
    if has_extras or call_function is not None:
        raise ArgumentError(
            explain(
                "clone_model",
                "a Functional or Sequential model for these arguments. Arguments `clone_function` "
                "and `input_tensors` are only supported for Sequential models or Functional "
                "models; Argument `call_function` is only supported for Functional models",
                f"a {type(model).__name__}",
                "Write the other model as a class, or leave these arguments out.",
            )
        )
    cls = type(model)
    return deserialize_keras_object(
        serialize_keras_object(model), custom_objects={cls.__name__: cls}
    )


def _cloning(
    clone_function: Callable | None,
    call_function: Callable | None,
    recursive: bool,
    cache: dict[int, Any] | None,
) -> Callable[[Any], Any]:
    """`clone_function` that remembers: a layer that is met again is the same clone."""
    make = clone_function or (lambda layer: type(layer).from_config(layer.get_config()))
    made: dict[int, Any] = {} if cache is None else cache

    def clone(layer: Any) -> Any:
        if id(layer) not in made:
            if recursive and isinstance(layer, (Sequential, Functional)):
                calls = None if isinstance(layer, Sequential) else call_function
                made[id(layer)] = clone_model(
                    layer, clone_function=make, call_function=calls, recursive=True, cache=made
                )
            else:
                made[id(layer)] = make(layer)
        return made[id(layer)]

    return clone


def _clone_sequential(model: Sequential, clone: Callable, input_tensors: Any) -> Sequential:
    layers = [clone(layer) for layer in model.layers]
    first = model._layers[0] if model._layers else None
    of_input: dict[str, Any] = {}
    if isinstance(first, InputLayer):
        of_input = {"name": first.name, "optional": first.optional}
    if input_tensors is not None:
        found = tree.flatten(input_tensors)
        if len(found) != 1 or not isinstance(found[0], KerasTensor):
            raise ArgumentError(
                explain(
                    "clone_model",
                    "one KerasTensor: Argument `input_tensors` must contain a single tensor and "
                    "must be a KerasTensor",
                    f"input_tensors={input_tensors!r:.200}",
                    "Make one with keras.Input(shape=...).",
                )
            )
        layers.insert(0, Input(tensor=found[0], **of_input))
    elif isinstance(first, InputLayer):
        layers.insert(0, Input(batch_shape=first.batch_shape, dtype=first.dtype, **of_input))
    return Sequential(layers, name=model.name, trainable=model.trainable)


def _clone_functional(
    model: Functional, clone: Callable, call_function: Callable | None, input_tensors: Any
) -> Any:
    if input_tensors is None:
        inputs = tree.map_structure(
            lambda x: Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), model.input
        )
    else:
        inputs = _checked_inputs(model, input_tensors)
    outputs = model._run_through_graph(inputs, clone, _call(clone, call_function))
    cls = type(model) if functional_like_constructor(type(model)) else Functional
    return cls(inputs, outputs, name=model.name)


def _call(clone: Callable, call_function: Callable | None) -> Callable | None:
    if call_function is None:
        return None
    return lambda layer, *args, **kwargs: call_function(clone(layer), *args, **kwargs)


def _checked_inputs(model: Functional, inputs: Any) -> Any:
    if not all(isinstance(each, KerasTensor) for each in tree.flatten(inputs)):
        raise ArgumentError(
            explain(
                "clone_model",
                "All entries in `input_tensors` to be KerasTensors",
                f"input_tensors={inputs!r:.200}",
                "Make them with keras.Input(shape=...).",
            )
        )
    try:
        tree.assert_same_structure(inputs, model.input)
    except ValueError:
        raise ArgumentError(
            explain(
                "clone_model",
                "`input_tensors` must have the same structure as model.input, "
                f"{tree.map_structure(lambda x: x.name, model.input)}",
                f"{tree.map_structure(lambda x: x.name, inputs)}",
            )
        ) from None
    return inputs


def _compiled_like(copy: Any, model: Any) -> Any:
    if model.compiled:
        copy.compile_from_config(model.get_compile_config())
    return copy
