"""From LLVM IR text to callable machine code: the compiler and its cache.

Object code is kept in memory and on disk under a key of its text, the target, LLVM and the version
in MAGIC, in a folder that only its owner may write: it is machine code. An entry that does not
match its own checksum is compiled again, never run. Instead of the text, which takes longer to
write than what it became takes to load, the key may tell what it is written from: a recipe, and
the source code that does it.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import stat
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

from thalweg.backends.llvm.door import llvm
from thalweg.backends.llvm.targets import Target, host, machine_of
from thalweg.base.errors import ArgumentError, explain

MAGIC = b"thalweg object 2\n"
"""Opens every entry; its number changes with the passes of `optimise`."""
KEY_LENGTH = 64
"""Hexadecimal digits in the name of an entry."""


def optimise(text: str, target: Target):
    """The module of LLVM IR text after LLVM's own passes, its vectorisers left out."""
    machine = machine_of(target)
    module = llvm().parse_assembly(text)
    # Sizes of pointers and what an address may be added to depend on both.
    module.triple = target.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    tuning = llvm().create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = False
    tuning.slp_vectorization = False
    builder = llvm().create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return module


def assembly(text: str, target: Target) -> str:
    """The machine code of LLVM IR text, as the target's assembly language."""
    return machine_of(target).emit_assembly(optimise(text, target))


def compile_object(text: str | Callable[[], str], target: Target, key: str | None = None) -> bytes:
    """The object code of LLVM IR text, from the disk cache where it is known by its key."""
    if key is None:
        text = text if isinstance(text, str) else text()
        key = _key(text, target)
    found = read_entry(key)
    if found is None:
        written = text if isinstance(text, str) else text()
        found = machine_of(target).emit_object(optimise(written, target))
        write_entry(key, found)
    return found


_lock = threading.RLock()
_engine = None
_libraries: list = []
_loaded: dict[bytes, int] = {}


def load(
    name: str,
    text: str | Callable[[], str],
    target: Target | None = None,
    recipe: bytes | None = None,
) -> int:
    """The address of the function `name` that LLVM IR text defines, compiled at most once.

    The symbol is made unique by the key, so equal names of different texts do not collide. A text
    that is a function is called where nothing is known by the recipe, the bytes that decide what it
    writes. For another target than the CPU at hand, raises ArgumentError where that could not run
    the code.
    """
    global _engine
    target = target or host()
    sources = None if recipe is None else _sources()
    if recipe is None or sources is None:
        text = text if isinstance(text, str) else text()
        key = _key(f"{name} of {text}", target)
    else:
        key = _key(f"{name} of {hashlib.sha256(recipe).hexdigest()} by {sources}", target)
    digest = bytes.fromhex(key)
    with _lock:
        address = _loaded.get(digest)
        if address is not None:
            return address
        symbol = f"{name}_{digest.hex()[:16]}"
        if target.missing:
            do = "Its code can be read: show('assembly', target=...)."
            wanted = f"a target that this machine runs, not {target.name}"
            raise ArgumentError(explain("target", wanted, f"what is missing: {target.missing}", do))

        def unique() -> str:
            written = text if isinstance(text, str) else text()
            return written.replace(f"@{name}(", f"@{symbol}(")

        data = compile_object(unique, target, key)
        if _engine is None:
            _engine = llvm().create_lljit_compiler(use_jit_link=False)
        # A library for each object: in one for all, code that calls into the C library spoils the
        # addresses of what is loaded after it.
        builder = llvm().JITLibraryBuilder().add_object_img(data).add_current_process()
        library = builder.export_symbol(symbol).link(_engine, symbol)
        _libraries.append(library)
        address = library[symbol]
        _loaded[digest] = address
        return address


def callable_of(
    name: str,
    text: str | Callable[[], str],
    *types: type,
    target: Target | None = None,
    recipe: bytes | None = None,
) -> Callable[..., None]:
    """A Python callable of native code; it returns nothing and releases the interpreter lock."""
    return ctypes.CFUNCTYPE(None, *types)(load(name, text, target, recipe))


@functools.cache
def _sources() -> str | None:
    """A digest of the source code that writes texts; None where it cannot be read."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    try:
        paths = [path for folder in (here, here.parents[1] / "loops")
                 for path in sorted(folder.glob("*.py"))]  # fmt: skip
        for path in paths:
            digest.update(path.read_bytes())
    except OSError:
        return None
    return digest.hexdigest() if paths else None


# The cache on disk --------------------------------------------------------------------------------


@functools.cache
def cache_folder() -> Path | None:
    """The private folder for object code, or None where there is none that can be trusted."""
    given = os.environ.get("THALWEG_CACHE")
    home = os.environ.get("XDG_CACHE_HOME")
    folder = Path(given) if given else Path(home or Path.home() / ".cache") / "thalweg"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
        if hasattr(os, "getuid") and state.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{folder} can be written by others")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"Compiled code is not kept on disk: {error}. Set THALWEG_CACHE to a folder of yours.",
            stacklevel=2,
        )
        return None
    return folder


def _key(text: str, target: Target) -> str:
    version = ".".join(map(str, llvm().llvm_version_info))
    parts = (text, target.triple, target.cpu, target.features, version, MAGIC.decode())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read_entry(key: str) -> bytes | None:
    """The bytes kept under a key, or None where they are absent or damaged."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        data = (folder / key).read_bytes()
    except OSError:
        return None
    head, digest, payload = data[: len(MAGIC)], data[len(MAGIC) :][:32], data[len(MAGIC) + 32 :]
    if head != MAGIC or hashlib.sha256(payload).digest() != digest:
        return None
    return payload


def write_entry(key: str, payload: bytes) -> None:
    """Keep bytes under a key: written to a temporary name, then renamed."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        handle, temporary = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(MAGIC + hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, folder / key)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        warnings.warn(f"Compiled code could not be kept on disk: {error}.", stacklevel=2)


def entries() -> list[tuple[str, int]]:
    """The keys in the disk cache and their sizes in bytes."""
    folder = cache_folder()
    if folder is None:
        return []
    found = []
    for path in folder.iterdir():
        # Another process may remove an entry at any time.
        with contextlib.suppress(FileNotFoundError):
            if len(path.name) == KEY_LENGTH:
                found.append((path.name, path.stat().st_size))
    return sorted(found)


def clear() -> int:
    """Remove every entry of the disk cache; returns how many there were.

    Raises ArgumentError, and removes nothing, where something else is in the folder.
    """
    folder = cache_folder()
    if folder is None:
        return 0
    paths = list(folder.iterdir())
    for path in paths:
        if len(path.name) != KEY_LENGTH and not path.name.startswith("tmp"):
            raise ArgumentError(
                explain("cache", f"a folder of compiled code only, {folder}", f"{path.name} in it")
            )
    for path in paths:
        path.unlink(missing_ok=True)
    return sum(len(path.name) == KEY_LENGTH for path in paths)
