"""A network of your own: a function that builds a Keras model from height, width and classes.

    cd examples/own_network
    autcar train PATH/TO/recordings --network tiny:build --output models/tiny

Raw RGB comes in, 0…255; one probability for each class goes out. Normalisation is inside, so
that the car has nothing to get wrong.
"""

from keras import Sequential
from keras.layers import BatchNormalization, Conv2D, Dense, Flatten, Input, ReLU, Rescaling
from keras.layers import SeparableConv2D as Separable


def build(height, width, classes):
    network = Sequential([Input((height, width, 3)), Rescaling(1 / 255)], name="tiny")
    network.add(Conv2D(12, 5, 4, padding="same", activation="relu"))
    for filters in (24, 32, 32):
        network.add(Separable(filters, 3, 2, padding="same", use_bias=False))
        network.add(BatchNormalization(momentum=0.9))
        network.add(ReLU())
    network.add(Flatten())
    network.add(Dense(classes, activation="softmax"))
    return network
