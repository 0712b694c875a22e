"""Names of classes, objects and scopes are those of real Keras."""

import threading

import pytest
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.keras import naming

CLASSES = [
    "Dense", "GlobalAveragePooling1D", "Conv2DTranspose", "PReLU", "ELU", "LSTMCell", "MyHTTPLayer",
    "A", "already_snake", "BinaryIoU", "AUC", "R2Score", "Layer2", "CamelCase3D",
]  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_automatic_names(name: str) -> None:
    found = []
    for package in (keras, real):
        package.backend.clear_session()
        made = type(name, (package.layers.Layer,), {})
        found.append([made().name, made().name, made().name])
    assert found[0] == found[1]


def test_numbers_by_prefix() -> None:
    naming.reset_uids()
    assert [naming.get_uid("a"), naming.get_uid("a"), naming.get_uid("b")] == [1, 2, 1]


def test_scopes_nest_and_end() -> None:
    with keras.name_scope("a"), keras.name_scope("b"):
        assert keras.Variable(1.0, name="v").path == "a/b/v"
        with keras.name_scope("c", override_parent="/x/y"):
            assert naming.current_path() == "x/y/c"
        assert naming.current_path() == "a/b"
    assert naming.current_path() == ""


def test_a_scope_of_the_same_caller_and_name_is_entered_once() -> None:
    caller = object()
    with keras.name_scope("a", caller=caller):
        with keras.name_scope("a", caller=caller):
            assert naming.current_path() == "a"
        with keras.name_scope("a", caller=caller, deduplicate=False):
            assert naming.current_path() == "a/a"
        with keras.name_scope("a", caller=object()):
            assert naming.current_path() == "a/a"


@pytest.mark.parametrize("name", ["a/b", 4, None])
def test_bad_scopes_are_refused(name: object) -> None:
    with pytest.raises(ValueError, match="must be a string"):
        keras.name_scope(name)


def test_each_thread_has_scopes_of_its_own() -> None:
    found = []
    with keras.name_scope("here"):
        thread = threading.Thread(target=lambda: found.append(naming.current_path()))
        thread.start()
        thread.join()
    assert found == [""]
