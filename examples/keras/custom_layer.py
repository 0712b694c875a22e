"""A layer of your own, in a model that is written to a file and read back.

    python examples/keras/custom_layer.py

`Maxout` (Goodfellow et al. 2013) takes the greatest of several linear maps. It makes its weights in
`build`, once the input is known, and says in `get_config` how to make it again.
"""

import tempfile
from pathlib import Path

import numpy as np
from data import fashion_images

from thalweg import keras

layers, ops = keras.layers, keras.ops


@keras.saving.register_keras_serializable(package="gallery")
class Maxout(layers.Layer):
    """(B, D) -> (B, units): the greatest of `pieces` linear maps."""

    def __init__(self, units, pieces=2, kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.pieces = pieces
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units * self.pieces),
            initializer="he_normal",
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.units * self.pieces,), initializer="zeros", name="bias"
        )

    def call(self, x):
        maps = ops.matmul(x, self.kernel) + self.bias
        return ops.max(ops.reshape(maps, (-1, self.units, self.pieces)), axis=-1)

    def get_config(self):
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        own = {"units": self.units, "pieces": self.pieces, "kernel_regularizer": regularizer}
        return {**super().get_config(), **own}


def main(epochs=5, limit=None):
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = fashion_images(limit)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            Maxout(128, pieces=3, kernel_regularizer=keras.regularizers.L2(1e-4)),
            layers.Dropout(0.3),
            layers.Dense(10),
        ]
    )
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x_train, y_train, batch_size=64, epochs=epochs, validation_split=0.1)

    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "maxout.keras"))
        again = keras.saving.load_model(Path(folder, "maxout.keras"))
    expected = model.predict(x_test, batch_size=500, verbose=0)
    same = np.array_equal(expected, again.predict(x_test, batch_size=500, verbose=0))
    _, accuracy = again.evaluate(x_test, y_test, batch_size=500, verbose=0)
    print(f"test accuracy {accuracy:.3f}")
    print(f"the model read back predicts {'the same' if same else 'otherwise'}")
    return accuracy, same


if __name__ == "__main__":
    main()
