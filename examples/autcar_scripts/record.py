"""AutCar's capture script: drive a figure by program, and record it."""

import time

from autcar import Camera, Capture, Car

car = Car()
cam = Camera()
cap = Capture(car, cam, capture_interval=0.1, folder_name="trainingdata")

cap.start()
for turn in (car.left, car.right) * 3:
    car.move("forward")
    time.sleep(1)
    turn("light")
    time.sleep(0.5)
    turn("medium")
    time.sleep(0.5)
car.stop()
time.sleep(1)
cap.stop()
