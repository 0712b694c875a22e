"""Floor 8: the functional surface, in the chapters of the Array API standard."""

# Whoever uses a chapter meets tensors, and expects their operators.
from thalweg.array import operators as operators
