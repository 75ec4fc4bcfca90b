"""AutCar's documented API on this car's drivers: its scripts run as they are written.

``Car`` and ``Camera`` are the car of ``car.toml`` in the working folder, or the
simulated car where there is none; ``AUTCAR_CONFIG`` names another file. The car goes
on doing what it was told until it is told otherwise, as AutCar's does, but only while
the script lives: commands reach the wheels as short leases.
"""

from __future__ import annotations

import atexit
import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Self

import cv2

from autcar.cameras.base import Frame, Image
from autcar.cockpit.feed import Shot
from autcar.commands import STOP, Command
from autcar.config import Config, RecordSection, script_config
from autcar.errors import CameraTimeoutError, CommandError, MotorError
from autcar.helm import Helm
from autcar.images import encode_jpeg
from autcar.safety import Reason
from autcar.vehicle import Vehicle, open_vehicle
from autcar.wheels import Wheels
from capture.recorder import Recorder
from capture.remote import Framing

_BEAT_S = 0.1
_REMOTE_SILENCE_S = 0.5


class _Shared:
    """The one vehicle of this process, for the cars and cameras that look at it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vehicle: Vehicle | None = None
        self._users = 0

    def open(self, config: Config) -> Vehicle:
        """The vehicle; opened for its first user."""
        with self._lock:
            if self._vehicle is None:
                self._vehicle = open_vehicle(config)
            self._users += 1
            return self._vehicle

    def close(self) -> None:
        """One user less; the last one closes the vehicle."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._vehicle is not None:
                self._vehicle.close()
                self._vehicle = None


_shared = _Shared()


