"""Variables: a reference that is replaced, never a value that is changed."""

import gc

import numpy as np
import pytest

from thalweg.array import elementwise as ew
from thalweg.array.operands import to_tensor
from thalweg.base.errors import DTypeError, ShapeError, TraceError
from thalweg.engine import variable as module
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable
from thalweg.ir import node


def test_reading_keeps_the_old_value_after_assigning():
    v = Variable([1.0, 2.0])
    before = v.value
    v.assign([3.0, 4.0])
    assert before.tolist() == [1.0, 2.0]
    assert v.numpy().tolist() == [3.0, 4.0]


def test_dtypes_follow_the_value():
    assert Variable(1.0).dtype == "float32"
    assert Variable(np.ones(2)).dtype == "float64"
    assert Variable([1, 2], dtype="int8").dtype == "int8"
    assert Variable(to_tensor([1.0]), dtype="float64").dtype == "float64"


def test_lazy_values_are_assigned_without_computing():
    v = Variable([1.0])
    v.assign(ew.add(v, 1))
    assert v._tensor._cell.buffer is None
    assert v.numpy().tolist() == [2.0]


def test_two_variables_never_share_a_node():
    x = to_tensor([1.0])
    a, b = Variable(x), Variable(x)
    assert a.value._cell.node is not b.value._cell.node


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (to_tensor([1.0]), ShapeError, "[assign to w] wants a value of type f32[2]"),
        (to_tensor([1, 2]), DTypeError, "Cast first: value.astype('float32')"),
    ],
)
def test_assigning_another_type_is_refused(value, error, message):
    v = Variable([1.0, 2.0], name="w")
    with pytest.raises(error) as caught:
        v.assign(value)
    assert message in str(caught.value)
    assert v.numpy().tolist() == [1.0, 2.0]


def test_making_a_variable_from_a_traced_value_is_refused():
    with pytest.raises(TraceError) as caught:
        function(lambda x: Variable(x).value)(1.0)
    assert "Make variables once" in str(caught.value)


def test_state_is_threaded_through_a_traced_function():
    total = Variable(0.0, name="total")
    count = Variable(0, name="count", trainable=False)

    @function
    def observe(x):
        total.assign(ew.add(total, x))
        count.assign(ew.add(count, 1))
        return ew.divide(total, count)

    assert [float(observe(x)) for x in (2.0, 4.0, 9.0)] == [2.0, 3.0, 5.0]
    assert float(total) == 15.0 and int(count) == 3
    assert len(observe.why) == 1
    names = observe.stages["trace"].parameter_names
    assert names == ("x", "total", "count")


def test_a_nested_traced_function_updates_the_same_state():
    v = Variable(1.0)

    @function
    def double():
        v.assign(ew.multiply(v, 2))
        return v.value

    @function
    def twice():
        double()
        return double()

    assert float(twice()) == 4.0
    assert float(v) == 4.0
    assert float(double()) == 8.0


def test_graphs_that_wait_for_ever_are_computed_in_time(monkeypatch):
    gc.collect()
    monkeypatch.setattr(module, "MOST_PENDING_NODES", 500)
    monkeypatch.setattr(module, "_computed_at", node.count())
    v = Variable(np.zeros(2))
    most = 0
    for step in range(2000):
        v.assign(ew.add(v, float(step % 7)))
        most = max(most, node.count())
    assert most < node.count() + 3000
    assert v.numpy()[0] == sum(step % 7 for step in range(2000))


@pytest.mark.parametrize("value", [1.7, "a", [1, [2]], 1j], ids=repr)
def test_assigning_what_does_not_fit_is_refused(value):
    v = Variable([1, 2], name="count")
    with pytest.raises(DTypeError) as caught:
        v.assign(value)
    assert "[assign to count] wants numbers that fit int64" in str(caught.value)
    assert v.numpy().tolist() == [1, 2]
