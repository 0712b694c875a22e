"""Windows by name: weights that fade a stretch of signal in and out.

A row gives the weights for x, the place from 0 at the first sample to 1 at the last, or, for a
periodic window, just beyond the last. Names and formulas are those of SciPy's `signal.windows`,
where papers are named.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ShapeError, explain

Place = np.ndarray
Weigh = Callable[..., np.ndarray]


def _cosines(*weights: float) -> Weigh:
    """The sum of cosines of whole numbers of turns, their signs alternating."""

    def weigh(x: Place) -> np.ndarray:
        turns = 2 * np.pi * x
        return sum((-1) ** k * weight * np.cos(k * turns) for k, weight in enumerate(weights))

    return weigh


def _triangle(x: Place) -> np.ndarray:
    # Without the zeros at the ends: one step is 2 / (n + 1), or 2 / n for an even n.
    size = len(x)
    place = np.arange(size) + 1.0
    half = (size + 1) / 2
    return np.minimum(place, size + 1 - place) / half if size % 2 else _even_triangle(place, size)


def _even_triangle(place: Place, size: int) -> np.ndarray:
    return np.minimum(2 * place - 1, 2 * (size - place) + 1) / size


def _parzen(x: Place) -> np.ndarray:
    size = len(x)
    away = np.abs(np.arange(size) - (size - 1) / 2) / (size / 2)
    return np.where(away <= 0.5, 1 - 6 * away**2 * (1 - away), 2 * (1 - away) ** 3)


def _bohman(x: Place) -> np.ndarray:
    away = np.abs(2 * x - 1)
    weights = (1 - away) * np.cos(np.pi * away) + np.sin(np.pi * away) / np.pi
    weights[[0, -1]] = 0
    return weights


def _tukey(x: Place, alpha: float = 0.5) -> np.ndarray:
    if alpha <= 0:
        return np.ones_like(x)
    rim = np.minimum(np.minimum(x, 1 - x) * 2 / min(alpha, 1), 1)
    return 0.5 * (1 - np.cos(np.pi * rim))


def _cosine(x: Place) -> np.ndarray:
    size = len(x)
    return np.sin(np.pi * (np.arange(size) + 0.5) / size)


def _exponential(x: Place, tau: float = 1.0) -> np.ndarray:
    size = len(x)
    return np.exp(-np.abs(np.arange(size) - (size - 1) / 2) / tau)


def _gaussian(x: Place, std: float) -> np.ndarray:
    size = len(x)
    return np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / std) ** 2)


def _kaiser(x: Place, beta: float) -> np.ndarray:
    return np.i0(beta * np.sqrt(np.maximum(1 - (2 * x - 1) ** 2, 0))) / np.i0(beta)


def _hamming(x: Place, alpha: float) -> np.ndarray:
    return alpha - (1 - alpha) * np.cos(2 * np.pi * x)


WINDOWS: dict[str, Weigh] = {
    "boxcar": np.ones_like,
    "triang": _triangle,
    "bartlett": lambda x: 1 - np.abs(2 * x - 1),
    "hann": _cosines(0.5, 0.5),
    "hamming": _cosines(0.54, 0.46),
    "blackman": _cosines(0.42, 0.5, 0.08),
    "nuttall": _cosines(0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": _cosines(0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": _cosines(0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
    "barthann": lambda x: 0.62 - 0.48 * np.abs(x - 0.5) + 0.38 * np.cos(2 * np.pi * (x - 0.5)),
    "bohman": _bohman,
    "parzen": _parzen,
    "cosine": _cosine,
    "tukey": _tukey,
    "exponential": _exponential,
    "lanczos": lambda x: np.sinc(2 * x - 1),
    "gaussian": _gaussian,
    "kaiser": _kaiser,
    "general_hamming": _hamming,
}
ALIASES = {
    "box": "boxcar", "boxcar": "boxcar", "ones": "boxcar", "rect": "boxcar",
    "rectangular": "boxcar", "triangle": "triang", "tri": "triang", "bart": "bartlett",
    "brt": "bartlett", "han": "hann", "hamm": "hamming", "ham": "hamming",
    "black": "blackman", "blk": "blackman", "nut": "nuttall",
    "blackharr": "blackmanharris", "bkh": "blackmanharris", "flat": "flattop", "flt": "flattop",
    "brthan": "barthann", "bth": "barthann", "bman": "bohman", "bmn": "bohman",
    "parz": "parzen", "par": "parzen", "halfcosine": "cosine", "tuk": "tukey",
    "poisson": "exponential", "sinc": "lanczos", "gauss": "gaussian", "gss": "gaussian",
    "ksr": "kaiser",
}  # fmt: skip
WITH_PARAMETER = ("gaussian", "kaiser", "general_hamming")


def check_window(where: str, window: Any) -> None:
    """Refuse a name that stands for no window, or one that needs a parameter."""
    if isinstance(window, str):
        _found(where, window)
    elif isinstance(window, tuple) and window and isinstance(window[0], str):
        _found(where, *window)


def _found(where: str, name: str, *parameters: float) -> Weigh:
    known = ALIASES.get(name, name)
    if known not in WINDOWS:
        raise ArgumentError(
            explain(
                where,
                f"a window among {', '.join(sorted(WINDOWS))}, weights, or None",
                f"window={name!r}",
                "Pass the weights themselves for any other.",
            )
        )
    if known in WITH_PARAMETER and not parameters:
        raise ArgumentError(
            explain(where, f"{name!r} with its parameter", f"{name!r}", f"Write ({name!r}, ...).")
        )
    return WINDOWS[known]


def window_weights(where: str, window: Any, length: int, periodic: bool) -> np.ndarray:
    """The weights of a window: of a name, of a tuple (name, parameter), or as given."""
    named = (window,) if isinstance(window, str) else window
    if not (isinstance(named, tuple) and named and isinstance(named[0], str)):
        weights = np.asarray(window, np.float64)
        if weights.shape != (length,):
            raise ShapeError(
                explain(where, f"{length} weights as window", f"weights of shape {weights.shape}")
            )
        return weights
    weigh = _found(where, *named)
    if length <= 1:
        return np.ones(length)
    # A periodic window is a symmetric one that is a sample longer, without the last.
    size = length + periodic
    return weigh(np.arange(size) / (size - 1), *named[1:])[:length]
