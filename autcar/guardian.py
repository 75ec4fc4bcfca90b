"""The guardian: the small process that alone owns the motor pins.

It is started before anything heavy is loaded and is commanded over a socket.
Each drive message carries its own expiry, so the heartbeat *is* the command.
End of file, expiry, a signal or a malformed message bring the wheels to rest;
after an expiry they stay at rest until the parent arms again.

Why a process: Raspberry Pi kernels leave a GPIO output at its last level when
its owner dies, and software PWM dies with the process that makes it, so a
killed driver can leave a motor running. This one does nothing that can hang.

Run as ``python -m autcar.guardian FD JSON`` by :mod:`autcar.wheels`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from types import FrameType

from autcar.errors import AutcarError
from autcar.motors import open_motors
from autcar.motors.base import Motors

DRIVE, STOP, ARM = 1, 2, 3
READY, AT_REST, ARMED, DRIVING, IGNORED = 1, 2, 3, 4, 5

MESSAGE = Struct("<B3xIqqff")
"""To the guardian: kind, sequence, frame time ns, expiry ns (monotonic), left, right."""

REPORT = Struct("<B3xIq24s")
"""From the guardian: kind, sequence of the message it answers, time ns, why."""

LONGEST_LEASE_NS = 1_000_000_000
"""No command is valid for longer than this, whatever its sender says."""


class Watch:
    """What the guardian knows: armed or latched, and until when the command holds.

    Pure but for ``motors``; the time is passed in.
    """

    def __init__(self, motors: Motors) -> None:
        self._motors = motors
        self.armed = False
        self.expires_ns: int | None = None
        self._sequence = -1

    def rest(self, *, latch: bool) -> None:
        """Stop the wheels; with ``latch``, until armed again."""
        self._motors.stop()
        self.expires_ns = None
        if latch:
            self.armed = False

    def receive(self, now_ns: int, message: bytes) -> tuple[int, int, str]:
        """Act on one message; returns the report to send (kind, sequence, why)."""
        kind, sequence, _frame_ns, expires_ns, left, right = MESSAGE.unpack(message)
        if kind == STOP:
            self.rest(latch=True)
            return AT_REST, sequence, "stop"
        if kind == ARM:
            self.rest(latch=False)
            self.armed = True
            self._sequence = sequence
            return ARMED, sequence, "armed"
        valid = (
            kind == DRIVE
            and abs(left) <= 1.0  # False for NaN too
            and abs(right) <= 1.0
        )
        if not valid:
            self.rest(latch=True)
            return AT_REST, sequence, "bad message"
        # Each command is answered: that is how the parent knows that the guardian is not hung.
        if not self.armed or sequence <= self._sequence:
            return IGNORED, sequence, "not armed, or too old"
        if expires_ns <= now_ns:
            self.rest(latch=True)
            return AT_REST, sequence, "arrived expired"
        self._sequence = sequence
        self.expires_ns = min(expires_ns, now_ns + LONGEST_LEASE_NS)
        self._motors.drive(left, right)
        return DRIVING, sequence, "driving"

    def expire(self, now_ns: int) -> tuple[int, int, str] | None:
        """Stop and latch when the command has expired."""
        if self.expires_ns is None or now_ns < self.expires_ns:
            return None
        self.rest(latch=True)
        return AT_REST, self._sequence, "expired"


def guard(
    link: socket.socket, motors: Motors, clock: Callable[[], int] = time.monotonic_ns
) -> None:
    """Serve one parent until its end of the socket closes."""
    watch = Watch(motors)
    pending = b""
    try:
        _send(link, clock(), (READY, 0, "ready"))
        while True:
            wait_s = None
            if watch.expires_ns is not None:
                wait_s = max(0, watch.expires_ns - clock()) / 1e9
            readable, _, _ = select.select([link], [], [], wait_s)
            now_ns = clock()
            # Expiry first: a command that comes after it does not undo the stop.
            _send(link, now_ns, watch.expire(now_ns))
            if not readable:
                continue
            data = link.recv(4096)
            if not data:
                return
            pending += data
            while len(pending) >= MESSAGE.size:
                message, pending = pending[: MESSAGE.size], pending[MESSAGE.size :]
                _send(link, now_ns, watch.receive(now_ns, message))
    except (BrokenPipeError, ConnectionResetError):
        return
    finally:
        motors.close()


def _send(link: socket.socket, now_ns: int, report: tuple[int, int, str] | None) -> None:
    if report is None:
        return
    kind, sequence, why = report
    # A parent that does not read its reports must not hold up the guardian.
    with suppress(BlockingIOError):
        link.send(REPORT.pack(kind, sequence, now_ns, why.encode()), socket.MSG_DONTWAIT)


# By name: a workstation with Windows reads this file for the messages, and has no SIGHUP.
_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
]


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the stop that this one begins.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def main(argv: list[str] | None = None) -> int:
    """Entry point: a socket's file descriptor and the motors' settings as JSON."""
    descriptor, settings = argv or sys.argv[1:]
    for number in _SIGNALS:
        signal.signal(number, _on_signal)
    # Ahead of whatever else wants the processor, where this user may ask for it.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    link = socket.socket(fileno=int(descriptor))
    os.set_inheritable(link.fileno(), False)
    try:
        motors = open_motors(json.loads(settings))
    except AutcarError as error:
        print(f"autcar: {error}", file=sys.stderr)
        return 1
    try:
        guard(link, motors)
    finally:
        # Once more: a signal in the moment of ending may have come before they were closed.
        motors.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
