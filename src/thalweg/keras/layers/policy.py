"""The types of a layer: its dtype policy, what its inputs must be, whether it passes masks on."""

from typing import TYPE_CHECKING, Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras import dtype_policies, tree
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.quantizers import parts


class LayerTypes:
    """In which types a layer keeps its weights and computes, and what its inputs must be."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    name: str
    _dtype_policy: Any
    _input_spec: Any
    _supports_masking: bool

    @property
    def dtype_policy(self) -> Any:
        """The policy of types: as it was given, so that layers within can be given it too."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = dtype_policies.get(value)
        own = self._dtype_policy
        if isinstance(own, dtype_policies.DTypePolicyMap) and self.path:
            if self.path in own:
                del own[self.path]
            own[self.path] = policy
        else:
            self._dtype_policy = policy
        is_done = not self.built or self._is_quantized or self.__dict__.get("_is_quantizing")
        if policy.quantization_mode is not None and not is_done:
            self._quantize_as(policy)

    def _quantize_as(self, policy: Any) -> None:
        """Quantize a layer that is built, since its policy became a quantized one."""
        mode = policy.quantization_mode
        if mode in parts.CALIBRATED:
            name = parts.CALIBRATED[mode].__name__
            raise ArgumentError(
                explain(
                    f"dtype_policy of {self.name}",
                    f"a policy that needs no data. Implicitly enabling {mode.upper()} "
                    f"quantization by setting `dtype_policy` to '{policy.name}' is not supported",
                    repr(policy),
                    f"Write quantize({mode!r}, config={name}(dataset, tokenizer)), on the "
                    "layer or the model.",
                )
            )
        block_size = getattr(policy, "block_size", None)
        config = None if block_size is None else parts.Int4QuantizationConfig(block_size=block_size)
        self.quantize(mode, config=config)

    @property
    def _own_policy(self) -> Any:
        """The policy of this very layer: of a map, what it says of the layer's path."""
        policy = self._dtype_policy
        is_map = isinstance(policy, dtype_policies.DTypePolicyMap)
        return policy[self.path] if is_map and self.path else policy

    @property
    def dtype(self) -> str:
        """The type in which weights are kept."""
        return self.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The type in which the layer computes."""
        return self._own_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The type in which weights are kept."""
        return self._own_policy.variable_dtype

    @property
    def input_dtype(self) -> str:
        """The type that float inputs are cast to."""
        return self.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How weights are quantized, or None."""
        return self._own_policy.quantization_mode

    @property
    def input_spec(self) -> Any:
        """What the layer asks of its inputs, checked before each call."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        for spec in tree.flatten(value):
            if spec is not None and not isinstance(spec, InputSpec):
                raise ArgumentTypeError(
                    explain(
                        self.name,
                        "layer input_spec to be an InputSpec, or several",
                        f"Layer input_spec must be an instance of InputSpec: {value}",
                    )
                )
        self._input_spec = value

    @property
    def supports_masking(self) -> bool:
        """Whether a mask of the input is also one of the output."""
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value: bool) -> None:
        self._supports_masking = value
