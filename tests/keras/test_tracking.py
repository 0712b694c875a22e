"""Tracking: containers that tell a layer what they hold."""

import copy
import pickle
from collections import OrderedDict
from typing import Any

import pytest

from thalweg import keras
from thalweg.base.errors import ArgumentError
from thalweg.keras.tracking import (
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    Tracker,
)


def numbers() -> tuple[Tracker, list, list]:
    ints: list[int] = []
    texts: list[str] = []
    stores = {
        "ints": (lambda x: isinstance(x, int), ints),
        "texts": (lambda x: isinstance(x, str), texts),
    }
    return Tracker(stores), ints, texts


def test_a_list_tells_all_that_happens_to_it() -> None:
    tracker, ints, texts = numbers()
    found = tracker.track([1, "a"])
    assert isinstance(found, TrackedList) and (ints, texts) == ([1], ["a"])
    found.append(2)
    found.extend([3, "b"])
    found.insert(0, 4)
    found += [5]
    assert sorted(ints) == [1, 2, 3, 4, 5] and texts == ["a", "b"]
    found.remove(3)
    assert found.pop() == 5
    del found[0]
    found[0] = 6
    assert sorted(ints) == [2, 6] and list(found) == [6, "a", 2, "b"]
    del found[1:3]
    assert (sorted(ints), texts) == ([6], ["b"])
    found.clear()
    assert (ints, texts, list(found)) == ([], [], [])


def test_a_dict_tells_all_that_happens_to_it() -> None:
    tracker, ints, texts = numbers()
    found = tracker.track({"x": 1})
    assert isinstance(found, TrackedDict) and ints == [1]
    found["y"] = "a"
    found.update({"z": 2}, w=3)
    assert found.setdefault("v", 4) == 4 and found.setdefault("x", 9) == 1
    assert ints == [1, 2, 3, 4] and texts == ["a"]
    assert found.pop("z") == 2 and found.pop("nothing", None) is None
    assert found.popitem() == ("v", 4)
    del found["y"]
    assert (ints, texts) == ([1, 3], [])
    found.clear()
    assert ints == []


def test_an_ordered_dict_stays_one() -> None:
    tracker, ints, _ = numbers()
    found = tracker.track(OrderedDict([("b", 1), ("a", 2)]))
    assert isinstance(found, TrackedOrderedDict) and list(found) == ["b", "a"]
    assert found.popitem(last=False) == ("b", 1) and ints == [2]


def test_a_set_tells_all_that_happens_to_it() -> None:
    tracker, ints, _ = numbers()
    found = tracker.track({1})
    assert isinstance(found, TrackedSet)
    found.add(2)
    found.update([3, 4], [5])
    found.remove(2)
    assert sorted(ints) == [1, 3, 4, 5]
    taken = found.pop()
    assert taken not in ints
    found.clear()
    assert ints == []


def test_a_locked_tracker_takes_nothing_new() -> None:
    tracker, ints, _ = numbers()
    held = tracker.track([1])
    tracker.lock("closed")
    with pytest.raises(ArgumentError, match="closed"):
        held.append(2)
    assert tracker.track(1) == 1 and tracker.track(1.5) == 1.5
    tracker.unlock()
    held.append(3)
    assert 3 in ints


@pytest.mark.parametrize("value", [[1, "a"], {"x": 1}, {1, 2}, OrderedDict(b=1, a=2)])
def test_containers_are_copied_pickled_and_mapped_as_plain_ones(value: Any) -> None:
    tracker, _, _ = numbers()
    tracked = tracker.track(value)
    for again in (copy.deepcopy(tracked), pickle.loads(pickle.dumps(tracked))):
        assert again == value and again.tracker is None
    if not isinstance(value, set):
        assert keras.tree.map_structure(lambda x: x, tracked) == value


def test_nested_containers_are_followed_at_any_depth() -> None:
    layer = keras.layers.Layer()
    layer.deep = {"a": [{"b": (keras.layers.Dense(1, name="found"),)}]}
    assert [each.name for each in layer._layers] == ["found"]
    layer.deep["a"][0]["c"] = keras.layers.Dense(1, name="later")
    assert [each.name for each in layer._layers] == ["found", "later"]
