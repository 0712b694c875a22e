"""Two LSTM layers that learn to spell: the next character of Shakespeare's plays.

    python examples/keras/lstm.py

With the full text (THALWEG_DATA), five epochs bring the share of characters that it foresees in
the last tenth of the text to about 0.5; with the scenes beside this file, to 0.4.
"""

import numpy as np
from data import shakespeare

from thalweg import keras

layers = keras.layers


def sequences(tokens, length):
    """The text in pieces, and the same one character later, both (N, length)."""
    count = (len(tokens) - 1) // length
    return (tokens[i : i + count * length].reshape(count, length) for i in (0, 1))


def network(symbols, units=128):
    """Chances (B, T, symbols) of the next character at each place of (B, T)."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(symbols, 64),
            layers.LSTM(units, return_sequences=True),
            layers.LSTM(units, return_sequences=True),
            layers.Dropout(0.1),
            layers.Dense(symbols, activation="softmax"),
        ],
        name="speller",
    )


def continued(model, tokens, count, seed=0):
    """A continuation drawn from the chances: any length will do, so all so far is read again."""
    random = np.random.default_rng(seed)
    tokens = list(tokens)
    for _ in range(count):
        chances = model.predict_on_batch(np.array([tokens], "int32"))[0, -1].astype("float64")
        tokens.append(int(random.choice(len(chances), p=chances / chances.sum())))
    return tokens


def main(epochs=5, limit=None, batch=None, length=64, units=128, letters=60):
    keras.utils.set_random_seed(0)
    text = shakespeare(limit)
    # A small text makes enough steps only in small batches.
    batch = batch or (64 if len(text) > 500_000 else 8)
    symbols = sorted(set(text))
    tokens = np.array([symbols.index(symbol) for symbol in text], "int32")
    cut = len(tokens) * 9 // 10
    x_train, y_train = sequences(tokens[:cut], length)
    x_test, y_test = sequences(tokens[cut:], length)

    model = network(len(symbols), units)
    model.summary()
    model.compile(
        optimizer=keras.optimizers.Adam(4e-3, global_clipnorm=1.0),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    slower = keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: rate * 0.8 if epoch else rate
    )
    model.fit(
        x_train,
        y_train,
        batch_size=batch,
        epochs=epochs,
        validation_data=(x_test, y_test),
        callbacks=[slower],
    )
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy {accuracy:.3f}")
    start = [symbols.index(symbol) for symbol in "The king"]
    print("".join(symbols[i] for i in continued(model, start, letters)))
    return accuracy


if __name__ == "__main__":
    main()
