"""Quantization of a model: of the layers within that have a quantized form.

int8 int4 float8   each layer by itself
gptq awq           the layers within the model's blocks, by what they see of the data
"""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.keras.quantizers.calibrated_config import CalibratedConfig
from thalweg.keras.quantizers.calibration import block_inputs, calibrate
from thalweg.keras.quantizers.config import QuantizationConfig

Filters = str | Sequence[str] | Callable[[Any], bool] | None


def quantize_layers(
    model: Any, config: QuantizationConfig, filters: Filters = None, type_check: bool = True
) -> None:
    """Quantize the model's innermost layers.

    `filters` is a pattern to find in a layer's name, several, or a function that says whether to
    take a layer. Layers with weights that have no quantized form get a warning and stay. Raises
    ArgumentError for other filters, and in a calibrated mode for a model of which no blocks are
    known.
    """
    is_chosen = _chooser(filters)
    if not isinstance(config, CalibratedConfig):
        _quantized(model._flatten_layers(), is_chosen, config, type_check)
        return
    structure = _structure(model, config)
    # The data first: what is wrong with it is to be said while the model is still as it was.
    samples = block_inputs(structure, config)
    blocks = structure["sequential_blocks"]
    # Only what data passes through on its way through the blocks can be calibrated.
    inside = {id(layer): layer for block in blocks for layer in block._flatten_layers()}
    layers = _quantized(inside.values(), is_chosen, config, type_check)
    calibrate(layers, blocks, samples, config)


def _quantized(
    layers: Iterable[Any],
    is_chosen: Callable[[Any], bool],
    config: QuantizationConfig,
    type_check: bool,
) -> list[Any]:
    """Those of the layers that could be quantized, and have been."""
    done = []
    for layer in layers:
        if len(layer._flatten_layers()) > 1 or not is_chosen(layer):
            continue
        try:
            layer.quantize(config.mode, type_check=type_check, config=config)
        except NotImplementedError as error:
            if layer.weights:
                text = f"Layer {layer.path} keeps its float weights. {error}"
                warnings.warn(text, stacklevel=outer_level())
        else:
            done.append(layer)
    return done


def _structure(model: Any, config: Any) -> dict[str, Any]:
    """The blocks of a model, as configured, or as the model itself says."""
    mode = config.mode
    found = config.quantization_layer_structure
    if found is None:
        found = model.get_quantization_layer_structure(mode)
    if found is None:
        raise ArgumentError(
            explain(
                "quantize",
                f"to know the model's blocks. For mode='{mode}', a valid quantization structure "
                "must be provided either via `config.quantization_layer_structure` or by "
                "overriding `model.get_quantization_layer_structure(mode)`. The structure should "
                "be a dictionary with keys 'pre_block_layers' and 'sequential_blocks'",
                "None from both",
            )
        )
    return found


def _chooser(filters: Filters) -> Callable[[Any], bool]:
    """Filters as a function of a layer."""
    if filters is None:
        return lambda layer: True
    if isinstance(filters, str):
        filters = (filters,)
    if isinstance(filters, (list, tuple)):
        patterns = [re.compile(each) for each in filters]
        return lambda layer: any(each.search(layer.name) for each in patterns)
    if callable(filters):
        return filters
    raise ArgumentError(
        explain(
            "quantize",
            "to know which layers. The `filters` argument must be a regex string, a list of regex "
            "strings, or a callable",
            f"{type(filters)}",
            "Write filters='dense' for layers with dense in their name.",
        )
    )
