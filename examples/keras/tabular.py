"""Tables: one model with an input for each column, for a number (regression) or a class.

    python examples/keras/tabular.py

With THALWEG_DATA: the price of 53,940 diamonds, and who earns more than 50,000 dollars in the 1994
census (about 14 % wrong; the methods in the data set's own notes err on 14 to 21 %). Without it:
the weight and the species of the 344 penguins beside this file.
"""

import numpy as np
from data import table

from thalweg import keras

layers = keras.layers


def inputs_of(columns):
    """Numbers with mean 0 and variance 1 (and a flag for gaps), words as their places in a list."""
    found = {}
    for name, column in columns.items():
        if column.dtype.kind == "f":
            gap = np.isnan(column)
            scaled = (column - np.nanmean(column)) / (np.nanstd(column) + 1e-6)
            found[name] = np.stack([np.where(gap, 0, scaled), gap], axis=1).astype("float32")
        else:
            found[name] = np.unique(column, return_inverse=True)[1].astype("int32")
    return found


def network(inputs, outputs, name):
    """A functional model that takes a dictionary of columns."""
    entries, features = {}, []
    for key, column in inputs.items():
        if column.dtype.kind == "f":
            entries[key] = keras.Input((2,), name=key)
            features.append(entries[key])
        else:
            entries[key] = keras.Input((), name=key, dtype="int32")
            kinds = int(column.max()) + 1
            features.append(
                layers.Embedding(kinds, min(8, kinds), name=f"{key}_code")(entries[key])
            )
    x = layers.Concatenate()(features)
    for width in (128, 64):
        x = layers.Dense(width, activation="relu")(x)
        x = layers.Dropout(0.1)(x)
    return keras.Model(entries, layers.Dense(outputs)(x), name=name)


def split(inputs, target, seed=0):
    """Training and test parts, four to one."""
    order = np.random.default_rng(seed).permutation(len(target))
    parts = np.split(order, [len(order) * 4 // 5])
    return [({key: column[part] for key, column in inputs.items()}, target[part]) for part in parts]


def train(model, train_part, test_part, epochs):
    """Train until the last fifth of the training part gets no better; the metrics on the test."""
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(
        *train_part,
        batch_size=128 if len(train_part[1]) > 5000 else 16,
        epochs=epochs,
        validation_split=0.2,
        callbacks=[stop],
        verbose=2,
    )
    return model.evaluate(*test_part, batch_size=1000, verbose=0, return_dict=True)


def regression(columns, target, epochs=40):
    """The share of the variance of a column's logarithm that the others explain."""
    columns = dict(columns)
    value = np.log(columns.pop(target))
    known = ~np.isnan(value)
    inputs = {key: column[known] for key, column in inputs_of(columns).items()}
    # Targets with mean 0 and variance 1 suit the initial weights.
    value = ((value[known] - value[known].mean()) / value[known].std()).astype("float32")
    model = network(inputs, 1, f"{target}_regression")
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3),
        loss=keras.losses.Huber(),
        metrics=["mean_absolute_error", keras.metrics.R2Score(name="r2")],
    )
    return train(model, *split(inputs, value[:, None]), epochs)["r2"]


def classification(columns, target, epochs=20):
    """How often the class is found, rare classes weighing as much as common ones in training."""
    columns = dict(columns)
    names, kind = np.unique(columns.pop(target), return_inverse=True)
    inputs = inputs_of(columns)
    model = network(inputs, len(names), f"{target}_classification")
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return train(model, *split(inputs, kind.astype("int32")), epochs)["accuracy"]


def main(epochs=30, limit=None):
    keras.utils.set_random_seed(0)
    diamonds, adult, penguins = table("diamonds"), table("adult"), table("penguins")
    numbers, value = (diamonds, "price") if diamonds else (penguins, "body_mass_g")
    people, kind = (adult, "column14") if adult else (penguins, "species")

    def first(columns):
        order = np.random.default_rng(1).permutation(len(next(iter(columns.values()))))[:limit]
        return {key: column[order] for key, column in columns.items()}

    explained = regression(first(numbers), value, epochs)
    print(f"{value}: {explained:.3f} of the variance explained")
    right = classification(first(people), kind, epochs)
    print(f"{kind}: {right:.3f} right")
    return explained, right


if __name__ == "__main__":
    main()
