"""Product: a layer that multiplies its inputs with a kernel, in each mode of quantization.

int8     integers times integers, divided by both scales
int4     inputs times the kernel that the integers stand for
float8   inputs and kernel rounded to eight bits, and the derivative of the outputs
gptq     inputs times the kernel that calibrated integers stand for
awq      the same, of a kernel whose rows were scaled before
"""

import math
from collections.abc import Callable
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import dtype_policies, ops
from thalweg.keras.layers.weights.quantized import Quantized
from thalweg.keras.quantizers import parts as forms

CALIBRATED_MODES = ("gptq", "awq")
FLOAT8_PARTS = ("inputs", "kernel", "outputs_grad")


class Product(Quantized):
    """activation(product(inputs, kernel) + bias).

    A subclass says what a product is and how it goes back (`_product`, `_product_back`), which axes
    of the inputs share a scale (`_input_axes`) and how such a scale lies along the outputs.
    """

    QUANTIZED_MODES = dtype_policies.QUANTIZATION_MODES
    ZERO_NAME = "kernel_zero"
    """The name, in paths, of the zeros of a calibrated kernel."""
    _input_axes: tuple[int, ...] = (-1,)

    def _product(self, inputs: Any, kernel: Any) -> Any:
        raise NotImplementedError

    def _product_back(self, dy: Any, kernel: Any) -> Any:
        """The derivative by the inputs, of that by the outputs."""
        raise NotImplementedError

    def _low_rank_product(self, inputs: Any, a: Any, b: Any) -> Any:
        """The product with a @ b."""
        return ops.matmul(self._product(inputs, a), b)

    def _along_outputs(self, scale: Any) -> Any:
        """A scale of inputs, 1 along their axes, in a shape that broadcasts with the outputs."""
        return scale

    def _matrix_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """The numbers of inputs and of outputs of a kernel of a shape."""
        inputs, outputs = shape
        return inputs, outputs

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """The numbers of inputs and of outputs of the kernel, where it is to be calibrated."""
        return self._matrix_shape(self._calibrated_shape)

    def _finished(self, y: Any, bias: Any = None) -> Any:
        """With bias and activation."""
        bias = self.bias if bias is None else bias
        y = y if bias is None else ops.add(y, bias)
        return y if self.activation is None else self.activation(y)

    @property
    def kernel(self) -> Any:
        """The kernel, with what low-rank adaptation adds; quantized, its integers."""
        return self._readable_main()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._finished(self._product(inputs, self.kernel))

    # Integers ------------------------------------------------------------------------------------

    def _int8_call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._integer_call(inputs, self._int8_product)

    def _int4_call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._integer_call(inputs, self._int4_product)

    def _integer_call(self, inputs: Any, product: Callable) -> Any:
        y = self._integer_product("kernel", inputs, product, self._product_back)
        if self.lora_enabled:
            change = self._low_rank_product(inputs, *self._low_rank_parts())
            y = ops.add(y, ops.multiply(change, self._low_rank_factor))
            y = ops.cast(y, self.compute_dtype)
        return self._finished(y)

    def _int8_product(self, inputs: Tensor, kernel: "forms.Encoded") -> Tensor:
        scale = kernel.scale
        if self.inputs_quantizer is not None:
            inputs, own = self.inputs_quantizer(inputs, axis=self._input_axes)
            scale = ops.multiply(scale, self._along_outputs(own))
        y = self._product(inputs, kernel.values)
        return ops.divide(ops.cast(y, self.compute_dtype), scale)

    def _int4_product(self, inputs: Tensor, kernel: "forms.Encoded") -> Tensor:
        floats = self._decoded("kernel", kernel)
        if self.inputs_quantizer is None:
            return self._product(inputs, floats)
        inputs, own = self.inputs_quantizer(inputs, axis=self._input_axes)
        y = self._product(ops.cast(inputs, self.compute_dtype), floats)
        return ops.divide(y, self._along_outputs(own))

    # Float8 --------------------------------------------------------------------------------------

    def _float8_call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.lora_enabled:
            raise NotImplementedError(
                explain(
                    self.name,
                    "float8 or low-rank adaptation. Currently, `_float8_call` doesn't support LoRA",
                    "both",
                )
            )
        dtype = self.compute_dtype
        operands = [
            forms.rounded_operand(x, *self._float8_state(part), dtype, training)
            for part, x in (("inputs", inputs), ("kernel", self._main))
        ]
        y = self._product(*operands)
        y = forms.rounded_derivative(y, *self._float8_state("outputs_grad"), dtype)
        bias = self.bias
        if bias is not None and dtype == "float32":
            bias = ops.cast(ops.cast(bias, "bfloat16"), dtype)
        return self._finished(y, bias)

    def _float8_state(self, part: str) -> tuple[Any, Any]:
        return getattr(self, f"{part}_scale"), getattr(self, f"{part}_amax_history")

    def _build_float8(self) -> None:
        default = dtype_policies.QuantizedFloat8DTypePolicy.default_amax_history_length
        length = getattr(self._own_policy, "amax_history_length", default)
        for part in FLOAT8_PARTS:
            for name, shape, start in (
                (f"{part}_scale", (), "ones"),
                (f"{part}_amax_history", (length,), "zeros"),
            ):
                # Trainable, because optimizers overwrite them with what comes as their gradient.
                weight = self.add_weight(
                    name=name,
                    shape=shape,
                    initializer=start,
                    dtype="float32",
                    trainable=True,
                    autocast=False,
                    overwrite_with_gradient=True,
                )
                setattr(self, name, weight)

    # Calibrated ----------------------------------------------------------------------------------

    def _gptq_call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._calibrated_call(inputs)

    def _awq_call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._calibrated_call(inputs)

    def _calibrated_call(self, inputs: Any) -> Any:
        if self._is_calibrated:
            return self._finished(self._product(inputs, self._calibrated_kernel()))
        if not hasattr(self, "_kernel"):
            raise ArgumentError(
                explain(
                    self.name,
                    f"a kernel of calibrated integers, from a file or from quantize("
                    f"{self.quantization_mode!r}, config=...)",
                    f"a layer that was made with dtype={self._own_policy.name!r}",
                )
            )
        if self._observe is not None:
            self._observe(inputs)
        return self._finished(self._product(inputs, self._kernel))

    _observe: Callable | None = None
    """What is to see the inputs while the model is calibrated."""

    @property
    def _is_calibrated(self) -> bool:
        return bool(getattr(self, f"is_{self.quantization_mode}_calibrated", False))

    def _levels(self) -> Any:
        """The integers of the calibrated kernel, one in each byte: (outputs, inputs)."""
        if self._weight_bits != 4:
            return self.quantized_kernel
        outputs = self.kernel_scale.shape[0]
        return forms.unpack_int4(self.quantized_kernel, outputs, axis=0, dtype="uint8")

    def _calibrated_kernel(self) -> Any:
        levels = ops.cast(self._levels(), self.compute_dtype)
        found = forms.dequantize_with_sz_map(
            levels, self.kernel_scale, self.kernel_zero, self.g_idx
        )
        if self.quantization_mode == "awq":
            found = ops.divide(found, self.awq_scales)
        return ops.reshape(ops.transpose(found), self._calibrated_shape)

    def _calibrated_setting(self, config: Any, name: str) -> int:
        """A setting of a calibrated mode: as configured, else as in the policy's name."""
        found = getattr(config, name, None)
        if found is None:
            found = getattr(self._own_policy, name, None)
        if found is None:
            raise ArgumentError(
                explain(
                    self.name,
                    f"`{name}`, from the configuration or the policy",
                    f"config={config}, dtype_policy={self._own_policy}",
                    "Write dtype='gptq/4/128_from_float32', or give a config.",
                )
            )
        return found

    def _build_calibrated(self, shape: tuple[int, ...], mode: str, config: Any) -> None:
        inputs, outputs = self._matrix_shape(shape)
        group_size = self._calibrated_setting(config, "group_size")
        groups = 1 if group_size == -1 else math.ceil(inputs / group_size)
        self._weight_bits = self._calibrated_setting(config, "weight_bits")
        self._calibrated_shape = shape
        setattr(self, f"is_{mode}_calibrated", False)
        rows = (outputs + 1) // 2 if self._weight_bits == 4 else outputs
        self.quantized_kernel = self._add_fixed("kernel", (rows, inputs), "uint8", "zeros")
        self.kernel_scale = self._add_fixed("kernel_scale", (outputs, groups), None, "ones")
        self.kernel_zero = self._add_fixed(self.ZERO_NAME, (outputs, groups), "uint8", "zeros")
        if mode == "awq":
            self.awq_scales = self._add_fixed("awq_scales", (inputs,), None, "ones")
        self.g_idx = self._add_fixed("g_idx", (inputs,), "float32", "zeros")

    def _calibrate(self, found: "forms.Calibrated") -> None:
        """Take the integers that a calibration found, in place of the float kernel."""
        levels = found.levels.astype("uint8")
        packed = (
            forms.pack_int4(levels, axis=0, dtype="uint8")[0] if self._weight_bits == 4 else levels
        )
        with self._open_state():
            del self._kernel
        self.quantized_kernel.assign(packed)
        self.kernel_scale.assign(found.scale)
        self.kernel_zero.assign(found.zero)
        self.g_idx.assign(found.groups)
        if found.input_scales is not None:
            self.awq_scales.assign(found.input_scales)
        setattr(self, f"is_{self.quantization_mode}_calibrated", True)

    # All modes -----------------------------------------------------------------------------------

    def _build_mode(self, shape: tuple[int, ...], mode: str, config: Any) -> None:
        if mode == "float8":
            self._build_float8()
        elif mode in CALIBRATED_MODES:
            self._build_calibrated(shape, mode, config)
        else:
            default = forms.AbsMaxQuantizer() if mode == "int8" else None
            self.inputs_quantizer = forms.QuantizationConfig.activation_quantizer_or_default(
                config, default
            )
            super()._build_mode(shape, mode, config)

    def _mode_name(self, mode: str, config: Any) -> str:
        if mode in CALIBRATED_MODES:
            return config.dtype_policy_string()
        return super()._mode_name(mode, config)

    def _check_low_rank(self) -> None:
        if self.quantization_mode in CALIBRATED_MODES:
            raise NotImplementedError(
                explain(
                    f"enable_lora of {self.name}",
                    "float weights, or int8 or int4",
                    f"lora is not currently supported with {self.quantization_mode.upper()} "
                    "quantization",
                )
            )
        super()._check_low_rank()

    def _readable_main(self) -> Any:
        is_calibrated = self.quantization_mode in CALIBRATED_MODES and self._is_calibrated
        return self._levels() if self.built and is_calibrated else super()._readable_main()

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        if self.built and self.quantization_mode in CALIBRATED_MODES:
            # What is in files has been calibrated.
            setattr(self, f"is_{self.quantization_mode}_calibrated", True)

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        calibrated = ["bias", "quantized_kernel", "kernel_scale", "kernel_zero"]
        float8_state = [
            f"{part}_{kind}" for part in FLOAT8_PARTS for kind in ("scale", "amax_history")
        ]
        found = {
            mode: ["kernel", "bias", *names[1:]]
            for mode, names in super().variable_serialization_spec.items()
        }
        return {
            **found,
            "float8": ["kernel", "bias", *float8_state],
            "gptq": [*calibrated, "g_idx"],
            "awq": [*calibrated, "awq_scales", "g_idx"],
        }
