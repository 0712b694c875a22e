"""Object code on disk: used again, never trusted unseen, shared by processes; and its commands."""

import os
import re
import stat
import subprocess
import sys
import tomllib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm import jit
from thalweg.backends.llvm.program import Program
from thalweg.backends.llvm.targets import host, names, target
from thalweg.base.errors import ArgumentError
from thalweg.ir.function import build
from thalweg.ir.types import float32, tensor_type
from thalweg.ops.elementwise import exp, sin
from thalweg.tools.cli import main

ROOT = Path(__file__).parents[2]

# Prints how many modules were optimised, which is what compiling costs, and the warnings.
SCRIPT = """
import sys, warnings
import numpy as np
from thalweg.backends.llvm import jit
import thalweg.ops.vocabulary
from thalweg.backends.llvm.program import Program
from thalweg.backends.llvm.targets import host, names, target
from thalweg.ir.function import build
from thalweg.ir.types import float32, tensor_type
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.elementwise import exp, sin

count = 0
optimise = jit.optimise

def counted(*given):
    global count
    count += 1
    return optimise(*given)

jit.optimise = counted
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    function = build("f", [tensor_type(float32, (3, 5))],
                     lambda x: (sum_op(exp(x), axes=(1,)), sin(x)))
    x = np.arange(15, dtype=np.float32).reshape(3, 5) / 8
    total, wave = Program(function).run(x)
np.testing.assert_allclose(total, np.exp(x).sum(1), rtol=1e-5)
np.testing.assert_allclose(wave, np.sin(x), rtol=1e-5)
print(count)
for each in caught:
    print(each.message)
"""


MODULES = 4
"""What the script's process compiles: two kernels, what follows instructions, what starts a run."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of this test's own."""
    path = tmp_path / "cache"
    monkeypatch.setenv("THALWEG_CACHE", str(path))
    jit.cache_folder.cache_clear()
    yield path
    jit.cache_folder.cache_clear()


