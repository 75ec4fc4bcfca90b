"""Donkeycar's vehicle loop on the same frames and model; run by Donkeycar's own Python.

``python donkey_loop.py FRAMES.npy MODEL.tflite SECONDS RATE_HZ SPAWNED_NS`` ends with a
line of JSON. The parts do the least that a car needs: a threaded camera of 30 frames/s,
the interpreter, and an actuator that only takes the time. Imported is what the script
that ``donkey createcar`` writes imports before it drives.
"""

import json
import sys
import time
from pathlib import Path

import cv2  # noqa: F401 - as Donkeycar's own script
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from donkeycar.parts import (  # noqa: F401 - as Donkeycar's own script
    behavior,
    controller,
    datastore,
    file_watcher,
    kinematics,
    launch,
    throttle_filter,
    transform,
    tub_v2,
)
from donkeycar.vehicle import Vehicle

FPS = 30


class Camera:
    """Hands out the newest frame with its time and number, as Donkeycar's cameras do."""

    def __init__(self, frames):
        self.frames = frames
        self.frame = None
        self.on = True

    def update(self):
        begin = time.monotonic_ns()
        number = 0
        while self.on:
            due = begin + number * 10**9 // FPS
            time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
            self.frame = (self.frames[number % len(self.frames)], due, number)
            number += 1

    def run_threaded(self):
        return self.frame

    def shutdown(self):
        self.on = False


class Pilot:
    def __init__(self, path):
        self.interpreter = Interpreter(path, num_threads=1)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.output = self.interpreter.get_output_details()[0]["index"]
        self.cpu_ns = 0
        self.wall_ns = []

    def run(self, frame):
        if frame is None:
            return None
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        self.interpreter.set_tensor(self.input, frame[0][None])
        self.interpreter.invoke()
        scores = self.interpreter.get_tensor(self.output)[0]
        self.cpu_ns += time.thread_time_ns() - cpu
        self.wall_ns.append(time.perf_counter_ns() - wall)
        return int(scores.argmax())


class Actuator:
    """Takes the time. Faster than the camera the loop repeats its commands: the first counts."""

    def __init__(self, pilot):
        self.pilot = pilot
        self.first_ns = None
        self.ages_ns = []
        self.seen = []

    def run(self, command, frame):
        if command is None:
            return
        now = time.monotonic_ns()
        if self.first_ns is None:
            self.first_ns = now
            self.cpu_ns = time.process_time_ns()
            self.pilot.cpu_ns = 0
        if not self.seen or frame[2] != self.seen[-1]:
            self.ages_ns.append(now - frame[1])
            self.seen.append(frame[2])


def main():
    frames, model, seconds, rate, spawned = sys.argv[1:]
    vehicle = Vehicle()
    camera, pilot = Camera(np.load(frames, mmap_mode="r")), Pilot(model)
    actuator = Actuator(pilot)
    vehicle.add(camera, outputs=["frame"], threaded=True)
    vehicle.add(pilot, inputs=["frame"], outputs=["command"])
    vehicle.add(actuator, inputs=["command", "frame"])
    vehicle.start(rate_hz=int(rate), max_loop_count=int(float(seconds) * int(rate)))
    cpu_ns = time.process_time_ns() - actuator.cpu_ns
    status = Path("/proc/self/status").read_text().splitlines()
    rss = next(line for line in status if line.startswith("VmRSS"))
    span = actuator.seen[-1] - actuator.seen[0]
    print(
        json.dumps(
            {
                "ages_ms": [age / 1e6 for age in actuator.ages_ns],
                "inference_ms": [wall / 1e6 for wall in pilot.wall_ns],
                "frames": len(actuator.seen) - 1,  # those whose CPU is counted
                "captured": span,
                "cpu_ns": cpu_ns,
                "pilot_cpu_ns": pilot.cpu_ns,
                "elapsed_ns": span * 10**9 // FPS,
                "rss_mb": int(rss.split()[1]) / 1024,
                "cold_start_s": (actuator.first_ns - int(spawned)) / 1e9,
            }
        )
    )


if __name__ == "__main__":
    main()
