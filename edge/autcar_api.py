"""AutCar's ``Driver`` and ``Model`` as its documentation shows them, on a guarded car.

Models look at the newest frame, each at its own interval, and the execution function
turns their predictions into commands, at an interval of its own. What it commands goes
the way of every pilot: frame by frame through the gate, as expiring commands, to the
guardian. A camera that fails stops the car, and so does a function that hangs or raises.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import numpy.typing as npt

from autcar.bundle import MANIFEST, Bundle, load_bundle
from autcar.cameras.base import Camera, Frame, Image
from autcar.commands import LABELS, STOP, Command
from autcar.config import script_config
from autcar.errors import BundleError, ConfigError, DataError, DataNotFoundError
from autcar.interpreter import Interpreter
from autcar.safety import Gate, Limits, Reason
from autcar.wheels import Wheels
from edge.loop import Loop
from edge.pilots import DecidingPilot, Scores, fastest_variant

KEPT = 5
"""Predictions of each model that the execution function can look back at."""


class Picture(np.ndarray[tuple[int, ...], np.dtype[np.uint8]]):
    """A frame as :meth:`Model.preprocess` gets it: ``uint8``, height × width × 3, RGB.

    AutCar's documented preprocessing, written for another kind of image, works on it.
    """

    def convert(self, mode: str) -> Picture:
        """The image in ``mode``, which is ``"RGB"``."""
        if mode != "RGB":
            raise DataError(f"frames are RGB; convert to {mode!r} with cv2.cvtColor(image, …)")
        return self


class Model:
    """A bundle, or a ``.tflite`` file, that looks at a frame every ``execution_interval`` s.

    0 is every frame that it can keep up with. ``name`` is its key in the execution
    function's predictions, the path as it was given unless said otherwise. Override
    :meth:`preprocess` for a model that wants its images otherwise.
    """

    def __init__(
        self, model: str | Path, execution_interval: float = 0.0, name: str | None = None
    ) -> None:
        path = Path(model)
        self.name = name or str(model)
        self.execution_interval = execution_interval
        self.bundle: Bundle | None = None
        if path.suffix in (".onnx", ".h5", ".keras", ".pb"):
            raise ConfigError(
                f"{path} is no TensorFlow Lite model; make one with `autcar train` and give "
                f"its bundle's folder, or a .tflite file"
            )
        if path.suffix != ".tflite" or (path / MANIFEST).is_file():
            self.bundle = load_bundle(path)
            path = self.bundle.path(fastest_variant(self.bundle))
        elif not path.is_file():
            raise DataNotFoundError(f"there is no model {path}; make one with `autcar train`")
        self._interpreter = Interpreter(path)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the classes in their order; None for a file without a bundle."""
        return self.bundle.manifest.labels if self.bundle else None

    def preprocess(self, image: Picture) -> npt.NDArray[Any]:
        """What the model takes of an image: here the image, resized where its size differs.

        An override returns integers 0…255, height × width × 3 with or without a leading 1.
        """
        _, height, width, _ = self._interpreter.shape
        if image.shape[:2] == (height, width):
            return image
        return cv2.resize(np.asarray(image), (width, height), interpolation=cv2.INTER_AREA)

    def scores(self, image: Image) -> list[float]:
        """The model's output for one RGB frame."""
        ready = np.asarray(self.preprocess(image.view(Picture)))
        shape = self._interpreter.shape
        if ready.shape not in (shape, shape[1:]) or not np.issubdtype(ready.dtype, np.integer):
            raise DataError(
                f"preprocess of {self.name} gave {ready.dtype} {ready.shape}; the model takes "
                f"uint8 {shape}: return whole numbers 0…255, normalisation is inside"
            )
        found: list[float] = self._interpreter.run(
            np.ascontiguousarray(ready.reshape(shape[1:]), np.uint8)
        ).tolist()
        return found

    def predict(self, image: Image) -> int:
        """The class with the highest score."""
        scores = self.scores(image)
        return max(range(len(scores)), key=scores.__getitem__)


class HasWheels(Protocol):
    """A car that can be driven: AutCar's ``Car``, or a :class:`autcar.vehicle.Vehicle`."""

    @property
    def wheels(self) -> Wheels:
        """Where commands go."""


class HasCamera(Protocol):
    """What holds a camera: a :class:`autcar.vehicle.Vehicle`."""

    @property
    def camera(self) -> Camera:
        """Where frames come from."""


@runtime_checkable
class HasFrames(Protocol):
    """AutCar's ``Camera``."""

    width: int
    height: int
    fps: float

    def frame(self, timeout_s: float = 2.0, after: int = -1) -> Frame:
        """The newest frame whose number is above ``after``."""


class _Frames(Camera):
    """AutCar's ``Camera`` as the loop wants it: each frame at most once."""

    def __init__(self, camera: HasFrames) -> None:
        self._camera = camera
        self.width, self.height, self.fps = camera.width, camera.height, camera.fps
        self._newest = -1

    def read(self, timeout_s: float = 1.0) -> Frame:
        frame = self._camera.frame(timeout_s, self._newest)
        self._newest = frame.sequence
        return frame

    def close(self) -> None:
        pass


