"""AutCar's training script: balance, train, test. Recordings of any kind do, also AutCar's own."""

import sys

from keras.layers import Conv2D, Dense, Flatten, Input, MaxPool2D
from keras.models import Sequential

from autcar import Trainer

recordings = sys.argv[1:] or ["trainingdata"]
trainer = Trainer()
trainer.create_balanced_dataset(recordings, "trainingdata_balanced", train_test_split=0.7)
classes = trainer.get_no_classes("trainingdata_balanced")

# AutCar writes InputLayer(input_shape=[3, 168, 224]), which Keras takes as 3 rows of 168
# pixels with 224 colours. That trains here, too; this is what was meant.
model = Sequential(
    [
        Input((168, 224, 3)),
        Conv2D(filters=32, kernel_size=5, strides=1, padding="same", activation="relu"),
        MaxPool2D(pool_size=8, padding="same"),
        Conv2D(filters=48, kernel_size=3, strides=1, padding="same", activation="relu"),
        MaxPool2D(pool_size=5, padding="same"),
        Conv2D(filters=64, kernel_size=3, strides=1, padding="same", activation="relu"),
        MaxPool2D(pool_size=3, padding="same"),
        Conv2D(filters=32, kernel_size=5, strides=1, padding="same"),
        Flatten(),
        Dense(100, activation="relu"),
        Dense(12, activation="softmax"),
    ]
)
trainer.train("trainingdata_balanced", model, epochs=10, output_model_path="driver_model.tflite")
trainer.test("driver_model.tflite", "trainingdata_balanced/test_map.txt")
