"""Symbolic sizes: integer polynomials over named sizes, held in one exact normal form.

    size    a Python int, or a Dim
    Dim     a sum of terms, never constant: a result that is a number is an `int`
    term    an integer times a product of atoms
    atom    b                 a named size, an integer of 1 or more
            n // d            floor division that does not come out even
            max(a, b, ...)    also min; none of the sizes is known to win

A named size is never 0 (a size of zero is traced concretely); that is what decides `b - 1 >= 0`.
Division assumes a divisor other than 0: `(t - 1) // (t - 1)` is 1.

`==` compares normal forms, so that sizes work in dictionaries: False means "written otherwise",
not "different" (but see `compares_strictly`). The mathematical questions are `same`, `less` and
`less_equal`, and the operators `< <= > >=`; they answer or raise UndecidedError. `is_known_equal`
and `is_known_at_least` answer False where nothing is known.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from math import gcd, inf
from numbers import Integral
from typing import Any, NoReturn

from thalweg.base.errors import ThalwegError, explain
from thalweg.base.frames import is_inside

Monomial = tuple["Atom", ...]  # sorted; an atom stands once for each power; () is the constant
Terms = tuple[tuple[Monomial, int], ...]
Limits = tuple[float, float]  # inclusive; an integer each, or -inf and inf


class DimError(ThalwegError, ValueError):
    """A symbolic size that cannot be made, read or used in this way."""


class UndecidedError(DimError):
    """A question about sizes whose answer depends on the values of the named sizes."""


class Atom(str):
    """A factor of a term. It is its own text, which fixes `op` and `args` and sorts it."""

    __slots__ = ("args", "op")

    op: str  # "name", "//", "max" or "min"
    args: tuple[int | Dim, ...]

    def __new__(cls, text: str, op: str = "name", args: tuple[int | Dim, ...] = ()) -> Atom:
        atom = super().__new__(cls, text)
        object.__setattr__(atom, "op", op)
        object.__setattr__(atom, "args", args)
        return atom

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an atom is frozen: {name} cannot be set")


def _operator(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A method that leaves whatever is not an integer or a Dim to the other operand."""

    def method(self: Dim, other: Any) -> Any:
        if type(other) is not int and not isinstance(other, Dim):
            if not isinstance(other, Integral):
                return NotImplemented
            other = int(other)
        return function(self, other)

    return method