def _camera_of(cam: HasFrames | HasCamera | Camera) -> Camera:
    if isinstance(cam, Camera):
        return cam
    return _Frames(cam) if isinstance(cam, HasFrames) else cam.camera


Execution = Callable[[dict[str, list[int | None]], Any, dict[str, Any]], None]


class CommandedCar:
    """The car that an execution function gets: AutCar's commands, each until the next."""

    def __init__(self) -> None:
        self.commanded = STOP
        self.heard_s = 0.0

    @property
    def current_command(self) -> dict[str, Any]:
        """What the car does, as AutCar writes it: ``{"type": "left", "style": "light", …}``."""
        found: dict[str, Any] = json.loads(self.commanded.to_json())
        return found

    def move(self, direction: str = "forward", speed: str = "medium") -> None:
        """Drive straight on; ``speed`` is slow, medium or fast."""
        self.command(Command("move", speed, direction))

    def left(self, style: str = "medium", direction: str = "forward") -> None:
        """Turn left; ``style`` is light, medium or harsh."""
        self.command(Command("left", style, direction))

    def right(self, style: str = "medium", direction: str = "forward") -> None:
        """Turn right; ``style`` is light, medium or harsh."""
        self.command(Command("right", style, direction))

    def stop(self) -> None:
        """Stand still, until the next command."""
        self.command(STOP)

    def command(self, command: Command) -> None:
        """Drive ``command``."""
        self.commanded = command
        self.heard_s = time.monotonic()


