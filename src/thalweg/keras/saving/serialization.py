"""Objects as plain data and back: what `config.json` in a `.keras` file holds.

    {module, class_name, config, registered_name [, build_config] [, compile_config]
     [, shared_object_id]}

and, for values that JSON has no form for, class_name `__tensor__`, `__numpy__`, `__bytes__`,
`__slice__`, `__ellipsis__`, `__keras_tensor__` and `__lambda__`. Reading makes nothing but
classes that the program has from their configs: no module that a file names is imported, and no
code in it is run.
"""

import base64
import marshal
import threading
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.variable import Variable as EngineVariable
from thalweg.ir.types import DType
from thalweg.keras.saving.registration import (
    CustomObjectScope,
    builtin,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    home_of,
    loaded_class,
    scoped_objects,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

PLAIN = (str, int, float, bool, type(None))
MOST_ELEMENTS = 100_000_000
"""A tensor in a config has at most so many elements."""


class ConfigError(ArgumentTypeError):
    """Data from which no object can be made."""


class _Sharing(threading.local):
    """Objects met in this walk: by identity when writing, by number when reading."""

    def __init__(self) -> None:
        self.written: dict[int, tuple[Any, dict[str, Any]]] | None = None
        self.read: dict[int, Any] | None = None
        self.is_safe = True


_sharing = _Sharing()


def record_object_after_serialization(obj: Any, config: dict[str, Any]) -> None:
    """Note an object; the second time it is met both its configs get a `shared_object_id`."""
    written = _sharing.written
    if written is None or config.get("class_name") in ("DTypePolicy", "function"):
        return
    found = written.get(id(obj))
    if found is None:
        written[id(obj)] = (obj, config)
    else:
        found[1]["shared_object_id"] = config["shared_object_id"] = id(obj)


class ObjectSharingScope:
    """Within this block an object that is met twice is written, and read, as one."""

    def __enter__(self) -> "ObjectSharingScope":
        self._former = _sharing.written, _sharing.read
        if _sharing.written is None:
            _sharing.written, _sharing.read = {}, {}
        return self

    def __exit__(self, *exception: object) -> None:
        _sharing.written, _sharing.read = self._former


def enable_unsafe_deserialization() -> None:
    """Kept for programs that call it; Python code in a file is not run even so."""
    _sharing.is_safe = False


def serialize_keras_object(obj: Any) -> Any:
    """An object as plain data that `deserialize_keras_object` reads.

    Raises ArgumentTypeError for an object without `get_config`.
    """
    if obj is None or isinstance(obj, PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        found = [serialize_keras_object(each) for each in obj]
        return found if isinstance(obj, list) else tuple(found)
    if isinstance(obj, dict):
        return {key: serialize_keras_object(each) for key, each in obj.items()}
    special = _special(obj)
    if special is not None:
        return special
    if isinstance(obj, types.FunctionType) and obj.__name__ == "<lambda>":
        return {"class_name": "__lambda__", "config": lambda_config(obj)}
    if isinstance(obj, np.generic):
        return obj.item()
    inner = _config_of(obj)
    record = _named(obj)
    record["config"] = inner
    if hasattr(obj, "get_build_config"):
        build = obj.get_build_config()
        if build is not None:
            record["build_config"] = serialize_dict(build)
    if hasattr(obj, "get_compile_config"):
        compiled = obj.get_compile_config()
        if compiled is not None:
            record["compile_config"] = serialize_dict(compiled)
    record_object_after_serialization(obj, record)
    return record


def serialize_dict(values: Mapping[str, Any]) -> dict[str, Any]:
    """A dict with its values as plain data."""
    return {key: serialize_keras_object(value) for key, value in values.items()}


def _special(obj: Any) -> dict[str, Any] | str | None:
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("latin-1")}}
    if isinstance(obj, (Tensor, EngineVariable)):
        array = np.asarray(obj.numpy())
        name = array.dtype.name
        return {"class_name": "__tensor__", "config": {"value": array.tolist(), "dtype": name}}
    if isinstance(obj, np.ndarray):
        config = {"value": obj.tolist(), "dtype": obj.dtype.name}
        return {"class_name": "__numpy__", "config": config}
    if isinstance(obj, KerasTensor):
        return keras_tensor_record(obj)
    if isinstance(obj, slice):
        config = {
            part: serialize_keras_object(getattr(obj, part)) for part in ("start", "stop", "step")
        }
        return {"class_name": "__slice__", "config": config}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, (DType, np.dtype)):
        return obj.name
    return None


