"""Traced functions of these ops run for every batch size, and give what they give directly."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.keras import tree
from thalweg.keras.ops.numpy import (
    indexing,
    manipulation,
    products,
    reductions,
    sorting,
    statistics,
)

FUNCTIONS = {
    "mean": lambda x: reductions.mean(x, axis=0),
    "var": reductions.var,
    "max": lambda x: reductions.max(x, axis=0, initial=0.0),
    "argmax": lambda x: (reductions.argmax(x), reductions.argmin(x, axis=0)),
    "cumsum": lambda x: (reductions.cumsum(x, axis=0), reductions.cumprod(x)),
    "reshape": lambda x: manipulation.reshape(x, (-1, 2)),
    "reshape_to_rows": lambda x: manipulation.reshape(x, (2, -1)),
    "size": lambda x: x / manipulation.size(x),
    "concatenate": lambda x: manipulation.concatenate([x, x], 0),
    "stack": lambda x: manipulation.stack([x, x]),
    "split": lambda x: manipulation.split(x, 2, axis=0),
    "split_at": lambda x: manipulation.split(x, [1, 3], axis=0),
    "array_split": lambda x: manipulation.array_split(x, 3, axis=0),
    "roll": lambda x: (manipulation.roll(x, 1), manipulation.roll(x, 3, axis=0)),
    "repeat": lambda x: (manipulation.repeat(x, 2, axis=0), manipulation.tile(x, (2, 1))),
    "pad": lambda x: manipulation.pad(x, 1),
    "pad_reflected": lambda x: manipulation.pad(x, ((1, 1), (0, 2)), "reflect"),
    "pad_mean": lambda x: manipulation.pad(x, 1, "mean"),
    "flip": manipulation.flip,
    "take": lambda x: indexing.take(x, [0, -1], axis=0),
    "take_along_axis": lambda x: indexing.take_along_axis(x, sorting.argsort(x, axis=0), axis=0),
    "get_item": lambda x: [
        indexing.get_item(x, key) for key in (0, -1, np.s_[:3], np.s_[1:], np.s_[::2], np.s_[:-1])
    ],
    "unravel_index": lambda x: indexing.unravel_index(reductions.argmax(x), x.shape),
    "select": lambda x: indexing.select([x > 0], [x], 0),
    "diagonals": lambda x: [indexing.diagonal(x, offset=each) for each in (-1, 0, 1)],
    "trace": indexing.trace,
    "vectorize": lambda x: indexing.vectorize(lambda a: tw.sum(a), signature="(n)->()")(x),
    "sort": lambda x: (sorting.sort(x, axis=0), sorting.argpartition(x, 1, axis=0)),
    "unique": lambda x: sorting.unique(x, size=5, return_counts=True),
    "unique_rows": lambda x: sorting.unique(x, size=3, axis=0, return_inverse=True),
    "searchsorted": lambda x: sorting.searchsorted(sorting.sort(manipulation.ravel(x)), x),
    "digitize": lambda x: sorting.digitize(x, [0.0, 1.0]),
    "quantile": lambda x: (statistics.quantile(x, 0.3, axis=0), statistics.nanmedian(x, axis=0)),
    "histogram": lambda x: statistics.histogram(manipulation.ravel(x)),
    "differences": lambda x: (statistics.diff(x, n=2, axis=0), statistics.trapezoid(x, axis=0)),
    "corrcoef": lambda x: (statistics.corrcoef(x), statistics.corrcoef(manipulation.transpose(x))),
    "correlate": lambda x: statistics.correlate(manipulation.ravel(x), np.ones(2, "float32")),
    "matmul": lambda x: products.matmul(x, manipulation.transpose(x)),
    "einsum": lambda x: products.einsum("ij,kj->ik", x, x),
    "tensordot": lambda x: products.tensordot(x, x, axes=2),
    "kron": lambda x: (products.kron(x, x), products.outer(x, x)),
    "cross": lambda x: products.cross(x, x + 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_batch(name):
    function = FUNCTIONS[name]
    traced = tw.function(function)
    for batch in (4, 6, 8):
        x = np.random.default_rng(batch).normal(size=(batch, 3)).astype("float32")
        pairs = zip(tree.flatten(traced(x)), tree.flatten(function(x)), strict=True)
        for found, wanted in pairs:
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
