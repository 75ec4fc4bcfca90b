"""Serves the class-room page to this computer's browser, and to no other."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from autcar.classroom.link import CarLink
from autcar.cockpit.access import Names, same_origin
from autcar.cockpit.messages import LONGEST
from autcar.cockpit.server import HEADERS
from autcar.cockpit.server import PAGE as COCKPIT_PAGE
from autcar.errors import ConfigError

PICTURE = struct.Struct("<I")
"""Before each JPEG: which car, counted from 0 in the order of the page."""

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": (_PAGE / "index.html", "text/html"),
    "/classroom.js": (_PAGE / "classroom.js", "text/javascript"),
    "/classroom.css": (_PAGE / "classroom.css", "text/css"),
    "/cockpit.css": (COCKPIT_PAGE / "cockpit.css", "text/css"),
    "/icon.svg": (COCKPIT_PAGE / "icon.svg", "image/svg+xml"),
}
_STATUS_S = 0.2
LISTEN = "127.0.0.1"


class Classroom:
    """The page for ``links``, served on this computer's ``port`` (0: any free one).

    :meth:`run` serves until cancelled; ``started`` is set when :attr:`url` is known.
    """

    def __init__(self, links: Sequence[CarLink], port: int) -> None:
        self._links = list(links)
        self._names = Names(LISTEN)
        self._asked_port = port
        self._pages: set[web.WebSocketResponse] = set()
        self.started = asyncio.Event()
        self.url = ""

    async def run(self) -> None:
        """Keep the links and serve. Raises :class:`ConfigError` for a port that is taken."""
        app = web.Application(middlewares=[self._guard], client_max_size=LONGEST)
        for path in _FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/socket", self._socket)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        work = [asyncio.create_task(link.keep()) for link in self._links]
        try:
            try:
                await web.TCPSite(runner, LISTEN, self._asked_port).start()
            except OSError as error:
                raise ConfigError(
                    f"the page cannot listen on port {self._asked_port}: {error.strerror}; "
                    f"give --port 0 for any free one"
                ) from error
            self.url = f"http://localhost:{runner.addresses[0][1]}/"
            self.started.set()
            await self._publish()
        finally:
            for task in work:
                task.cancel()
            for page in list(self._pages):
                with suppress(Exception):
                    await asyncio.wait_for(page.close(code=WSCloseCode.GOING_AWAY), 1.0)
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Turn away what is not our own page: any other site might press STOP, or look."""
        address, port = (request.get_extra_info("sockname") or ("", 0))[:2]
        host = request.headers.get("Host", "")
        try:
            if not self._names.allow(host, address, port):
                raise web.HTTPMisdirectedRequest(text="this page does not go by that name")
            if request.path == "/socket" and not same_origin(
                request.headers.get("Origin"), "http", host
            ):
                raise web.HTTPForbidden(text="only this computer's own page may do that")
            response: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path, kind = _FILES[request.path]
        return web.Response(body=path.read_bytes(), content_type=kind, charset="utf-8")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=LONGEST, heartbeat=10.0, compress=False)
        await socket.prepare(request)
        self._pages.add(socket)
        sender = asyncio.create_task(self._show(socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and not await self._obey(message.data):
                    await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            self._pages.discard(socket)
            sender.cancel()
        return socket

    async def _obey(self, text: str) -> bool:
        """Do what a page asks: stop all cars or one, or try a code; False for anything else."""
        try:
            order = json.loads(text)
            kind = order["do"]
            links = self._links
            if "car" in order:
                if type(order["car"]) is not int or not 0 <= order["car"] < len(links):
                    return False
                links = [links[order["car"]]]
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        if kind == "stop":
            await asyncio.gather(*(link.stop() for link in links))
            return True
        if kind == "code" and type(order.get("code")) is str and len(links) == 1:
            links[0].give_code(order["code"])
            return True
        return False

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(_STATUS_S)
            text = json.dumps([self._told(link) for link in self._links], separators=(",", ":"))
            for page in list(self._pages):
                with suppress(ConnectionError, RuntimeError):
                    await asyncio.wait_for(page.send_str(text), 1.0)

    @staticmethod
    def _told(link: CarLink) -> dict[str, Any]:
        view = link.view
        return {
            "name": view.name,
            "url": view.url,
            "link": view.link,
            "problem": view.problem,
            "at_rest": view.at_rest,
            "status": view.status,
            "failure": view.failure,
            "failed_s": round(time.time() - view.failed_at) if view.failure else None,
        }

    async def _show(self, socket: web.WebSocketResponse) -> None:
        """Send one page the pictures that are new to it, as fast as it takes them."""
        sent = [0] * len(self._links)
        with suppress(ConnectionError, RuntimeError):
            while not socket.closed:
                for index, link in enumerate(self._links):
                    view = link.view
                    if view.picture is not None and view.pictures != sent[index]:
                        sent[index] = view.pictures
                        await socket.send_bytes(PICTURE.pack(index) + view.picture)
                await asyncio.sleep(0.1)
