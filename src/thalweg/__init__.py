"""Thalweg: tensors, graphs and derivatives that read from the first call down to the last loop.

    import thalweg as tw

The functions are those of the Python Array API standard 2024.12, and beyond it what programs that
train and solve need: `grad`, `vmap`, `scan`, `function`, `Variable`, `GradientTape`. The chapters
`linalg`, `fft`, `random`, `nn`, `image`, `signal` and `debugging` are namespaces of their own.
"""

from typing import Any

from thalweg.base import observers
from thalweg.base.demand import on_demand
from thalweg.base.errors import install_traceback_filter

__version__ = "0.1.0"
__array_api_version__ = "2024.12"

# fmt: off
_NAMES_ELSEWHERE = {
    "bmm": "matmul", "cast": "astype", "cat": "concat", "concatenate": "concat", "mm": "matmul",
    "constant": "asarray", "convert_to_tensor": "asarray", "tensor": "asarray",
    "cumprod": "cumulative_prod", "cumsum": "cumulative_sum",
    "gather": "take", "jit": "function", "compile": "function",
    "no_grad": "stop_gradient", "detach": "stop_gradient", "pmap": "vmap", "range": "arange",
    "rand": "random.uniform", "randn": "random.normal", "randint": "random.randint",
    "randperm": "random.permutation", "manual_seed": "set_seed", "print": "print_value",
    "reduce_all": "all", "reduce_any": "any", "reduce_max": "max", "reduce_mean": "mean",
    "reduce_min": "min", "reduce_prod": "prod", "reduce_sum": "sum", "reduce_logsumexp":
    "nn.logsumexp", "logsumexp": "nn.logsumexp", "tree_map": "map_leaves", "unbind": "unstack",
    "unsqueeze": "expand_dims", "vectorized_map": "vmap", "while": "while_loop",
}  # what NumPy, PyTorch, TensorFlow and JAX call it, and what it is here
# fmt: on


def _advise(name: str) -> str | None:
    """What a name of NumPy's or another library's is called here, or in which chapter it stands."""
    near = _NAMES_ELSEWHERE.get(name)
    for chapter in ("nn", "linalg", "random", "image", "signal", "fft", "debugging"):
        home = getattr(later, chapter)
        if near is None and getattr(getattr(home, name, None), "__module__", "") == home.__name__:
            near = f"{chapter}.{name}"
    return near


def _show(stages: Any) -> None:
    """Print and dump the stages of a traced function, where the options say so."""
    chosen = later.options()
    if chosen.show or chosen.dump:
        later.see.observe(stages)


