"""Donkeycar's tub writer on given frames, for ``benchmarks/recording.py``.

``python donkey_tub.py FRAMES.npy FOLDER COUNT`` ends with a line of JSON.
"""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time

import numpy as np
from donkeycar.parts.tub_v2 import TubWriter


def main() -> None:
    """Write COUNT records flat out, timing each block of 1,000."""
    frames, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    images = np.load(frames)
    writer = TubWriter(
        folder,
        inputs=["cam/image_array", "user/angle", "user/throttle", "user/mode"],
        types=["image_array", "float", "float", "str"],
    )
    blocks = []
    cpu, started = cpu_s(), time.perf_counter()
    for number in range(count):
        if number % 1000 == 0:
            blocks.append(time.perf_counter())
        writer.run(images[number % len(images)], 0.1, 0.5, "user")
    blocks.append(time.perf_counter())
    wall_s = time.perf_counter() - started
    blocks_s = [after - before for before, after in itertools.pairwise(blocks)]
    print(
        json.dumps(
            {
                "frames_per_s": count / wall_s,
                "cpu_s_per_1000": (cpu_s() - cpu) / count * 1000,
                "first_block_s": blocks_s[0],
                "last_block_s": blocks_s[-1 if count % 1000 == 0 else -2],
            }
        )
    )
    writer.close()


def cpu_s() -> float:
    """CPU seconds of this process, all threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
