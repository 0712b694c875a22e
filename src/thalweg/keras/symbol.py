"""KerasTensor: a tensor without a value, by which a model is drawn before it is run.

It knows its shape (None for a size that is not known yet), its element type, and the operation
that made it. Its operators are installed by `keras/ops`.
"""

from collections import namedtuple
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras import naming
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.operators import for_symbols

KerasHistory = namedtuple("KerasHistory", ["operation", "node_index", "tensor_index"])
"""Where a KerasTensor comes from: which output of which call of which operation."""


@for_symbols
class KerasTensor:
    """A symbolic tensor with `shape` (None where unknown), `dtype` and `name`.

    `sparse` and `ragged` are kept for programs that ask; all values are dense.
    """

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        ragged_rank: int | None = None,
        row_splits_dtype: Any = None,
        record_history: bool = True,
        name: str | None = None,
    ):
        if sparse and ragged:
            raise ArgumentError(
                explain(
                    "KerasTensor",
                    "KerasTensor to be dense, sparse or ragged; it cannot have `sparse=True` and "
                    "`ragged=True` at the same time",
                    f"sparse={sparse}, ragged={ragged}",
                )
            )
        self._shape = standardize_shape(shape)
        self._dtype = standardize_dtype(dtype)
        self._sparse = bool(sparse)
        self._ragged = bool(ragged)
        self._ragged_rank = ragged_rank
        self._row_splits_dtype = row_splits_dtype
        self.name = name or naming.auto_name(type(self).__name__)
        self.record_history = record_history

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes of the axes; None where not known."""
        return self._shape

    @shape.setter
    def shape(self, value: Any) -> NoReturn:
        raise AttributeError(_fixed(self, "shape"))

    @property
    def dtype(self) -> str:
        """The element type, as a string."""
        return self._dtype

    @dtype.setter
    def dtype(self, value: Any) -> NoReturn:
        raise AttributeError(_fixed(self, "dtype"))

    @property
    def sparse(self) -> bool:
        """True where the program asked for a sparse tensor."""
        return self._sparse

    @sparse.setter
    def sparse(self, value: Any) -> NoReturn:
        raise AttributeError(_fixed(self, "sparse"))

    @property
    def ragged(self) -> bool:
        """True where the program asked for a ragged tensor."""
        return self._ragged

    @property
    def ragged_rank(self) -> int | None:
        """The number of ragged axes that the program asked for."""
        return self._ragged_rank

    @property
    def row_splits_dtype(self) -> Any:
        """The element type of a ragged tensor's row splits."""
        return self._row_splits_dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise ArgumentError(
            explain(
                "KerasTensor",
                "an operation that works on symbols; a KerasTensor is symbolic: it's a placeholder "
                "for a shape an a dtype. It doesn't have any actual numerical value",
                f"{self!r} in a function of NumPy",
                "Use the function of keras.ops, or wrap the computation into a layer.",
            )
        )

    __array_priority__ = 2000
    __array_ufunc__ = None

    def _no_value(self, what: str, instead: str) -> ArgumentTypeError:
        return ArgumentTypeError(
            explain(what, "a tensor with a value", f"the symbolic {self!r}", instead)
        )

    def __bool__(self) -> NoReturn:
        raise self._no_value(
            "if",
            "A symbolic KerasTensor cannot be used as a boolean. Write keras.ops.where or "
            "keras.ops.cond, or a layer with its own call.",
        )

    def __float__(self) -> NoReturn:
        raise self._no_value("float", "Call the model on data first.")

    def __int__(self) -> NoReturn:
        raise self._no_value("int", "Call the model on data first.")

    def __index__(self) -> NoReturn:
        raise self._no_value("a shape or an index", "Call the model on data first.")

    def __iter__(self) -> NoReturn:
        raise self._no_value(
            "for",
            "Iterating over a symbolic KerasTensor is not supported. Write keras.ops.unstack or "
            "keras.ops.scan.",
        )

    def __len__(self) -> NoReturn:
        raise self._no_value("len", "Ask for x.shape[0]; None means that it is not known yet.")

    def __repr__(self) -> str:
        kinds = "".join(
            f", {name}=True" for name in ("sparse", "ragged") if getattr(self, f"_{name}")
        )
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}{kinds}, name={self.name}>"

    __str__ = __repr__


def _fixed(symbol: KerasTensor, what: str) -> str:
    return explain(
        "KerasTensor",
        f"its {what} to stay; the `{what}` attribute of KerasTensor is immutable",
        f"another value for {symbol!r}",
        f"Make a new one: KerasTensor(shape, dtype={symbol.dtype!r}).",
    )


def standardize_shape(shape: Any) -> tuple[int | None, ...]:
    """A shape as a tuple of integers and None. Raises ArgumentError for anything else."""
    if not isinstance(shape, Iterable) or isinstance(shape, (str, bytes)):
        text = "Undefined shapes are not supported." if shape is None else ""
        raise ArgumentError(
            explain("shape", "a tuple of sizes", f"Cannot convert '{shape!s}' to a shape.", text)
        )
    return tuple(_standardize_size(size, shape) for size in shape)


def _standardize_size(size: Any, shape: Any) -> int | None:
    if size is None:
        return None
    if not hasattr(size, "__index__") or isinstance(size, (bool, KerasTensor)):
        raise ArgumentError(
            explain(
                "shape",
                "sizes that are integers or None",
                f"Cannot convert '{tuple(shape)}' to a shape. Found invalid dimension '{size!r}' "
                f"of type '{type(size)}'",
            )
        )
    number = size.__index__()
    if number < 0:
        raise ArgumentError(
            explain(
                "shape",
                "sizes of zero or more",
                f"Cannot convert '{tuple(shape)}' to a shape. Negative dimensions are not allowed.",
            )
        )
    return number


def is_keras_tensor(x: Any) -> bool:
    """True for a symbolic KerasTensor."""
    return isinstance(x, KerasTensor)


def any_symbolic(args: Any, kwargs: Any = None) -> bool:
    """True if a KerasTensor is among nested arguments."""
    return next(symbols_in(args), None) is not None or (
        bool(kwargs) and next(symbols_in(kwargs), None) is not None
    )


def symbols_in(value: Any) -> Iterator[KerasTensor]:
    """All KerasTensors in nested lists, tuples and dicts, from left to right."""
    if isinstance(value, KerasTensor):
        yield value
    elif isinstance(value, (list, tuple, set)):
        for each in value:
            yield from symbols_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from symbols_in(each)