class Car:
    """A car that moves until it is told otherwise, or the script ends.

    ``model`` is there for AutCar's scripts and changes nothing. Raises
    :class:`~autcar.errors.MotorError` when the motors cannot be opened. Use it as a
    context manager, or :meth:`close` it; a script that ends has stopped it, too.
    """

    def __init__(self, model: int = 1) -> None:
        config = script_config()
        self._vehicle = _shared.open(config)
        self._helm = Helm(
            self._vehicle.wheels,
            link_ms=config.cockpit.link_ms,
            limits=config.safety,
            blind=True,
            clock=self._vehicle.clock,
        )
        self._lock = threading.Lock()
        self._command = STOP
        self._lease: int | None = None
        self._ending = threading.Event()
        # A daemon: it dies with the script, the leases run out, and the guardian stops.
        self._thread = threading.Thread(target=self._hold, name="car", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def move(self, direction: str = "forward", speed: str = "medium") -> None:
        """Drive straight ``forward`` or ``backwards``, ``slow``, ``medium`` or ``fast``."""
        self._drive(Command("move", speed, direction))

    def left(self, style: str = "medium", direction: str = "forward") -> None:
        """Turn left: ``light``, ``medium`` or ``harsh``, ``forward`` or ``backwards``."""
        self._drive(Command("left", style, direction))

    def right(self, style: str = "medium", direction: str = "forward") -> None:
        """Turn right: ``light``, ``medium`` or ``harsh``, ``forward`` or ``backwards``."""
        self._drive(Command("right", style, direction))

    def stop(self) -> None:
        """Bring the wheels to rest. The next command drives again."""
        with self._lock:
            self._command = STOP
            if self._lease is not None:
                self._helm.beat(self._lease, STOP)

    @property
    def wheels(self) -> Wheels:
        """Where commands go, for a ``Driver`` that drives in the script's stead."""
        return self._vehicle.wheels

    @property
    def current_command(self) -> dict[str, Any]:
        """What the car does, as AutCar writes it: ``{"type": "left", "style": "light", …}``."""
        found: dict[str, Any] = json.loads(self._command.to_json())
        return found

    def in_force(self, time_ns: int) -> tuple[Command, str]:
        """The command in force at a frame's time, and its source."""
        command, _ = self._helm.in_force(time_ns)
        return command, "human"

    def close(self) -> None:
        """Bring the wheels to rest and let go of the motors. Closing twice is harmless."""
        if not self._ending.is_set():
            self._ending.set()
            self._helm.stop(Reason.DISARMED)
            self._thread.join(1.0)
            _shared.close()
            atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _drive(self, command: Command) -> None:
        with self._lock:
            self._command = command
            if self._lease is None or not self._helm.beat(self._lease, command):
                # A script's next command is explicit enough to go on after a stop.
                self._lease = self._helm.take("script")
                if not self._helm.beat(self._lease, command):
                    raise MotorError(f"the car does not drive: {self._helm.state.reason}")

    def _hold(self) -> None:
        while not self._ending.wait(_BEAT_S) and threading.main_thread().is_alive():
            with self._lock:
                if self._lease is not None and not self._helm.beat(self._lease, self._command):
                    self._lease = None


class Camera:
    """The car's camera. ``rotation`` flips pictures as OpenCV does: −1 is by 180°.

    ``host``, ``port`` and ``capture_interval`` (s) are those of the stream that
    :meth:`start` serves to AutCar's control board. Close it, or let the script end.
    """

    def __init__(
        self,
        connect_camera: bool = False,
        host: str = "localhost",
        port: int = 8089,
        rotation: int | None = None,
        capture_interval: float = 1.0,
    ) -> None:
        self.host = host
        self.port = port
        self._rotation = rotation
        self._interval_s = capture_interval
        config = script_config()
        self._vehicle = _shared.open(config)
        self.width, self.height = config.camera.width, config.camera.height
        self.fps = config.camera.fps
        self._lock = threading.Lock()
        self._newest: Frame | None = None
        self._readers = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="camera", daemon=True)
        self._thread.start()
        self._stream: threading.Thread | None = None
        self._streaming = threading.Event()
        atexit.register(self.close)
        if connect_camera:
            self.start()

    def frame(self, timeout_s: float = 2.0, after: int = -1) -> Frame:
        """The newest frame with a sequence number above ``after``, rotated, RGB.

        Raises :class:`~autcar.errors.CameraTimeoutError`.
        """
        with self._readers:
            fresh = self._readers.wait_for(
                lambda: self._newest is not None and self._newest.sequence > after, timeout_s
            )
            if not fresh or self._newest is None:
                raise CameraTimeoutError(
                    f"the camera gave no frame in {timeout_s:g} s; check its cable and [camera]"
                )
            return self._newest

    def read(self) -> tuple[bool, Image]:
        """Whether there is a picture, and the newest, ``uint8`` H×W×3 **BGR** as OpenCV has it."""
        image = self.frame().image
        return True, cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype("uint8", copy=False)

    def get_frame(self) -> bytes:
        """The newest picture as JPEG."""
        return encode_jpeg(self.frame().image)

    def start(self) -> None:
        """Serve pictures to one viewer at a time: AutCar's stream on ``host`` and ``port``."""
        server = socket.create_server((self.host, self.port), backlog=1)
        self.port = server.getsockname()[1]
        self._streaming.set()
        self._stream = threading.Thread(
            target=self._serve, args=(server,), name="stream", daemon=True
        )
        self._stream.start()

    def stop(self) -> None:
        """End the stream."""
        self._streaming.clear()
        if self._stream is not None:
            self._stream.join(2.0)

    def close(self) -> None:
        """Let go of the camera. Closing twice is harmless."""
        self.stop()
        if not self._ending.is_set():
            self._ending.set()
            self._thread.join(2.0)
            _shared.close()
            atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _watch(self) -> None:
        while not self._ending.is_set():
            with suppress(CameraTimeoutError):
                frame = self._vehicle.camera.read(0.5)
                if self._rotation is not None:
                    image = cv2.flip(frame.image, self._rotation).astype("uint8", copy=False)
                    frame = Frame(image, frame.sequence, frame.time_ns)
                with self._readers:
                    self._newest = frame
                    self._readers.notify_all()

    def _serve(self, server: socket.socket) -> None:
        import base64
        import struct

        with server:
            server.settimeout(0.2)
            while self._streaming.is_set():
                with suppress(OSError):
                    link, _ = server.accept()
                    with link:
                        link.settimeout(2.0)
                        while self._streaming.is_set():
                            small = cv2.resize(self.frame().image, (200, 150))
                            data = base64.b64encode(encode_jpeg(small.astype("uint8", copy=False)))
                            link.sendall(struct.pack("<L", len(data)) + data)
                            time.sleep(self._interval_s)


