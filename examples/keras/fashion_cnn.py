"""A convolutional network on pictures of clothing, and which kinds it takes for which.

    python examples/keras/fashion_cnn.py

Test accuracy: about 0.92 on the full set, 0.88 on the sample.
"""

import numpy as np
from data import CLASS_NAMES, fashion_images

from thalweg import keras

layers = keras.layers


def network():
    """Logits (B, 10) of images (B, 28, 28, 1)."""
    images = keras.Input((28, 28, 1), name="images")
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(images)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(x)
    return keras.Model(images, layers.Dense(10, name="logits")(x), name="fashion_cnn")


def main(epochs=8, limit=None):
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = fashion_images(limit)

    model = network()
    model.summary()
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-3, weight_decay=1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top_2")],
    )
    slower = keras.callbacks.ReduceLROnPlateau(factor=0.3, patience=1, verbose=1)
    model.fit(
        x_train,
        y_train,
        batch_size=64,
        epochs=epochs,
        validation_data=(x_test, y_test),
        validation_batch_size=500,
        callbacks=[slower],
    )
    found = model.predict(x_test, batch_size=500, verbose=0).argmax(axis=-1)
    for kind, name in enumerate(CLASS_NAMES):
        taken = np.bincount(found[y_test == kind], minlength=10)
        right, taken[kind] = taken[kind] / taken.sum(), -1
        print(f"{name:12} {right:6.1%}   most often taken for {CLASS_NAMES[taken.argmax()]}")
    accuracy = float(np.mean(found == y_test))
    print(f"test accuracy {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
