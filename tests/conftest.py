"""Small recordings, made on the spot, that every part's tests share."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

from autcar.cameras.base import Frame
from autcar.commands import CLASSES, Command
from autcar.recording.session import SessionWriter

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

MakeSession = Callable[..., Path]

# The same examples each time: who changes nothing sees no test fail.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """With AUTCAR_NO_SKIP set, as in CI, a test that skips has failed: CI has all it needs."""
    report = yield
    if report.skipped and os.environ.get("AUTCAR_NO_SKIP"):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What ``autcar bench --choose`` found for this machine's own use is no test's business."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def until(happens: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until ``happens()`` is true."""
    end = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < end, f"not within {timeout_s} s"
        time.sleep(0.005)


def free_port() -> int:
    """A port of this computer that nobody listens on just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def picture(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A picture that shows its command by where a bright column stands, with noise."""
    generator = np.random.default_rng(index)
    image = generator.integers(40, 90, (height, width, 3), dtype=np.uint8)
    column = (index % len(CLASSES)) * width // len(CLASSES)
    image[:, column : column + width // len(CLASSES)] += 120
    return image


@pytest.fixture
def make_session(tmp_path: Path) -> MakeSession:
    """Write a session of ``frames`` frames at 20 Hz; ``commands(i)`` labels frame ``i``."""

    def make(
        name: str = "session",
        frames: int = 48,
        commands: Callable[[int], Command] = lambda index: CLASSES[index % len(CLASSES)],
        width: int = 64,
        height: int = 48,
        first: int = 0,
    ) -> Path:
        with SessionWriter(
            tmp_path / "recordings",
            width=width,
            height=height,
            fps=20.0,
            name=name,
            clock=lambda: datetime(2000, 1, 1, tzinfo=UTC),
        ) as writer:
            for index in range(first, first + frames):
                frame = Frame(picture(index, width, height), index, index * 50_000_000)
                writer.write(frame, commands(index), "human")
        return writer.folder

    return make
