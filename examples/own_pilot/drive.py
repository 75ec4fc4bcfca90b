"""A pilot of your own: ten lines that look for the two border lines and steer between them.

    python examples/own_pilot/drive.py [SECONDS]

On the car of car.toml in the working folder, or the simulated one. The guardian and the
gate guard it like any bundle: whatever it does wrong, the wheels rest in time.
"""

import sys

from autcar.commands import Command
from autcar.config import load_config
from autcar.safety import Gate
from autcar.vehicle import open_vehicle
from edge.drive import drive_vehicle
from edge.pilots import DecidingPilot


class BetweenTheLines:
    def decide(self, frame):
        rows = frame.image[90:110].astype(int)  # RGB, a strip of road ahead
        warmth = (rows[:, :, 0] - rows[:, :, 2]).mean(0)  # the left line is yellow, the right blue
        yellow, blue = (warmth > 60).nonzero()[0], (warmth < -60).nonzero()[0]
        left = yellow.mean() if len(yellow) else 0
        right = blue.mean() if len(blue) else rows.shape[1]
        aside = (left + right) / rows.shape[1] - 1  # −1 … 1, + is right
        if abs(aside) < 0.04:
            return Command("move", "medium", "forward")
        style = "light" if abs(aside) < 0.25 else "medium"
        return Command("right" if aside > 0 else "left", style, "forward")


def main(seconds=20.0, realtime=True):
    config = load_config()
    with open_vehicle(config, realtime=realtime) as vehicle:
        run = drive_vehicle(
            vehicle, DecidingPilot(BetweenTheLines()), Gate(config.safety), seconds
        )
    print(run.summary())
    return run


if __name__ == "__main__":
    sys.exit(0 if main(*map(float, sys.argv[1:2])).well else 1)
