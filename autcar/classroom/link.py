"""One car, as the class-room page sees it: a browser's place at that car's cockpit.

It pairs by the car's own code, reads what every browser is told, and may say STOP. It
never takes the wheel.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from autcar.errors import ConfigError
from autcar.safety import Reason

RETRY_S = 2.0
PICTURE_S = 0.3
"""Between two pictures of a car: thirty cars on one page are a glance, not a film."""

_QUIET = {None, Reason.DISARMED.value, Reason.STOP_PRESSED.value, Reason.TAKEN_OVER.value}
_PICTURE_HEAD = 16
"""Bytes before each JPEG; see :data:`autcar.cockpit.server.PICTURE`."""


@dataclass
class CarView:
    """What the page shows of one car.

    ``link`` is ``"connecting"``, ``"lost"``, ``"code"`` (its pairing code is asked for) or
    ``"there"``; ``problem`` says what is wrong with it. ``status`` is the cockpit's own,
    None before the first. ``failure`` is the last fault that stopped the car, at
    ``failed_at`` (``time.time()``); both stay when the car drives on.
    """

    name: str
    url: str
    link: str = "connecting"
    problem: str = ""
    status: dict[str, Any] | None = None
    failure: str = ""
    failed_at: float = 0.0
    picture: bytes | None = None
    pictures: int = 0

    @property
    def at_rest(self) -> bool | None:
        """Whether nobody drives it; None where the link does not tell."""
        if self.link != "there" or self.status is None:
            return None
        pilot = self.status["pilot"] or {}
        return self.status["driver"] is None and not pilot.get("driving", False)


@dataclass
class CarLink:
    """Keeps :attr:`view` true by talking to the cockpit at ``view.url``, again and again.

    ``code`` is the pairing code, empty where the page shall ask for it.
    """

    view: CarView
    code: str = ""
    _socket: aiohttp.ClientWebSocketResponse | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _looked: float = 0.0
    _reason: str | None = None

    @classmethod
    def to(cls, name: str, address: str) -> CarLink:
        """For a cockpit's address as the car prints it: ``http://red.local:8080/#ABCD-EFGH``.

        Without a ``name`` the car's own is taken, once it says so. Raises
        :class:`ConfigError` for anything else.
        """
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{address!r} is no cockpit's address; give what the car prints, such as "
                f"http://red.local:8080/#ABCD-EFGH"
            )
        url = f"{parts.scheme}://{parts.netloc}"
        return cls(CarView(name, url), parts.fragment)

    async def keep(self) -> None:
        """Stay linked until cancelled."""
        jar = aiohttp.CookieJar(unsafe=True)  # cars are often known by an IP address only
        timeout = aiohttp.ClientTimeout(total=None, connect=5.0, sock_connect=5.0)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as session:
            while True:
                self._wake.clear()
                try:
                    if await self._pair(session):
                        await self._listen(session)
                        self._lose("the car ended the link")
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
                    self._lose(str(error) or type(error).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), RETRY_S)

    def give_code(self, code: str) -> None:
        """Try this pairing code now."""
        self.code = code.strip()
        self._wake.set()

    async def stop(self) -> bool:
        """Say STOP; False where there is no link to say it over."""
        if self._socket is None or self._socket.closed:
            return False
        with suppress(ConnectionError, RuntimeError, aiohttp.ClientError):
            await self._socket.send_json({"do": "stop"})
            return True
        return False

    def _lose(self, problem: str) -> None:
        self._socket = None
        if self.view.link == "there" and self.view.at_rest is False:
            self._fail("the link broke while it drove")
        self.view.link, self.view.problem = "lost", problem

    def _fail(self, what: str) -> None:
        self.view.failure, self.view.failed_at = what, time.time()

    async def _pair(self, session: aiohttp.ClientSession) -> bool:
        view = self.view
        async with session.get(f"{view.url}/hello") as response:
            if response.status != 200:
                self._lose(f"it answers {response.status}: {(await response.text())[:80]}")
                return False
            hello = await response.json()
        view.name = view.name or hello["car"]
        if hello["paired"]:
            return True
        view.link, view.problem = "code", ""
        if not self.code:
            return False
        body = {"code": self.code}
        async with session.post(
            f"{view.url}/pair", json=body, headers={"Origin": view.url}
        ) as response:
            answer = await response.json()
        if answer["paired"]:
            return True
        self.code = ""  # a wrong one is not tried again: the car counts
        wait_s = answer.get("wait_s", 0)
        view.problem = f"too many tries: wait {wait_s} s" if wait_s else "that is not its code"
        return False

    async def _listen(self, session: aiohttp.ClientSession) -> None:
        view = self.view
        async with session.ws_connect(
            f"{view.url}/socket", origin=view.url, heartbeat=5.0, max_msg_size=4 << 20
        ) as socket:
            self._socket = socket
            await socket.send_json({"do": "view", "on": False})
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    await self._hear_picture(socket, message.data)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    self._hear(json.loads(message.data))
                if time.monotonic() - self._looked > PICTURE_S:
                    self._looked = time.monotonic()
                    await socket.send_json({"do": "view", "on": True})

    async def _hear_picture(self, socket: aiohttp.ClientWebSocketResponse, content: bytes) -> None:
        self.view.picture = content[_PICTURE_HEAD:]
        self.view.pictures += 1
        await socket.send_json({"do": "view", "on": False})

    def _hear(self, said: dict[str, Any]) -> None:
        view = self.view
        if "time" not in said:
            return
        view.link, view.problem, view.status = "there", "", said
        reason = (said["pilot"] or {}).get("reason") or said["reason"]
        if reason != self._reason and reason not in _QUIET:
            self._fail(reason)
        self._reason = reason
