"""Transfer of layers: what was learnt on five kinds of clothing serves for five others.

    python examples/keras/transfer.py

A network learns five kinds from all their pictures. Then its features are frozen, and a new last
layer learns the other five from 5 pictures of each; then everything is fine-tuned at a low rate.
The same network from nothing, on those 25 pictures, is what that has to beat.
"""

import numpy as np
from data import fashion_images

from thalweg import keras

layers = keras.layers


def features_network():
    """A row of 64 numbers for each picture."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
        ],
        name="features",
    )


def classifier(features):
    """Five logits on top of the features."""
    images = keras.Input((28, 28, 1))
    return keras.Model(images, layers.Dense(5)(features(images)))


def train(model, x, y, epochs, rate):
    """Compile, which takes up what is trainable now, and train."""
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)


OLD, NEW = (0, 1, 3, 5, 8), (2, 4, 6, 7, 9)


def chosen(x, y, kinds, count=None):
    """The pictures of those kinds, or the first so many of each, labelled by place in `kinds`."""
    places = [np.flatnonzero(y == kind)[:count] for kind in kinds]
    labels = np.repeat(np.arange(len(kinds)), [len(each) for each in places])
    return x[np.concatenate(places)], labels.astype("int32")


def main(epochs=5, limit=None, shots=5):
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = fashion_images(limit)
    x_few, y_few = chosen(x_train, y_train, NEW, shots)
    x_new, y_new = chosen(x_test, y_test, NEW)

    def accuracy(model):
        return model.evaluate(x_new, y_new, batch_size=500, verbose=0)[1]

    features = features_network()
    train(classifier(features), *chosen(x_train, y_train, OLD), epochs, 1e-3)
    learnt = features.get_weights()

    features.trainable = False
    model = classifier(features)
    print(f"frozen: {len(model.trainable_weights)} of {len(model.weights)} weights are trained")
    train(model, x_few, y_few, 30 * epochs, 3e-3)
    assert all(map(np.array_equal, learnt, features.get_weights()))
    frozen = accuracy(model)

    features.trainable = True
    train(model, x_few, y_few, 10 * epochs, 1e-4)
    tuned = accuracy(model)

    alone = classifier(features_network())
    train(alone, x_few, y_few, 40 * epochs, 1e-3)
    scratch = accuracy(alone)
    print(
        f"{len(x_few)} pictures: from nothing {scratch:.3f}, frozen {frozen:.3f}, tuned {tuned:.3f}"
    )
    return scratch, frozen, tuned


if __name__ == "__main__":
    main()
