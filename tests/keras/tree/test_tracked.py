"""The containers that layers keep are nodes, and keep their kind."""

import copy
import pickle
from collections import OrderedDict

import pytest

from thalweg.keras import tree
from thalweg.keras.tracking import (
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    Tracker,
)

CASES = [
    (TrackedList([3, 1]), [((0,), 3), ((1,), 1)]),
    (TrackedDict({"b": 1, "a": 2}), [(("a",), 2), (("b",), 1)]),
    (TrackedDict({"b": 1, 2: 2}), [((2,), 2), (("b",), 1)]),
    (TrackedOrderedDict([("b", 1), ("a", 2)]), [(("b",), 1), (("a",), 2)]),
    (TrackedSet([5]), [((0,), 5)]),
]


@pytest.mark.parametrize(("container", "leaves"), CASES, ids=lambda x: type(x).__name__)
def test_tracked_containers_are_nodes(container, leaves):
    assert tree.flatten_with_path(container) == leaves
    mapped = tree.map_structure(lambda x: x, container)
    assert type(mapped) is type(container)
    assert mapped == container
    tree.assert_same_structure(container, tree.map_structure(str, container))
    for copied in (copy.deepcopy(container), pickle.loads(pickle.dumps(container))):
        assert type(copied) is type(container)
        assert copied == container


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (TrackedList([1]), [1], "expected an instance of .*TrackedList"),
        ([1], TrackedList([1]), "expected an instance of list"),
        (TrackedDict({"a": 1, "b": 2}), TrackedDict({"a": 1}), "Node arity mismatch"),
        (TrackedDict({"a": 1}), TrackedDict({"b": 1}), "Node context mismatch"),
        (
            TrackedOrderedDict([("a", 1), ("b", 2)]),
            TrackedOrderedDict([("b", 1), ("a", 2)]),
            "Node context mismatch",
        ),
    ],
)
def test_tracked_containers_that_do_not_fit(a, b, message):
    with pytest.raises(ValueError, match=message):
        tree.assert_same_structure(a, b)


def test_an_ordered_dict_is_tracked():
    seen = []
    tracker = Tracker({"numbers": (lambda value: isinstance(value, int), seen)})
    found = tracker.track(OrderedDict([("z", 1), ("y", 2), ("x", 3)]))
    assert type(found) is TrackedOrderedDict
    assert list(found) == ["z", "y", "x"]
    assert seen == [1, 2, 3]
    found["w"] = 4
    assert found.popitem(last=False) == ("z", 1)
    assert found.popitem() == ("w", 4)
    assert found.pop("x") == 3
    assert seen == [2]
    found.clear()
    assert seen == []
