"""ResNet-20 (He et al. 2015, section 4.2) on moved and mirrored pictures of clothing.

    python examples/keras/resnet.py

Test accuracy: 0.902 on the sample.
"""

import numpy as np
from data import fashion_images

from thalweg import keras

layers = keras.layers


def convolution(x, filters, size=3, strides=1):
    """A convolution that keeps the size, divided by `strides`, and a normalisation."""
    x = layers.Conv2D(
        filters,
        size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(1e-4),
    )(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def block(x, filters, strides):
    """relu(x + f(x)), where f is two convolutions; x too passes one where the shape changes."""
    y = layers.ReLU()(convolution(x, filters, strides=strides))
    y = convolution(y, filters)
    if strides > 1 or x.shape[-1] != filters:
        x = convolution(x, filters, size=1, strides=strides)
    return layers.ReLU()(layers.Add()([x, y]))


def resnet(blocks=3, widths=(16, 32, 64), shape=(28, 28, 1), classes=10):
    """6 * blocks + 2 layers deep: 20 with three blocks a stage."""
    images = keras.Input(shape)
    x = layers.ReLU()(convolution(images, widths[0]))
    for stage, filters in enumerate(widths):
        for index in range(blocks):
            x = block(x, filters, strides=2 if stage and not index else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(classes)(x), name=f"resnet{6 * blocks + 2}")


class Shifted(keras.utils.PyDataset):
    """Shuffled batches, each moved by up to two pixels, half of the images mirrored."""

    def __init__(self, x, y, batch_size, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.batch_size = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))), y, batch_size
        self.random = np.random.default_rng(0)
        self.on_epoch_end()

    def __len__(self):
        return len(self.x) // self.batch_size

    def on_epoch_end(self):
        self.order = self.random.permutation(len(self.x))

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size :][: self.batch_size]
        top, left = self.random.integers(0, 5, 2)
        x = self.x[chosen, top : top + 28, left : left + 28]
        flipped = self.random.random(len(x)) < 0.5
        x[flipped] = x[flipped, :, ::-1]
        return x, self.y[chosen]


def main(epochs=10, limit=None, batch=64, blocks=3):
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = fashion_images(limit)
    batches = Shifted(x_train, y_train, batch)

    model = resnet(blocks)
    print(f"{model.name}: {model.count_params():,} parameters in {len(model.layers)} layers")
    steps = epochs * len(batches)
    warm = steps // 10
    rate = keras.optimizers.schedules.CosineDecay(
        0.01, steps - warm, alpha=0.01, warmup_target=0.1, warmup_steps=warm
    )
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(batches, epochs=epochs, validation_data=(x_test, y_test), validation_batch_size=500)
    accuracy = model.evaluate(x_test, y_test, batch_size=500, verbose=0, return_dict=True)
    print(f"test accuracy {accuracy['accuracy']:.3f}")
    return accuracy["accuracy"]


if __name__ == "__main__":
    main()
