"""Two models on one car: one follows the track, the other looks out for traffic signs.

    python examples/two_models/drive.py [SECONDS]

AutCar's example, in the simulator: a stop sign stands beside the lane. The car stops for
four seconds, then ignores the sign for a while, since it has not moved yet, and drives on.
Where the sign stands says car.toml; train_sign.py made the second model. Ctrl-C ends it.
"""

import os
import sys
import time
from pathlib import Path

from autcar import Camera, Car, Driver, Model
from autcar.bundle import shipped_bundle

HERE = Path(__file__).resolve().parent
os.environ.setdefault("AUTCAR_CONFIG", str(HERE / "car.toml"))
STOP_SIGN = 2


def execute(model_predictions: dict, car: Car, variables: dict) -> None:
    sign_now, sign_before = model_predictions["sign"][:2]
    command = model_predictions["drive"][0]

    ignoring = time.monotonic() < variables.get("ignore_until", 0)
    if sign_now == sign_before == STOP_SIGN and not ignoring:
        print("stop sign: the car stops for 4 s", flush=True)
        car.stop()
        time.sleep(4)
        print("and drives on", flush=True)
        variables["ignore_until"] = time.monotonic() + 6
    elif command in (1, 3):
        car.left("light" if command == 1 else "medium")
    elif command in (8, 10):
        car.right("light" if command == 8 else "medium")
    elif command == 4:
        car.move("forward", "fast")
    elif command == 6:
        car.move("forward")


car = Car()
cam = Camera()
model_drive = Model(shipped_bundle(), name="drive")
model_sign = Model(HERE / "sign", execution_interval=0.1, name="sign")

driver = Driver(
    [model_drive, model_sign], car, cam, execution_function=execute, execution_interval=0.05
)
driver.start()
try:
    driver.wait(float(sys.argv[1]) if len(sys.argv) > 1 else None)
finally:
    driver.stop()
    car.close()
    cam.close()
sys.exit(1 if driver.reason or driver.error else 0)
