"""AutCar's remote protocol: JSON ``{"cmd": "leftlight"}`` over TCP, answered by ``received``.

It knows no pairing and no dead-man of its own, so it is off unless ``[cockpit]
remote_port`` is set, listens on this computer only unless told otherwise, and a
driving command holds for half a second: a driver repeats it, as
:class:`autcar.RemoteController` does. After a STOP, a lost link or anything else that
stopped the car, ``stop`` must be sent before it moves again.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Self

from autcar.commands import STOP, Command
from autcar.errors import ConfigError
from autcar.helm import Helm
from autcar.safety import Reason
from capture.errands import Errands
from capture.hand import Hand, told
from capture.recorder import Recorder

HOLD_S = 0.5
LONGEST = 4096
COMMANDS = (
    *("fast", "faster", "backwards", "stop", "leftlight", "lefthard", "rightlight", "righthard"),
    *("startrecording", "stoprecording"),
)


class Framing:
    """Cuts a stream into AutCar's messages, which stand one after the other with nothing between.

    Raises :class:`ValueError` for anything else and for more than 4 kB without an end.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._decoder = json.JSONDecoder()

    def feed(self, data: bytes) -> Iterator[str]:
        """The ``cmd`` of each message that is whole."""
        self._pending = (self._pending + data.decode()).lstrip()
        while self._pending:
            try:
                message, end = self._decoder.raw_decode(self._pending)
            except RecursionError:
                raise ValueError("too deep") from None
            except ValueError:
                if len(self._pending) > LONGEST or not self._pending.startswith("{"):
                    raise
                return
            self._pending = self._pending[end:].lstrip()
            command = message.get("cmd") if isinstance(message, dict) else None
            if not isinstance(command, str):
                raise ValueError("a message without cmd")
            yield command


def steer(name: str, direction: str) -> Command | None:
    """What AutCar's sample script does for ``name``; turns keep the ``direction`` driven last."""
    if name in ("fast", "faster"):
        return Command("move", "medium" if name == "fast" else "fast", "forward")
    if name == "backwards":
        return Command("move", "medium", "backwards")
    if name == "stop":
        return STOP
    for side in ("left", "right"):
        if name in (f"{side}light", f"{side}hard"):
            return Command(side, "light" if name.endswith("light") else "medium", direction)
    return None


class RemoteServer:
    """Serves one AutCar remote at a time. Close it, or use it as a context manager.

    Raises :class:`ConfigError` when the port cannot be had.
    """

    def __init__(
        self,
        helm: Helm,
        recorder: Recorder,
        listen: str,
        port: int,
        say: Callable[[str], None] = print,
    ) -> None:
        self._helm = helm
        self._recorder = recorder
        self._say = say
        try:
            self._server = socket.create_server((listen, port), backlog=1)
        except OSError as error:
            raise ConfigError(
                f"[cockpit] remote_port {port} cannot be had: {error.strerror}; set another"
            ) from error
        self.port = self._server.getsockname()[1]
        self._errands = Errands(say)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="remote", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Bring the wheels to rest if a remote drives, and end."""
        self._ending.set()
        self._thread.join(2.0)
        self._errands.close()
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _serve(self) -> None:
        while not self._ending.is_set():
            if not select.select([self._server], [], [], 0.1)[0]:
                continue
            link, _ = self._server.accept()
            with link, Hand(self._helm, "remote", HOLD_S) as hand:
                link.settimeout(1.0)
                try:
                    self._talk(link, hand)
                except (OSError, ValueError) as error:
                    self._say(f"remote: {error}; its link is closed")
                if self._moves(hand):
                    self._helm.stop(Reason.LINK_LOST)

    def _moves(self, hand: Hand) -> bool:
        return hand.drives and self._helm.state.command != STOP

    def _talk(self, link: socket.socket, hand: Hand) -> None:
        framing = Framing()
        direction, heard_s = "forward", 0.0
        # The helm is taken only if nothing stopped the car since this link last said `stop`, or
        # since it was opened while nothing had. One `stop` allows one attempt.
        state = self._helm.state
        stopped_at = state.rests if state.reason == Reason.DISARMED.value else None
        while not self._ending.is_set():
            if not select.select([link], [], [], 0.05)[0]:
                if self._moves(hand) and time.monotonic() - heard_s > HOLD_S - 0.1:
                    self._helm.stop(Reason.LINK_LOST)
                continue
            data = link.recv(LONGEST)
            if not data:
                return
            for name in framing.feed(data):
                if name not in COMMANDS:
                    raise ValueError(f"{name[:20]!r} is no command of a remote")
                link.sendall(b"received")
                heard_s = time.monotonic()
                command = steer(name, direction)
                if command is None:
                    record = name == "startrecording"
                    self._errands.ask(self._recorder.record if record else self._recorder.finish)
                    continue
                direction = command.direction or direction
                rests = self._helm.state.rests
                if command != STOP and stopped_at is not None and not hand.drives:
                    told(self._say, partial(hand.take, stopped_at))
                hand.say(command)
                stopped_at = rests if command == STOP else None
