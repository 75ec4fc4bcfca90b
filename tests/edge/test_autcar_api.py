"""AutCar's documented Driver and Model: intervals, predictions, and a guarded car."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import autcar
from autcar.bundle import load_bundle, shipped_bundle
from autcar.cameras.base import Camera, Frame
from autcar.commands import LABELS, STOP, Command
from autcar.errors import (
    BundleError,
    CameraTimeoutError,
    ConfigError,
    DataError,
    DataNotFoundError,
)
from autcar.safety import Limits, Reason
from edge.autcar_api import CommandedCar, Driver, Model, Picture, Predictions
from tests.conftest import until
from tests.edge.scripted import ScriptedWheels

LEFT = Command("left", "light", "forward")
SIGN = Path(__file__).resolve().parents[2] / "examples" / "two_models" / "sign"


class QuickCamera(Camera):
    """200 frames/s of noise in real time; stalls when told to."""

    width, height, fps = 32, 24, 200.0

    def __init__(self):
        self.stalled = False
        self._sequence = 0

    def read(self, timeout_s=1.0):
        if self.stalled:
            time.sleep(timeout_s)
            raise CameraTimeoutError("no frame")
        time.sleep(1 / self.fps)
        self._sequence += 1
        image = np.random.default_rng(self._sequence).integers(0, 256, (24, 32, 3), np.uint8)
        return Frame(image, self._sequence, time.monotonic_ns())

    def close(self):
        pass


class Saying(Model):
    """A model without a file that says one class after the other; the last one for ever."""

    def __init__(self, *says, name="drive", execution_interval=0.0):
        self.name, self.execution_interval = name, execution_interval
        self.bundle = None
        self.says = list(says)

    def scores(self, image):
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return [float(index == said) for index in range(12)]


class Car:
    def __init__(self):
        self.wheels = ScriptedWheels()


@pytest.fixture
def drive():
    drivers = []

    def start(model, function=None, interval=0.01, **settings):
        car, camera = Car(), QuickCamera()
        limits = settings.pop("limits", Limits(frame_age_ms=2000, command_ms=2000))
        driver = Driver(model, car, camera, function, interval, limits=limits, **settings)
        drivers.append(driver)
        driver.start()
        return driver, car.wheels, camera

    yield start
    for driver in drivers:
        driver.stop()
        assert driver._wheels is None or driver._wheels.speeds == (0, 0)


def test_the_limits_are_those_of_the_cars_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "car.toml").write_text("[safety]\nframe_age_ms = 2000.0\nspeed = 0.5\n")
    car = Car()
    driver = Driver(Saying(LABELS.index("move_fast_forward")), car, QuickCamera())
    with driver:
        until(lambda: car.wheels.speeds == (0.5, 0.5))
    with Driver(Saying(0), car, QuickCamera(), limits=Limits(speed=0.25, frame_age_ms=2000)):
        until(lambda: car.wheels.speeds == (-0.125, -0.25))


def test_the_names_are_autcars():
    assert autcar.Driver is Driver
    assert autcar.Model is Model


def test_without_a_function_the_model_drives(drive):
    driver, wheels, _ = drive(Saying(LEFT.index))
    until(lambda: wheels.speeds == LEFT.wheels)
    driver.stop()
    assert wheels.speeds == (0, 0)
    assert (driver.reason, driver.error) == (None, None)
    driver.start()
    until(lambda: wheels.speeds == LEFT.wheels)


def test_what_was_said_before_a_stop_drives_nothing_after_it(drive):
    speaks = [True]

    def execute(model_predictions, car, variables):
        if speaks[0]:
            car.left("light")

    driver, wheels, _ = drive(Saying(1), execute)
    until(lambda: wheels.speeds == LEFT.wheels)
    driver.stop()
    speaks[0] = False
    driver.start()
    before = len(wheels.leases)
    until(lambda: len(wheels.leases) > before + 20)
    assert wheels.speeds == (0, 0)


def test_a_function_turns_predictions_into_commands(drive):
    heard = []

    def execute(model_predictions, car, variables):
        heard.append(model_predictions)
        variables["calls"] = variables.get("calls", 0) + 1
        car.left("light")
        assert car.current_command == {"type": "left", "direction": "forward", "style": "light"}

    driver, wheels, _ = drive([Saying(1, 2, 3), Saying(0, name="sign")], execute)
    until(lambda: wheels.speeds == LEFT.wheels and driver.variables["calls"] > 3)
    assert set(heard[-1]) == {"drive", "sign"}
    assert heard[-1]["drive"][0] == 3
    assert heard[-1]["sign"][0] == 0


def test_predictions_are_the_newest_first_each_at_its_interval():
    models = [Saying(*range(9)), Saying(4, 5, 6, name="sign", execution_interval=1.0)]
    predictions = Predictions(models)
    frame = Frame(np.zeros((24, 32, 3), np.uint8), 0, 0)
    assert not predictions.complete
    assert predictions.snapshot() == {"drive": [None] * 5, "sign": [None] * 5}
    for now in (10.0, 10.5, 11.0, 11.5, 11.99, 12.0):
        predictions.step(now, frame)
    assert predictions.complete
    assert predictions.snapshot() == {
        "drive": [5, 4, 3, 2, 1],
        "sign": [6, 5, 4, None, None],
    }


def test_commands_that_are_no_class_are_driven_as_they_are(drive):
    driver, wheels, _ = drive(Saying(0), lambda said, car, mine: car.left("harsh"))
    until(lambda: wheels.speeds == Command("left", "harsh", "forward").wheels)
    driver.stop()
    slow = Command("move", "slow", "backwards")
    _, wheels, _ = drive(Saying(0), lambda said, car, mine: car.move("backwards", "slow"))
    until(lambda: wheels.speeds == slow.wheels)


def test_the_speed_limit_holds_for_a_function_too(drive):
    limits = Limits(speed=0.35, frame_age_ms=2000, command_ms=2000)
    _, wheels, _ = drive(Saying(0), lambda said, car, mine: car.left("light"), limits=limits)
    until(lambda: wheels.speeds != (0, 0))
    assert wheels.speeds == pytest.approx((0.175, 0.35))


def test_a_stop_may_last(drive):
    waiting = threading.Event()

    def execute(model_predictions, car, variables):
        car.right() if not waiting.is_set() else car.stop()
        if waiting.is_set():
            time.sleep(0.3)

    driver, wheels, _ = drive(Saying(0), execute)
    until(lambda: wheels.speeds == Command("right", "medium", "forward").wheels)
    waiting.set()
    until(lambda: wheels.speeds == (0, 0))
    assert not driver.wait(0.2)
    waiting.clear()
    until(lambda: wheels.speeds != (0, 0))


def test_a_function_that_hangs_stops_the_car(drive, capsys):
    hang = threading.Event()

    def execute(model_predictions, car, variables):
        car.left("light")
        hang.wait(20)

    driver, wheels, _ = drive(Saying(0), execute)
    until(lambda: wheels.speeds == LEFT.wheels)
    driver._car.heard_s -= 1.1
    assert driver.wait(5)
    until(lambda: wheels.speeds == (0, 0))
    hang.set()
    assert isinstance(driver.error, TimeoutError)
    assert "left_light_forward standing for" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["function", "model beside it", "driving model"])
def test_whatever_raises_stops_the_car(drive, where, capsys):
    trouble = ZeroDivisionError("on purpose")
    if where == "driving model":
        driver, wheels, _ = drive(Saying(LEFT.index, LEFT.index, LEFT.index, trouble))
    elif where == "function":

        def execute(model_predictions, car, variables):
            car.left("light")
            time.sleep(0.05)
            raise trouble

        driver, wheels, _ = drive(Saying(0), execute)
    else:
        driver, wheels, _ = drive(
            [Saying(0), Saying(0, 0, trouble, name="sign")],
            lambda said, car, mine: car.left("light"),
        )
    assert driver.wait(5)
    until(lambda: wheels.speeds == (0, 0))
    assert driver.error is trouble
    assert "on purpose" in capsys.readouterr().err


def test_a_camera_that_stalls_stops_the_car(drive, capsys):
    driver, wheels, camera = drive(
        Saying(0),
        lambda said, car, mine: car.left("light"),
        limits=Limits(frame_age_ms=150, command_ms=2000),
    )
    until(lambda: wheels.speeds == LEFT.wheels)
    camera.stalled = True
    assert driver.wait(5)
    assert driver.reason == Reason.CAMERA_STALLED.value
    assert wheels.speeds == (0, 0)


def test_without_a_car_the_models_only_look(drive):
    heard = []
    camera = QuickCamera()
    driver = Driver(
        Saying(7), None, camera, lambda said, car, mine: heard.append((said, car)), 0.0
    )
    with driver:
        until(lambda: heard)
    assert heard[0][0]["drive"][0] == 7
    assert heard[0][1] is None


def test_what_cannot_drive_is_refused():
    car, camera = Car(), QuickCamera()
    with pytest.raises(ConfigError, match="name of its own"):
        Driver([Saying(0), Saying(1)], car, camera)
    with pytest.raises(ConfigError, match="one or more"):
        Driver([], car, camera)
    with pytest.raises(ConfigError, match="execution_function"):
        Driver(Saying(0), None, camera)
    with pytest.raises(BundleError, match="none, priority, stop"):
        Driver(Model(SIGN), car, camera)


def test_models_that_are_none():
    with pytest.raises(ConfigError, match="no TensorFlow Lite"):
        Model("driver_keras.onnx")
    with pytest.raises(DataNotFoundError, match="autcar train"):
        Model("missing.tflite")
    with pytest.raises(DataNotFoundError):
        Model("missing")


def test_a_bundle_and_a_file():
    bundle = load_bundle(shipped_bundle())
    image = np.random.default_rng(0).integers(0, 256, (168, 224, 3), np.uint8)
    whole, file = Model(bundle.folder), Model(bundle.path(bundle.variant("int8")))
    assert whole.labels == LABELS
    assert file.labels is None
    assert whole.name == str(bundle.folder)
    assert len(whole.scores(image)) == 12
    assert 0 <= file.predict(image) < 12
    # A frame of another size is brought to the model's.
    assert 0 <= whole.predict(image[:100, :150]) < 12


def test_preprocess_as_documented():
    class OwnModel(Model):
        def preprocess(self, image):
            image = image.convert("RGB")
            r, g, b = np.array(image).T
            image = np.array([b, g, r]).transpose()
            h, w = image.shape[:2]
            least = min(w, h)
            x, y = w // 2 - (least // 2), h // 2 - (least // 2)
            image = image[y : y + least, x : x + least]
            return np.array([cv2.resize(image, (224, 168), interpolation=cv2.INTER_LINEAR)])

    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    assert OwnModel(SIGN).predict(image) in (0, 1, 2)


def test_preprocess_that_gives_something_else():
    class Normalising(Model):
        def preprocess(self, image):
            return image / 255

    class Grey(Model):
        def preprocess(self, image):
            return image[..., 0]

    image = np.zeros((168, 224, 3), np.uint8)
    with pytest.raises(DataError, match="whole numbers 0…255"):
        Normalising(SIGN).predict(image)
    with pytest.raises(DataError, match="gave uint8"):
        Grey(SIGN).predict(image)
    with pytest.raises(DataError, match="frames are RGB"):
        image.view(Picture).convert("L")


def test_a_commanded_car_begins_at_rest():
    car = CommandedCar()
    assert car.commanded == STOP
    car.move()
    assert car.commanded == Command("move", "medium", "forward")
    car.right(direction="backwards")
    assert car.commanded == Command("right", "medium", "backwards")
    car.stop()
    assert car.commanded == STOP
