"""Floor 7: lazy tensors, variables, traced functions, and the machinery that runs them."""
