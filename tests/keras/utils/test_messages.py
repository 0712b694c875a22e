"""Messages, questions and warnings."""

import io
import logging
import warnings

import pytest

from thalweg.keras import settings, utils
from thalweg.keras.utils import messages


def test_messages_go_to_standard_output(capsys):
    messages.print_message("one")
    messages.print_message("two", line_break=False)
    assert capsys.readouterr().out == "one\ntwo"


def test_messages_go_to_the_log_where_nobody_watches(capsys, caplog):
    utils.disable_interactive_logging()
    assert not utils.is_interactive_logging_enabled()
    try:
        with caplog.at_level(logging.INFO, "thalweg"):
            messages.print_message("one")
    finally:
        utils.enable_interactive_logging()
    assert settings.is_interactive_logging_enabled()
    assert capsys.readouterr().out == ""
    assert caplog.messages == ["one"]


def test_verbosity():
    level = messages.LOGGER.level
    try:
        messages.set_logging_verbosity("ERROR")
        assert messages.LOGGER.level == logging.ERROR
        with pytest.raises(ValueError, match="a level among FATAL"):
            messages.set_logging_verbosity("LOUD")
    finally:
        messages.LOGGER.setLevel(level)


@pytest.mark.parametrize(
    ("typed", "answer"), [("y\n", True), ("N\n", False), ("maybe\n\ny\n", True)]
)
def test_a_question_is_asked_until_it_is_answered(monkeypatch, capsys, typed, answer):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert messages.ask_to_proceed_with_overwrite("model.keras") is answer
    assert "model.keras exists. Overwrite it?" in capsys.readouterr().out


def test_a_warning_points_at_the_users_line():
    class Careless(utils.PyDataset):
        def __init__(self):
            pass

        def __getitem__(self, index):
            return index

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert Careless().workers == 1
    (warning,) = caught
    assert warning.filename == __file__
    assert "must call super().__init__(**kwargs)" in str(warning.message)
