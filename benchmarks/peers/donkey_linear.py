"""Donkeycar's default network, converted by Donkeycar; run by the Python that it trains in.

``python donkey_linear.py FOLDER`` writes ``linear_160x120.tflite``, its own size, and
``linear_224x168.tflite``, and ends with a line of JSON.
"""

import json
import sys
from pathlib import Path

from donkeycar.parts.interpreter import keras_to_tflite
from donkeycar.parts.keras import default_n_linear


def main():
    folder = Path(sys.argv[1])
    sizes = {}
    for width, height in ((160, 120), (224, 168)):
        path = folder / f"linear_{width}x{height}.tflite"
        keras_to_tflite(default_n_linear(2, (height, width, 3)), str(path))
        sizes[path.name] = path.stat().st_size
    print(json.dumps(sizes))


if __name__ == "__main__":
    main()
