"""Transfer of layers: what was learnt on good pictures serves for those of a bad camera.

    python examples/keras/transfer.py

A network learns from all pictures. Of darker, noisy ones only 20 a kind are labelled: its features
are frozen and a new last layer learns from those; then everything is fine-tuned at a low rate. The
same network from nothing, on those 200 pictures, is what that has to beat.
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
    """Ten logits on top of the features."""
    images = keras.Input((28, 28, 1))
    x = layers.Dropout(0.3)(features(images))
    return keras.Model(images, layers.Dense(10)(x))


def train(model, x, y, epochs, rate):
    """Compile, which takes up what is trainable now, and train."""
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)


def bad_camera(x, seed):
    """The same pictures, half as bright and with noise."""
    noise = np.random.default_rng(seed).standard_normal(x.shape, "float32")
    return np.clip(0.5 * x + 0.2 * noise, 0, 1)


def main(epochs=5, limit=None, shots=20, few=60):
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = fashion_images(limit)
    some = np.concatenate([np.flatnonzero(y_train == kind)[:shots] for kind in range(10)])
    x_few, y_few = bad_camera(x_train[some], seed=0), y_train[some]
    x_bad = bad_camera(x_test, seed=1)

    def accuracy(model):
        return model.evaluate(x_bad, y_test, batch_size=500, verbose=0)[1]

    features = features_network()
    model = classifier(features)
    train(model, x_train, y_train, epochs, 1e-3)
    print(f"learnt from {len(x_train)} good pictures: {accuracy(model):.3f} right on bad ones")

    features.trainable = False
    model = classifier(features)
    learnt = features.get_weights()
    train(model, x_few, y_few, few, 1e-3)
    assert all(map(np.array_equal, learnt, features.get_weights()))
    frozen = accuracy(model)
    print(f"{len(model.trainable_weights)} of {len(model.weights)} weights trained: {frozen:.3f}")

    features.trainable = True
    train(model, x_few, y_few, few // 3, 1e-4)
    tuned = accuracy(model)
    print(f"all of them fine-tuned: {tuned:.3f}")

    alone = classifier(features_network())
    train(alone, x_few, y_few, few + few // 3, 1e-3)
    scratch = accuracy(alone)
    print(f"from nothing, on {len(x_few)} bad pictures: {scratch:.3f}")
    return scratch, frozen, tuned


if __name__ == "__main__":
    main()
