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
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol

from autcar.errors import MotorError
from autcar.guardian import (
    ARM,
    ARMED,
    AT_REST,
    DRIVE,
    LONGEST_LEASE_NS,
    MESSAGE,
    READY,
    REPORT,
    STOP,
)
from autcar.motors.base import Motors


class Wheels(Protocol):
    """Where a driving loop and a person's helm send wheel speeds, each from its own thread."""

    @property
    def at_rest_because(self) -> str | None:
        """None while drive commands are accepted, else why not."""

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
        self._lock = threading.Lock()
        self.at_rest_because: str | None = "not armed"

    def arm(self) -> None:
        """Accept drive commands from now on."""
        with self._lock:
            self.at_rest_because = None

    def drive(self, left: float, right: float, frame_time_ns: int, expires_ns: int) -> None:
        """Set the wheel speeds, unless not armed."""
        with self._lock:
            if self.at_rest_because is None:
                self._motors.drive(left, right)

    def stop(self) -> None:
        """Bring the wheels to rest."""
        with self._lock:
            self.at_rest_because = "stop"
            self._motors.stop()

    def close(self) -> None:
        """Bring the wheels to rest and release the motors."""
        with self._lock:
            self.at_rest_because = "closed"
            self._motors.close()


class _LinkClosedError(OSError):
    """The guardian's end of the socket is closed: it has died."""


_SILENT = "the guardian did not answer in time"


