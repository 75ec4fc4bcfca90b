"""The cockpit's web server: one page, one WebSocket, and the recordings' pictures.

It runs in a thread of its own. A command goes to the wheels in the moment it
arrives; pictures go to each viewer as fast as that viewer draws them, newest
first, and nobody waits for anybody. State changes only over the WebSocket (and by
the pairing code); HTTP otherwise only reads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from autcar.cockpit.access import Names, Pairing, is_loopback, same_origin
from autcar.cockpit.feed import Feed
from autcar.cockpit.health import health
from autcar.cockpit.library import Library
from autcar.cockpit.messages import LONGEST, BadMessageError, parse
from autcar.commands import LABELS
from autcar.config import CockpitSection
from autcar.errors import AutcarError, ConfigError, DataError, DataNotFoundError
from autcar.helm import Helm
from autcar.recording.deletion import delete_rows, undo_delete
from autcar.safety import MS, Reason

log = logging.getLogger("autcar.cockpit")

PICTURE = struct.Struct("<Iqb3x")
"""Before each JPEG: frame number, its time in ns, the class of its command or −1."""

PAGE = Path(__file__).parent / "page"
"""Where the page's files lie."""

_FILES = {
    "/": ("index.html", "text/html"),
    "/cockpit.js": ("cockpit.js", "text/javascript"),
    "/cockpit.css": ("cockpit.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer carries: a page of ours loads nothing from elsewhere, nor is framed."""

_COOKIE = "autcar"
_STATUS_S = 0.1
_HEALTH_S = 2.0
_MOST_VIEWERS = 16
_MOST_PER_S = 200
_IN_FLIGHT = 2


class Recording(Protocol):
    """What the page asks of a recorder; see :class:`capture.recorder.Recorder`."""

    @property
    def open_session(self) -> Path | None: ...  # noqa: D102

    def record(self) -> None: ...  # noqa: D102
    def pause(self) -> None: ...  # noqa: D102
    def finish(self) -> None: ...  # noqa: D102
    def discard(self, seconds: float) -> int: ...  # noqa: D102
    def undo(self) -> int: ...  # noqa: D102
    def save(self, seconds: float) -> int: ...  # noqa: D102
    def status(self) -> Any: ...  # noqa: D102


class Piloting(Protocol):
    """What the page shows and asks of a pilot that drives; see :mod:`edge.cockpit`."""

    def status(self) -> dict[str, Any]: ...  # noqa: D102
    def hand_back(self) -> None: ...  # noqa: D102


@dataclass(eq=False)
class _Viewer:
    """One open page: what it was sent, and its hold on the helm.

    ``flight`` holds the times of the pictures that it has not drawn yet, by frame number.
    """

    name: str
    socket: web.WebSocketResponse
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    looking: bool = True
    sent: int = -1
    flight: dict[int, int] = field(default_factory=dict)
    status: str = ""
    work: asyncio.Task[None] | None = None
    lease: int | None = None
    number: int = -1
    heard: int = 0
    heard_since: float = 0.0


class Cockpit:
    """Serves the cockpit of one car. :meth:`start` it, and :meth:`close` it.

    ``car`` is its name. Without a ``recorder`` the page only drives; ``recordings`` is the
    folder whose sessions it shows, ``pilot`` who drives while no person does. Raises
    :class:`ConfigError` for an address, port or certificate that cannot be used.
    """

    def __init__(
        self,
        car: str,
        helm: Helm,
        feed: Feed,
        settings: CockpitSection | None = None,
        *,
        recorder: Recording | None = None,
        recordings: str | Path | None = None,
        pilot: Piloting | None = None,
    ) -> None:
        self._car = car
        self._helm = helm
        self._feed = feed
        self._settings = settings or CockpitSection()
        self._recorder = recorder
        self._pilot = pilot
        self._library = None if recordings is None else Library(recordings)
        self._names = Names(self._settings.listen, self._settings.hosts)
        self.pairing = (
            Pairing(time.monotonic)
            if self._settings.pair or not is_loopback(self._settings.listen)
            else None
        )
        self._scheme = "https" if self._settings.certificate else "http"
        self._viewers: set[_Viewer] = set()
        self._named = 0
        self._health: dict[str, float | bool] = {}
        self._latency_ms: float | None = None
        self._waking = False
        self._urgent: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    # From other threads.

    def start(self) -> str:
        """Serve, and return the page's address for this computer."""
        ready = threading.Event()
        failure: list[BaseException] = []
        tls = self._tls()

        def run() -> None:
            try:
                asyncio.run(self._serve(ready, tls))
            except BaseException as error:
                failure.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="cockpit", daemon=True)
        self._thread.start()
        ready.wait()
        if failure:
            where = f"{self._settings.listen} port {self._settings.port}"
            if isinstance(failure[0], OSError):
                raise ConfigError(
                    f"the cockpit cannot listen on {where}: {failure[0].strerror}; "
                    f"set another [cockpit] port in car.toml, or give --port 0 for any free one"
                ) from failure[0]
            raise failure[0]
        return self.url

    @property
    def url(self) -> str:
        """The page's address for this computer, with the pairing code where one is asked."""
        code = f"/#{self.pairing.code}" if self.pairing else "/"
        return f"{self._scheme}://{self._own_name()}:{self.port}{code}"

    def close(self) -> None:
        """Bring the wheels to rest and end serving. Closing twice is harmless."""
        self._helm.stop(Reason.DISARMED)
        if self._loop is not None and self._ended is not None and not self._loop.is_closed():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._ended.set)
        if self._thread is not None:
            self._thread.join(5.0)

    def _own_name(self) -> str:
        listen = self._settings.listen
        if is_loopback(listen):
            return "localhost"
        import socket

        return f"{socket.gethostname()}.local" if listen in ("0.0.0.0", "::") else listen

    def _tls(self) -> ssl.SSLContext | None:
        settings = self._settings
        if not settings.certificate:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(settings.certificate, settings.key or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"[cockpit] certificate {settings.certificate!r} with key {settings.key!r}: "
                f"{error}; give two PEM files, or leave both empty for plain http"
            ) from error
        return context

    # In the server's thread.

    async def _serve(self, ready: threading.Event, tls: ssl.SSLContext | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._urgent = asyncio.Event()
        app = web.Application(middlewares=[self._guard], client_max_size=LONGEST)
        for path in _FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/hello", self._hello)
        app.router.add_post("/pair", self._pair)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/sessions", self._sessions)
        app.router.add_get("/sessions/{name}/rows", self._rows)
        app.router.add_get(r"/sessions/{name}/{row:\d{1,9}}", self._image)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=15.0)
        await runner.setup()
        status = asyncio.create_task(self._publish_status())
        unsubscribe = self._feed.subscribe(self._on_shot)
        try:
            site = web.TCPSite(runner, self._settings.listen, self._settings.port, ssl_context=tls)
            await site.start()
            self.port = runner.addresses[0][1]
            ready.set()
            await self._ended.wait()
        finally:
            unsubscribe()
            status.cancel()
            for viewer in list(self._viewers):
                with suppress(Exception):
                    await asyncio.wait_for(
                        viewer.socket.close(code=WSCloseCode.GOING_AWAY), timeout=1.0
                    )
            await runner.cleanup()

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Turn away what is not our page; everything that answers carries the same headers."""
        try:
            self._admit(request)
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        except DataNotFoundError as error:
            response = web.json_response({"error": str(error)}, status=404)
        except AutcarError as error:
            response = web.json_response({"error": str(error)}, status=422)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _admit(self, request: web.Request) -> None:
        address, port = (request.get_extra_info("sockname") or ("", 0))[:2]
        if not self._names.allow(request.headers.get("Host", ""), address, port):
            raise web.HTTPMisdirectedRequest(text="this car does not go by that name")
        if request.method not in ("GET", "HEAD") or request.path == "/socket":
            origin = request.headers.get("Origin")
            if not same_origin(origin, self._scheme, request.headers.get("Host", "")):
                raise web.HTTPForbidden(text="only the car's own page may do that")
        open_to_all = (*_FILES, "/hello", "/pair")
        if request.path not in open_to_all and not self._paired(request):
            raise web.HTTPUnauthorized(text="pair this browser first: open the car's page")

    def _paired(self, request: web.Request) -> bool:
        return self.pairing is None or self.pairing.knows(request.cookies.get(_COOKIE))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name, kind = _FILES[request.path]
        return web.Response(body=(PAGE / name).read_bytes(), content_type=kind, charset="utf-8")

    async def _hello(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"car": self._car, "paired": self._paired(request)})

    async def _pair(self, request: web.Request) -> web.StreamResponse:
        try:
            code = json.loads(await request.text())["code"]
            if type(code) is not str:
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise web.HTTPBadRequest(text="expected a code") from None
        token = self.pairing.pair(code) if self.pairing else None
        if token is None:
            wait_s = round(self.pairing.wait_s) if self.pairing else 0
            return web.json_response({"paired": False, "wait_s": wait_s}, status=403)
        response = web.json_response({"paired": True})
        response.set_cookie(
            _COOKIE,
            token,
            httponly=True,
            samesite="Strict",
            secure=self._scheme == "https",
            max_age=30 * 24 * 3600,
        )
        return response

    async def _sessions(self, _request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(self._the_library().sessions)
        recording = self._recording()
        for one in found:
            one["recording"] = one["name"] == recording
        return web.json_response(found)

    async def _rows(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return web.json_response(await asyncio.to_thread(self._the_library().rows, name))

    async def _image(self, request: web.Request) -> web.StreamResponse:
        name, row = request.match_info["name"], int(request.match_info["row"])
        body, kind = await asyncio.to_thread(self._the_library().image, name, row)
        return web.Response(body=body, content_type=kind)

    def _the_library(self) -> Library:
        if self._library is None:
            raise DataNotFoundError("no folder of recordings is open here")
        return self._library

    def _recording(self) -> str | None:
        """The name of the session that is being written now."""
        recorder = self._recorder
        if recorder is None or recorder.open_session is None or recorder.status().state == "off":
            return None
        return recorder.open_session.name

    # The WebSocket.

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if len(self._viewers) >= _MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{_MOST_VIEWERS} pages are open; close one")
        socket = web.WebSocketResponse(max_msg_size=LONGEST, heartbeat=10.0, compress=False)
        await socket.prepare(request)
        self._named += 1
        viewer = _Viewer(f"browser {self._named}", socket)
        self._viewers.add(viewer)
        sender = asyncio.create_task(self._send(viewer))
        try:
            await socket.send_json(
                {
                    "hello": {
                        "you": viewer.name,
                        "car": self._car,
                        "labels": LABELS,
                        "records": self._recorder is not None,
                    }
                }
            )
            await self._hear(viewer)
        except BadMessageError as error:
            await socket.close(
                code=WSCloseCode.POLICY_VIOLATION, message=str(error).encode()[:100]
            )
        finally:
            self._viewers.discard(viewer)
            if viewer.lease is not None and self._helm.state.lease == viewer.lease:
                self._helm.stop(Reason.LINK_LOST)
            sender.cancel()
            self._hurry()
        return socket

    async def _hear(self, viewer: _Viewer) -> None:
        async for message in viewer.socket:
            if message.type is not WSMsgType.TEXT:
                raise BadMessageError("expected text")
            now_s = time.monotonic()
            if now_s - viewer.heard_since >= 1.0:
                viewer.heard, viewer.heard_since = 0, now_s
            viewer.heard += 1
            if viewer.heard > _MOST_PER_S:
                raise BadMessageError(f"more than {_MOST_PER_S} messages in a second")
            order = parse(message.data)
            await self._telling(viewer, self._obey(viewer, order))

    async def _telling(self, viewer: _Viewer, work: Awaitable[None]) -> None:
        """Do something for a viewer, and tell it what went wrong."""
        try:
            await work
        except BadMessageError:
            raise
        except (AutcarError, OSError) as error:
            with suppress(ConnectionError, RuntimeError):
                await viewer.socket.send_json({"error": str(error)})

    async def _obey(self, viewer: _Viewer, order: dict[str, Any]) -> None:
        match order["do"]:
            case "beat":
                self._beat(viewer, order)
                return
            case "drawn":
                self._drawn(viewer, order["sequence"])
                return
            case "view":
                viewer.looking = order["on"]
                viewer.flight.clear()
                viewer.wake.set()
                return
            case "stop":
                self._helm.stop()
            case "take":
                viewer.lease = self._helm.take(viewer.name)
                await viewer.socket.send_json({"lease": viewer.lease})
            case "hand_back":
                if self._pilot is None:
                    raise DataError("no pilot drives here; start one with `autcar drive`")
                self._pilot.hand_back()
            case "release":
                if order["lease"] == viewer.lease:
                    self._helm.release(order["lease"])
            case kind:
                # The card may be slow: beats are heard while another thread waits for it.
                if viewer.work is not None and not viewer.work.done():
                    raise DataError("one thing after the other: the card is busy")
                work = self._edit if kind in ("delete", "restore") else self._record
                viewer.work = asyncio.create_task(self._telling(viewer, work(viewer, order)))
        self._hurry()

    def _beat(self, viewer: _Viewer, order: dict[str, Any]) -> None:
        if order["number"] <= viewer.number:
            raise BadMessageError("a beat that was sent before")
        viewer.number = order["number"]
        if viewer.lease is None or order["lease"] != viewer.lease:
            return
        before = self._helm.state.command
        # What the page echoes tells how old its view of the car is, both ways together.
        if time.monotonic_ns() // MS - order["echo"] > 2 * self._settings.link_ms:
            if self._helm.state.lease == viewer.lease:
                self._helm.stop(Reason.LINK_LOST)
        elif not self._helm.beat(viewer.lease, order["command"]):
            viewer.lease = None
        if before != self._helm.state.command:
            self._hurry()

    def _drawn(self, viewer: _Viewer, sequence: int) -> None:
        time_ns = viewer.flight.pop(sequence, None)
        if time_ns is not None:
            age_ms = (time.monotonic_ns() - time_ns) / MS
            before = self._latency_ms
            self._latency_ms = age_ms if before is None else 0.9 * before + 0.1 * age_ms
            viewer.wake.set()

    async def _record(self, viewer: _Viewer, order: dict[str, Any]) -> None:
        recorder = self._recorder
        if recorder is None:
            raise DataError("nothing records here; start the car with `autcar record`")
        self._must_not_disturb(viewer)
        kind = order["do"]
        if "seconds" in order:
            frames = await asyncio.to_thread(getattr(recorder, kind), order["seconds"])
        else:
            frames = await asyncio.to_thread(getattr(recorder, kind))
        await viewer.socket.send_json({"done": {"what": kind, "frames": frames}})
        self._hurry()

    async def _edit(self, viewer: _Viewer, order: dict[str, Any]) -> None:
        library = self._the_library()
        self._must_not_disturb(viewer)
        name = order["session"]
        folder = await asyncio.to_thread(library.folder, name)
        if name == self._recording():
            raise DataError("this session is being recorded; finish it first")
        if order["do"] == "restore":
            rows = await asyncio.to_thread(undo_delete, folder)
            frames = 0 if rows is None else rows[1] - rows[0] + 1
        else:
            last = min(order["last"], await asyncio.to_thread(library.last_row, name))
            await asyncio.to_thread(delete_rows, folder, order["first"], last)
            frames = last - order["first"] + 1
        await viewer.socket.send_json({"done": {"what": order["do"], "frames": frames}})

    def _must_not_disturb(self, viewer: _Viewer) -> None:
        driver = self._helm.state.driver
        if driver is not None and driver.startswith("browser ") and driver != viewer.name:
            raise DataError(f"{driver} drives and records; ask there, or press STOP")

    # Towards the pages.

    def _on_shot(self) -> None:
        """Wake the viewers, from the camera's thread; once, however long this thread sleeps."""
        if not self._waking and self._loop is not None:
            self._waking = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake_viewers)

    def _wake_viewers(self) -> None:
        self._waking = False
        for viewer in self._viewers:
            viewer.wake.set()

    def _hurry(self) -> None:
        if self._urgent is not None:
            self._urgent.set()

    async def _publish_status(self) -> None:
        assert self._urgent is not None
        health_at = 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), _STATUS_S)
            self._urgent.clear()
            try:
                self._helm.tick()
                if time.monotonic() - health_at > _HEALTH_S:
                    health_at = time.monotonic()
                    self._health = health()
                text = json.dumps(self._status(), separators=(",", ":"))
            except Exception:
                # Whatever fails here, the pages must hear of the next one.
                log.exception("the cockpit's status failed")
                await asyncio.sleep(_STATUS_S)
                continue
            for viewer in self._viewers:
                viewer.status = text
                viewer.wake.set()

    def _status(self) -> dict[str, Any]:
        state = self._helm.state
        now_ns = time.monotonic_ns()
        latest = self._feed.latest
        return {
            "time": now_ns // MS,
            "driver": state.driver,
            "lease": state.lease,
            "command": state.command.label if state.command else None,
            "reason": state.reason,
            "camera": {
                "fps": round(self._feed.fps, 1),
                "missed": self._feed.missed,
                "age_ms": None if latest is None else (now_ns - latest.time_ns) // MS,
                "latency_ms": None if self._latency_ms is None else round(self._latency_ms),
            },
            "record": asdict(self._recorder.status()) if self._recorder else None,
            "pilot": self._pilot.status() if self._pilot else None,
            "health": self._health,
            "viewers": len(self._viewers),
        }

    async def _send(self, viewer: _Viewer) -> None:
        status = ""
        with suppress(ConnectionError, RuntimeError):
            while True:
                await viewer.wake.wait()
                viewer.wake.clear()
                if viewer.status is not status:
                    status = viewer.status
                    await viewer.socket.send_str(status)
                shot = self._feed.latest
                ready = viewer.looking and len(viewer.flight) < _IN_FLIGHT
                if shot is None or not ready or shot.sequence == viewer.sent:
                    continue
                viewer.sent = shot.sequence
                viewer.flight[shot.sequence & 0xFFFFFFFF] = shot.time_ns
                label = shot.command.index if shot.source and shot.command.is_class else -1
                head = PICTURE.pack(shot.sequence & 0xFFFFFFFF, shot.time_ns, label)
                await viewer.socket.send_bytes(head + shot.jpeg)