with on_demand(__name__, _advise, first="thalweg.array") as later:
    from thalweg import data, keras
    from thalweg.array import debugging, fft, image, linalg, nn, operators, random, signal
    from thalweg.array.constants import e, inf, nan, newaxis, pi
    from thalweg.array.control import (
        associative_scan,
        callback,
        cond,
        fori_loop,
        map,
        print_value,
        scan,
        switch,
        while_loop,
    )
    from thalweg.array.creation import (
        arange,
        asarray,
        diag,
        empty,
        empty_like,
        eye,
        from_dlpack,
        from_numpy,
        full,
        full_like,
        geomspace,
        identity,
        linspace,
        logspace,
        meshgrid,
        ones,
        ones_like,
        size,
        tri,
        tril,
        triu,
        zeros,
        zeros_like,
    )
    from thalweg.array.data_types import (
        astype,
        can_cast,
        finfo,
        iinfo,
        isdtype,
        result_type,
    )
    from thalweg.array.derivatives import (
        GradientTape,
        checkpoint,
        custom_gradient,
        grad,
        hessian,
        jacobian,
        jvp,
        stop_gradient,
        value_and_grad,
        vjp,
        vmap,
    )
    from thalweg.array.elementwise import (
        abs,
        acos,
        acosh,
        add,
        angle,
        asin,
        asinh,
        atan,
        atan2,
        atanh,
        betainc,
        bitwise_and,
        bitwise_invert,
        bitwise_left_shift,
        bitwise_or,
        bitwise_right_shift,
        bitwise_xor,
        cbrt,
        ceil,
        clip,
        conj,
        copysign,
        cos,
        cosh,
        deg2rad,
        digamma,
        divide,
        divide_no_nan,
        equal,
        erf,
        erfc,
        erfinv,
        exp,
        exp2,
        expm1,
        floor,
        floor_divide,
        fmax,
        fmin,
        fmod,
        gammainc,
        gammaincc,
        greater,
        greater_equal,
        heaviside,
        hypot,
        i0,
        i0e,
        i1,
        i1e,
        imag,
        isclose,
        isfinite,
        isinf,
        isnan,
        isreal,
        leading_zeros,
        less,
        less_equal,
        lgamma,
        log,
        log1p,
        log2,
        log10,
        logaddexp,
        logaddexp2,
        logical_and,
        logical_not,
        logical_or,
        logical_xor,
        logit,
        maximum,
        minimum,
        multiply,
        multiply_no_nan,
        nan_to_num,
        negative,
        nextafter,
        not_equal,
        polygamma,
        population_count,
        positive,
        pow,
        rad2deg,
        real,
        reciprocal,
        remainder,
        round,
        rsqrt,
        sigmoid,
        sign,
        signbit,
        sin,
        sinc,
        sinh,
        sqrt,
        square,
        subtract,
        tan,
        tanh,
        trunc,
        xlog1py,
        xlogy,
        zeta,
    )
    from thalweg.array.indexing import (
        at,
        dynamic_slice,
        dynamic_update_slice,
        take,
        take_along_axis,
    )
    from thalweg.array.inspection import __array_namespace_info__
    from thalweg.array.linalg import (
        cross,
        dot,
        einsum,
        inner,
        kron,
        matmul,
        matrix_transpose,
        outer,
        tensordot,
        trace,
        vecdot,
    )
    from thalweg.array.manipulation import (
        array_split,
        atleast_1d,
        atleast_2d,
        atleast_3d,
        broadcast_arrays,
        broadcast_shapes,
        broadcast_to,
        column_stack,
        concat,
        diagonal,
        dstack,
        expand_dims,
        flatten,
        flip,
        fliplr,
        flipud,
        hstack,
        moveaxis,
        pad,
        permute_dims,
        ravel,
        repeat,
        reshape,
        roll,
        rot90,
        split,
        squeeze,
        stack,
        swapaxes,
        tile,
        transpose,
        unstack,
        vstack,
    )
    from thalweg.array.nn import (
        one_hot,
    )
    from thalweg.array.searching import (
        argmax,
        argmin,
        argwhere,
        bincount,
        count_nonzero,
        digitize,
        histogram,
        isin,
        nonzero,
        searchsorted,
        where,
    )
    from thalweg.array.segment import (
        segment_max,
        segment_mean,
        segment_min,
        segment_prod,
        segment_sum,
    )
    from thalweg.array.sets import (
        unique,
        unique_all,
        unique_counts,
        unique_inverse,
        unique_values,
    )
    from thalweg.array.sorting import (
        argpartition,
        argsort,
        lexsort,
        partition,
        sort,
        top_k,
    )
    from thalweg.array.statistical import (
        average,
        corrcoef,
        cov,
        cummax,
        cummin,
        cumulative_logsumexp,
        cumulative_prod,
        cumulative_sum,
        max,
        mean,
        median,
        min,
        nanargmax,
        nanargmin,
        nancumprod,
        nancumsum,
        nanmax,
        nanmean,
        nanmedian,
        nanmin,
        nanpercentile,
        nanprod,
        nanquantile,
        nanstd,
        nansum,
        nanvar,
        percentile,
        prod,
        ptp,
        quantile,
        std,
        sum,
        var,
    )
    from thalweg.array.utility import (
        all,
        any,
        diff,
    )
    from thalweg.base.errors import ThalwegError
    from thalweg.base.options import options, set_options
    from thalweg.engine.generator import Generator, default_generator, set_seed
    from thalweg.engine.tensor import Tensor, evaluate
    from thalweg.engine.trace import TracedFunction, function
    from thalweg.engine.tree import flatten as flatten_leaves
    from thalweg.engine.tree import map_leaves
    from thalweg.engine.tree import unflatten as unflatten_leaves
    from thalweg.engine.variable import Variable
    from thalweg.ir.dim import Dim, named
    from thalweg.ir.function import Function
    from thalweg.ir.parse import parse
    from thalweg.ir.show import show
    from thalweg.ir.types import (
        DType,
        bfloat16,
        complex64,
        complex128,
        float16,
        float32,
        float64,
        int8,
        int16,
        int32,
        int64,
        uint8,
        uint16,
        uint32,
        uint64,
    )
    from thalweg.ir.types import bool_ as bool
    from thalweg.tools import see
    from thalweg.tools.memory import memory
    from thalweg.tools.profile import profile
    from thalweg.tools.why import why

install_traceback_filter()
observers.of_stages.append(_show)
