"""The way from a verdict to the wheels, as the driving loop sees it.

:class:`GuardedWheels` commands the guardian process: the car's way, and the
real-time simulator's. :class:`DirectWheels` sets a motor driver in this process:
only for simulation faster than real time, where no wall clock can expire.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from autcar.errors import MotorError
from autcar.guardian import ARM, ARMED, AT_REST, DRIVE, MESSAGE, READY, REPORT, STOP
from autcar.motors.base import Motors


class Wheels(Protocol):
    """Where a driving loop sends wheel speeds.

    ``at_rest_because`` is None while drive commands are accepted.
    """

    at_rest_because: str | None

    def arm(self) -> None:
        """Accept drive commands from now on."""

    def drive(self, left: float, right: float, frame_time_ns: int, expires_ns: int) -> None:
        """Set the wheel speeds, −1…1, until ``expires_ns`` (monotonic ns) at the latest."""

    def stop(self) -> None:
        """Bring the wheels to rest; :meth:`arm` is needed to go on."""

    def close(self) -> None:
        """Bring the wheels to rest and release the motors. Closing twice is harmless."""


class DirectWheels:
    """Sets a motor driver in this process; expiry is the caller's business."""

    def __init__(self, motors: Motors) -> None:
        self._motors = motors
        self.at_rest_because: str | None = "not armed"

    def arm(self) -> None:
        """Accept drive commands from now on."""
        self.at_rest_because = None

    def drive(self, left: float, right: float, frame_time_ns: int, expires_ns: int) -> None:
        """Set the wheel speeds, unless not armed."""
        if self.at_rest_because is None:
            self._motors.drive(left, right)

    def stop(self) -> None:
        """Bring the wheels to rest."""
        self.at_rest_because = "stop"
        self._motors.stop()

    def close(self) -> None:
        """Bring the wheels to rest and release the motors."""
        self._motors.close()


class GuardedWheels:
    """A guardian process and the socket that commands it.

    ``settings`` is what :func:`autcar.motors.open_motors` takes, JSON-able. Raises
    :class:`MotorError` when the guardian cannot open the motors. When the guardian
    dies, :meth:`drive` starts another, which brings the wheels to rest by opening
    the motors, and raises :class:`MotorError`.
    """

    START_TIMEOUT_S = 5.0

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = json.dumps(dict(settings))
        self._sequence = 0
        self.at_rest_because: str | None = "not armed"
        self._start()

    @property
    def pid(self) -> int:
        """The guardian's process id."""
        return self._process.pid

    def arm(self) -> None:
        """Tell the guardian to accept drive commands; returns when it does."""
        sequence = self._send(ARM)
        self._await(ARMED, sequence, self.START_TIMEOUT_S)
        self.at_rest_because = None

    def drive(self, left: float, right: float, frame_time_ns: int, expires_ns: int) -> None:
        """Send one expiring command; raises :class:`MotorError` when the guardian is gone."""
        self._send(DRIVE, frame_time_ns, expires_ns, left, right)
        self._read_reports()

    def stop(self) -> None:
        """Bring the wheels to rest."""
        self._send(STOP)
        self.at_rest_because = "stop"

    def close(self) -> None:
        """End the guardian, which brings the wheels to rest first."""
        self._link.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autcar.guardian", str(theirs.fileno()), self._settings],
                pass_fds=[theirs.fileno()],
                # A terminal's Ctrl-C is the parent's to handle: it stops the wheels first.
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        self._link = ours
        self._link.setblocking(False)
        self._pending = b""
        self._await(READY, 0, self.START_TIMEOUT_S)

    def _send(
        self,
        kind: int,
        frame_time_ns: int = 0,
        expires_ns: int = 0,
        left: float = 0.0,
        right: float = 0.0,
    ) -> int:
        self._sequence += 1
        message = MESSAGE.pack(kind, self._sequence, frame_time_ns, expires_ns, left, right)
        try:
            self._link.send(message)
        except BlockingIOError:
            raise MotorError(
                "the guardian of the motors does not read its commands; it stops the wheels "
                "when the last one expires; restart autcar"
            ) from None
        except OSError:
            self._revive()
        return self._sequence

    def _revive(self) -> None:
        code = self._process.wait()
        self._link.close()
        self.at_rest_because = "guardian lost"
        self._start()
        raise MotorError(
            f"the guardian of the motors died (exit code {code}); another one has brought the "
            f"wheels to rest; arm again to go on"
        )

    def _read_reports(self) -> list[tuple[int, int]]:
        reports = []
        try:
            data = self._link.recv(4096)
            if not data:
                self._revive()
            self._pending += data
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self._revive()
        while len(self._pending) >= REPORT.size:
            raw, self._pending = self._pending[: REPORT.size], self._pending[REPORT.size :]
            kind, sequence, _time_ns, why = REPORT.unpack(raw)
            if kind == AT_REST:
                self.at_rest_because = why.rstrip(b"\0").decode()
            reports.append((kind, sequence))
        return reports

    def _await(self, kind: int, sequence: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            if self._process.poll() is not None and not select.select([self._link], [], [], 0)[0]:
                break
            if select.select([self._link], [], [], min(left_s, 0.1))[0]:
                if self._process.poll() is not None and kind == READY:
                    break
                if (kind, sequence) in self._read_reports():
                    return
        self._link.close()
        self._process.kill()
        code = self._process.wait()
        raise MotorError(
            f"the guardian could not open the motors (exit code {code}; its message stands "
            f"above); check [motors] in car.toml"
        )
