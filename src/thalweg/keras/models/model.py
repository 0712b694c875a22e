"""Model: a layer that can be compiled, trained, saved and summed up.

Model(inputs, outputs)     a functional model, drawn before
class MyModel(Model)       sub-layers in `__init__`, computation in `call`
"""

import inspect
import json
from collections.abc import Callable
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.layers.layer import Layer
from thalweg.keras.models import parts
from thalweg.keras.saving.registration import builtin, register_builtins
from thalweg.keras.saving.serialization import (
    ObjectSharingScope,
    deserialize_keras_object,
    serialize_keras_object,
)
from thalweg.keras.trainers.trainer import Trainer
from thalweg.keras.variable import Variable

EXPORT_FORMATS = ("tf_saved_model", "onnx", "openvino", "litert", "torch")


class Model(Trainer, Layer):
    """A layer with `compile`, `fit`, `evaluate`, `predict`, `save` and `summary`.

    Given `inputs` and `outputs` it is the functional model between them.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if _is_functional_call(args, kwargs) and cls is Model:
            return builtin("keras", "Functional").__new__(
                builtin("keras", "Functional"), *args, **kwargs
            )
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        Trainer.__init__(self)
        if _is_functional_call(args, kwargs):
            functional = builtin("keras", "Functional")
            _make_functional(type(self), functional)
            functional.__init__(self, *args, **kwargs)
        else:
            Layer.__init__(self, *args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation: tensors to tensors."""
        raise NotImplementedError(
            explain(
                type(self).__name__,
                "a method `call`",
                f"Model {type(self).__name__} does not have a `call()` method implemented.",
                "Write `def call(self, inputs): ...`, or make it as Model(inputs, outputs).",
            )
        )

    @property
    def layers(self) -> list[Layer]:
        """The layers directly within the model."""
        return list(self._flatten_layers(include_self=False, recursive=False))

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError(
            "`Model.layers` attribute is reserved and should not be used. Please use another name."
        )

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of a name or index. Raises ArgumentError where there is none."""
        if index is not None and name is not None:
            raise ArgumentError(
                explain(
                    "get_layer",
                    "a name or an index; Provide only a layer name or a layer index",
                    f"index={index}, name={name}",
                )
            )
        if index is not None:
            if len(self.layers) <= index:
                raise ArgumentError(
                    explain(
                        "get_layer",
                        f"an index below {len(self.layers)}",
                        f"Was asked to retrieve layer at index {index} but model only has "
                        f"{len(self.layers)} layers.",
                    )
                )
            return self.layers[index]
        if name is None:
            raise ArgumentError(
                explain("get_layer", "Provide either a layer name or layer index", "neither")
            )
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ArgumentError(
            explain(
                "get_layer",
                f"one of {[layer.name for layer in self.layers]}",
                f"No such layer: {name}. Existing layers are: "
                f"{[layer.name for layer in self.layers]}.",
            )
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers with their output shapes and numbers of parameters."""
        parts.print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Write the model to a `.keras` file: layers, weights, and how it was compiled."""
        parts.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None
    ) -> None:
        """Write the weights to a `.weights.h5` file, in shards of so many gigabytes if given."""
        parts.save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Read weights from a `.weights.h5` or `.keras` file."""
        parts.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def export(
        self, filepath: Any, format: str = "tf_saved_model", verbose: bool | None = None, **_: Any
    ) -> None:
        """Write the model for another runtime, which is not offered yet.

        Raises ArgumentError for a format that Keras has not, else NotImplementedError.
        """
        if format not in EXPORT_FORMATS:
            raise ArgumentError(
                explain(
                    "export",
                    f"a format among {', '.join(map(repr, EXPORT_FORMATS))}",
                    f"Unrecognized format={format}",
                )
            )
        raise NotImplementedError(
            explain(
                "export",
                "the framework of that runtime. `export_saved_model` only currently supports the "
                "tensorflow, jax and torch backends",
                f"format={format!r}",
                "Save the model with model.save('model.keras').",
            )
        )

    def quantize(
        self, mode: Any = None, config: Any = None, filters: Any = None, **kwargs: Any
    ) -> None:
        """Replace the weights of the layers within by quantized ones.

        `mode` is one of int8, int4, float8, gptq and awq, `config` a QuantizationConfig with its
        settings; `filters` is a pattern for names of layers, a list of them, or a function of a
        layer; `type_check` refuses subclasses of Keras' layers. Raises ArgumentError for a model
        that is not built, or has layers that are quantized already.
        """
        type_check = kwargs.pop("type_check", True)
        if kwargs:
            raise ArgumentError(
                explain(
                    f"quantize {self.name}",
                    "known arguments",
                    f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}",
                )
            )
        parts.quantize_layers(self, config, filters, type_check)
        # What was traced has the float weights in it.
        self.train_function = self.test_function = self.predict_function = None
        self._steps.clear()

    def get_quantization_layer_structure(self, mode: str | None = None) -> dict[str, Any] | None:
        """The blocks that gptq and awq go through; a model that has some overrides this.

        A dict of "pre_block_layers", which inputs pass first, and "sequential_blocks".
        """
        return None

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Build with the shapes of `get_build_config`."""
        if not config:
            return
        shape = config.get("input_shape")
        if shape is not None and not _is_default_of_model(self):
            super().build_from_config(config)
            return
        try:
            if shape is not None:
                self.build(_tuples(shape))
            else:
                self.build(**{key: _tuples(each) for key, each in config["shapes_dict"].items()})
            self._build_shapes_dict = config.get("shapes_dict") or {"input_shape": shape}
        except (NotImplementedError, ValueError, TypeError, KeyError):
            # What cannot be built from shapes alone is built at its first call.
            self.built = False

    def to_json(self, **kwargs: Any) -> str:
        """The model's layers, without weights, as JSON text."""
        with ObjectSharingScope():
            return json.dumps(serialize_keras_object(self), **kwargs)

    def get_config(self) -> dict[str, Any]:
        return Layer.get_config(self)

    get_config.is_automatic = True  # type: ignore[attr-defined]

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        functional = builtin("keras", "Functional")
        is_functional = {"name", "layers", "input_layers", "output_layers"} <= set(config)
        if is_functional and (cls is Model or issubclass(cls, functional) or _takes_graph(cls)):
            return _functional_from_config(
                cls if cls is not Model else functional, config, custom_objects
            )
        return Layer.from_config.__func__(cls, config)  # type: ignore[attr-defined]

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """The state as nested dicts by path, in four parts. `value_format`: backend_tensor or
        numpy_array.
        """
        variables = {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": self.optimizer.variables if self._has_optimizer() else [],
            "metrics_variables": self.metrics_variables,
        }
        convert = _CONVERSIONS.get(value_format)
        if convert is None:
            raise ArgumentError(
                explain(
                    "get_state_tree",
                    f"Invalid `value_format` argument; one of {sorted(_CONVERSIONS)}",
                    f"value_format={value_format}",
                )
            )
        return {key: _nested(each, convert) for key, each in variables.items()}

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Assign a state as `get_state_tree` gives it."""
        for key, values in state_tree.items():
            if key == "optimizer_variables":
                own = self.optimizer.variables if self._has_optimizer() else []
            elif key in ("trainable_variables", "non_trainable_variables", "metrics_variables"):
                own = getattr(self, key)
            else:
                raise ArgumentError(
                    explain(
                        "set_state_tree",
                        "the four parts of a state",
                        f"Unknown variable name: {key}",
                    )
                )
            by_path = {variable.path: variable for variable in own}
            for path, value in _flat(values).items():
                if path not in by_path:
                    raise ArgumentError(
                        explain("set_state_tree", f"paths among {sorted(by_path)}", repr(path))
                    )
                by_path[path].assign(value)

    def _has_optimizer(self) -> bool:
        return getattr(self, "optimizer", None) is not None


_CONVERSIONS: dict[str, Callable[[Variable], Any]] = {
    "backend_tensor": lambda variable: variable.value,
    "numpy_array": lambda variable: variable.numpy(),
}


def _nested(variables: list[Variable], convert: Callable) -> dict[str, Any]:
    found: dict[str, Any] = {}
    paths: set[str] = set()
    for variable in variables:
        if variable.path in paths:
            raise ArgumentError(
                explain(
                    "get_state_tree",
                    "a path of its own for each variable",
                    "The following variable path is found twice in the model: "
                    f"'{variable.path}'. `get_state_tree()` can only be called when all variable "
                    "paths are unique.",
                )
            )
        paths.add(variable.path)
        place = found
        *folders, last = variable.path.split("/")
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = convert(variable)
    return found


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}/{key}" if prefix else key
        if isinstance(value, dict):
            found.update(_flat(value, path))
        else:
            found[path] = value
    return found


def _tuples(shape: Any) -> Any:
    if isinstance(shape, (list, tuple)):
        if all(each is None or isinstance(each, int) for each in shape):
            return tuple(shape)
        return [_tuples(each) for each in shape]
    if isinstance(shape, dict):
        return {key: _tuples(each) for key, each in shape.items()}
    return shape


def _is_default_of_model(model: Model) -> bool:
    return type(model).build is Layer.build


def _is_functional_call(args: tuple, kwargs: dict[str, Any]) -> bool:
    return (
        len(args) == 2
        or (len(args) == 1 and "outputs" in kwargs)
        or ("inputs" in kwargs and "outputs" in kwargs)
    )


def _make_functional(cls: type, functional: type) -> None:
    """Let a user's class that is made from inputs and outputs derive from Functional.

    Class MyModel(Model) -> class MyModel(Functional), and so for the classes between.
    """
    if cls is functional or issubclass(cls, functional):
        return
    if Model in cls.__bases__:
        cls.__bases__ = tuple(functional if base is Model else base for base in cls.__bases__)
        return
    for base in cls.__bases__:
        if issubclass(base, Model):
            _make_functional(base, functional)


def _takes_graph(cls: type) -> bool:
    found = inspect.getfullargspec(cls.__init__)  # type: ignore[misc]
    takes_all = found.varargs is not None and found.varkw is not None
    return found.args[1:3] == ["inputs", "outputs"] or takes_all


def _functional_from_config(cls: Any, config: dict[str, Any], custom_objects: Any) -> Any:
    functional = builtin("keras", "Functional")
    return functional.from_config.__func__(cls, config, custom_objects)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model of a JSON text from `to_json`, with new weights."""
    config = json.loads(json_string)
    with ObjectSharingScope():
        return deserialize_keras_object(config, custom_objects=custom_objects)


register_builtins("keras", {"Model": Model})
register_builtins("keras.models", {"Model": Model})
