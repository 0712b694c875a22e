"""Progbar: right in a terminal, in a log file and in the log; its means are Keras' means."""

import contextlib
import io
import itertools
import logging
import re
import sys

import numpy as np
import pytest
from tests.keras.oracle import keras as real

from thalweg.keras import settings
from thalweg.keras.utils import Progbar, messages, progbar

STYLE = re.compile(r"\x1b\[\d+m")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("PYCHARM_HOSTED", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    found = Clock()
    monkeypatch.setattr(progbar, "time", found)
    return found


def shown(bar_maker, updates, out):
    """What a bar writes for updates (arguments of `update`)."""
    with contextlib.redirect_stdout(out):
        bar = bar_maker()
        for args, kwargs in updates:
            bar.update(*args, **kwargs)
    return out.getvalue()


def steps(count, **last):
    updates = [((i, [("loss", 1 / i), ("acc", 1e-5 * i)]), {}) for i in range(1, count + 1)]
    updates[-1][1].update(last)
    return updates


def test_a_log_file_gets_one_plain_line():
    text = shown(lambda: Progbar(50), steps(50), io.StringIO())
    assert re.fullmatch(r"50/50 - 0s - \d+us/step - loss: 0.0200 - acc: 5.0000e-04\n", text)


def test_a_log_file_gets_every_update_where_the_interval_is_zero():
    text = shown(lambda: Progbar(3, interval=0), steps(3), io.StringIO())
    assert [line.split(" ")[0] for line in text.splitlines()] == ["1/3", "2/3", "3/3"]
    assert "\r" not in text
    assert "\x1b" not in text


def test_a_dumb_terminal_is_a_log_file(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    text = shown(lambda: Progbar(5), steps(5), Terminal())
    assert text.count("\n") == 1
    assert "\r" not in text


def test_verbose_2_is_one_line_also_in_a_terminal():
    text = shown(lambda: Progbar(5, verbose=2), steps(5), Terminal())
    assert re.fullmatch(r"5/5 - 0s - \d+us/step - loss: 0.2000 - acc: 5.0000e-05\n", text)


def test_verbose_0_is_silent():
    assert shown(lambda: Progbar(5, verbose=0), steps(5), Terminal()) == ""


def test_a_terminal_line_is_drawn_over(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = shown(lambda: Progbar(3, interval=0), steps(3), Terminal())
    assert text.count("\n") == 1
    assert text.endswith("\n")
    lines = STYLE.sub("", text).rstrip("\n").split("\r")[1:]
    assert len(lines) == 3
    assert lines[0].startswith("1/3 ━━━━━━━━━━━━━━━━━━━━ 0s ")
    assert lines[2].rstrip().endswith("loss: 0.3333 - acc: 3.0000e-05")
    # Blanks cover what a longer line before left over.
    for former, line in itertools.pairwise(lines):
        assert len(line) >= len(former.rstrip())


def test_a_line_never_wraps_while_it_is_redrawn(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    updates = [((i, [(f"metric_{j}", 1.0) for j in range(5)]), {}) for i in range(1, 3)]
    text = shown(lambda: Progbar(3, interval=0), updates, Terminal())
    lines = STYLE.sub("", text).split("\r")[1:]
    assert max(len(line) for line in lines) <= 39
    # The last line is whole: nothing is drawn over it.
    text = shown(lambda: Progbar(1, interval=0), updates[:1], Terminal())
    assert "metric_4: 1.0000" in text


def test_the_interval_limits_how_often_it_draws(clock):
    def updates():
        for step in range(1, 101):
            clock.now += 0.01
            yield (step,), {}

    text = shown(lambda: Progbar(1000, interval=0.1), updates(), Terminal())
    assert 9 <= text.count("\r") <= 11


def test_without_interactive_logging_the_log_gets_the_line(caplog):
    settings.disable_interactive_logging()
    try:
        with caplog.at_level(logging.INFO, "thalweg"):
            assert shown(lambda: Progbar(5), steps(5), Terminal()) == ""
    finally:
        settings.enable_interactive_logging()
    (record,) = caplog.records
    assert re.fullmatch(r"5/5 - 0s - \d+us/step - loss: .* - acc: .*", record.getMessage())


def test_the_speed_of_an_epoch_that_is_told_of_once_counts_all_of_it(clock):
    # With verbose=2, and in epochs shorter than the interval, nobody asks in between.
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        bar = Progbar(10, verbose=2)
        clock.now += 5
        bar.update(10)
    assert out.getvalue() == "10/10 - 5s - 500ms/step\n"


def test_the_speed_leaves_out_the_first_step(clock):
    out = Terminal()
    with contextlib.redirect_stdout(out):
        bar = Progbar(100, interval=0)
        clock.now += 60  # the first step compiles
        bar.update(1)
        clock.now += 0.5
        bar.update(2)
        clock.now += 0.5
        bar.update(3)
    text = STYLE.sub("", out.getvalue())
    assert "1:39:00 60s/step" in text
    assert "48s 500ms/step" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (59.4, "59s"), (61, "1:01"), (3600, "1:00:00"), (7267, "2:01:07")],
)
def test_durations(seconds, text):
    assert progbar._format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s/step"), (2.2, "2s/step"), (0.02, "20ms/step"), (5e-6, "5us/step")]
)
def test_speeds(seconds, text):
    assert progbar._format_speed(seconds, "step") == text


VALUES = re.compile(r"(\w+): ([\d.e+-]+)")


@pytest.mark.parametrize("target", [7, None])
@pytest.mark.parametrize(
    "kwargs",
    [{}, {"stateful_metrics": ["b"]}, {"stateless_metrics": ["b"]}, {"stateless_metrics": []}],
)
def test_means_are_those_of_keras(target, kwargs):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 2)) * [1, 1e-4]
    updates = [
        (
            (i + 1, [("a", values[i, 0]), ("b", np.array([values[i, 1], 0]))]),
            {"finalize": i == 6 or None},
        )
        for i in (0, 1, 4, 6)
    ]
    texts = [
        shown(lambda make=make: make(target, interval=0, **kwargs), updates, Terminal())
        for make in (Progbar, real.utils.Progbar)
    ]
    ours, theirs = (
        [VALUES.findall(line) for line in re.split(r"[\r\n]", text) if "a:" in line]
        for text in texts
    )
    assert ours == theirs
    assert len(ours) == 4