def keras_tensor_record(symbol: KerasTensor) -> dict[str, Any]:
    """A KerasTensor by its shape, type and the call that made it."""
    history = getattr(symbol, "_keras_history", None)
    if history is not None:
        history = [history.operation.name, history.node_index, history.tensor_index]
    config = {"shape": list(symbol.shape), "dtype": symbol.dtype, "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def _named(obj: Any) -> dict[str, Any]:
    """module, class_name and registered_name of an object that is no plain value."""
    if isinstance(obj, types.FunctionType):
        return {
            "module": "builtins",
            "class_name": "function",
            "config": None,
            "registered_name": "function",
        }
    if isinstance(obj, types.BuiltinFunctionType):
        kind = "builtin_function_or_method"
        return {"module": "builtins", "class_name": kind, "config": None, "registered_name": kind}
    if isinstance(obj, type):
        return {
            "module": "builtins",
            "class_name": "type",
            "config": None,
            "registered_name": "type",
        }
    given = vars(type(obj)).get("_serialized_as")  # ops: `keras.src.ops.numpy`, `Add`
    if given is not None:
        return {
            "module": given[0],
            "class_name": given[1],
            "config": None,
            "registered_name": given[1],
        }
    home = home_of(type(obj))
    if home is not None:
        return {"module": home[0], "class_name": home[1], "config": None, "registered_name": None}
    cls = type(obj)
    module = cls.__module__
    return {
        "module": None if module in ("__main__", "builtins") else module,
        "class_name": cls.__name__,
        "config": None,
        "registered_name": get_registered_name(cls),
    }


def _config_of(obj: Any) -> Any:
    if isinstance(obj, (types.FunctionType, types.BuiltinFunctionType)):
        return get_registered_name(obj)
    if isinstance(obj, type):
        return obj.__name__
    if not hasattr(obj, "get_config"):
        raise ArgumentTypeError(
            explain(
                "serialize_keras_object",
                "a class that says how to make it again; to be serializable, a class must "
                "implement the `get_config()` method",
                f"{obj!r:.80} of type {type(obj)}",
                f"Add `def get_config(self)` to {type(obj).__name__}.",
            )
        )
    config = obj.get_config()
    if not isinstance(config, dict):
        raise ArgumentTypeError(
            explain(
                f"{type(obj).__name__}.get_config",
                "a dict; the `get_config()` method should return a dict",
                repr(config),
            )
        )
    return serialize_dict(config)


def lambda_config(function: types.FunctionType) -> dict[str, Any]:
    """A lambda as Keras writes it. It can be written, but is never run from a file."""
    code = base64.b64encode(marshal.dumps(function.__code__)).decode("ascii")
    closure = tuple(cell.cell_contents for cell in function.__closure__ or ()) or None
    defaults = list(function.__defaults__) if function.__defaults__ else None
    return {"code": code, "defaults": defaults, "closure": closure}


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    module_objects: Mapping[str, Any] | None = None,
    **_: Any,
) -> Any:
    """The object that plain data from `serialize_keras_object` describes.

    `custom_objects` gives classes and functions by name. Names that nobody registered, and code in
    the data, are refused with ArgumentError.
    """
    if config is None:
        return None
    if isinstance(config, str):
        return _from_name(config, custom_objects, module_objects)
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(each, custom_objects, safe_mode) for each in config]
    if module_objects is not None:
        return _of_module(config, custom_objects, safe_mode, module_objects)
    if isinstance(config, PLAIN):
        return config
    if not isinstance(config, dict):
        raise ConfigError(
            explain(
                "deserialize_keras_object", "a config", f"Could not parse config: {config!r:.80}"
            )
        )
    if "class_name" not in config or "config" not in config:
        return {
            key: deserialize_keras_object(each, custom_objects, safe_mode)
            for key, each in config.items()
        }
    name = config["class_name"]
    if not isinstance(name, str):
        raise ConfigError(
            explain("deserialize_keras_object", "the name of a class", _shortened(config))
        )
    inner = config["config"] if config["config"] is not None else {}
    if name in _SPECIAL:
        return _SPECIAL[name](inner, custom_objects, safe_mode)
    shared = _shared(config)
    if shared is not None:
        return shared
    if name == "function":
        return _function(config, custom_objects)
    if name == "type":
        return _type(str(inner))
    if not isinstance(inner, dict):
        raise _not_a(dict, name, config)
    cls = _class_of(config, custom_objects)
    if isinstance(cls, types.FunctionType):
        return cls
    if not hasattr(cls, "from_config"):
        raise ConfigError(
            explain(
                "deserialize_keras_object",
                f"a class method `from_config` in {name}",
                f"{cls}, which has none. Unable to reconstruct an instance of it",
                "Write `@classmethod def from_config(cls, config): return cls(**config)`.",
            )
        )
    with CustomObjectScope(custom_objects), SafeModeScope(safe_mode):
        instance = _instance(cls, inner, config)
        build = config.get("build_config")
        if (
            build
            and hasattr(instance, "build_from_config")
            and not getattr(instance, "built", False)
        ):
            instance.build_from_config(build)
            instance.built = True
        compiled = config.get("compile_config")
        if compiled and hasattr(instance, "compile_from_config"):
            instance.compile_from_config(compiled)
            instance.compiled = True
    number = config.get("shared_object_id")
    if number is not None and _sharing.read is not None:
        _sharing.read[number] = instance
    return instance


