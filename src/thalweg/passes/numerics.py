"""Rules that hold for finite numbers only, or within rounding; off unless options ask for them."""

from thalweg.ir.leaves import full_like
from thalweg.ir.rewrite import Rules, weight
from thalweg.ops.elementwise import add, divide, exp, log, multiply, power, subtract

X = "f64[2,3]"

finite = Rules("numerics of finite numbers", "finite", weight)
approximate = Rules("numerics within rounding", "approximate", weight, tolerance=16)


@finite.equation((X,), ("f32[3]",))
def add_zero(x):
    yield add(x, full_like(x, 0))
    yield x


@finite.equation((X,))
def multiply_zero(x):
    yield multiply(x, full_like(x, 0))
    yield full_like(x, 0)


@finite.equation((X,))
def subtract_itself(x):
    yield subtract(x, x)
    yield full_like(x, 0)


@approximate.equation((X,))
def log_of_exp(x):
    yield log(exp(x))
    # The logarithm of a complex number has its imaginary part within half a turn.
    if not x.dtype.is_complex:
        yield x


@approximate.equation((X, X))
def multiply_exponentials(x, y):
    yield multiply(exp(x), exp(y))
    yield exp(add(x, y))


@approximate.equation((X, X))
def divide_exponentials(x, y):
    yield divide(exp(x), exp(y))
    yield exp(subtract(x, y))


@approximate.equation((X,))
def power_one(x):
    yield power(x, full_like(x, 1))
    yield x
