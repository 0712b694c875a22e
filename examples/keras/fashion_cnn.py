"""A convolutional network on pictures of clothing, and which kinds it takes for which.

    python examples/keras/fashion_cnn.py

Test accuracy: 0.925 on the full set, 0.896 on the sample.
"""

import numpy as np
from data import CLASS_NAMES, fashion_images

from thalweg import keras

layers, ops = keras.layers, keras.ops


class Mirrored(layers.Layer):
    """In training, half of the images (B, H, W, C) with left and right exchanged."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        chances = keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=self.seed_generator)
        return ops.where(chances < 0.5, images, ops.flip(images, axis=2))


def network():
    """Logits (B, 10) of images (B, 28, 28, 1)."""
    images = keras.Input((28, 28, 1), name="images")
    x = Mirrored(seed=0, name="mirrored")(images)
    for filters in (32, 64, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(10, name="logits")(x), name="fashion_cnn")


def main(epochs=10, limit=None, batch=64):
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = fashion_images(limit)

    model = network()
    model.summary()
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(x_train) // batch))
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top_2")],
    )
    model.fit(
        x_train,
        y_train,
        batch_size=batch,
        epochs=epochs,
        validation_data=(x_test, y_test),
        validation_batch_size=500,
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
