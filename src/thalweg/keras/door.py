"""Third-party libraries, and slow parts of the standard one, are imported here and on demand.

A function returns the module, or raises MissingLibraryError with the name of the extra to install.
"""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import IO, Any

from thalweg.base.errors import ThalwegError, explain


class MissingLibraryError(ThalwegError, ImportError):
    """A library that an optional part of the package needs is not installed."""


def reach(module: str, extra: str, where: str) -> ModuleType:
    """The module of that name; `where` is what needs it, `extra` what installs it.

    Errors: MissingLibraryError when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingLibraryError(
            explain(
                where,
                f"the library {module.partition('.')[0]}",
                f"{type(error).__name__}: {error}",
                f"pip install 'thalweg[{extra}]'",
            )
        ) from error


# ---- the standard library ------------------------------------------------------------------------


def request() -> ModuleType:
    """`urllib.request`: HTTP, TLS and their parsers take longer to import than all of Keras."""
    import urllib.request

    return urllib.request


def post(
    url: str,
    headers: dict[str, str] | None = None,
    json: Any = None,
    data: dict[str, str] | None = None,
) -> None:
    """Send `json`, or the form `data`, in a POST request; what is answered is not looked at.

    It goes by way of the library `requests` where that is installed, whose settings and stand-ins a
    program may rely on. Errors: OSError or `http_error()` when the server cannot be reached.
    """
    body: dict[str, Any] = {"json": json} if json is not None else {"data": data}
    try:
        import requests
    except ImportError:
        _post(url, headers or {}, json, data)
    else:
        requests.post(url, headers=headers, **body)


def _post(url: str, headers: dict[str, str], json: Any, data: dict[str, str] | None) -> None:
    import json as text
    import urllib.error
    import urllib.parse
    import urllib.request

    if json is not None:
        body, kind = text.dumps(json), "application/json"
    else:
        body, kind = urllib.parse.urlencode(data or {}), "application/x-www-form-urlencoded"
    sent = urllib.request.Request(url, body.encode(), {"Content-Type": kind, **headers})
    try:
        urllib.request.urlopen(sent, timeout=30).close()
    except urllib.error.HTTPError as error:
        error.close()  # an answer too


def http_error() -> type[Exception]:
    """`http.client.HTTPException`: what `request()` raises for a broken answer."""
    import http.client

    return http.client.HTTPException


def tarfile() -> ModuleType:
    """`tarfile` with its decompressors."""
    import tarfile

    return tarfile


def decompressor(head: bytes) -> Callable[..., IO[bytes]]:
    """The function that opens a file which begins with `head`: of gzip, bz2, lzma, or plain."""
    import bz2
    import gzip
    import lzma

    known: dict[bytes, Any] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ": lzma.open,
        b"]\0\0": lzma.open,
    }
    return next((opener for magic, opener in known.items() if head.startswith(magic)), open)


def damaged_archive() -> tuple[type[Exception], ...]:
    """What is raised for an archive that is cut or changed."""
    import lzma
    import tarfile
    import zipfile
    import zlib

    damaged = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error)
    return *damaged, EOFError, NotImplementedError


# ---- files of numbers ----------------------------------------------------------------------------


def h5py() -> ModuleType:
    """h5py, which the package needs: it takes longer to import than all of Keras."""
    import h5py

    return h5py


def profiler() -> Any:
    """A profile of Python's calls, not yet begun."""
    import cProfile

    return cProfile.Profile()


def profile_text(profile: Any, lines: int = 40) -> str:
    """The calls of a profile that took longest, themselves and what they called."""
    import io
    import pstats

    target = io.StringIO()
    pstats.Stats(profile, stream=target).sort_stats("cumulative").print_stats(lines)
    return target.getvalue()


# ---- images --------------------------------------------------------------------------------------


def pillow_image(where: str) -> ModuleType:
    """Pillow's module `PIL.Image`, with the plugins for the usual formats."""
    return reach("PIL.Image", "image", where)


def pillow_draw(where: str) -> ModuleType:
    """Pillow's module `PIL.ImageDraw`."""
    return reach("PIL.ImageDraw", "image", where)


def pillow_font(where: str, size: float) -> Any:
    """Pillow's own font in that many pixels."""
    return reach("PIL.ImageFont", "image", where).load_default(size)


# ---- plots ---------------------------------------------------------------------------------------


def pyplot(where: str) -> ModuleType:
    """`matplotlib.pyplot`."""
    return reach("matplotlib.pyplot", "plot", where)


def patches(where: str) -> ModuleType:
    """`matplotlib.patches`."""
    return reach("matplotlib.patches", "plot", where)


def path(where: str, vertices: Any, codes: Any) -> Any:
    """A path of matplotlib."""
    return reach("matplotlib.path", "plot", where).Path(vertices, codes)


def text_width(where: str, text: str, size: float, weight: str) -> float:
    """The width in points of a text in matplotlib's own font."""
    font = reach("matplotlib.font_manager", "plot", where).FontProperties(weight=weight, size=size)
    measured = reach("matplotlib.textpath", "plot", where).TextPath((0, 0), text, prop=font)
    return measured.get_extents().x1


def notebook_image(path: str) -> Any:
    """A picture's file as a notebook shows it; None outside of notebooks."""
    import sys

    if "IPython" not in sys.modules or path.endswith(".pdf"):
        return None
    display = reach("IPython.display", "plot", "plot_model")
    return display.SVG(filename=path) if path.endswith(".svg") else display.Image(filename=path)


def pydot_graph(text: str) -> Any:
    """A text in the language of Graphviz as a `pydot.Dot`; None where pydot is not installed."""
    try:
        import pydot
    except ImportError:
        return None
    return pydot.graph_from_dot_data(text)[0]


# ---- other frameworks' data sets -----------------------------------------------------------------


def torch(where: str) -> ModuleType:
    """PyTorch, for its data sets."""
    return reach("torch", "torch", where)


def tensorflow(where: str) -> ModuleType:
    """TensorFlow, for its data sets."""
    return reach("tensorflow", "tensorflow", where)


def figure(where: str, size: tuple[float, float]) -> Any:
    """A new matplotlib figure of so many inches, on no screen."""
    return reach("matplotlib.figure", "plot", where).Figure(figsize=size)