class SafeModeScope:
    """Within this block reading is safe or, for programs that ask, as unsafe as it ever gets."""

    def __init__(self, safe_mode: bool | None = True):
        self.safe_mode = safe_mode

    def __enter__(self) -> "SafeModeScope":
        self._former = _sharing.is_safe
        if self.safe_mode is not None:
            _sharing.is_safe = self.safe_mode
        return self

    def __exit__(self, *exception: object) -> None:
        _sharing.is_safe = self._former


def in_safe_mode() -> bool:
    """True where reading was asked to be safe, as it is by default."""
    return _sharing.is_safe


def _instance(cls: Any, inner: Any, config: dict[str, Any]) -> Any:
    try:
        return cls.from_config(inner)
    except ConfigError:
        raise  # of an object within, and it says what is wrong there
    except TypeError as error:
        reason = getattr(error, "message", error)
        raise ConfigError(
            explain(
                f"{cls.__name__}.from_config",
                "a config that fits the constructor",
                f"{_shortened(config)}",
                f"{cls} could not be deserialized properly. Please ensure that components that are "
                "Python object instances (layers, models, etc.) returned by `get_config()` are "
                f"explicitly deserialized in the model's `from_config()` method. {reason}",
            )
        ) from error


def _shortened(config: Any) -> str:
    text = repr(config)
    return text if len(text) <= 400 else f"{text[:400]}..."


def _shared(config: dict[str, Any]) -> Any:
    number = config.get("shared_object_id")
    if number is None or _sharing.read is None:
        return None
    return _sharing.read.get(number)


def _from_name(name: str, custom: Mapping[str, Any] | None, module_objects: Any) -> Any:
    found = (custom or {}).get(name, scoped_objects().get(name))
    if found is None:
        found = get_registered_object(name, custom, module_objects)
    if found is None:
        if module_objects is None:
            return name
        raise ArgumentError(
            explain(
                "deserialize_keras_object",
                f"one of {', '.join(sorted(map(str, module_objects)))}",
                f"Unknown object '{name}'",
                "Register your own with @keras.saving.register_keras_serializable().",
            )
        )
    return found


def _of_module(
    config: Any, custom: Mapping[str, Any] | None, safe_mode: bool, objects: Mapping[str, Any]
) -> Any:
    if isinstance(config, dict) and "class_name" in config and "config" in config:
        name = config["class_name"]
        if name == "function" and isinstance(config["config"], str):
            return _from_name(config["config"], custom, objects)
        if name in objects and not config.get("registered_name"):
            with CustomObjectScope(custom), SafeModeScope(safe_mode):
                found: Any = objects[name]
                is_class = isinstance(found, type)
                return found.from_config(config["config"] or {}) if is_class else found
        return deserialize_keras_object(config, custom, safe_mode)
    if isinstance(config, PLAIN):
        return config
    return deserialize_keras_object(config, custom, safe_mode)


def _class_of(config: dict[str, Any], custom: Mapping[str, Any] | None) -> Any:
    name, registered = config["class_name"], config.get("registered_name")
    for key in (registered, name):
        if not isinstance(key, str):
            continue
        for table in (custom, scoped_objects()):
            if table and key in table:
                return table[key]
        found = get_registered_object(key, custom)
        if found is not None:
            return found
    module = config.get("module")
    home = module if isinstance(module, str) else None
    found = loaded_class(home, name)
    if found is not None:
        return found
    found = builtin(home, name)
    if found is not None:
        _check_unregistered(config, name)
    if found is None:
        raise ConfigError(
            explain(
                "deserialize_keras_object",
                "classes that this program knows; could not locate class "
                f"'{name}'. Make sure custom classes and functions are decorated with "
                "`@keras.saving.register_keras_serializable()`",
                f"module={module!r}, registered_name={registered!r}: {_shortened(config)}",
                f"If the object is your own, pass custom_objects={{{name!r}: {name}}}.",
            )
        )
    return found