class Dim:
    """A size that depends on named sizes, for instance `2*t + 1`; made by `named` and arithmetic.

    Takes + - * // % with sizes on either side. `==` compares how two sizes are written; `<`, `<=`,
    `>`, `>=` and `bool` decide from what is known, or raise UndecidedError.
    """

    __slots__ = ("_hash", "_limits", "_text", "terms")

    terms: Terms
    _hash: int
    _limits: Limits | None  # None until asked for
    _text: str  # empty until asked for

    # NumPy's numbers and arrays leave an operation with a Dim to the Dim.
    __array_ufunc__ = None

    def __init__(self, terms: Terms):
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "_hash", hash(terms))
        object.__setattr__(self, "_limits", None)
        object.__setattr__(self, "_text", "")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a size is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a size is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dim):
            if self is other or (self._hash == other._hash and self.terms == other.terms):
                return True
        elif not isinstance(other, Integral):
            return NotImplemented
        if _strict.is_on and not is_inside(sys._getframe(1)):
            return same(self, other)  # type: ignore[arg-type]
        return False

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return parse_dim, (str(self),)

    def __str__(self) -> str:
        if not self._text:
            object.__setattr__(self, "_text", _text(self.terms))
        return self._text

    __repr__ = __str__

    __add__ = __radd__ = _operator(lambda a, b: _add(a, b))
    __mul__ = __rmul__ = _operator(lambda a, b: _multiply(a, b))
    __sub__ = _operator(lambda a, b: _subtract(a, b))
    __rsub__ = _operator(lambda a, b: _subtract(b, a))
    __floordiv__ = _operator(lambda a, b: _floor_divide(a, b))
    __rfloordiv__ = _operator(lambda a, b: _floor_divide(b, a))
    __mod__ = _operator(lambda a, b: _modulo(a, b))
    __rmod__ = _operator(lambda a, b: _modulo(b, a))
    __lt__ = _operator(lambda a, b: less(a, b))
    __gt__ = _operator(lambda a, b: less(b, a))
    __le__ = _operator(lambda a, b: less_equal(a, b))
    __ge__ = _operator(lambda a, b: less_equal(b, a))

    def __neg__(self) -> int | Dim:
        return _multiply(-1, self)

    def __pos__(self) -> Dim:
        return self

    def __bool__(self) -> bool:
        return not same(self, 0)

    def __truediv__(self, other: Any) -> Any:
        return self._refuse_division(other, f"{_wrap(self)} / {other}")

    def __rtruediv__(self, other: Any) -> Any:
        return self._refuse_division(other, f"{other} / {_wrap(self)}")

    def _refuse_division(self, other: Any, received: str) -> Any:
        if not isinstance(other, int | float | Integral | Dim):
            return NotImplemented
        do = "Write // for a size, or divide size(dim), its value as a tensor."
        raise DimError(explain("size", "division with //, as a size is an integer", received, do))

    def _refuse_number(self) -> NoReturn:
        raise DimError(
            explain(
                "size",
                "a symbolic size to stay a symbol: it has no number while tracing",
                f"{self}, where Python needs a number",
                "Use it in shapes and arithmetic, take its value as a tensor with size(dim), "
                "or make the argument static.",
            )
        )

    __int__ = __index__ = __float__ = _refuse_number


