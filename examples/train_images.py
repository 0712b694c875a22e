"""The main job: train a convolutional network on images, watch it, keep what came of it.

    make demo        or        python examples/train_images.py --epochs 5 --out outputs

Ten kinds of clothing in 28 x 28 grey pixels: the sample that comes with the package, or all of
Fashion-MNIST where THALWEG_DATA names a folder that has it. An ordinary Keras program but for its
last file, which writes into the output folder:

    model.keras      the trained model, for keras.saving.load_model
    curves.png       loss and accuracy over the epochs
    network.png      the layers and the shapes between them
    step.html        the training step as one graph: its stages as text, what each part costs
"""

import argparse
from pathlib import Path

from thalweg import keras
from thalweg.tools import see

layers = keras.layers


def load_images(limit):
    """Training and test images (N, 28, 28, 1) as float32 in [0, 1], each with labels (N,)."""
    fashion = keras.datasets.fashion_mnist
    load = fashion.load_data if fashion.is_local() else fashion.load_sample
    (x_train, y_train), (x_test, y_test) = load()
    x_train, x_test = (x[:limit, ..., None].astype("float32") / 255 for x in (x_train, x_test))
    return (x_train, y_train[:limit]), (x_test, y_test[:limit])


def network():
    """Three convolutions, each normalised, and a dense layer: logits (B, 10)."""
    x = images = keras.Input((28, 28, 1), name="images")
    for filters in (32, 64, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(10, name="logits")(x), name="clothing")


def train(options):
    """The model, the record of its training, and its accuracy on the test images."""
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = load_images(options.limit)
    print(f"{len(x_train)} training and {len(x_test)} test images, 28 x 28 pixels")
    steps = options.epochs * -(-len(x_train) // options.batch)
    model = network()
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=options.backend == "native",
    )
    history = model.fit(
        x_train,
        y_train,
        batch_size=options.batch,
        epochs=options.epochs,
        validation_data=(x_test, y_test),
        validation_batch_size=500,
    )
    return model, history, history.history["val_accuracy"][-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--limit", type=int, default=None, help="use so many images only")
    parser.add_argument("--backend", choices=("native", "reference"), default="native")
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args()
    try:
        model, history, accuracy = train(options)
    except KeyboardInterrupt:
        print("\nstopped; nothing was written")
        raise SystemExit(130) from None
    print(f"test accuracy {accuracy:.3f}")

    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / "model.keras")
    history.plot(options.out / "curves.png")
    keras.utils.plot_model(model, options.out / "network.png", show_shapes=True)
    see.page(model.train_stages(), "training step", options.out / "step.html")
    for name in ("model.keras", "curves.png", "network.png", "step.html"):
        print(f"  {options.out / name}")


if __name__ == "__main__":
    main()
