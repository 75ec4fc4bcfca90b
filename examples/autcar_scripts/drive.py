"""AutCar's driving script: python drive.py [driver_model.tflite] [SECONDS]."""

import sys

from autcar import Camera, Car, Driver
from autcar.bundle import shipped_bundle

model = sys.argv[1] if len(sys.argv) > 1 else str(shipped_bundle())
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else None

car = Car()
cam = Camera()
driver = Driver(model, car, cam)
driver.start()
try:
    driver.wait(seconds)
except KeyboardInterrupt:
    print()
finally:
    driver.stop()
    car.close()
    cam.close()
print(driver.reason or "driven to the end")
sys.exit(1 if driver.reason or driver.error else 0)
