"""The one voice of errors: the form of a message, the user's line, and tracebacks without us."""

import copy
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import thalweg.base.errors as errors
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckError,
    DTypeError,
    ExchangeError,
    GradientError,
    OutOfMemoryError,
    OutOfRangeError,
    ProtocolError,
    RewriteError,
    ShapeError,
    TextError,
    ThalwegError,
    TraceError,
    VerifyError,
    explain,
    hide_inner_frames,
    install_traceback_filter,
)
from thalweg.base.frames import PACKAGE, describe, line_number, location, place, short_path
from thalweg.base.options import Options
from thalweg.ir.leaves import parameter
from thalweg.ir.types import float32, tensor_type
from thalweg.ops.elementwise import add
from thalweg.ops.movement import reshape
from thalweg.passes.fold import folded

SOURCE = str(Path(PACKAGE).parent)

# ---- messages ------------------------------------------------------------------------------------


def test_a_message_says_what_was_wanted_what_came_and_what_to_do():
    assert explain("matmul", "equal inner sizes", "3 and 4") == (
        "[matmul] wants equal inner sizes.\nReceived 3 and 4."
    )
    assert explain("f", "x", "y", "Write z.").splitlines()[2] == "Write z."


def test_the_users_line_comes_last():
    with pytest.raises(ShapeError) as caught:
        reshape(node(3), shape=(4,))
    error = caught.value
    assert error.location.startswith("tests/base/test_errors.py:")
    assert str(error) == f"{error.message}   at {error.location}"
    assert error.location not in error.message


def node(size):
    return parameter(name="x", type=tensor_type(float32, (size,)))


def test_a_place_may_be_given_or_left_out():
    assert str(ArgumentError("message", "train.py:3")) == "message   at train.py:3"
    assert str(ArgumentError("message", "")) == "message"
    assert ArgumentError("message").location.startswith("tests/base/test_errors.py:")


BASES = {
    ShapeError: ValueError,
    DTypeError: TypeError,
    ArgumentError: ValueError,
    ArgumentTypeError: TypeError,
    ProtocolError: AttributeError,
    ExchangeError: BufferError,
    OutOfRangeError: IndexError,
    OutOfMemoryError: MemoryError,
    TraceError: RuntimeError,
    GradientError: ValueError,
    TextError: ValueError,
    VerifyError: AssertionError,
    CheckError: AssertionError,
    RewriteError: RuntimeError,
}


@pytest.mark.parametrize("kind", BASES, ids=lambda kind: kind.__name__)
def test_each_error_is_also_what_python_would_raise(kind):
    assert issubclass(kind, ThalwegError) and issubclass(kind, BASES[kind])
    assert kind.__doc__.strip().endswith(".")


def test_every_kind_of_error_is_listed():
    kinds = {each for each in vars(errors).values() if isinstance(each, type)}
    own = {each for each in kinds if issubclass(each, ThalwegError) and each is not ThalwegError}
    assert own == set(BASES)


@pytest.mark.parametrize("kind", BASES, ids=lambda kind: kind.__name__)
def test_errors_travel_between_processes(kind):
    error = kind("message", "train.py:3")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind and str(again) == str(error)
        assert again.message == "message" and again.location == "train.py:3"


# ---- where the user stands -----------------------------------------------------------------------


def test_the_line_of_a_place():
    here = place()
    code, _ = here
    assert code.co_name == "test_the_line_of_a_place"
    assert line_number(here) == code.co_firstlineno + 1
    assert describe(here).endswith(f"test_errors.py:{code.co_firstlineno + 1}")
    assert place(10_000) is None


def test_paths_are_shown_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_path(str(tmp_path / "a" / "train.py")) == "a/train.py"
    assert short_path(str(tmp_path.parent / "train.py")) == str(tmp_path.parent / "train.py")
    assert short_path("<stdin>") == "<stdin>"
    monkeypatch.chdir(tmp_path.parent)
    assert short_path(str(tmp_path / "train.py")) == f"{tmp_path.name}/train.py"


