"""Nested structures flatten and come back."""

from collections import namedtuple

import pytest

from thalweg.base.errors import ArgumentError
from thalweg.engine.tree import flatten, map_leaves, unflatten

Point = namedtuple("Point", "x y")

VALUES = [
    1,
    None,
    [],
    {},
    (),
    [1, [2, (3, None)], {"b": 4, "a": [5]}],
    Point(1, {"k": Point(2, 3)}),
    {1: "a", "x": "b"},
    ((), [[]], {"a": ()}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_round_trip(value):
    leaves, structure = flatten(value)
    assert unflatten(structure, leaves) == value
    assert type(unflatten(structure, leaves)) is type(value)
    assert flatten(value)[1] == structure
    assert hash(structure) == hash(flatten(value)[1])


def test_dict_order_does_not_matter():
    assert flatten({"a": 1, "b": 2}) == flatten({"b": 2, "a": 1})


def test_different_nestings_differ():
    structures = [flatten(value)[1] for value in VALUES]
    assert len(set(structures)) == len(structures)


def test_map_leaves():
    assert map_leaves(lambda x, y: x + y, {"a": [1, 2]}, {"a": [10, 20]}) == {"a": [11, 22]}
    with pytest.raises(ArgumentError) as caught:
        map_leaves(lambda x, y: x, [1], (1,))
    assert "values of equal structure" in str(caught.value)


def test_text():
    assert str(flatten({"a": [1, None], "b": (2,)})[1]) == "{a: [*, None], b: (*)}"


def test_the_wrong_number_of_leaves_is_refused():
    with pytest.raises(ArgumentError):
        unflatten(flatten([1, 2])[1], [1])
