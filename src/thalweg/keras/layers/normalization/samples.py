"""Normalisations of each sample by itself: Layer, Group, RMS, Unit; and of weights: Spectral."""

from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras import constraints, initializers, ops, regularizers
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.layers.core.passing import Wrapper
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer


def _wide(dtype: Any) -> str:
    """The type to compute moments in."""
    name = standardize_dtype(dtype)
    return "float32" if name in ("float16", "bfloat16") else name


def _axes(layer: str, axis: Any) -> Any:
    """An axis, or several as a list. Raises ArgumentTypeError for anything else."""
    if isinstance(axis, (list, tuple)):
        return list(axis)
    if isinstance(axis, int):
        return axis
    raise ArgumentTypeError(
        explain(
            layer,
            "an integer or a list of them; Invalid value for `axis` argument: expected an int or a "
            "list/tuple of ints. Expected an int or a list/tuple of ints for the argument 'axis'",
            f"axis={axis!r}",
        )
    )


def _in_order(axis: Any) -> list[int]:
    """The axes as weights have them: sorted as they were written, so that -1 comes before 1."""
    return sorted(axis) if isinstance(axis, (list, tuple)) else [axis]


def _spread(vector: Any, x: Any, axes: list[int]) -> Any:
    """A weight in the type of x, with an axis of size 1 for each axis that is not normalised."""
    if vector is None:
        return None
    shape = [1] * len(x.shape)
    for axis in axes:
        shape[axis] = x.shape[axis]
    return ops.reshape(ops.cast(vector, x.dtype), shape)


