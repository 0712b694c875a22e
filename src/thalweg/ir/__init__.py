"""Floor 1: types, nodes, ops, functions; their text, verification and rewriting."""
