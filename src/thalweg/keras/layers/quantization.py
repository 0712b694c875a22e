"""What every layer has to do with quantization: who may be quantized, and which call runs."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.dtype_policies.quantized import QUANTIZATION_MODES
from thalweg.keras.quantizers import parts


def quantizing(quantize: Any) -> Any:
    """A `quantize` that is given a configuration, once, for a layer that is built."""

    @functools.wraps(quantize)
    def wrapper(self: Any, mode: Any = None, config: Any = None, **kwargs: Any) -> Any:
        if self.__dict__.get("_is_quantizing"):  # super().quantize(...)
            return quantize(self, mode, config=config, **kwargs)
        config = parts.resolved(mode, config)
        self._check_quantize_args(config.mode, self.compute_dtype)
        self.__dict__["_is_quantizing"] = True
        try:
            with self._open_state():
                return quantize(self, config.mode, config=config, **kwargs)
        finally:
            del self.__dict__["_is_quantizing"]

    return wrapper


class LayerQuantization:
    """A layer that is not quantized; those that can be override `quantize` and the calls."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    name: str
    built: bool
    quantization_mode: str | None
    _is_quantized = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "quantize" in vars(cls):
            cls.quantize = quantizing(vars(cls)["quantize"])  # type: ignore[method-assign]

    @contextmanager
    def _open_state(self) -> Iterator[None]:
        """Within this block weights may be added and removed."""
        message = self._tracker.message
        self._tracker.unlock()
        try:
            yield
        finally:
            self._tracker.message = message

    def quantized_build(self, input_shape: Any, mode: Any) -> Any:
        """Make the weights of a mode; layers without a quantized form refuse."""
        raise self._not_implemented_error("quantized_build")

    @quantizing
    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> Any:
        """Replace the weights by quantized ones; layers without a quantized form refuse.

        `mode` is one of int8, int4, float8, gptq and awq, `config` a QuantizationConfig with its
        settings; `type_check` refuses subclasses of Keras' layers. Raises ArgumentError for a
        layer that is not built or quantized already.
        """
        raise self._not_implemented_error("quantize")

    def _check_quantize_args(self, mode: str, compute_dtype: str) -> None:
        if not self.built:
            raise ArgumentError(
                explain(
                    f"quantize {self.name}",
                    "a layer that is built. Cannot quantize a layer that isn't yet built.",
                    f"Layer '{self.name}' (of type '{type(self).__name__}') is not built yet",
                    "Call it on data, or build it, before.",
                )
            )
        if self._is_quantized:
            raise ArgumentError(
                explain(
                    f"quantize {self.name}",
                    "a layer with float weights",
                    f"Layer '{self.name}' is already quantized with "
                    f"dtype_policy='{self.dtype_policy.name}', and mode={mode}",
                )
            )
        if mode == "int8" and compute_dtype == "float16":
            raise ArgumentError(
                explain(
                    f"quantize {self.name}",
                    "a compute type that holds sums of products. Quantization mode='int8' doesn't "
                    "work well with compute_dtype='float16'",
                    f"dtype_policy='{self.dtype_policy.name}'",
                    "Load the model with dtype='mixed_bfloat16' before.",
                )
            )

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation with the quantized weights of the layer's mode."""
        mode = self.quantization_mode
        if mode not in QUANTIZATION_MODES:
            raise self._quantization_mode_error(mode)
        return getattr(self, f"_{mode}_call")(*args, **kwargs)

    def _active_call(self) -> Callable:
        """What a call runs: `call`, or where the layer has a form for its mode `quantized_call`."""
        mode = self.quantization_mode
        if mode is None:
            return self.call
        cls, name = type(self), f"_{mode}_call"
        has_form = getattr(cls, name, None) is not getattr(LayerQuantization, name, None)
        has_own = cls.quantized_call is not LayerQuantization.quantized_call
        return self.quantized_call if has_form or has_own else self.call

    def _int8_call(self, *args: Any, **kwargs: Any) -> Any:
        raise self._not_implemented_error("_int8_call")

    def _int4_call(self, *args: Any, **kwargs: Any) -> Any:
        raise self._not_implemented_error("_int4_call")

    def _float8_call(self, *args: Any, **kwargs: Any) -> Any:
        raise self._not_implemented_error("_float8_call")

    def _gptq_call(self, *args: Any, **kwargs: Any) -> Any:
        raise self._not_implemented_error("_gptq_call")

    def _awq_call(self, *args: Any, **kwargs: Any) -> Any:
        raise self._not_implemented_error("_awq_call")

    def _quantization_mode_error(self, mode: Any) -> NotImplementedError:
        modes = getattr(self, "QUANTIZED_MODES", QUANTIZATION_MODES)
        return NotImplementedError(
            explain(
                type(self).__name__,
                f"a mode it has. Invalid quantization mode. Expected one of {modes}",
                f"quantization_mode={mode}",
            )
        )

    def _not_implemented_error(self, method: Any) -> NotImplementedError:
        name = getattr(method, "__name__", method)
        return NotImplementedError(
            explain(
                type(self).__name__,
                f"a method `{name}`",
                f"Layer {type(self).__name__} does not have a `{name}` method implemented.",
            )
        )
