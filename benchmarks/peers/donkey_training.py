"""Donkeycar's own training of its default network on a tub; run by the Python it trains in.

``python donkey_training.py TUB EPOCHS`` ends with a line of JSON. The settings are those of
Donkeycar's template; nothing is shown, converted or stopped early. CPU time is counted while
training goes on, not while validating.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import donkeycar
import tensorflow as tf
from donkeycar.config import load_config
from donkeycar.pipeline import training


class Watch(tf.keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.cpu_s = []
        self.wall_s = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.process_time(), time.perf_counter()

    def on_test_begin(self, logs=None):
        self.cpu_s.append(time.process_time() - self.began[0])
        self.wall_s.append(time.perf_counter() - self.began[1])


def main():
    tub, epochs = sys.argv[1], int(sys.argv[2])
    template = Path(donkeycar.__file__).parent / "templates/cfg_complete.py"
    cfg = load_config(str(template))
    cfg.MAX_EPOCHS = epochs
    cfg.EARLY_STOP_PATIENCE = epochs
    cfg.CREATE_TF_LITE = cfg.SHOW_PLOT = cfg.VERBOSE_TRAIN = cfg.PRINT_MODEL_SUMMARY = False
    watch = Watch()
    steps = []
    fit = tf.keras.Model.fit

    def watched(self, *arguments, callbacks, steps_per_epoch, **more):
        steps.append(steps_per_epoch)
        both = [watch, *callbacks]
        return fit(self, *arguments, callbacks=both, steps_per_epoch=steps_per_epoch, **more)

    tf.keras.Model.fit = watched
    with tempfile.TemporaryDirectory() as folder:
        cfg.MODELS_PATH = folder
        cfg.PILOTS_PATH = folder
        training.train(cfg, tub, model=f"{folder}/pilot.h5", model_type="linear")
    images = steps[0] * cfg.BATCH_SIZE
    print(
        json.dumps(
            {
                "images_per_cpu_s": [images / cpu for cpu in watch.cpu_s],
                "images_per_s": [images / wall for wall in watch.wall_s],
                "batch": cfg.BATCH_SIZE,
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
