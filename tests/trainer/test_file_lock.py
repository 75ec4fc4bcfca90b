"""Locks that end with the process that held them."""

import subprocess
import sys
import threading

import pytest

from trainer.file_lock import is_held, locked

HOLD = (
    "import sys, time; from pathlib import Path; from trainer.file_lock import locked\n"
    "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


@pytest.fixture
def holder(path):
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_who_waits_gets_it_when_its_holder_dies(path, holder):
    def claim():
        with locked(path):
            pass

    waiting = threading.Thread(target=claim, daemon=True)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    holder.kill()
    waiting.join(5)
    assert not waiting.is_alive()


def test_whether_it_is_held(path, holder):
    assert is_held(path)
    holder.kill()
    holder.wait()
    assert not is_held(path)
    assert not is_held(path.with_name("none"))


def test_ones_own_is_held_too(path):
    with locked(path):
        assert is_held(path)
    assert not is_held(path)
