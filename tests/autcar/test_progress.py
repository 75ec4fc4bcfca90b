"""Long work says how far it is, at what rate, and how long it will take."""

import io
import time

import pytest

from autcar.progress import (
    LineProgress,
    LogProgress,
    Progress,
    TerminalProgress,
    terminal_progress,
)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_lines_say_rate_and_time_to_go_now_and_then(clock):
    stream = io.StringIO()
    progress = LineProgress(stream, interval_s=15.0)
    progress.say("round 1")
    for second in range(41):
        clock[0] = float(second)
        progress.step("epoch 1", second * 10, 400)
    assert stream.getvalue().splitlines() == [
        "round 1",
        "  epoch 1: 150 of 400, 10/s, 25 s to go",
        "  epoch 1: 300 of 400, 10/s, 10 s to go",
    ]
    clock[0] += 60
    progress.step("epoch 2", 1, 400)  # begins anew: nothing is known of its rate
    assert len(stream.getvalue().splitlines()) == 3


def test_a_log_keeps_what_stays_with_its_time(clock):
    class Heard(Progress):
        said, steps = [], []

        def say(self, text):
            self.said.append(text)

        def step(self, what, done, total):
            self.steps.append((what, done, total))

    log, inner = io.StringIO(), Heard()
    progress = LogProgress(log, inner)
    progress.say("round 1")
    progress.step("epoch 1", 1, 2)
    assert log.getvalue()[8:] == " round 1\n"
    assert (inner.said, inner.steps) == (["round 1"], [("epoch 1", 1, 2)])


def test_a_terminal_has_a_bar_that_goes_when_it_is_full(monkeypatch):
    pytest.importorskip("rich")
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", stream)
    progress = terminal_progress()
    assert isinstance(progress, TerminalProgress)
    progress.say("[bold] is no markup")
    progress.step("epoch 1", 1, 2)
    progress.step("epoch 2", 1, 2)
    assert len(progress._bar.tasks) == 1
    progress.step("epoch 2", 2, 2)
    assert progress._bar.tasks == []
    progress.step("epoch 3", 0, 2)
    progress.say("done")
    assert progress._bar.tasks == []
    said = stream.getvalue()
    assert "[bold] is no markup" in said
    assert "done" in said


def test_a_file_and_a_terminal_without_rich_get_lines(monkeypatch):
    assert isinstance(terminal_progress(), LineProgress)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "rich", None)
    assert isinstance(terminal_progress(), LineProgress)
