"""Declares every op by importing every family."""

from thalweg.ir import leaves
from thalweg.ops import broadcast, elementwise, index, mark, movement, reduce

FAMILIES = (leaves, broadcast, elementwise, mark, movement, reduce, index)
