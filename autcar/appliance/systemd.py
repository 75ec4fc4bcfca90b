"""What a service tells systemd: ready, alive, its status, and structured log lines.

Both protocols are datagrams of ``NAME=value`` lines (sd_notify(3) and the journal's
native protocol). Without systemd every call does nothing but log to standard error.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import suppress
from typing import Any

_JOURNAL = "/run/systemd/journal/socket"
_PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}


STEP_S = 30
"""How long a step of a start may take; the units' TimeoutStartSec.

From nothing to the first command are 0.7 G instructions, 0.2 s on a workstation and about 2 s
on a Pi Zero 2 W, a few more to read 100 MB of libraries from its card. A camera that is late
says so each second.
"""


class Notifier:
    """Speaks to the socket that systemd names in ``NOTIFY_SOCKET``."""

    def __init__(self, address: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        # A leading @ is an abstract socket, which the kernel knows by a leading zero.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._beat = float("-inf")
        self._status = ""
        if self._address:
            kind = socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)
            self._socket = socket.socket(socket.AF_UNIX, kind)
            self._socket.setblocking(False)

    def step(self, text: str) -> None:
        """What the start does next. One that stays silent for :data:`STEP_S` hangs, and fails."""
        self.status(text)
        self._send(f"EXTEND_TIMEOUT_USEC={STEP_S * 1_000_000}")

    def ready(self) -> None:
        """The service does its work from now on."""
        self._send("READY=1")

    def alive(self) -> None:
        """The service's loop turns; told five times a second at most."""
        now = time.monotonic()
        if now - self._beat >= 0.2:
            self._beat = now
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; told when it changes."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + text.replace("\n", " "))

    def _send(self, message: str) -> None:
        if self._socket is not None:
            # A manager that does not listen is no reason to stop a car, nor to wait.
            with suppress(OSError):
                self._socket.sendto(message.encode(), self._address)


class JournalHandler(logging.Handler):
    """Log records as the journal's own entries; ``extra={"fields": {…}}`` adds fields."""

    def __init__(self, address: str = _JOURNAL) -> None:
        super().__init__()
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry; a journal that is not there is passed over in silence."""
        fields: dict[str, Any] = {
            "MESSAGE": self.format(record),
            "PRIORITY": _PRIORITY.get(record.levelno, 6),
            "SYSLOG_IDENTIFIER": "autcar",
            "LOGGER": record.name,
            **{f"AUTCAR_{k.upper()}": v for k, v in getattr(record, "fields", {}).items()},
        }
        with suppress(OSError):
            self._socket.sendto(
                b"".join(_entry(k, str(v)) for k, v in fields.items()), self._address
            )


def _entry(name: str, value: str) -> bytes:
    data = value.encode()
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def service_log(name: str) -> logging.Logger:
    """A logger for what a service does: to the journal under systemd, else to standard error."""
    log = logging.getLogger(name)
    log.setLevel(logging.INFO)
    if "JOURNAL_STREAM" in os.environ and not log.handlers:
        log.addHandler(JournalHandler())
        log.propagate = False
    return log
