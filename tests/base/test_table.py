"""Tables: rows, reasons for what is left out, and holes."""

import pytest

from thalweg.base.errors import ArgumentError
from thalweg.base.table import Absent, Table


def test_a_table_lists_its_holes():
    names = ["add", "multiply", "sin", "cos"]
    table = Table("lowerings", lambda: names)
    assert table.holes() == ["add", "cos", "multiply", "sin"]
    table.add("sin", 1)
    table.add("add", Absent("not here"))
    assert table.holes() == ["cos", "multiply"]
    names.append("tan")
    assert table.holes() == ["cos", "multiply", "tan"], "the vocabulary may grow afterwards"


def test_a_table_is_a_mapping():
    table = Table("lowerings", list)
    table.add("sin", 1)
    table.add("cos", 2)
    assert dict(table) == {"sin": 1, "cos": 2} and len(table) == 2
    assert table["cos"] == 2 and "tan" not in table and table.get("tan", 0) == 0
    assert list(table) == ["sin", "cos"], "in the order of entry"
    with pytest.raises(KeyError):
        table["tan"]
    with pytest.raises(TypeError):
        table["tan"] = 3


def test_a_second_entry_is_refused():
    table = Table("lowerings", list)
    table.add("sin", 1)
    with pytest.raises(ArgumentError, match=r"\[lowerings\] wants one entry a name") as caught:
        table.add("sin", 1)
    assert "Received a second entry for 'sin'." in caught.value.message
    assert table["sin"] == 1


def test_absent_is_false_and_says_why():
    absent = Absent("no derivative")
    assert not absent and absent.reason == "no derivative"
    assert absent == Absent("no derivative") and absent != Absent("another reason")
    assert repr(absent) == "Absent(reason='no derivative')"
    with pytest.raises(AttributeError):
        absent.reason = "changed"
