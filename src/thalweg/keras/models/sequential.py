"""Sequential: a model that is a list of layers."""

import contextlib
import copy
from typing import Any

from thalweg.base.errors import ArgumentError, ThalwegError, explain
from thalweg.keras import tree
from thalweg.keras.layers.core.input_layer import InputLayer
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import NOT_BUILT, Layer
from thalweg.keras.models.functional import Functional
from thalweg.keras.models.model import Model
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.symbol import KerasTensor


class Sequential(Model):
    """A list of layers, each called on what the one before gave.

    With an `Input` first, or a layer that knows its input's shape, it is built at once; else at the
    first call.
    """

    _functional: Functional | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return Layer.__new__(cls)

    def __init__(
        self, layers: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any
    ):
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._draw_on(None)
        self.__dict__["_arguments"] = ((), {})
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._maybe_rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer at the end. Raises ArgumentError for what is no layer or a second input."""
        if not self._layers and getattr(layer, "_input_shape_arg", None) is not None:
            self.add(InputLayer(shape=layer._input_shape_arg))
        history = getattr(layer, "_keras_history", None)
        if history is not None:
            layer = history.operation
            if not isinstance(layer, InputLayer):
                raise _not_a_layer(layer)
        if not isinstance(layer, Layer):
            raise _not_a_layer(layer)
        if any(each.name == layer.name for each in self._layers):
            raise ArgumentError(
                explain(
                    self.name,
                    "layers that should have unique names; All layers added to a Sequential model "
                    "should have unique names",
                    f"Name '{layer.name}' is already the name of a layer in this model.",
                    "Update the `name` argument to pass a unique name.",
                )
            )
        if isinstance(layer, InputLayer) and self._layers:
            if isinstance(self._layers[0], InputLayer):
                received = (
                    f"Sequential model '{self.name}' has already been configured to use input "
                )
                received += f"shape {self._layers[0].batch_shape}. You cannot add a different Input"
            else:
                received = "an Input after other layers"
            raise ArgumentError(explain(self.name, "one Input, as the first layer", received))
        self._layers.append(layer)
        if rebuild:
            self._maybe_rebuild()
        else:
            self.built = False
            self._draw_on(None)

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer away; returns it."""
        layer = self._layers.pop()
        self.built = False
        self._draw_on(None)
        if rebuild:
            self._maybe_rebuild()
        return layer

    def _lock_state(self) -> None:
        """Layers may be added at any time."""

    def _draw_on(self, functional: Functional | None) -> None:
        """Take the drawn model, which is no layer of this one: it has the same layers."""
        self.__dict__["_functional"] = functional

    def _maybe_rebuild(self) -> None:
        self.built = False
        self._draw_on(None)
        if not self._layers:
            return
        first = self._layers[0]
        if isinstance(first, InputLayer):
            if len(self._layers) > 1:
                self.build(first.batch_shape)
        elif hasattr(first, "input_shape") and first.built:
            with contextlib.suppress(AttributeError):
                self.build(first.input_shape)

    def build(self, input_shape: Any = None) -> Any:
        """Draw the model for inputs of a shape, the batch axis included."""
        try:
            shape = _standardized(input_shape)
        except (ValueError, TypeError):
            return NOT_BUILT
        if not self._layers:
            raise ArgumentError(
                explain(
                    self.name,
                    "at least one layer",
                    f"Sequential model {self.name} cannot be built because it has no layers. Call "
                    "`model.add(layer)`.",
                )
            )
        first = self._layers[0]
        if isinstance(first, InputLayer):
            if shape is not None and first.batch_shape != shape:
                raise ArgumentError(
                    explain(
                        self.name,
                        f"an input of shape {first.batch_shape}",
                        f"Sequential model '{self.name}' has already been configured to use input "
                        f"shape {first.batch_shape}. You cannot build it with input_shape "
                        f"{input_shape}",
                    )
                )
        else:
            dtype = first.compute_dtype
            if first.input_spec is not None:
                spec = tree.flatten(first.input_spec)[0]
                dtype = getattr(spec, "dtype", None) or dtype
            self._layers.insert(0, InputLayer(batch_shape=shape, dtype=dtype))
        self._draw()
        return None

    def _draw(self) -> None:
        inputs = self._layers[0].output
        x = inputs
        for layer in self._layers[1:]:
            try:
                x = layer(x)
            except NotImplementedError:
                # A layer that cannot be drawn: the model runs layer by layer instead.
                return
            except TypeError as error:
                parameters = list(layer._call_signature.parameters.values())
                needed = [p for p in parameters if p.default is p.empty and p.kind < 2]
                if len(needed) > 1:
                    raise ArgumentError(
                        explain(
                            self.name,
                            "layers with a single input",
                            f"Layers added to a Sequential model can only have a single "
                            f"positional argument, the input tensor. Layer "
                            f"{type(layer).__name__} has multiple positional arguments: "
                            f"{[p.name for p in needed]}",
                        )
                    ) from error
                raise
        functional = Functional(inputs=inputs, outputs=x)
        # Which sizes fit is for the layers to judge: Dense takes any number of steps.
        functional.input_spec = InputSpec()
        self._draw_on(functional)
        self.built = True
        self._build_shapes_dict = {"input_shape": inputs.shape}

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """The output of the last layer."""
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask, **kwargs)
        for layer in self.layers:
            context = {"training": training, **kwargs}
            given = {key: each for key, each in context.items() if each is not None}
            given = {key: each for key, each in given.items() if key in layer._call_names}
            if mask is not None and layer._call_has_mask_arg:
                given["mask"] = mask
            inputs = layer(inputs, **given)
            mask = tree.map_structure(lambda x: getattr(x, "_keras_mask", None), inputs)
            if all(each is None for each in tree.flatten(mask)):
                mask = None
        return inputs

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        found = self._layers
        return list(found[1:] if found and isinstance(found[0], InputLayer) else found)

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError(
            "`Sequential.layers` attribute is reserved and should not be used. Use `add()` and "
            "`pop()` to change the layers in this model."
        )

    def compute_output_spec(
        self, inputs: Any, training: Any = None, mask: Any = None, **_: Any
    ) -> Any:
        if self._functional is not None:
            return self._functional.compute_output_spec(inputs, training=training)
        for layer in self.layers:
            inputs = layer.compute_output_spec(inputs)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._functional is not None:
            return self._functional.compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def _drawn(self, what: str) -> Functional:
        if self._functional is None:
            raise AttributeError(
                f"Sequential model '{self.name}' has no defined {what} yet. Call it on data, or "
                "build it with an input shape."
            )
        return self._functional

    @property
    def input_shape(self) -> Any:
        """The shape of the input."""
        return self._drawn("input shape").input_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output."""
        return self._drawn("output shape").output_shape

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input symbol, in a list."""
        return self._drawn("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output symbol, in a list."""
        return self._drawn("outputs").outputs

    @property
    def input(self) -> Any:
        """The input symbol."""
        return self._drawn("input").input

    @property
    def output(self) -> Any:
        """The output symbol."""
        return self._drawn("output").output

    @property
    def input_dtype(self) -> str:
        """The element type of the input."""
        first = self._layers[0] if self._layers else None
        return first.dtype if isinstance(first, InputLayer) else super().input_dtype

    @property
    def output_names(self) -> list[str]:
        """The name of the last layer, in a list."""
        return self._drawn("output names").output_names

    def get_config(self) -> dict[str, Any]:
        config = Layer.get_config(self)
        config = {key: config[key] for key in ("name", "trainable", "dtype")}
        config["layers"] = [serialize_keras_object(layer) for layer in self._layers]
        if self._functional is not None:
            config["build_input_shape"] = self._layers[0].batch_shape
        return copy.deepcopy(config)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Sequential":
        if isinstance(config, list):
            config = {"name": None, "layers": config}
        if "name" not in config or "layers" not in config:
            raise ArgumentError(
                explain(
                    "Sequential.from_config",
                    "a name and a list of layers. A Sequential model configuration must be a "
                    "dictionary containing the 'name' and 'layers' keys",
                    f"the keys {list(config)}",
                )
            )
        name, shape = config["name"], config.get("build_input_shape")
        model = cls(name=name)
        for record in config["layers"]:
            if not isinstance(record, dict) or "config" not in record:
                raise ArgumentError(
                    explain(
                        "Sequential.from_config",
                        "a config for each layer. Expected a dictionary containing a 'config' key",
                        f"{record!r:.200}",
                    )
                )
            if "module" not in record:
                record = dict(record, module="keras.layers", registered_name=None)
            model.add(
                deserialize_keras_object(record, custom_objects=custom_objects), rebuild=False
            )
        model._maybe_rebuild()
        if not model._functional and shape and isinstance(shape, (list, tuple)):
            with contextlib.suppress(ThalwegError):
                model.build(tuple(shape))
        if config.get("trainable") is False:
            model.trainable = False
        return model


def _standardized(shape: Any) -> tuple[int | None, ...] | None:
    if shape is None:
        return None
    found = tuple(shape)
    if not all(each is None or isinstance(each, int) for each in found):
        raise TypeError
    return found


def _not_a_layer(value: Any) -> ArgumentError:
    return ArgumentError(
        explain(
            "Sequential.add",
            "a layer; Only instances of `keras.Layer` can be added to a Sequential model",
            f"{value!r:.60} (of type {type(value)})",
        )
    )


register_builtins("keras", {"Sequential": Sequential})
