"""A loop of your own on a Keras model: its layers, losses, metrics and optimizers.

    python examples/keras/low_level_loop.py

The step is an ordinary function; `tw.function` makes one graph of it, gradient, clipping, update
and metrics included. The second batch size that it meets makes the batch axis a named one, and from
then on the graph serves every size.
"""

import numpy as np
from data import fashion_images

import thalweg as tw
from thalweg import keras

layers, ops = keras.layers, keras.ops


def batches(x, y, size, seed):
    """Shuffled batches; the last may be smaller."""
    order = np.random.default_rng(seed).permutation(len(x))
    for start in range(0, len(x), size):
        chosen = order[start : start + size]
        yield x[chosen], y[chosen]


def main(epochs=5, limit=None, batch=64):
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = fashion_images(limit)

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10),
        ]
    )
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss_mean = keras.metrics.Mean()
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    @tw.function
    def train_step(x, y):
        with tw.GradientTape() as tape:
            logits = model(x, training=True)
            loss = cross_entropy(y, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        length = ops.sqrt(sum(ops.sum(gradient**2) for gradient in gradients))
        gradients = [gradient * ops.minimum(1.0, 5.0 / length) for gradient in gradients]
        optimizer.apply(gradients, model.trainable_variables)
        loss_mean.update_state(loss)
        accuracy.update_state(y, logits)

    @tw.function
    def test_step(x, y):
        accuracy.update_state(y, model(x, training=False))

    for epoch in range(epochs):
        loss_mean.reset_state()
        accuracy.reset_state()
        for x, y in batches(x_train, y_train, batch, seed=epoch):
            train_step(x, y)
        loss, trained = float(loss_mean.result()), float(accuracy.result())
        accuracy.reset_state()
        for x, y in batches(x_test, y_test, 500, seed=0):
            test_step(x, y)
        tested = float(accuracy.result())
        print(
            f"epoch {epoch + 1}/{epochs}  loss {loss:.3f}  training accuracy {trained:.3f}"
            f"  test accuracy {tested:.3f}",
            flush=True,
        )
    return tested


if __name__ == "__main__":
    main()
