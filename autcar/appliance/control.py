"""The control socket of a running service: one line asks, one line of JSON answers.

It lies in the service's runtime folder, for root and the group ``autcar`` only.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from autcar.appliance import places
from autcar.errors import AutcarError

NAME = "control"
_LONGEST = 1024

Answer = Callable[[str], dict[str, Any]]


class ControlError(AutcarError, ConnectionError):
    """No service answers."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class Control:
    """Answers requests from a thread of its own until closed."""

    def __init__(self, answer: Answer, folder: Path | None = None) -> None:
        self._answer = answer
        self._path = (folder or places.running()) / NAME
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(self._path))
        self._path.chmod(0o660)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(2.0)
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(2.0)
                request = connection.recv(_LONGEST).decode(errors="replace").strip()
                connection.sendall(json.dumps(self._answered(request)).encode() + b"\n")

    def _answered(self, request: str) -> dict[str, Any]:
        try:
            return self._answer(request)
        except AutcarError as error:
            return {"error": str(error)}
        except Exception as error:
            logging.getLogger(__name__).exception("the request %r failed", request)
            return {"error": f"{type(error).__name__}: {error}"}


def ask(request: str, folder: Path | None = None, timeout_s: float = 5.0) -> dict[str, Any]:
    """Ask the running service. Raises :class:`ControlError` when none answers."""
    if not hasattr(socket, "AF_UNIX"):
        raise ControlError("no service runs on this machine; `autcar status` asks the cars")
    path = (folder or places.running()) / NAME
    data = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout_s)
        try:
            link.connect(str(path))
            link.sendall(request.encode() + b"\n")
            while chunk := link.recv(65536):
                data += chunk
            answer: dict[str, Any] = json.loads(data)
        except PermissionError:
            raise ControlError(
                f"{path} is not for you; say `sudo autcar …`, or join its group with "
                f"`sudo usermod -aG autcar $USER` and log in again"
            ) from None
        except (OSError, ValueError) as error:
            raise ControlError(
                f"no autcar service answers at {path} ({error}); "
                f"start one with `sudo autcar service start`"
            ) from None
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer
