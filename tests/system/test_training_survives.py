"""Training that is killed, runs into a full disk, or loses a worker, and goes on.

The network is one without dropout, which each worker draws for itself; its batch
normalisation and the augmentation look at the whole batch.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from autcar.cameras.base import Frame
from autcar.commands import CLASSES
from autcar.recording.session import SessionWriter
from tests.conftest import REPOSITORY, picture

pytest.importorskip("tensorflow")

EPOCHS = 12
NETWORK = """
from keras import Sequential, layers

def build(height, width, classes):
    return Sequential([
        layers.Input((height, width, 3)), layers.Rescaling(1 / 255),
        layers.Conv2D(8, 5, 4, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.Flatten(), layers.Dense(classes, activation="softmax"),
    ], name="plain")
"""


class Place:
    """A folder with recordings and a network, where ``autcar`` runs as a process."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "plain.py").write_text(NETWORK)
        with SessionWriter(folder / "data", width=64, height=48, fps=10, name="one") as writer:
            for number in range(240):
                frame = Frame(picture(number), number, number * 100_000_000)
                writer.write(frame, CLASSES[number % len(CLASSES)], "human")

    def start(self, *words, verb="train", **options):
        words = [sys.executable, "-m", "autcar", verb, *map(str, words)]
        environment = os.environ | {
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
        }
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def begin(self, name, *more):
        """Train from the beginning into ``runs_NAME``."""
        return self.start(
            *("data", "--network", "plain:build", "--epochs", EPOCHS, "--patience", EPOCHS),
            *("--size", "64x48", "--batch-size", 16, "--variants", "float32", "--force"),
            *("--output", f"bundle_{name}", "--run-dir", f"runs_{name}", *more),
        )

    def run_of(self, name):
        (run,) = (self.folder / f"runs_{name}").iterdir()
        return run

    def wait_for_an_epoch(self, name, process):
        until = time.monotonic() + 200
        while not list(self.folder.glob(f"runs_{name}/*/checkpoint.npz")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.002)

    def losses(self, name):
        summary = json.loads((self.run_of(name) / "summary.json").read_text())
        epochs = summary["history"]["epochs"]
        assert len(epochs) == EPOCHS
        return [(epoch["loss"], epoch["val_loss"]) for epoch in epochs]


def done(process, code=0):
    out, error = process.communicate(timeout=250)
    assert process.returncode == code, out + error
    return out + error


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("training"))
    done(place.begin("whole"))
    return place


def test_killed_in_mid_epoch_and_a_full_disk_later_it_ends_as_if_never_cut_short(place):
    cut = place.begin("cut")
    place.wait_for_an_epoch("cut", cut)
    cut.kill()
    cut.communicate()
    run = place.run_of("cut")
    assert not (run / "summary.json").exists()

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, resource.RLIM_INFINITY))

    before = (run / "checkpoint.npz").read_bytes()
    full = place.start("--resume", run, preexec_fn=small_files)
    told = done(full, code=1)
    assert "cannot be kept" in told
    assert f"autcar train --resume {run}" in told
    assert (run / "checkpoint.npz").read_bytes() == before
    assert not list(run.glob(".checkpoint*"))

    assert "going on after epoch" in done(place.start("--resume", run))
    assert place.losses("cut") == place.losses("whole")
    tflite = [place.folder / f"bundle_{name}" / "float32.tflite" for name in ("cut", "whole")]
    assert tflite[0].read_bytes() == tflite[1].read_bytes()


def test_two_workers_learn_as_one_and_end_clearly_when_one_dies(place):
    def hosts():
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            return ",".join(f"127.0.0.1:{end.getsockname()[1]}" for end in (one, other))

    workers = ("--workers", hosts())
    first, second = [place.begin("two", *workers, "--worker", index) for index in (0, 1)]
    place.wait_for_an_epoch("two", first)
    second.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    told = done(first, code=1)
    assert time.monotonic() - killed < 30
    assert "worker 0 of 2 lost the others" in told
    assert "Traceback" not in told
    second.communicate()

    run = place.run_of("two")
    told = done(place.start("--resume", run, "--workers", hosts(), "--launch"))
    assert "going on after epoch" in told
    np.testing.assert_allclose(place.losses("two"), place.losses("whole"), rtol=2e-3)
