"""Arrays for results: large ones are lent from memory that earlier results have given back.

Memory fresh from the system is cleared page by page when it is first written, which for large
arrays takes longer than most kernels. So the memory behind a large array goes to a stock when the
last array that looks at it has died, and the next of its size takes it from there. It starts at a
cache line, so that a vector is never spread over two.
"""

import math
import threading

import numpy as np

from thalweg.base.errors import OutOfMemoryError, explain

LENT = 1 << 16
"""Bytes from which an array is lent; below that the system's own allocator is as fast."""
STOCK = 1 << 28
"""Bytes in the stock at most."""
LINE = 64


class _Loan:
    """Memory behind one array and its views; given back when the last of them has died."""

    __slots__ = ("__array_interface__", "_memory")

    def __init__(self, memory: np.ndarray, bytes: int):
        self._memory = memory
        start = -memory.ctypes.data % LINE
        self.__array_interface__ = {
            "data": (memory.ctypes.data + start, False),
            "shape": (bytes,),
            "typestr": "|u1",
            "version": 3,
        }

    def __del__(self) -> None:
        # None once the interpreter takes its modules down.
        if _give_back is not None:
            _give_back(self._memory)


# Reentrant, because a loan may end in the midst of another when garbage is collected.
_lock = threading.RLock()
_stock: dict[int, list[np.ndarray]] = {}
_bytes = 0


def _give_back(memory: np.ndarray) -> None:
    global _bytes
    with _lock:
        if _bytes + memory.size <= STOCK:
            _bytes += memory.size
            _stock.setdefault(memory.size, []).append(memory)


def reserve(size: int, purpose: str, do: str = "") -> np.ndarray:
    """So many bytes of memory. Raises OutOfMemoryError, saying how many were wanted for what."""
    try:
        return np.empty(size, np.uint8)
    except MemoryError:
        wanted = f"{size / 2**20:,.0f} MiB for {purpose}"
        raise OutOfMemoryError(explain("memory", wanted, "less from the system", do)) from None


def _take(size: int) -> np.ndarray:
    global _bytes
    with _lock:
        found = _stock.get(size)
        if found:
            _bytes -= size
            return found.pop()
    return reserve(size, "the result of a program", "Use a smaller batch.")


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array whose elements are whatever was there before."""
    bytes = math.prod(shape) * dtype.itemsize
    if bytes < LENT:
        return np.empty(shape, dtype)
    # Whole pages, so that sizes that differ a little share.
    size = -(-(bytes + LINE) // 4096) * 4096
    return np.asarray(_Loan(_take(size), bytes)).view(dtype).reshape(shape)