def named(name: str) -> Dim:
    """The named size `name`: an integer of 1 or more that is not known yet.

    Raises DimError unless the name is letters, digits and _, and neither `max` nor `min`.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _EXTREMES:
        wanted = "a name of letters, digits and _, not starting with a digit, not max or min"
        raise DimError(explain("named", wanted, repr(name), "Write for instance named('batch')."))
    return Dim((((Atom(name),), 1),))


def as_size(value: Any) -> int | Dim:
    """A size as it is, and any other kind of integer (NumPy's, bool) as an `int`."""
    if type(value) is int or isinstance(value, Dim):
        return value
    if isinstance(value, Integral):
        return int(value)
    do = "Write a number such as 3, or a size such as x.shape[0]."
    raise DimError(explain("size", "an integer or a symbolic size", repr(value), do))


class _Strict(threading.local):
    is_on = False


_strict = _Strict()


@contextmanager
def compares_strictly() -> Iterator[None]:
    """Within this block `==` outside of this package decides or raises UndecidedError.

    A user's `if x.shape[0] == 1` would else take the branch for other sizes, and a program traced
    that way would be wrong for a size of 1.
    """
    former = _strict.is_on
    _strict.is_on = True
    try:
        yield
    finally:
        _strict.is_on = former


# ---- arithmetic ----------------------------------------------------------------------------------
#
# Terms are ordered by falling degree, then by the texts of their atoms. Multiplying by a monomial
# keeps that order, so the first term leads a division as in school.


def _order(monomial: Monomial) -> tuple[int, Monomial]:
    return -len(monomial), monomial


def _terms(size: int | Dim) -> Terms:
    if isinstance(size, int):
        return (((), size),) if size else ()
    return size.terms


def _build(terms: Mapping[Monomial, int]) -> int | Dim:
    left = [(monomial, factor) for monomial, factor in terms.items() if factor]
    if not left:
        return 0
    if len(left) == 1 and not left[0][0]:
        return left[0][1]
    return Dim(tuple(sorted(left, key=lambda term: _order(term[0]))))


def _term(monomial: Monomial, factor: int = 1) -> int | Dim:
    return _build({monomial: factor})


def _add(a: int | Dim, b: int | Dim) -> int | Dim:
    total = dict(_terms(a))
    for monomial, factor in _terms(b):
        total[monomial] = total.get(monomial, 0) + factor
    return _build(total)


def _multiply(a: int | Dim, b: int | Dim) -> int | Dim:
    total: dict[Monomial, int] = {}
    for left, p in _terms(a):
        for right, q in _terms(b):
            monomial = tuple(sorted(left + right))
            total[monomial] = total.get(monomial, 0) + p * q
    return _build(total)


def _subtract(a: int | Dim, b: int | Dim) -> int | Dim:
    return _add(a, _multiply(-1, b))


def _floor_divide(n: int | Dim, d: int | Dim) -> int | Dim:
    """`n // d`: the multiples of d come out, common factors cancel, divisions by numbers merge.

    (4*b + 6) // 4 -> b + 1;   (b*t) // (b*s) -> t // s;   (t//2 + 1) // 2 -> (t + 2) // 4
    """
    if d == 0:
        raise DimError(explain("size", "a divisor other than 0", f"{_wrap(n)} // 0"))
    if isinstance(n, int) and isinstance(d, int):
        return n // d
    if _terms(d)[0][1] < 0:
        n, d = _multiply(-1, n), _multiply(-1, d)
    quotient, rest = _divide(n, d)
    if rest == 0:
        return quotient
    smaller_n, smaller_d = _cancel(rest, d)
    if smaller_d != d:
        return quotient + _floor_divide(smaller_n, smaller_d)
    if isinstance(d, int):
        inner = [
            monomial[0]
            for monomial, factor in _terms(rest)
            if factor == 1 and len(monomial) == 1 and monomial[0].op == "//"
        ]
        if len(inner) == 1 and isinstance(inner[0].args[1], int):
            upper, lower = inner[0].args
            return quotient + _floor_divide(upper + lower * (rest - _term((inner[0],))), lower * d)
    low, high = _divide_limits(_limits(rest), _limits(d))
    if low == high:
        return quotient + int(low)
    atom = Atom(f"{_wrap(rest)}//{_wrap(d)}", "//", (rest, d))
    return quotient + _term((atom,))


def _divide(n: int | Dim, d: int | Dim) -> tuple[int | Dim, int | Dim]:
    """Long division: n = quotient*d + rest, with factors as small as possible left in the rest."""
    terms = dict(_terms(n))
    quotient: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    (lead, lead_factor), *tail = _terms(d)
    while terms:
        monomial = min(terms, key=_order)
        factor = terms.pop(monomial)
        other = _without(monomial, lead)
        if other is None:
            rest[monomial] = factor
            continue
        times, rest[monomial] = divmod(factor, lead_factor)
        if times:
            quotient[other] = times
            for below, below_factor in tail:
                product = tuple(sorted(other + below))
                terms[product] = terms.get(product, 0) - times * below_factor
    return _build(quotient), _build(rest)


def _without(monomial: Monomial, part: Monomial) -> Monomial | None:
    left = list(monomial)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def _cancel(n: int | Dim, d: int | Dim) -> tuple[int | Dim, int | Dim]:
    """Both sides of a fraction without their common atoms and their common number.

    Under a plain number the constant need not share it: (2*t + 1) // 4 -> t // 2.
    """
    both = _terms(n) + _terms(d)
    common = reduce(lambda a, b: a & b, (Counter(monomial) for monomial, _ in both))
    shared = tuple(common.elements())
    is_number = isinstance(d, int)
    divisors = [factor for monomial, factor in _terms(n) if monomial or not is_number]
    number = gcd(*divisors, *(factor for _, factor in _terms(d)))

    def reduced(size: int | Dim) -> int | Dim:
        return _build({_without(m, shared) or (): factor // number for m, factor in _terms(size)})

    return reduced(n), reduced(d)


def _modulo(a: int | Dim, b: int | Dim) -> int | Dim:
    return a - b * _floor_divide(a, b)


def ceil_div(a: int | Dim, b: int | Dim) -> int | Dim:
    """`a / b` rounded up: `(a + b - 1) // b` where b is known to be positive."""
    a, b = as_size(a), as_size(b)
    if _limits(b)[0] >= 1:
        return _floor_divide(a + b - 1, b)
    return -_floor_divide(-a, b)


def dim_max(first: int | Dim, *others: int | Dim) -> int | Dim:
    """The largest of the sizes, without those that are known to be no larger than another."""
    return _extreme("max", (first, *others))


def dim_min(first: int | Dim, *others: int | Dim) -> int | Dim:
    """The smallest of the sizes, without those that are known to be no smaller than another."""
    return _extreme("min", (first, *others))


def _extreme(op: str, sizes: Iterable[int | Dim]) -> int | Dim:
    def wins(a: int | Dim, b: int | Dim) -> bool:
        return _limits(a - b if op == "max" else b - a)[0] >= 0

    flat: set[int | Dim] = set()
    for size in map(as_size, sizes):
        atom = _lone_atom(size)
        flat.update(atom.args if atom is not None and atom.op == op else (size,))
    kept: list[int | Dim] = []
    for size in sorted(flat, key=lambda size: (isinstance(size, int), str(size))):
        if not any(wins(other, size) for other in kept):
            kept = [other for other in kept if not wins(size, other)] + [size]
    if len(kept) == 1:
        return kept[0]
    return _term((Atom(f"{op}({', '.join(map(str, kept))})", op, tuple(kept)),))


def _lone_atom(size: int | Dim) -> Atom | None:
    """The atom of a size that is nothing but one atom."""
    terms = _terms(size)
    if len(terms) == 1 and terms[0][1] == 1 and len(terms[0][0]) == 1:
        return terms[0][0][0]
    return None


# ---- bounds --------------------------------------------------------------------------------------
#
# Internally a bound is an integer or an infinity. The upper bound is the lower one of the negative.

# How many atoms are opened in one search for a bound; each may double the work.
_DEPTH = 6


def bounds(size: int | Dim) -> tuple[int | None, int | None]:
    """The least and the greatest value that the size is known to keep to; None where unknown."""
    low, high = _limits(as_size(size))
    return None if low == -inf else int(low), None if high == inf else int(high)


def _limits(size: int | Dim) -> Limits:
    if isinstance(size, int):
        return size, size
    found = size._limits
    if found is None:
        found = _least(size, _DEPTH, frozenset()), -_least(-size, _DEPTH, frozenset())
        object.__setattr__(size, "_limits", found)
    return found


def _least(size: int | Dim, depth: int, closed: frozenset[Atom]) -> float:
    """A lower bound, found by intervals and by opening the atoms that are not plain names.

    A maximum or minimum turns into each of its sizes. A quotient q = n // d with d >= 1 turns
    into n, by n - d + 1 <= d*q <= n, once everything is a multiple of d.
    """
    terms = _terms(size)
    atoms = {atom for monomial, _ in terms for atom in monomial if atom.op != "name"}

    # An atom comes before those that stand in it, which may cancel then, and cases that must all
    # hold come before a choice of one, which may differ from case to case.
    def order(atom: Atom) -> tuple:
        return any(atom in other for other in atoms - {atom}), _is_chosen(terms, atom), atom

    for atom in sorted(atoms - closed, key=order):
        if not depth:
            break
        closed = closed | {atom}
        weight = _weight(terms, atom)
        rest = size - weight * _term((atom,))
        is_added = _interval_least(_terms(weight)) >= 0
        is_taken = _interval_least(_terms(-weight)) >= 0
        if atom.op != "//":
            is_raised = is_added if atom.op == "max" else is_taken
            best = max if is_raised else min
            return best(_least(rest + weight * arg, depth - 1, closed) for arg in atom.args)
        n, d = atom.args
        d_low, d_high = _limits(d)
        if d_low < 1 or not (is_added or is_taken):
            continue
        bound = n - d + 1 if is_added else n
        times, left = _divide(weight, d)
        if left == 0:
            opened = _least(rest + times * bound, depth - 1, closed)
        else:
            low = _least(rest * d + weight * bound, depth - 1, closed)
            opened = min(-_floor(-low, d_low), -_floor(-low, d_high))
        return max(opened, _least(size, depth - 1, closed))
    return _interval_least(terms)


def _weight(terms: Terms, atom: Atom) -> int | Dim:
    """What an atom is multiplied by."""
    return _build({_without(m, (atom,)) or (): f for m, f in terms if atom in m})


def _is_chosen(terms: Terms, atom: Atom) -> bool:
    """True for a maximum that is added or a minimum that is taken away: any of its sizes do."""
    if atom.op == "//":
        return False
    weight = _weight(terms, atom) if atom.op == "max" else -_weight(terms, atom)
    return _interval_least(_terms(weight)) >= 0


def _interval_least(terms: Terms) -> float:
    """A lower bound by interval arithmetic, as it stands and with atoms counted from their least.

    b*t - b has no bound as it stands; with b = 1 + b' and t = 1 + t' it is b'*t' + t' >= 0.
    """
    limits = {atom: _atom_limits(atom) for monomial, _ in terms for atom in monomial}
    plain = sum(_product_limits(factor, m, limits)[0] for m, factor in terms)
    if all(len(monomial) <= 1 for monomial, _ in terms):
        return plain
    start = {atom: int(low) if low > -inf else 0 for atom, (low, _) in limits.items()}
    shifted: Counter[Monomial] = Counter()
    for monomial, factor in terms:
        product: Counter[Monomial] = Counter({(): factor})
        for atom in monomial:
            longer = {(*head, atom): number for head, number in product.items()}
            product = Counter({head: number * start[atom] for head, number in product.items()})
            product.update(longer)
        shifted.update(product)
    moved = {atom: (low - start[atom], high - start[atom]) for atom, (low, high) in limits.items()}
    return max(plain, sum(_product_limits(factor, m, moved)[0] for m, factor in shifted.items()))


def _product_limits(factor: int, monomial: Monomial, limits: Mapping[Atom, Limits]) -> Limits:
    low: float = factor
    high: float = factor
    for atom in monomial:
        # An unbounded value times 0 is 0: infinity stands for "any integer", not for a number.
        corners = [a * b if a and b else 0 for a in (low, high) for b in limits[atom]]
        low, high = min(corners), max(corners)
    return low, high


def _atom_limits(atom: Atom) -> Limits:
    if atom.op == "name":
        return 1, inf
    limits = [_limits(arg) for arg in atom.args]
    if atom.op == "//":
        return _divide_limits(*limits)
    best = max if atom.op == "max" else min
    return best(low for low, _ in limits), best(high for _, high in limits)


def _divide_limits(n: Limits, d: Limits) -> Limits:
    if d[0] >= 1:
        return min(_floor(n[0], end) for end in d), max(_floor(n[1], end) for end in d)
    widest = max(abs(n[0]), abs(n[1]))
    return -widest, widest


def _floor(a: float, b: float) -> float:
    """`a // b` for b >= 1, with infinities."""
    if abs(a) == inf:
        return a
    return a // b if b < inf else -(a < 0)


# ---- questions -----------------------------------------------------------------------------------


def same(a: int | Dim, b: int | Dim) -> bool:
    """Whether a = b for all values of the named sizes (True) or for none (False).

    Raises UndecidedError where the bounds and common divisors of the difference do not tell.
    """
    answer = _is_zero(as_size(a) - as_size(b))
    return _undecided(f"{a} = {b}", a, b) if answer is None else answer


def less(a: int | Dim, b: int | Dim) -> bool:
    """Whether a < b for all values of the named sizes, or for none. Raises UndecidedError."""
    answer = _is_natural(as_size(b) - as_size(a) - 1)
    return _undecided(f"{a} < {b}", a, b) if answer is None else answer


def less_equal(a: int | Dim, b: int | Dim) -> bool:
    """Whether a <= b for all values of the named sizes, or for none. Raises UndecidedError."""
    answer = _is_natural(as_size(b) - as_size(a))
    return _undecided(f"{a} <= {b}", a, b) if answer is None else answer


def is_known_equal(a: int | Dim, b: int | Dim) -> bool:
    """True when a = b for all values of the named sizes; False when not, or not known."""
    return a == b or _is_zero(as_size(a) - as_size(b)) is True


def is_known_at_least(a: int | Dim, n: int | Dim) -> bool:
    """True when a >= n for all values of the named sizes; False when not, or not known."""
    return _is_natural(as_size(a) - as_size(n)) is True


def _is_zero(size: int | Dim) -> bool | None:
    low, high = _limits(size)
    if low == high == 0:
        return True
    numbers = dict(_terms(size))
    constant = numbers.pop((), 0)
    # 2*b - 2*t + 1 is odd whatever the sizes.
    if low > 0 or high < 0 or (numbers and constant % gcd(*numbers.values())):
        return False
    return None


def _is_natural(size: int | Dim) -> bool | None:
    low, high = _limits(size)
    return True if low >= 0 else False if high < 0 else None


def _undecided(question: str, a: int | Dim, b: int | Dim) -> NoReturn:
    left, right = symbols(a), symbols(b)
    names = " and ".join(sorted(left | right))
    if left and right and not left & right:
        received = f"{a} and {b}, which are unrelated"
    else:
        sizes = [size for size in (a, b) if symbols(size)]
        received = " and ".join(f"{size} ({_range(size)})" for size in sizes)
    if names in (f"{a} and {b}", f"{b} and {a}"):
        do = "Give both the same name or a fixed size."
    else:
        do = f"Give {names} {'a fixed size' if len(left | right) == 1 else 'fixed sizes'}."
    raise UndecidedError(explain("size", f"sizes that tell whether {question}", received, do))


def _range(size: int | Dim) -> str:
    low, high = bounds(size)
    if low is None:
        return "any integer" if high is None else f"{high} or less"
    return f"{low} or more" if high is None else f"{low} to {high}"


# ---- values --------------------------------------------------------------------------------------


def symbols(size: int | Dim) -> frozenset[str]:
    """The names that the size depends on."""
    names: set[str] = set()
    for monomial, _ in _terms(as_size(size)):
        for atom in monomial:
            names.update([str(atom)] if atom.op == "name" else [], *map(symbols, atom.args))
    return frozenset(names)


def substitute(size: int | Dim, sizes: Mapping[str, int | Dim]) -> int | Dim:
    """The size with names replaced; a number once every name has one.

    Raises DimError for a value that is known to be less than 1, and for a divisor that becomes 0.
    """
    for name, value in sizes.items():
        if _limits(as_size(value))[1] < 1:
            received = f"{name} = {value}"
            raise DimError(explain("substitute", "sizes of 1 or more for names", received))
    return _substitute(as_size(size), sizes)


def _substitute(size: int | Dim, sizes: Mapping[str, int | Dim]) -> int | Dim:
    total: int | Dim = 0
    for monomial, factor in _terms(size):
        product: int | Dim = factor
        for atom in monomial:
            if atom.op == "name":
                product *= as_size(sizes[atom]) if atom in sizes else _term((atom,))
            else:
                product *= _FUNCTIONS[atom.op](*(_substitute(arg, sizes) for arg in atom.args))
        total += product
    return total


def solve(pattern: int | Dim, value: int, known: Mapping[str, int]) -> dict[str, int] | None:
    """The known sizes with the one that makes `pattern` equal to `value`; None where none does.

    A pattern without unknown names is checked. Raises UndecidedError for more than one unknown
    name, and for one that is not plain (t//2 = 3 has two solutions): solve other patterns first.
    """
    rest = _substitute(as_size(pattern), known) - as_size(value)
    unknown = symbols(rest)
    if not unknown:
        return dict(known) if rest == 0 else None
    numbers = dict(_terms(rest))
    constant = numbers.pop((), 0)
    (monomial, factor), *more = numbers.items()
    if more or len(monomial) > 1 or monomial[0].op != "name":
        wanted = f"{pattern} = {value} to have one unknown size, plainly added or multiplied"
        received = f"unknown {' and '.join(sorted(unknown))}"
        do = "Let an axis that is just this name, such as the b of f32[b], be solved first."
        raise UndecidedError(explain("solve", wanted, received, do))
    found, odd = divmod(-constant, factor)
    return None if odd or found < 1 else {**known, str(monomial[0]): found}


# ---- text ----------------------------------------------------------------------------------------

_EXTREMES = ("max", "min")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(rf"{_NAME.pattern}|[0-9]+|//|[-+*%(),]|\S")

_FUNCTIONS: dict[str, Callable[..., int | Dim]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "//": _floor_divide,
    "%": _modulo,
    "max": dim_max,
    "min": dim_min,
}
_LEVELS = (("+", "-"), ("*", "//", "%"))  # from the loosest to the tightest


def text(size: int | Dim) -> str:
    """The size without spaces, as it stands in a shape: `2*t+1`."""
    return str(size).replace(" ", "")


def _text(terms: Terms) -> str:
    parts: list[str] = []
    for monomial, factor in terms:
        number = [str(abs(factor))] if abs(factor) != 1 or not monomial else []
        is_alone = len(monomial) == 1 and not number and (factor > 0 or bool(parts))
        atoms = [atom if is_alone or atom.op != "//" else f"({atom})" for atom in monomial]
        sign = ("- " if factor < 0 else "+ ") if parts else ("-" if factor < 0 else "")
        parts.append(sign + "*".join(number + atoms))
    return " ".join(parts)


def _wrap(size: int | Dim) -> str:
    atom = _lone_atom(size)
    is_whole = size >= 0 if isinstance(size, int) else atom is not None and atom.op != "//"
    return str(size) if is_whole else f"({size})"


def parse_dim(text: str) -> int | Dim:
    """The size that a text stands for; reads `str(size)` and `text(size)` back exactly.

    sum: product (+|- product)...    product: signed (*|//|% signed)...    signed: [-] operand
    operand: number | name | (sum) | max(sum, ...) | min(sum, ...)

    Raises DimError with the position of what cannot be read.
    """
    tokens = [(match.group(), match.start()) for match in _TOKEN.finditer(text)]
    tokens = [("", len(text)), *reversed(tokens)]  # read from the end, by pop

    def take() -> str:
        return tokens.pop()[0]

    def fail(wanted: str) -> NoReturn:
        token, position = tokens[-1]
        found = repr(token) if token else "the end"
        raise DimError(explain("parse_dim", wanted, f"{found} at position {position} of {text!r}"))

    def expect(*signs: str) -> str:
        if tokens[-1][0] not in signs:
            fail(" or ".join(signs) + " here")
        return take()

    def read(level: int = 0) -> int | Dim:
        if level == len(_LEVELS):
            return signed()
        left = read(level + 1)
        while tokens[-1][0] in _LEVELS[level]:
            left = _FUNCTIONS[take()](left, read(level + 1))
        return left

    def signed() -> int | Dim:
        token = tokens[-1][0]
        if token == "-":
            take()
            return -signed()
        if token.isascii() and token.isdecimal():
            return int(take())
        if token == "(" or token in _EXTREMES:
            function = _FUNCTIONS.get(take())
            if function is None:
                inner = read()
                expect(")")
                return inner
            expect("(")
            args = [read()]
            while expect(",", ")") == ",":
                args.append(read())
            return function(*args)
        if not _NAME.fullmatch(token):
            fail("a number, a name or ( here")
        return named(take())

    size = read()
    if tokens[-1][0]:
        fail("an operator or the end here")
    return size