class Predictions:
    """What the models said: runs those that are due on the newest frame."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = models
        self._due_s = dict.fromkeys((model.name for model in models), 0.0)
        self._said: dict[str, tuple[int, ...]] = {model.name: () for model in models}

    def step(self, now_s: float, frame: Frame) -> None:
        """Ask each model whose interval is over."""
        for model in self._models:
            if now_s >= self._due_s[model.name]:
                self._due_s[model.name] = now_s + model.execution_interval
                said = model.predict(frame.image)
                self._said[model.name] = (said, *self._said[model.name][: KEPT - 1])

    def snapshot(self) -> dict[str, list[int | None]]:
        """By model, the last five classes, newest first; None where there was none yet."""
        return {name: [*said, *[None] * (KEPT - len(said))] for name, said in self._said.items()}

    @property
    def complete(self) -> bool:
        """Whether every model has said something."""
        return all(self._said.values())


class _AsCommanded:
    """Wheels that turn exactly as the function said, also where that is none of the 12 classes."""

    def __init__(self, wheels: Wheels, car: CommandedCar, limits: Limits) -> None:
        self._wheels = wheels
        self._car = car
        self._limits = limits

    @property
    def at_rest_because(self) -> str | None:
        return self._wheels.at_rest_because

    def arm(self) -> None:
        self._wheels.arm()

    def drive(self, left: float, right: float, frame_time_ns: int, expires_ns: int) -> None:
        left, right = self._limits.bounded(*self._car.commanded.wheels)
        self._wheels.drive(left, right, frame_time_ns, expires_ns)

    def stop(self) -> None:
        self._wheels.stop()

    def close(self) -> None:
        self._wheels.close()


class Driver:
    """Drives ``car`` by what ``model`` (one, or a list) sees through ``cam``.

    Without an ``execution_function`` the first model, of the car's 12 classes, drives frame
    by frame. With one, ``execution_function(model_predictions, car, variables)`` is called
    every ``execution_interval`` seconds: ``model_predictions[name]`` holds the classes that
    a model said last, newest first, ``variables`` (also :attr:`variables`) is a dictionary
    of your own. A command holds until the next; should the function not return in time,
    the car stops. It drives on when the script has come to its end, and stops when an error
    or Ctrl-C ended it. With ``car`` None nothing is driven: the models only look.

    ``car`` and ``cam`` are AutCar's, or both a :class:`autcar.vehicle.Vehicle`. While it drives,
    command the car only in the execution function. ``limits`` are by default ``[safety]`` of
    ``car.toml``.
    """

    def __init__(
        self,
        model: Model | str | Path | Sequence[Model],
        car: HasWheels | None,
        cam: HasFrames | HasCamera | Camera,
        execution_function: Execution | None = None,
        execution_interval: float = 2.0,
        *,
        limits: Limits | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if isinstance(model, str | Path):
            model = Model(model)
        self._models = [model] if isinstance(model, Model) else list(model)
        names = [each.name for each in self._models]
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                f"models {names} must be one or more, each with a name of its own; "
                f"give Model(…, name='…')"
            )
        self._wheels = car.wheels if car is not None else None
        self._camera = _camera_of(cam)
        self._function = execution_function
        self._interval_s = execution_interval
        self._limits = limits or script_config().safety
        self._clock = clock
        self.variables: dict[str, Any] = {}
        self._forget()
        self._fresh = threading.Condition()
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self.reason: str | None = None
        """Why the car rests; None while it drives, and after :meth:`stop`."""
        self.error: BaseException | None = None
        """What a model, the function or the camera raised."""
        if execution_function is None:
            self._check_drives(self._models[0])

    def start(self) -> None:
        """Drive from the next fresh frame on; returns at once. After a stop, start again."""
        if any(thread.is_alive() for thread in self._threads):
            return
        self._ending.clear()
        self.reason = self.error = None
        self._forget()
        work = [self._drive if self._wheels is not None else self._watch]
        if self._function is not None:
            work += [self._think, self._execute]
        # The script may have nothing more to do: these threads keep it alive.
        self._threads = [threading.Thread(target=self._safely, args=(each,)) for each in work]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Bring the wheels to rest and end. Stopping twice is harmless."""
        self._ending.set()
        with self._fresh:
            self._fresh.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(self._limits.frame_age_ms / 1000 + 1.0)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until driving ended, or for ``seconds``; returns whether it ended."""
        return self._ending.wait(seconds)

    def __enter__(self) -> Driver:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _forget(self) -> None:
        """What was seen and said before a stop drives nothing after it."""
        self._car = CommandedCar()
        self._predictions = Predictions(self._models)
        self._newest: Frame | None = None

    def _check_drives(self, model: Model) -> None:
        if model.bundle is not None and model.labels != LABELS:
            raise BundleError(
                f"{model.name} has the classes {', '.join(model.labels or ())}, not the car's "
                f"12 commands; give an execution_function that says what they mean"
            )
        if self._wheels is None:
            raise ConfigError("without a car there must be an execution_function")

    # The threads.

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.error = error
            traceback.print_exc()
        finally:
            self._ending.set()
            with self._fresh:
                self._fresh.notify_all()

    def _drive(self) -> None:
        """Frame by frame: gate, lease, wheels. The only thread that touches the wheels."""
        assert self._wheels is not None
        pilot, wheels = self._pilot(), self._wheels
        if self._function is not None:
            self._car.heard_s = time.monotonic()
            wheels = _AsCommanded(wheels, self._car, self._limits)
        loop = Loop(self._camera, pilot, wheels, Gate(self._limits), self._clock)
        loop.arm()
        ticks = loop.ticks()
        try:
            for tick in ticks:
                self._show(tick.frame)
                if self._over():
                    return
                if tick.verdict.reason not in (None, Reason.DISARMED):
                    self.reason = tick.verdict.reason.value
                    print(
                        f"the car stopped: {self.reason}; driver.start() goes on",
                        file=sys.stderr,
                    )
                    return
        finally:
            ticks.close()

    def _pilot(self) -> Any:
        if self._function is not None:
            return DecidingPilot(self)
        return _ModelPilot(self._models[0])

    def decide(self, _frame: Frame) -> Command:
        """The command of the execution function that is in force, for the loop."""
        command = self._car.commanded
        silent_s = time.monotonic() - self._car.heard_s
        patience_s = 2 * self._interval_s + 1.0
        if command != STOP and silent_s > patience_s:
            raise TimeoutError(
                f"the execution function left {command.label} standing for {silent_s:.1f} s; "
                f"call car.stop() in it before it waits longer than {patience_s:g} s"
            )
        return command

    def _over(self) -> bool:
        return self._ending.is_set() or _script_failed()

    def _watch(self) -> None:
        while not self._over():
            self._show(self._camera.read())

    def _show(self, frame: Frame | None) -> None:
        if frame is not None:
            with self._fresh:
                self._newest = frame
                self._fresh.notify_all()

    def _think(self) -> None:
        """Run the models, newest frame first, beside the loop."""
        seen = -1
        while not self._ending.is_set():
            frame = self._newer_than(seen)
            if frame is not None:
                seen = frame.sequence
                self._predictions.step(time.monotonic(), frame)

    def _newer_than(self, sequence: int) -> Frame | None:
        """Wait for a frame after the one of that number; None when there is none for a while."""

        def arrived() -> bool:
            newest = self._newest
            return self._ending.is_set() or (newest is not None and newest.sequence > sequence)

        with self._fresh:
            self._fresh.wait_for(arrived, 1.0)
            newest = self._newest
        return newest if newest is not None and newest.sequence > sequence else None

    def _execute(self) -> None:
        assert self._function is not None
        while not self._ending.is_set():
            began_s = time.monotonic()
            if self._predictions.complete:
                car = self._car if self._wheels is not None else None
                self._function(self._predictions.snapshot(), car, self.variables)
                self._car.heard_s = time.monotonic()
                took_s = time.monotonic() - began_s
                self._ending.wait(max(0.0, self._interval_s - took_s))
            else:
                self._ending.wait(0.02)


def _script_failed() -> bool:
    """Whether the main thread is over because of an exception: Python has noted it then."""
    return not threading.main_thread().is_alive() and hasattr(sys, "last_value")


class _ModelPilot:
    """A model that drives: asked at its interval, its last word holds in between."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._due_ns = 0
        self._scores: Scores = ()

    def scores(self, frame: Frame) -> Scores:
        if frame.time_ns >= self._due_ns:
            self._due_ns = frame.time_ns + round(self._model.execution_interval * 1e9)
            self._scores = self._model.scores(frame.image)
        return self._scores