def start(folder):
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"), "THALWEG_CACHE": str(folder), "THALWEG_THREADS": "1",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process) -> tuple[int, list[str]]:
    """How many modules a process compiled, and its warnings."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    count, *caught = output.splitlines()
    return int(count), caught


def compiled(folder) -> tuple[int, list[str]]:
    return finish(start(folder))


def test_a_second_process_compiles_nothing_and_repairs_what_is_damaged(folder):
    assert compiled(folder) == (MODULES, [])
    assert len(jit.entries()) == MODULES
    assert compiled(folder) == (0, [])
    for key, _ in jit.entries():
        path = folder / key
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert compiled(folder) == (MODULES, [])
    assert compiled(folder) == (0, [])


def test_processes_share_a_folder(folder):
    processes = [start(folder) for _ in range(3)]
    assert all(caught == [] for _, caught in map(finish, processes))
    assert len(jit.entries()) == MODULES
    assert [path.name for path in folder.iterdir() if path.name.startswith("tmp")] == []
    assert compiled(folder) == (0, [])


def test_the_folder_is_the_owner_s_alone(folder):
    assert jit.cache_folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH) == 0


def test_a_folder_that_others_may_write_is_refused_with_one_warning(folder):
    folder.mkdir()
    folder.chmod(0o777)
    count, caught = compiled(folder)
    assert count == MODULES and len(caught) == 1
    assert "can be written by others" in caught[0] and "THALWEG_CACHE" in caught[0]
    assert list(folder.iterdir()) == []


def run_here(number):
    """A program of this process that no other test compiles."""
    function = build("f", [tensor_type(float32, (number,))], lambda x: sin(exp(sin(x))))
    (found,) = Program(function).run(np.zeros(number, np.float32))
    np.testing.assert_allclose(found, np.sin(np.ones(number, np.float32)), rtol=1e-6)


def warned(number) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_here(number)
        run_here(number + 1)
    return [str(each.message) for each in caught]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no owners of files")
def test_a_folder_of_another_user_is_refused_with_one_warning(folder, monkeypatch):
    folder.mkdir(mode=0o700)
    owner = os.getuid()
    monkeypatch.setattr(jit.os, "getuid", lambda: owner + 1)
    (message,) = warned(101)
    assert "belongs to another user" in message
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused_with_one_warning(folder, monkeypatch):
    def refused(**arguments):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(jit.tempfile, "TemporaryFile", refused)
    (message,) = warned(201)
    assert "Compiled code is not kept on disk" in message and "Permission denied" in message


def test_a_folder_that_cannot_be_made_is_refused_with_one_warning(folder, monkeypatch):
    folder.write_text("a file")
    (message,) = warned(301)
    assert "Compiled code is not kept on disk" in message
    assert jit.entries() == [] and jit.clear() == 0


def test_a_full_disk_is_a_warning_and_leaves_no_temporary_file(folder, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    assert jit.cache_folder() == folder
    monkeypatch.setattr(jit.os, "replace", full)
    messages = warned(401)
    assert messages and all("could not be kept on disk" in each for each in messages)
    assert list(folder.iterdir()) == []


def test_entries_are_read_back_or_not_at_all(folder):
    key = "0" * jit.KEY_LENGTH
    assert jit.read_entry(key) is None
    jit.write_entry(key, b"payload")
    assert jit.read_entry(key) == b"payload"
    whole = (folder / key).read_bytes()
    for length in range(len(whole)):
        (folder / key).write_bytes(whole[:length])
        assert jit.read_entry(key) is None
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x40
        (folder / key).write_bytes(changed)
        assert jit.read_entry(key) is None


def test_the_key_tells_texts_and_targets_apart():
    others = [replace(host(), cpu="another"), *(target(name) for name in names()[1:])]
    keys = {jit._key("a", host()), jit._key("b", host()), *(jit._key("a", each) for each in others)}
    assert len(keys) == 2 + len(others)
    assert all(re.fullmatch(f"[0-9a-f]{{{jit.KEY_LENGTH}}}", key) for key in keys)


def test_entries_and_clear(folder):
    for digit, payload in (("1", b"one"), ("0", b"zero")):
        jit.write_entry(digit * jit.KEY_LENGTH, payload)
    (folder / "tmp123").write_bytes(b"left by a process that was stopped")
    head = len(jit.MAGIC) + 32
    assert jit.entries() == [
        ("0" * jit.KEY_LENGTH, head + 4),
        ("1" * jit.KEY_LENGTH, head + 3),
    ]
    assert jit.clear() == 2
    assert list(folder.iterdir()) == [] and jit.entries() == []


def test_clear_removes_nothing_where_something_else_is(folder):
    jit.write_entry("0" * jit.KEY_LENGTH, b"payload")
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(ArgumentError, match=r"thesis\.txt"):
        jit.clear()
    assert len(list(folder.iterdir())) == 2


# The command line ---------------------------------------------------------------------------------


def test_the_command_shows_lists_and_clears(folder, capsys):
    jit.write_entry("0" * jit.KEY_LENGTH, b"payload")
    size = len(jit.MAGIC) + 32 + 7
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{folder}: 1 entry, {size} bytes\n"
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out == f"{size:>10}  {'0' * jit.KEY_LENGTH}\n"
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == "Removed 1 entry.\n"
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{folder}: 0 entries, 0 bytes\n"


def test_the_command_says_what_it_cannot_do(folder, capsys):
    folder.mkdir(mode=0o700)
    (folder / "thesis.txt").write_text("years of work")
    assert main(["cache", "clear"]) == 1
    assert "thesis.txt" in capsys.readouterr().err
    for wrong in ([], ["cash"], ["cache", "burn"]):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
    capsys.readouterr()


def test_the_package_is_a_command(folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "THALWEG_CACHE": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "thalweg", "cache"],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{folder}: 0 entries, 0 bytes\n"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"thalweg": "thalweg.tools.cli:main"}


def test_a_text_is_not_written_where_its_recipe_is_known(folder, monkeypatch):
    written = []

    def write():
        written.append("f")
        return "define void @f() {\n  ret void\n}\n"

    def load(recipe):
        monkeypatch.setattr(jit, "_loaded", {})
        return jit.load("f", write, recipe=recipe)

    monkeypatch.setattr(jit, "_engine", None)
    load(b"one")
    assert len(written) == 1 and len(jit.entries()) == 1
    monkeypatch.setattr(jit, "_engine", None)
    load(b"one")
    assert len(written) == 1, "found on disk"
    load(b"two")
    assert len(written) == 2 and len(jit.entries()) == 2


def test_without_source_code_the_text_is_the_key(folder, monkeypatch):
    monkeypatch.setattr(jit, "_loaded", {})
    monkeypatch.setattr(jit, "_sources", lambda: None)
    text = "define void @plain() {\n  ret void\n}\n"
    address = jit.load("plain", lambda: text, recipe=b"recipe")
    assert jit.load("plain", text) == address
    assert [key for key, _ in jit.entries()] == [jit._key(f"plain of {text}", host())]
