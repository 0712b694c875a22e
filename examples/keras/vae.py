"""A variational autoencoder (Kingma and Welling 2013) with a training step of its own.

    python examples/keras/vae.py

Draws pictures of clothing out of two numbers. `train_step` is overridden: the tape and the update
are written out, and `fit` does the rest.
"""

import numpy as np
from data import fashion_images

import thalweg as tw
from thalweg import keras

layers, ops = keras.layers, keras.ops


class Sampling(layers.Layer):
    """A draw from the normal distribution of a mean and a logarithm of variance, both (B, D)."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, mean, log_variance):
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


class Autoencoder(keras.Model):
    """Pictures (B, 28, 28, 1) to themselves, by way of `size` numbers."""

    def __init__(self, size=2, **kwargs):
        super().__init__(**kwargs)
        self.encoder = keras.Sequential(
            [
                layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
                layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
                layers.Flatten(),
                layers.Dense(64, activation="relu"),
            ],
            name="encoder",
        )
        self.mean = layers.Dense(size, name="mean")
        self.log_variance = layers.Dense(size, name="log_variance")
        self.sampling = Sampling(seed=0)
        self.decoder = keras.Sequential(
            [
                layers.Dense(7 * 7 * 32, activation="relu"),
                layers.Reshape((7, 7, 32)),
                layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
                layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
                layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
            ],
            name="decoder",
        )
        self.trackers = [
            keras.metrics.Mean(name) for name in ("loss", "reconstruction", "distance")
        ]

    @property
    def metrics(self):
        return self.trackers

    def call(self, images):
        x = self.encoder(images)
        mean, log_variance = self.mean(x), self.log_variance(x)
        return self.decoder(self.sampling(mean, log_variance)), mean, log_variance

    def losses_of(self, images):
        """What is lost of the pictures, and how far the numbers lie from a standard normal."""
        drawn, mean, log_variance = self(images)
        lost = keras.losses.binary_crossentropy(images, drawn)
        reconstruction = ops.mean(ops.sum(lost, axis=(1, 2)))
        divergence = -0.5 * (1 + log_variance - ops.square(mean) - ops.exp(log_variance))
        distance = ops.mean(ops.sum(divergence, axis=1))
        return reconstruction + distance, reconstruction, distance

    def train_step(self, images):
        with tw.GradientTape() as tape:
            losses = self.losses_of(images)
        gradients = tape.gradient(losses[0], self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self.tracked(losses)

    def test_step(self, images):
        return self.tracked(self.losses_of(images))

    def tracked(self, losses):
        for tracker, loss in zip(self.trackers, losses, strict=True):
            tracker.update_state(loss)
        return {tracker.name: tracker.result() for tracker in self.trackers}


def shown(images, columns):
    """Pictures (N, 28, 28, 1) side by side as text, two pixels in height to a character."""
    rows = images.reshape(-1, columns, 28, 28).transpose(0, 2, 1, 3).reshape(-1, 28 * columns)
    grey = " .:-=+*#%@"
    return "\n".join("".join(grey[int(v * 9.99)] for v in row) for row in rows[::2])


def main(epochs=10, limit=None, size=2):
    keras.utils.set_random_seed(0)
    (x_train, _), (x_test, _) = fashion_images(limit)
    model = Autoencoder(size)
    model.compile(optimizer=keras.optimizers.Adam(2e-3))
    model.fit(x_train, batch_size=128, epochs=epochs, validation_data=(x_test,))
    found = model.evaluate(x_test, batch_size=500, verbose=0, return_dict=True)
    places = np.stack([np.linspace(-2, 2, 5), np.zeros(5), *[np.zeros(5)] * (size - 2)], axis=1)
    print(shown(model.decoder.predict(places.astype("float32"), verbose=0), columns=5))
    print(f"test loss {found['loss']:.1f}, of which reconstruction {found['reconstruction']:.1f}")
    return found["loss"]


if __name__ == "__main__":
    main()
