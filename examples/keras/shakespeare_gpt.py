"""A small GPT that learns to write Shakespeare, one character after another.

    python examples/keras/shakespeare_gpt.py

With the full text (THALWEG_DATA), 2,000 steps of 12 windows of 64 characters bring the loss on the
last tenth of the text to 1.79 nats a character; an even guess would be 4.17.
"""

import numpy as np
from data import shakespeare

from thalweg import keras

layers, ops = keras.layers, keras.ops


class Block(layers.Layer):
    """Attention to what came before, then a network at each place: (B, T, C) -> (B, T, C)."""

    def __init__(self, width, heads, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.normal_1 = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads, dropout=dropout)
        self.normal_2 = layers.LayerNormalization(epsilon=1e-5)
        self.wide = layers.Dense(4 * width, activation="gelu")
        self.narrow = layers.Dense(width)
        self.dropout = layers.Dropout(dropout)

    def call(self, x):
        y = self.normal_1(x)
        x = x + self.attention(y, y, use_causal_mask=True)
        return x + self.dropout(self.narrow(self.wide(self.normal_2(x))))


class GPT(keras.Model):
    """Logits (B, T, symbols) of the character after each of (B, T)."""

    def __init__(self, symbols, context=64, width=128, heads=4, depth=4, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.context = context
        self.tokens = layers.Embedding(symbols, width)
        self.places = layers.Embedding(context, width)
        self.blocks = [Block(width, heads, dropout) for _ in range(depth)]
        self.normal = layers.LayerNormalization(epsilon=1e-5)
        self.logits = layers.Dense(symbols, use_bias=False)

    def call(self, tokens):
        x = self.tokens(tokens) + self.places(ops.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.logits(self.normal(x))

    def write(self, tokens, count, temperature=0.8, seed=0):
        """`count` more symbols after the given ones, drawn from what the model expects."""
        random = np.random.default_rng(seed)
        tokens = list(tokens)
        for _ in range(count):
            window = np.zeros((1, self.context), "int32")
            known = tokens[-self.context :]
            window[0, : len(known)] = known
            logits = self.predict_on_batch(window)[0, len(known) - 1]
            chances = np.exp((logits - logits.max()) / temperature)
            tokens.append(int(random.choice(len(chances), p=chances / chances.sum())))
        return tokens


def windows(tokens, starts, context):
    """The pieces of the text that begin there, and the same one character later: (N, context)."""
    places = np.asarray(starts)[:, None] + np.arange(context)
    return tokens[places], tokens[places + 1]


def random_windows(tokens, context, batch, seed=0):
    """Batches of pieces that begin anywhere, without end."""
    random = np.random.default_rng(seed)
    while True:
        yield windows(tokens, random.integers(0, len(tokens) - context, batch), context)


def main(steps=2000, limit=None, batch=12, context=64, width=128, depth=4, letters=400, seed=0):
    keras.utils.set_random_seed(seed)
    text = shakespeare(limit)
    symbols = sorted(set(text))
    number = {symbol: i for i, symbol in enumerate(symbols)}
    tokens = np.array([number[symbol] for symbol in text], "int32")
    cut = len(tokens) * 9 // 10
    train, test = tokens[:cut], tokens[cut:]
    print(f"{len(text):,} characters, {len(symbols)} distinct")

    model = GPT(len(symbols), context, width, heads=4, depth=depth)
    warm = min(100, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm, alpha=0.1, warmup_target=1e-3, warmup_steps=warm
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.1, beta_2=0.99, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embeddings"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    epochs = max(steps // 250, 1)
    x_test, y_test = windows(test, range(0, len(test) - context, context), context)
    model.fit(
        random_windows(train, context, batch, seed),
        steps_per_epoch=steps // epochs,
        epochs=epochs,
        validation_data=(x_test, y_test),
        validation_batch_size=64,
    )
    loss = model.evaluate(x_test, y_test, batch_size=64, verbose=0)
    print(f"test loss {loss:.3f} nats a character")
    start = [number[symbol] for symbol in "\n"]
    print("".join(symbols[i] for i in model.write(start, letters)))
    return loss


if __name__ == "__main__":
    main()