class _Scaled(Layer):
    """A normalisation with a learned scale gamma and offset beta."""

    beta_initializer: Any
    gamma_initializer: Any
    beta_regularizer: Any
    gamma_regularizer: Any
    beta_constraint: Any
    gamma_constraint: Any

    def _keep(self, given: dict[str, Any]) -> None:
        self.epsilon = given["epsilon"]
        self.center = given["center"]
        self.scale = given["scale"]
        for kind in ("beta", "gamma"):
            setattr(self, f"{kind}_initializer", initializers.get(given[f"{kind}_initializer"]))
            setattr(self, f"{kind}_regularizer", regularizers.get(given[f"{kind}_regularizer"]))
            setattr(self, f"{kind}_constraint", constraints.get(given[f"{kind}_constraint"]))
        self.supports_masking = True
        self.autocast = False
        self.gamma: Any = None
        self.beta: Any = None

    def _make(self, kind: str, shape: Any) -> Any:
        return self.add_weight(
            name=kind,
            shape=shape,
            initializer=getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
            trainable=True,
            autocast=False,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def _scale_config(self) -> dict[str, Any]:
        return {
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


class LayerNormalization(_Scaled):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, over `axis`, an axis or several.

    Source: Ba et al. 2016.
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(**kwargs)
        self.axis = _axes("LayerNormalization", axis)
        self.rms_scaling = rms_scaling
        self._keep(given)

    def build(self, input_shape: Any) -> None:
        self.axis = _in_order(self.axis)
        shape = tuple(input_shape[axis] for axis in self.axis)
        if self.scale or self.rms_scaling:
            self.gamma = self._make("gamma", shape)
        if self.center and not self.rms_scaling:
            self.beta = self._make("beta", shape)

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, _wide(inputs.dtype))
        gamma = _spread(self.gamma, x, self.axis)
        beta = _spread(self.beta, x, self.axis)
        if self.rms_scaling:
            variance = ops.var(x, axis=self.axis, keepdims=True)
            x = x * ops.rsqrt(variance + self.epsilon)
        else:
            mean, variance = ops.moments(x, axes=self.axis, keepdims=True)
            x = (x - mean) * ops.rsqrt(variance + self.epsilon)
        if gamma is not None:
            x = x * gamma
        if beta is not None:
            x = x + beta
        return ops.cast(x, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "rms_scaling": self.rms_scaling,
            **self._scale_config(),
        }


class GroupNormalization(_Scaled):
    """Mean 0 and variance 1 over each of `groups` groups of channels of a sample.

    `groups` -1 makes each channel a group. Source: Wu and He 2018.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(**kwargs)
        if not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ArgumentError(
                explain(
                    "GroupNormalization",
                    "a positive number of groups, or -1",
                    f"Invalid value for argument `groups`: {groups!r}",
                )
            )
        self.groups = groups
        self.axis = axis
        self._keep(given)

    def build(self, input_shape: Any) -> None:
        size = input_shape[self.axis]
        if size is None:
            raise ArgumentError(
                explain(
                    self.name,
                    f"axis {self.axis} to have a known size",
                    f"Axis {self.axis} of input tensor should have a defined dimension but the "
                    f"layer received an input with shape {input_shape}.",
                )
            )
        if self.groups == -1:
            self.groups = size
        if size < self.groups:
            raise ArgumentError(
                explain(
                    self.name,
                    "no more groups than channels",
                    f"Number of groups ({self.groups}) cannot be more than the number of channels "
                    f"({size}).",
                )
            )
        if size % self.groups:
            raise ArgumentError(
                explain(
                    self.name,
                    "groups of equal size",
                    f"Number of groups ({self.groups}) must be a multiple of the number of "
                    f"channels ({size}).",
                )
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})
        if self.scale:
            self.gamma = self._make("gamma", (size,))
        if self.center:
            self.beta = self._make("beta", (size,))

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, _wide(inputs.dtype))
        sizes = ops.shape(x)
        axis = self.axis % len(sizes)
        split = (*sizes[:axis], self.groups, sizes[axis] // self.groups, *sizes[axis + 1 :])
        groups = ops.reshape(x, split)
        reduced = [each for each in range(1, len(split)) if each != axis]
        mean, variance = ops.moments(groups, axes=reduced, keepdims=True)
        groups = (groups - mean) * ops.rsqrt(variance + self.epsilon)
        x = ops.reshape(groups, sizes)
        shape = [1] * len(sizes)
        shape[axis] = sizes[axis]
        if self.gamma is not None:
            x = x * ops.reshape(ops.cast(self.gamma, x.dtype), shape)
        if self.beta is not None:
            x = x + ops.reshape(ops.cast(self.beta, x.dtype), shape)
        return ops.cast(x, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **self._scale_config(),
        }


class RMSNormalization(Layer):
    """x / sqrt(mean(x²) + epsilon) * scale, over `axis` (Zhang and Sennrich 2019)."""

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        self.axis = _in_order(self.axis)
        shape = tuple(input_shape[axis] for axis in self.axis)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def call(self, x: Any) -> Any:
        wide = ops.cast(x, _wide(x.dtype))
        found = ops.rms_normalization(wide, axis=self.axis, epsilon=self.epsilon)
        return ops.cast(found * _spread(self.scale, wide, self.axis), x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """x divided by its length over `axis`, an axis or several."""

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _axes("UnitNormalization", axis)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        return ops.normalize(inputs, axis=axis, order=2, epsilon=1e-12)

    def compute_output_shape(self, input_shape: Any) -> Any:
        for axis in self.axis if isinstance(self.axis, list) else [self.axis]:
            if not -len(input_shape) <= axis < len(input_shape):
                raise ArgumentError(
                    explain(
                        self.name,
                        f"an axis of an input with {len(input_shape)} axes",
                        f"Axis {self.axis} is out of bounds for input shape {input_shape}.",
                    )
                )
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class SpectralNormalization(Wrapper):
    """The wrapped layer with its kernel divided by its largest singular value.

    In training `power_iterations` steps of the power method follow that value. Source: Miyato et
    al. 2018.
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ArgumentError(
                explain(
                    "SpectralNormalization",
                    "`power_iterations` should be greater than zero",
                    f"`power_iterations` should be greater than zero. It is {power_iterations}",
                )
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(shape=(None, *input_shape[1:]))
        for name in ("kernel", "embeddings"):
            if hasattr(self.layer, name):
                self.kernel = getattr(self.layer, name)
                break
        else:
            raise ArgumentError(
                explain(
                    "SpectralNormalization",
                    "a layer with a kernel or embeddings",
                    f"{type(self.layer).__name__} object has no attribute 'kernel' nor "
                    "'embeddings'",
                )
            )
        self.kernel_shape = self.kernel.shape
        self.vector_u = self.add_weight(
            shape=(1, self.kernel_shape[-1]),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            name="vector_u",
            dtype=self.kernel.dtype,
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            vector, kernel = self._normalized()
            self.vector_u.assign(ops.cast(vector, self.vector_u.dtype))
            self.kernel.assign(ops.cast(kernel, self.kernel.dtype))
        return ops.cast(self.layer(inputs), inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def _normalized(self) -> tuple[Any, Any]:
        matrix = ops.reshape(self.kernel, [-1, self.kernel_shape[-1]])
        vector_u = self.vector_u.value
        for _ in range(self.power_iterations):
            vector_v = ops.normalize(ops.matmul(vector_u, ops.transpose(matrix)), axis=None)
            vector_u = ops.normalize(ops.matmul(vector_v, matrix), axis=None)
        vector_u = ops.stop_gradient(vector_u)
        vector_v = ops.stop_gradient(vector_v)
        sigma = ops.matmul(ops.matmul(vector_v, matrix), ops.transpose(vector_u))
        return vector_u, ops.reshape(ops.divide(self.kernel, sigma), self.kernel_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}
