"""A dense network on pictures of clothing: the smallest program that trains.

    python examples/keras/fashion_dense.py

Test accuracy: 0.889 on the full set, 0.860 on the sample.
"""

from data import fashion_images

from thalweg import keras

layers = keras.layers


def main(epochs=15, limit=None):
    keras.utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = fashion_images(limit)

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    model.fit(
        x_train, y_train, batch_size=128, epochs=epochs, validation_split=0.1, callbacks=[stop]
    )
    _, accuracy = model.evaluate(x_test, y_test, batch_size=500, verbose=0)
    print(f"test accuracy {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
