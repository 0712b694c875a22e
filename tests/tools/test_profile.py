"""profile: every kernel with its time, work, share of what the machine can do, and lines."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.backends.llvm import ceilings
from thalweg.backends.llvm.ceilings import Ceilings
from thalweg.base.errors import ArgumentError, ArgumentTypeError
from thalweg.tools import profile as profiles
from thalweg.tools.profile import Entry, Profile


@pytest.fixture(autouse=True)
def quick_ceilings(monkeypatch):
    """Ceilings as if measured, so that tests need no tenths of a second."""
    monkeypatch.setattr(profiles, "ceilings", lambda: Ceilings(1e11, 1e10, 1))


def test_kernels_are_listed_with_their_work_and_lines():
    weight = tw.Variable(np.ones((6, 8), np.float32), name="weight")

    @tw.function
    def layer(x):
        y = tw.matmul(x, weight.value)
        weight.assign(weight.value * 2)
        return tw.linalg.svdvals(tw.exp(y) + 1)

    x = np.ones((4, 6), np.float32)
    found = tw.profile(layer, x, rounds=3)
    assert [entry.is_native for entry in found.entries].count(False) == 1
    (product,) = [entry for entry in found.entries if "dot" in entry.ops]
    assert product.flops >= 2 * 4 * 6 * 8, "and what is fused with it"
    assert product.bytes == 4 * (4 * 6 + 6 * 8 + 4 * 8)
    assert all(entry.seconds > 0 for entry in found.entries)
    assert any("test_profile.py" in line for line in product.lines)
    assert np.array_equal(weight.numpy(), np.ones((6, 8))), "state is left alone"
    text = str(found)
    assert "layer:" in text and "(definition)" in text and "of ceiling" in text


def test_named_sizes_are_those_of_the_call():
    f = tw.function(lambda x: tw.exp(x) * 2, shapes={"x": ("n", 3)})
    for size in (5, 50):
        (entry,) = tw.profile(f, np.ones((size, 3), np.float32), rounds=1).entries
        assert entry.bytes == 2 * 4 * 3 * size


def test_shares_are_those_of_the_nearer_ceiling():
    def entry(flops, bytes):
        return Entry("k", "dot", 1e-3, flops, bytes, (), True)

    found = Profile("f", (entry(1, 1),), 1e9, 1e8, 2)
    assert found.share(entry(500_000, 1)) == pytest.approx(0.5)
    assert found.share(entry(1, 80_000)) == pytest.approx(0.8)
    assert "2 threads" in found.table()


def test_the_table_lists_the_dearest_and_counts_the_rest():
    entries = tuple(Entry(f"k{i}", "add", i * 1e-5, 1, 1, (), True) for i in range(1, 6))
    text = Profile("f", entries, 1e9, 1e9, 1).table(2)
    assert "k5" in text and "k4" in text and "k3" not in text and "... and 3 more" in text


def test_what_cannot_be_profiled():
    with pytest.raises(ArgumentTypeError, match="a traced function"):
        tw.profile(np.sin, 1.0)
    with pytest.raises(ArgumentError, match="one round or more"):
        tw.profile(tw.function(tw.sin), 1.0, rounds=0)


def test_ceilings_are_measured():
    found = ceilings.ceilings()
    assert found.threads >= 1
    assert 1e8 < found.bytes < 1e13
    assert 1e8 < found.flops < 1e15