class Capture:
    """Records what a camera sees and what a car does, one frame each ``capture_interval`` s.

    Each :meth:`start` makes a session below ``folder_name``; it is labelled with the
    command in force when the frame was exposed. Without a camera, one is opened with
    ``rotation``.
    """

    def __init__(
        self,
        car: Car,
        cam: Camera | None = None,
        capture_interval: float = 2.0,
        folder_name: str = "autcar_training",
        rotation: int | None = None,
    ) -> None:
        self._car = car
        self._rotation = rotation
        self._owns_camera = cam is None
        self._camera: Camera | None = cam or Camera(rotation=rotation)
        self._interval_ns = round(capture_interval * 1e9)
        self._folder = folder_name
        self._recorder: Recorder | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to record; once more is harmless."""
        if self._recorder is not None:
            return
        camera = self._camera = self._camera or Camera(rotation=self._rotation)
        settings = RecordSection(idle=True)
        fps = min(camera.fps, 1e9 / max(self._interval_ns, 1))
        size = (camera.width, camera.height)
        self._recorder = Recorder(self._folder, size=size, fps=fps, settings=settings)
        self._recorder.record()
        self._ending.clear()
        work = (camera, self._recorder)
        self._thread = threading.Thread(
            target=self._record, args=work, name="capture", daemon=True
        )
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the session and write all of it."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(3.0)
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None
            atexit.unregister(self.stop)
        if self._owns_camera and self._camera is not None:
            self._camera.close()
            self._camera = None

    def _record(self, camera: Camera, recorder: Recorder) -> None:
        newest, due_ns = -1, 0
        while not self._ending.is_set():
            with suppress(CameraTimeoutError):
                frame = camera.frame(0.5, newest)
                newest = frame.sequence
                if frame.time_ns < due_ns:
                    continue
                due_ns = max(due_ns, frame.time_ns) + self._interval_ns
                command, source = self._car.in_force(frame.time_ns)
                jpeg = encode_jpeg(frame.image)
                recorder.offer(Shot(jpeg, newest, frame.time_ns, command, source))


class RemoteController:
    """AutCar's remote: one end sends commands, the other end hears them.

    On the computer: ``RemoteController(host="…")``, :meth:`connect`, :meth:`send_cmd`; the
    command sent last is repeated at 10 Hz for as long as this script lives. On the car:
    :meth:`listen` and :meth:`get_cmds`; where the other end is silent for half a second
    or leaves, ``get_cmds`` says ``"stop"``. ``host`` is this computer only unless given.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 8090) -> None:
        self.host = host
        self.port = port
        self._link: socket.socket | None = None
        self._server: socket.socket | None = None
        self._lock = threading.Lock()
        self._repeated: str | None = None
        self._ending = threading.Event()
        self._framing = Framing()
        self._waiting: list[str] = []
        self._heard: str | None = None

    def connect(self) -> None:
        """Reach the car that listens at ``host`` and ``port``. Raises :class:`OSError`."""
        self._link = socket.create_connection((self.host, self.port), 10.0)
        threading.Thread(target=self._repeat, name="remote", daemon=True).start()

    def send_cmd(self, cmd: str) -> None:
        """Send a command and wait for its answer. Raises :class:`OSError` without a link."""
        with self._lock:
            self._exchange(cmd)
            self._repeated = None if cmd in ("startrecording", "stoprecording") else cmd

    def listen(self) -> None:
        """Wait for a remote at ``host`` and ``port``, without blocking."""
        self._server = socket.create_server((self.host, self.port), backlog=1)
        self.port = self._server.getsockname()[1]
        print(f"Listening on {self.host}:{self.port}")

    def get_cmds(self) -> str:
        """The next command of the remote; ``"stop"`` where it was lost while driving.

        Repetitions of a command are answered and not told again.
        """
        if self._server is None:
            raise CommandError("nobody can be heard yet; call listen() first")
        while True:
            if self._waiting:
                command = self._waiting.pop(0)
                again = command == self._heard and not command.endswith("recording")
                self._heard = command
                if not again:
                    return command
                continue
            if self._link is None:
                self._link, _ = self._server.accept()
                self._framing = Framing()
            if not self._hear() and self._heard not in (None, "stop"):
                self._heard = "stop"
                return "stop"

    def close(self) -> None:
        """End the link. Closing twice is harmless."""
        self._ending.set()
        for end in (self._link, self._server):
            if end is not None:
                end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _hear(self) -> bool:
        """Take what the remote sent; returns whether it is still there and speaking."""
        link = self._link
        assert link is not None
        try:
            link.settimeout(_REMOTE_SILENCE_S)
            data = link.recv(4096)
            for command in self._framing.feed(data):
                link.sendall(b"received")
                self._waiting.append(command)
            if data:
                return True
        except TimeoutError:
            return False
        except (OSError, ValueError):
            pass
        link.close()
        self._link = None
        # What it said last is no command any more.
        self._waiting.clear()
        return False

    def _exchange(self, cmd: str) -> None:
        if self._link is None:
            raise CommandError("there is no link yet; call connect() first")
        self._link.sendall(json.dumps({"cmd": cmd}).encode())
        if not self._link.recv(4096):
            raise ConnectionError("the car closed the link")

    def _repeat(self) -> None:
        while not self._ending.wait(_BEAT_S) and threading.main_thread().is_alive():
            with self._lock, suppress(OSError):
                if self._repeated is not None:
                    self._exchange(self._repeated)
