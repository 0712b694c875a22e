"""Settings as files of Keras 2 and legacy `.h5` files write them, in today's form and back.

    before     {class_name, config}                  class_name may be "package>Name"
    today      {module, class_name, config, registered_name}

Keras 2 also wrote arguments that layers no longer have; they are dropped where they say nothing.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.keras.saving.registration import builtin, has_builtin

SPACES = (
    "keras.layers",
    "keras",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.optimizers.schedules",
    "keras.optimizers",
    "keras.losses",
    "keras.metrics",
)
"""Where a class without a module is looked for, in this order."""

SPACES_OF_KEYS = {
    "initializer": "keras.initializers",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
    "loss": "keras.losses",
    "metrics": "keras.metrics",
    "optimizer": "keras.optimizers",
}
"""Where first, by the last word of the argument: `Identity` is a layer and an initializer."""

OPS = tuple(f"keras.src.ops.{name}" for name in ("numpy", "nn", "math", "linalg", "image", "core"))
"""Where ops are: they have layers' names, and none of the settings that all layers have."""

OF_LAYERS = {"trainable", "dtype", "batch_shape", "batch_input_shape"}

NEW_NAMES = {
    "Policy": ("keras", "DTypePolicy"),
    "Model": ("keras", "Functional"),
    "GroupedQueryAttention": ("keras.layers", "GroupQueryAttention"),
}

NEW_ARGUMENTS = {"lr": "learning_rate"}

OBSOLETE: dict[str, tuple[Any, ...]] = {
    "groups": (1,),
    "time_major": (False,),
    "implementation": (0, 1, 2),
    "dynamic": (False,),
    "sparse": (False, None),
    "ragged": (False, None),
    "fused": (None, True, False),
    "renorm": (False,),
    "renorm_clipping": (None, {}),
    "renorm_momentum": (0.99,),
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "experimental_autocast": (True,),
    "jit_compile": (True, False),
    "is_legacy_optimizer": (True, False),
    "decay": (0, None),
}
"""Arguments that there once were, and the values of them that said nothing."""

UNUSED = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
"""Arguments that depthwise convolutions had from their base class and did not look at."""

LAMBDA_PARTS = ("module", "function_type", "output_shape_type", "output_shape_module")


def modern(value: Any, space: str | None = None) -> Any:
    """A config in today's form; `space` is where classes are looked for first."""
    if isinstance(value, list):
        return [modern(each, space) for each in value]
    if not isinstance(value, dict):
        return value
    name = value.get("class_name")
    if name == "__tuple__":
        return tuple(modern(each, space) for each in value["items"])
    if name == "TensorShape":
        return value["items"]
    if not isinstance(name, str) or "config" not in value:
        return {key: modern(each, _space_of(key) or space) for key, each in value.items()}
    if value.get("module") is not None or name.startswith("__"):
        return value
    return _modern_object(value, name, space)


def _modern_object(value: dict[str, Any], name: str, space: str | None) -> dict[str, Any]:
    inner = value["config"]
    module, class_name = _home(name, space, inner)
    if class_name == "Sequential" and isinstance(inner, list):
        inner = {"name": "sequential", "layers": inner}
    if not isinstance(inner, dict):
        raise ArgumentTypeError(
            explain("load a legacy model", f"the settings of {name} as a dict", f"{inner!r:.80}")
        )
    config = {key: modern(each, _space_of(key)) for key, each in inner.items()}
    cls = builtin(module, class_name)
    if cls is not None:
        config = _modern_arguments(cls, class_name, config)
    record = {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": name if ">" in name else None,
    }
    if "name" in value:
        record["name"] = value["name"]
    if "inbound_nodes" in value:
        record["inbound_nodes"] = value["inbound_nodes"]
    return record


def _home(name: str, space: str | None, config: Any) -> tuple[str | None, str]:
    if ">" in name:
        return None, name.rpartition(">")[2]
    if name in NEW_NAMES:
        return NEW_NAMES[name]
    is_op = space is None and isinstance(config, dict) and not OF_LAYERS & set(config)
    for module in (*(OPS if is_op else ()), space or SPACES[0], *SPACES):
        if has_builtin(module, name):
            return module, name
    return None, name


def _space_of(key: str) -> str | None:
    return SPACES_OF_KEYS.get(key.rpartition("_")[2])


def _modern_arguments(cls: Any, class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    known = _arguments(cls)
    found = {
        key if key in known else NEW_ARGUMENTS.get(key, key): each for key, each in config.items()
    }
    shape = found.pop("batch_input_shape", None)
    if shape is not None and class_name == "InputLayer":
        found.setdefault("batch_shape", shape)
    axis = found.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        found["axis"] = axis[0]
    if class_name == "Lambda":
        found = {key: each for key, each in found.items() if key not in LAMBDA_PARTS}
        if isinstance(found.get("function"), list):
            found["function"] = {"class_name": "__lambda__", "config": {}}
    return {key: each for key, each in found.items() if not _is_gone(key, each, known)}


def _is_gone(key: str, value: Any, known: set[str]) -> bool:
    if key in known:
        return False
    if key in UNUSED:
        return any(each.startswith("depthwise") for each in known)
    return key in OBSOLETE and any(value == each for each in OBSOLETE[key])


def _arguments(cls: Any) -> set[str]:
    found: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            found |= set(inspect.signature(vars(base)["__init__"]).parameters)
    return found


# ---- back ----------------------------------------------------------------------------------------


def legacy(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's config with its layers as legacy files have them."""
    found = dict(config)
    if isinstance(found.get("layers"), (list, tuple)):
        found["layers"] = [_legacy_object(each) for each in found["layers"]]
    return found


def _legacy_object(record: Any) -> Any:
    if not isinstance(record, dict) or "class_name" not in record:
        return record
    if record.get("module") in OPS:
        return record
    inner = record.get("config")
    made = {
        "class_name": record.get("registered_name") or record["class_name"],
        "config": legacy(inner) if isinstance(inner, dict) else inner,
    }
    kept = {key: record[key] for key in ("name", "inbound_nodes") if key in record}
    return {**made, **kept}
