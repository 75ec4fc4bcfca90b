"""``autcar record --service``: ready once the camera looks, at rest at its end."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest

from autcar.appliance.control import ControlError, ask
from autcar.cameras.base import Frame
from autcar.cli import parse
from autcar.commands import Command
from autcar.errors import CameraError
from autcar.exit_codes import NO_CAMERA
from autcar.vehicle import Vehicle
from autcar.wheels import DirectWheels
from capture import service
from tests.capture.test_daemon import HandCamera, Motors


@pytest.fixture
def started(tmp_path, monkeypatch):
    """The service with a camera and wheels in the test's hands, and a manager that listens."""
    monkeypatch.setenv("AUTCAR_RUN", str(tmp_path))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    (tmp_path / "car.toml").write_text("[camera]\nwidth = 32\nheight = 24\n")
    car = SimpleNamespace(camera=HandCamera(), motors=Motors(), daemon=None, outcome=None)
    vehicle = Vehicle(car.camera, DirectWheels(car.motors), lambda: 0, None, ExitStack())
    monkeypatch.setattr(service, "open_when_there", lambda config, notifier: vehicle)
    made = service.Daemon

    def daemon(*given):
        car.daemon = made(*given)
        return car.daemon

    monkeypatch.setattr(service, "Daemon", daemon)
    monkeypatch.setattr(service, "_LOOK_S", 0.02)
    words = ["record", "--service", "--no-cockpit", "--config", str(tmp_path / "car.toml")]
    arguments = parse([*words, "--output", str(tmp_path / "recordings")])

    def serve():
        try:
            car.outcome = service.serve(arguments)
        except CameraError as error:
            car.outcome = error

    car.thread = threading.Thread(target=serve, daemon=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        car.hears = lambda: manager.recv(4096).decode()
        yield car


def until(car, word):
    said = []
    while not said or word not in said[-1]:
        said.append(car.hears())
    return said


def test_it_is_ready_answers_and_is_at_rest_at_its_end(started, tmp_path):
    started.thread.start()
    until(started, "waiting for the camera's first frame")
    started.camera.frames.put(Frame(np.zeros((24, 32, 3), np.uint8), 0, 0))
    said = until(started, "READY=1")
    assert "STATUS=at rest: not armed, 0 frames recorded" in said
    facts = ask("status", tmp_path)
    assert (facts["service"], facts["ready"], facts["armed"]) == ("record", True, False)
    with pytest.raises(ControlError, match="open the cockpit and take the wheel"):
        ask("arm", tmp_path)
    with pytest.raises(ControlError, match="'fly'; there are disarm, status"):
        ask("fly", tmp_path)
    helm = started.daemon.helm
    helm.beat(helm.take("me"), Command("move", "medium", "forward"))
    assert ask("status", tmp_path)["driver"] == "me"
    until(started, "me drives, 0 frames recorded")
    assert ask("disarm", tmp_path)["armed"] is False
    assert started.motors.speeds == (0.0, 0.0)
    started.camera.frames.put(CameraError("the cable is out"))
    assert "failed: the cable is out" in until(started, "failed")[-1]
    started.thread.join(5)
    # Once it was ready that is a failure to start anew after, and no camera that is missing.
    assert isinstance(started.outcome, CameraError)
    assert not (tmp_path / "control").exists()


def test_a_camera_that_never_looks_is_no_reason_to_try_on(started, monkeypatch):
    monkeypatch.setattr(service, "_FIRST_FRAME_S", 0.1)
    started.thread.start()
    assert "failed: the camera gave no frame in 0.1 s; check its cable" in "".join(
        until(started, "failed")
    )
    started.thread.join(5)
    assert started.outcome == NO_CAMERA