def test_the_place_is_outside_of_the_package_whatever_lies_between():
    """A generated method, a `with` block of ours and a caught error are not the user."""
    with pytest.raises(ArgumentError) as caught:
        Options(check=7)
    assert caught.value.location.startswith("tests/base/test_errors.py:")
    inner = {}
    source = """
from contextlib import contextmanager
from thalweg.base.errors import ArgumentError

@contextmanager
def refusing():
    raise ArgumentError("refused")
    yield
"""
    exec(compile(source, f"{PACKAGE}made_up.py", "exec"), inner)
    with pytest.raises(ArgumentError) as caught, inner["refusing"]():
        pass
    assert caught.value.location.startswith("tests/base/test_errors.py:")
    assert location().startswith("tests/base/test_errors.py:")


# ---- tracebacks ----------------------------------------------------------------------------------


def names(error):
    found = []
    traceback = error.__traceback__
    while traceback is not None:
        found.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return found


def raised(call, *args, **attrs):
    try:
        call(*args, **attrs)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_frames_of_the_package_are_dropped():
    error = raised(add, node(3), node(4))
    assert len(names(error)) > 1
    hide_inner_frames(error)
    assert names(error) == ["raised"]
    assert error.__traceback__.tb_lineno == raised.__code__.co_firstlineno + 2


def test_causes_of_our_own_are_dropped_too():
    def wrapping():
        try:
            add(node(3), node(4))
        except ThalwegError as error:
            raise ArgumentError("wrapped") from error

    error = raised(wrapping)
    hide_inner_frames(error)
    assert names(error) == ["raised", "wrapping"]
    assert names(error.__cause__) == ["wrapping"]


def test_an_error_without_a_frame_of_the_user_keeps_its_own():
    error = raised(add, node(3), node(4))
    traceback = error.__traceback__.tb_next
    error.__traceback__ = traceback
    hide_inner_frames(error)
    assert error.__traceback__ is traceback


SCRIPT = """
import thalweg.ops.vocabulary
from thalweg.base.errors import install_traceback_filter
from thalweg.ir.leaves import parameter
from thalweg.ir.types import float32, tensor_type
from thalweg.ops.elementwise import add
from thalweg.passes.fold import folded

def the_users_function(x, y):
    return add(x, y)

install_traceback_filter()
x = parameter(name="x", type=tensor_type(float32, (2,)))
y = parameter(name="y", type=tensor_type(float32, (3,)))
CALL
"""


def output_of(tmp_path, call):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(SCRIPT).replace("CALL", call))
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": SOURCE, "PATH": ""},
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_an_uncaught_error_shows_the_users_lines_only(tmp_path, golden):
    text = output_of(tmp_path, "the_users_function(x, y)")
    assert "ops/elementwise.py" not in text and "ir/node.py" not in text
    assert "the_users_function(x, y)" in text and "return add(x, y)" in text
    # Which part of a line is underlined differs between versions of Python.
    plain = [line for line in text.splitlines() if line.strip(" ^~")]
    golden("uncaught_error", "\n".join(plain).replace(str(tmp_path), "folder"))


def test_errors_of_others_keep_every_frame(tmp_path):
    """A plain error inside the package is a defect of ours: its traceback is needed."""
    text = output_of(tmp_path, "folded(None)")
    assert "passes/fold.py" in text and "AttributeError" in text


def hooked(error, monkeypatch, times=1):
    """What the hook that was there before is given for an uncaught error."""
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: seen.append(args))
    for _ in range(times):
        install_traceback_filter()
    sys.excepthook(type(error), error, error.__traceback__)
    ((kind, value, traceback),) = seen
    assert kind is type(error) and value is error and traceback is error.__traceback__
    return names(error)


def test_the_hook_that_was_there_prints(monkeypatch):
    assert hooked(raised(add, node(3), node(4)), monkeypatch) == ["raised"]


def test_the_hook_leaves_errors_of_others_alone(monkeypatch):
    assert hooked(raised(folded, None), monkeypatch) == ["raised", "folded"]


def test_the_hook_may_be_installed_twice(monkeypatch):
    assert hooked(raised(add, node(3), node(4)), monkeypatch, times=2) == ["raised"]
