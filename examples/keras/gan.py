"""A generative adversarial network (Radford et al. 2015) with a loop of its own.

    python examples/keras/gan.py

Two Keras models, two Keras optimizers; the step is a function that Thalweg traces into one graph.
What the generator draws is compared with real pictures by their mean picture: `distance` is the
root of the mean squared difference of pixels, about 0.35 for noise.
"""

import numpy as np
from data import fashion_images

import thalweg as tw
from thalweg import keras

layers, ops = keras.layers, keras.ops

SIZE = 64
"""Of the noise that the generator begins with."""


def generator_network():
    """Pictures (B, 28, 28, 1) out of noise (B, SIZE)."""
    return keras.Sequential(
        [
            keras.Input((SIZE,)),
            layers.Dense(7 * 7 * 64, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.LeakyReLU(0.2),
            layers.Reshape((7, 7, 64)),
            layers.Conv2DTranspose(32, 4, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.LeakyReLU(0.2),
            layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid"),
        ],
        name="generator",
    )


def discriminator_network():
    """A logit (B, 1) of pictures (B, 28, 28, 1): above zero for real ones."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 4, strides=2, padding="same"),
            layers.LeakyReLU(0.2),
            layers.Dropout(0.3),
            layers.Conv2D(64, 4, strides=2, padding="same"),
            layers.LeakyReLU(0.2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(1),
        ],
        name="discriminator",
    )


def training_step(generator, discriminator, rate=3e-4):
    """The function step(pictures) -> losses of discriminator and generator."""
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizers = [keras.optimizers.Adam(rate, beta_1=0.5) for _ in range(2)]
    for optimizer, model in zip(optimizers, (discriminator, generator), strict=True):
        optimizer.build(model.trainable_variables)
    seeds = keras.random.SeedGenerator(1)

    @tw.function
    def step(real):
        noise = keras.random.normal((real.shape[0], SIZE), seed=seeds)
        with tw.GradientTape(persistent=True) as tape:
            drawn = generator(noise, training=True)
            on_real = discriminator(real, training=True)
            on_drawn = discriminator(drawn, training=True)
            ones, zeros = ops.ones_like(on_real), ops.zeros_like(on_drawn)
            # Real pictures count as 0.9 real: a discriminator that is too sure teaches nothing.
            losses = (
                cross_entropy(0.9 * ones, on_real) + cross_entropy(zeros, on_drawn),
                cross_entropy(ones, on_drawn),
            )
        models = (discriminator, generator)
        for model, loss, optimizer in zip(models, losses, optimizers, strict=True):
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        return losses

    return step


def main(epochs=10, limit=None, batch=64):
    keras.utils.set_random_seed(0)
    (pictures, _), _ = fashion_images(limit)
    generator, discriminator = generator_network(), discriminator_network()
    step = training_step(generator, discriminator)
    random = np.random.default_rng(0)
    noise = random.standard_normal((500, SIZE)).astype("float32")
    for epoch in range(epochs):
        order = random.permutation(len(pictures) // batch * batch).reshape(-1, batch)
        losses = np.mean([[float(loss) for loss in step(pictures[each])] for each in order], axis=0)
        drawn = generator.predict(noise, batch_size=500, verbose=0)
        distance = float(np.sqrt(np.mean((drawn.mean(0) - pictures.mean(0)) ** 2)))
        print(
            f"epoch {epoch + 1}/{epochs}  discriminator {losses[0]:.3f}  generator {losses[1]:.3f}"
            f"  distance {distance:.3f}",
            flush=True,
        )
    return distance


if __name__ == "__main__":
    main()