_ARTICLES: dict[Any, str] = {dict: "a dict", str: "a non-null str", list: "a list or a tuple"}


def _not_a(kind: type, name: str, config: dict[str, Any]) -> ConfigError:
    return ConfigError(
        explain(
            "deserialize_keras_object",
            f"other settings. Expected 'config' to be {_ARTICLES[kind]} for {name}",
            f"{type(config['config']).__name__}: {_shortened(config)}",
        )
    )


def _check_unregistered(config: dict[str, Any], *names: str) -> None:
    """Keras' own objects have no registered name: a file with one means something else."""
    registered = config.get("registered_name")
    if registered and registered not in (*names, config["class_name"]):
        raise ArgumentError(
            explain(
                "deserialize_keras_object",
                "a class that the program registered under that name",
                f"registered_name={registered!r:.80}, which is not registered; {names[0]!r} "
                "resolved to a Keras built-in",
                "Import the module that registers it, or leave the name out.",
            )
        )


def _function(config: dict[str, Any], custom: Mapping[str, Any] | None) -> Any:
    name = config["config"]
    if not isinstance(name, str):
        raise _not_a(str, "a function", config)
    found = (custom or {}).get(name, scoped_objects().get(name))
    if found is None:
        found = get_registered_object(name, custom)
    if found is None:
        found = builtin("keras.activations", name) or builtin(None, name)
        if found is not None:
            _check_unregistered(config, name)
        else:
            # Keras up to 3.6 left out the package of a registered function.
            found = next(
                (each for key, each in get_custom_objects().items() if key.endswith(f">{name}")),
                None,
            )
    if found is None:
        raise ConfigError(
            explain(
                "deserialize_keras_object",
                "functions that this program knows; could not locate function "
                f"'{name}'. Make sure custom classes and functions are decorated with "
                "`@keras.saving.register_keras_serializable()`",
                _shortened(config),
                f"If the function is your own, pass custom_objects={{{name!r}: {name}}}.",
            )
        )
    return found


def _type(name: str) -> Any:
    kinds = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "int32": np.int32}
    kinds |= {"int64": np.int64, "int8": np.int8, "uint8": np.uint8, "bool": bool}
    if name not in kinds:
        raise ArgumentError(explain("deserialize_keras_object", f"one of {', '.join(kinds)}", name))
    return kinds[name]


def _refuse_lambda(config: Any, *_: Any) -> Any:
    raise ArgumentError(
        explain(
            "deserialize_keras_object",
            "a function by its name. Requested the deserialization of a Python lambda, such as a "
            "`Lambda` layer may hold: that is arbitrary code execution, and code in a file is "
            "never run",
            "the bytecode of a `lambda`",
            "Write it as a named function, register it with "
            "@keras.saving.register_keras_serializable(), and pass it in custom_objects.",
        )
    )


def _array(config: Mapping[str, Any]) -> np.ndarray:
    array = np.array(config["value"])
    if array.size > MOST_ELEMENTS or array.dtype.kind == "O":
        raise ArgumentError(
            explain("deserialize_keras_object", "an array of numbers", _shortened(config))
        )
    return array


def _refuse_spec(config: Any, *_: Any) -> Any:
    if not isinstance(config, (list, tuple)):
        raise _not_a(list, "__typespec__", {"class_name": "__typespec__", "config": config})
    raise ArgumentError(
        explain("deserialize_keras_object", "layers and settings", "a type of TensorFlow's own")
    )


_SPECIAL: dict[str, Any] = {
    "__typespec__": _refuse_spec,
    "__tensor__": lambda config, *_: tensor(_array(config), config["dtype"]),
    "__numpy__": lambda config, *_: _array(config).astype(config["dtype"]),
    "__bytes__": lambda config, *_: config["value"].encode("latin-1"),
    "__ellipsis__": lambda *_: Ellipsis,
    "__slice__": lambda config, custom, safe: slice(
        *(
            deserialize_keras_object(config[part], custom, safe)
            for part in ("start", "stop", "step")
        )
    ),
    "__keras_tensor__": lambda config, *_: KerasTensor(config["shape"], dtype=config["dtype"]),
    "__lambda__": _refuse_lambda,
}
