"""Floor 8: the functional surface, in the chapters of the Array API standard."""