def test_add_counts_on():
    text = shown(lambda: Progbar(30, verbose=2), [], io.StringIO())
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        bar = Progbar(30, verbose=2)
        for _ in range(3):
            bar.add(10, [("loss", np.float32(2))])
    assert text == ""
    assert out.getvalue().startswith("30/30")


def test_an_unknown_target_ends_when_it_is_told_to():
    text = shown(
        lambda: Progbar(None), [((3,), {}), ((4, [("a", 1)]), {"finalize": True})], io.StringIO()
    )
    assert re.fullmatch(r"4/Unknown - 0s - \d+us/step - a: 1.0000\n", text)
    assert shown(lambda: Progbar(0), [((0,), {"finalize": True})], io.StringIO()) == (
        "0/Unknown - 0s - 0s/step\n"
    )


def test_units_have_names():
    assert "us/sample" in shown(lambda: Progbar(2, unit_name="sample"), steps(2), io.StringIO())


def test_both_lists_are_refused():
    with pytest.raises(ValueError, match="Only one of"):
        Progbar(1, stateful_metrics=[], stateless_metrics=[])


def test_an_output_that_lacks_the_characters_gets_others(monkeypatch):
    raw = io.BytesIO()
    narrow = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(narrow, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", narrow)
    Progbar(2).update(2)
    messages.print_message("━")
    monkeypatch.undo()
    assert b"????" in raw.getvalue()


def test_a_closed_output_is_no_terminal(monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    assert not progbar.is_redrawable()
