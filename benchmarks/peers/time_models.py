"""Times ``.tflite`` files in turn on one thread, with the runtime of the Python that runs it.

``python time_models.py ROUNDS RUNS THREADS FILE…`` ends with a line of JSON. Each round runs
every file RUNS times, so that whatever else the machine does meets all of them. ``cpu_ms``
is the process's own time, which other work touches least; on an idle machine and one thread
it is ``ms``. Needs NumPy and a TensorFlow Lite runtime, nothing of autcar's.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

import numpy as np


def main() -> None:
    rounds, runs, threads = map(int, sys.argv[1:4])
    files = sys.argv[4:]
    runtime, models = open_models(files, threads)
    for model in models:
        for _ in range(20):
            model.invoke()
    wall: list[list[float]] = [[] for _ in files]
    cpu: list[list[float]] = [[] for _ in files]
    for _ in range(rounds):
        for number, model in enumerate(models):
            walls, busy = [], []
            for _ in range(runs):
                began, used = time.perf_counter_ns(), time.process_time_ns()
                model.invoke()
                busy.append(time.process_time_ns() - used)
                walls.append(time.perf_counter_ns() - began)
            wall[number].append(statistics.median(walls) / 1e6)
            cpu[number].append(statistics.median(busy) / 1e6)
    rows = [
        {
            "file": file,
            "ms": median(w),
            "cpu_ms": median(c),
            "cpu_mad_ms": mad(c),
            "cpu_rounds_ms": [round(value, 4) for value in c],
        }
        for file, w, c in zip(files, wall, cpu, strict=True)
    ]
    print(json.dumps({"runtime": runtime, "threads": threads, "rows": rows}))


def open_models(files: list[str], threads: int):
    """The runtime's name, and each file loaded with an input of noise."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    try:
        from ai_edge_litert.interpreter import Interpreter

        name = "LiteRT"
    except ImportError:
        from tflite_runtime.interpreter import Interpreter

        name = "tflite-runtime"
    noise = np.random.default_rng(0)
    models = []
    for file in files:
        model = Interpreter(model_path=file, num_threads=threads)
        model.allocate_tensors()
        (entry,) = model.get_input_details()
        image = noise.integers(0, 256, entry["shape"], np.uint8)
        if entry["dtype"] is np.float32:
            image = image.astype(np.float32) / 255
        image = image.view(entry["dtype"])
        model.set_tensor(entry["index"], image)
        models.append(model)
    return name, models


def median(values: list[float]) -> float:
    return round(statistics.median(values), 4)


def mad(values: list[float]) -> float:
    """Median absolute deviation: the noise between rounds."""
    middle = statistics.median(values)
    return median([abs(value - middle) for value in values])


if __name__ == "__main__":
    main()