class GuardedWheels:
    """A guardian process and the socket that commands it.

    ``settings`` is what :func:`autcar.motors.open_motors` takes, JSON-able. Raises
    :class:`MotorError` when the guardian cannot open the motors. With ``wait`` false it
    starts while the caller goes on; :meth:`ready` waits and raises then. When the guardian
    dies, or leaves what it is told unanswered for :attr:`ANSWER_TIMEOUT_S` seconds, whatever
    told it ends it and starts another, which brings the wheels to rest by opening the motors,
    and raises :class:`MotorError`.
    """

    START_TIMEOUT_S = 5.0
    CLOSE_TIMEOUT_S = 2.0
    ANSWER_TIMEOUT_S = 0.4
    RENEWALS = 6
    """An unchanged command is sent once a sixth of its time is gone, and not at every frame:
    each message wakes the guardian's process, which costs the driver as much CPU as all else
    that it does beside inference. When it hangs, the wheels rest up to a sixth sooner.
    """

    def __init__(self, settings: Mapping[str, Any], *, wait: bool = True) -> None:
        self._settings = json.dumps(dict(settings))
        self._lock = threading.RLock()
        self._closed = False
        self._sequence = 0
        self._opened = False
        self._unanswered_since: float | None = None
        self._speeds: tuple[float, float] | None = None
        self._expires_ns = 0
        self.at_rest_because: str | None = "not armed"
        self._start()
        if wait:
            self.ready()

    @property
    def pid(self) -> int:
        """The guardian's process id."""
        return self._process.pid

    def ready(self) -> None:
        """Return once the guardian has opened the motors, at rest; :class:`MotorError` if not."""
        with self._lock:
            if not self._opened:
                self._await_ready()

    def arm(self) -> None:
        """Tell the guardian to accept drive commands; returns when it does."""
        with self._lock:
            self._check_open()
            self.ready()
            self._speeds = None
            self._tell(ARM, ARMED)
            self.at_rest_because = None

    def drive(self, left: float, right: float, frame_time_ns: int, expires_ns: int) -> None:
        """Send one expiring command, unless the last one says the same for nearly as long.

        Raises :class:`MotorError` when the guardian is gone.
        """
        with self._lock:
            self._check_open()
            self.ready()
            now = time.monotonic()
            self._check_answers(now)
            lease_ns = min(expires_ns - frame_time_ns, LONGEST_LEASE_NS)
            longer_ns = expires_ns - self._expires_ns
            if (left, right) == self._speeds and 0 <= longer_ns < lease_ns // self.RENEWALS:
                return
            if self._unanswered_since is None:
                self._unanswered_since = now
            self._send(DRIVE, frame_time_ns, expires_ns, left, right)
            self._speeds, self._expires_ns = (left, right), expires_ns

    def stop(self) -> None:
        """Bring the wheels to rest; they are when this returns, or raises.

        Before the guardian is ready it does not wait: opening the motors brings them to rest.
        """
        with self._lock:
            self._speeds = None
            if self._closed:
                return
            if self._opened:
                self._tell(STOP, AT_REST)
            else:
                self._send(STOP)
            self.at_rest_because = "stop"

    def close(self) -> None:
        """End the guardian, which brings the wheels to rest first."""
        with self._lock:
            self._closed, self.at_rest_because = True, "closed"
            self._link.close()
            if self._ended():
                return
            # One that hung has left the wheels as they were: opening the motors stops them.
            self._start()
            self.ready()
            self._link.close()
            self._ended()

    def _check_open(self) -> None:
        if self._closed:
            raise MotorError("the motors are closed; end whatever drives before the car is closed")

    def _await_ready(self) -> None:
        try:
            self._await(READY, 0, self.START_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            raise MotorError(
                f"the guardian of the motors did not answer within {self.START_TIMEOUT_S:.0f} s; "
                f"restart autcar"
            ) from None
        except _LinkClosedError:
            code = self._process.wait()
            raise MotorError(
                f"the guardian could not open the motors (exit code {code}; its message stands "
                f"above); check [motors] in car.toml"
            ) from None
        self._opened = True

    def _check_answers(self, now: float) -> None:
        """Replace a guardian that has died, or owes an answer for too long."""
        try:
            self._reports()
        except _LinkClosedError as error:
            self._revive(error)
        waited_s = 0.0 if self._unanswered_since is None else now - self._unanswered_since
        if waited_s > self.ANSWER_TIMEOUT_S:
            self._process.kill()
            self._revive(TimeoutError(_SILENT))

    def _ended(self) -> bool:
        """Wait for the guardian's end; False if it had to be killed."""
        try:
            self._process.wait(self.CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def _start(self) -> None:
        if sys.platform == "win32":
            raise MotorError(
                "motors need Linux; on Windows autcar drives the simulated car alone "
                '([motors] driver = "simulator" in car.toml)'
            )
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
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        self._pending = b""
        self._unanswered_since = None
        self._speeds = None
        self._opened = False

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
        except OSError as error:
            self._process.kill()
            self._revive(error)
        return self._sequence

    def _tell(self, kind: int, answer: int) -> None:
        """Send what is to be answered at once, and wait for ``answer``."""
        sequence = self._send(kind)
        try:
            self._await(answer, sequence, self.ANSWER_TIMEOUT_S)
        except OSError as error:
            self._process.kill()
            self._revive(error)

    def _revive(self, error: OSError) -> NoReturn:
        """Start another guardian: opening the motors brings the wheels to rest."""
        self._link.close()
        code = self._process.wait()
        self.at_rest_because = "guardian lost"
        self._start()
        self.ready()
        raise MotorError(
            f"the guardian of the motors died or hung (exit code {code}); another one has "
            f"brought the wheels to rest; arm again to go on"
        ) from error

    def _await(self, kind: int, sequence: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        # Whoever was held up itself looks once more: the answer may lie there.
        while self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            if (kind, sequence) in self._reports():
                return
        raise TimeoutError(_SILENT)

    def _reports(self) -> list[tuple[int, int]]:
        """Kind and sequence of what the guardian said since the last call."""
        if not self._poll.poll(0):
            return []
        try:
            data = self._link.recv(4096)
        except OSError as error:
            raise _LinkClosedError from error
        if not data:
            raise _LinkClosedError
        self._unanswered_since = None
        self._pending += data
        reports = []
        while len(self._pending) >= REPORT.size:
            raw, self._pending = self._pending[: REPORT.size], self._pending[REPORT.size :]
            kind, sequence, _time_ns, why = REPORT.unpack(raw)
            if kind == AT_REST:
                self.at_rest_because = why.rstrip(b"\0").decode()
            reports.append((kind, sequence))
        return reports
