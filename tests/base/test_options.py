"""Options: one frozen record, read from the environment, changed as a whole."""

import dataclasses

import pytest

from thalweg.base.errors import ArgumentError
from thalweg.base.options import Options, from_environment, options, set_options


@pytest.fixture(autouse=True)
def restored():
    former = options()
    yield
    set_options(**dataclasses.asdict(former))


def test_the_defaults():
    assert from_environment({}) == Options()
    assert Options().exact_only and Options().provenance and Options().check == 0


def test_the_environment_is_read():
    environment = {
        "THALWEG_SEED": "7",
        "THALWEG_SHOW": "fused, loops,,",
        "THALWEG_DUMP": "out",
        "THALWEG_CHECK": " 2 ",
        "THALWEG_OTHER": "x",
    }
    found = from_environment(environment)
    assert found == Options(seed=7, show=("fused", "loops"), dump="out", check=2)
    empty = dict.fromkeys(environment, "")
    assert from_environment(empty) == Options()


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    monkeypatch.setenv("THALWEG_SEED", "-3")
    monkeypatch.delenv("THALWEG_CHECK", raising=False)
    assert from_environment().seed == -3


def test_the_record_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        options().check = 1
    with pytest.raises((AttributeError, TypeError)):
        options().other = 1


def test_options_are_changed_as_a_whole():
    former = set_options(check=1, show=("fused",))
    assert options().check == 1 and options().show == ("fused",)
    assert options().exact_only == former.exact_only
    again = set_options(check=former.check)
    assert again.check == 1 and options().show == ("fused",)
    assert former.changed(seed=5).seed == 5 and former.seed == options().seed


WRONG = [
    lambda: set_options(chek=1),
    lambda: set_options(anything=1),
    lambda: set_options(check=3),
    lambda: set_options(check="1"),
    lambda: set_options(show="fused"),
    lambda: from_environment({"THALWEG_SEED": "seven"}),
    lambda: from_environment({"THALWEG_CHECK": "yes"}),
    lambda: from_environment({"THALWEG_CHECK": "9"}),
]


def test_what_cannot_be_set_says_so(golden):
    before = options()
    texts = []
    for wrong in WRONG:
        with pytest.raises(ArgumentError) as caught:
            wrong()
        texts.append(caught.value.message.replace(", ".join(Options.__dataclass_fields__), "..."))
    golden("options_errors", "\n\n".join(texts))
    assert options() is before
