"""A network on real images with the low-level API alone: tensors, `grad`, and your own loop.

    python examples/fashion.py

Trains a small convolutional network on Fashion-MNIST (Zalando SE, MIT licence), ten kinds of
clothing in 28x28 grey pixels: the sample that comes with the package, or the full set where
THALWEG_DATA names a folder that has it. Prints the test accuracy: about 0.84 on the sample.
"""

import math

import numpy as np

import thalweg as tw
from thalweg.keras.datasets import fashion_mnist


def load_images(limit=None):
    """Training and test images in [0, 1] as (N, 28, 28, 1) float32, labels as int32."""
    load = fashion_mnist.load_data if fashion_mnist.is_local() else fashion_mnist.load_sample
    (x_train, y_train), (x_test, y_test) = load()
    x_train, x_test = (x[:limit, ..., None].astype(np.float32) / 255 for x in (x_train, x_test))
    return x_train, y_train[:limit].astype(np.int32), x_test, y_test[:limit].astype(np.int32)


def init(key):
    """Parameters of two convolutions and a dense layer, He-normal."""
    shapes = {"conv1": (3, 3, 1, 16), "conv2": (3, 3, 16, 32), "dense": (7 * 7 * 32, 10)}
    params = {}
    for each, (name, shape) in zip(tw.random.split(key, len(shapes)), shapes.items(), strict=True):
        scale = math.sqrt(2 / math.prod(shape[:-1]))
        params[name] = {"w": tw.random.normal(shape, key=each) * scale, "b": tw.zeros(shape[-1])}
    return params


def predict(params, x):
    """Logits (B, 10) of images (B, 28, 28, 1)."""
    for name in ("conv1", "conv2"):
        x = tw.nn.conv(x, params[name]["w"], padding="same") + params[name]["b"]
        x = tw.nn.max_pool(tw.nn.relu(x), 2)
    x = tw.reshape(x, (x.shape[0], 7 * 7 * 32))
    return x @ params["dense"]["w"] + params["dense"]["b"]


def loss(params, x, y):
    """The mean cross entropy of labels y (B,)."""
    return tw.mean(tw.nn.sparse_categorical_crossentropy(y, predict(params, x), from_logits=True))


@tw.function
def step(params, momentum, x, y, rate):
    """One step of gradient descent with momentum 0.9; the whole step is one graph."""
    value, gradient = tw.value_and_grad(loss)(params, x, y)
    momentum = tw.map_leaves(lambda m, g: 0.9 * m + g, momentum, gradient)
    params = tw.map_leaves(lambda p, m: p - rate * m, params, momentum)
    return params, momentum, value


@tw.function
def count_correct(params, x, y):
    """How many images are classified rightly."""
    return tw.count_nonzero(tw.argmax(predict(params, x), axis=-1) == y)


def accuracy(params, x, y, batch=500):
    """The share of images classified rightly."""
    parts = range(0, len(x), batch)
    right = sum(int(count_correct(params, x[i : i + batch], y[i : i + batch])) for i in parts)
    return right / len(x)


def batches(x, y, size, seed):
    """Shuffled batches of equal size; a last smaller one is left out."""
    order = np.random.default_rng(seed).permutation(len(x))
    for start in range(0, len(x) - size + 1, size):
        chosen = order[start : start + size]
        yield x[chosen], y[chosen]


def main(epochs=5, limit=None, batch=64, rate=0.03):
    x_train, y_train, x_test, y_test = load_images(limit)
    params = init(tw.random.key(0))
    momentum = tw.map_leaves(tw.zeros_like, params)
    for epoch in range(epochs):
        values = []
        for x, y in batches(x_train, y_train, batch, seed=epoch):
            params, momentum, value = step(params, momentum, x, y, rate)
            values.append(float(value))
        print(f"epoch {epoch + 1}: loss {np.mean(values):.3f}", flush=True)
    result = accuracy(params, x_test, y_test)
    print(f"test accuracy {result:.3f}")
    return result


if __name__ == "__main__":
    main()
