"""Training: the loop, what feeds it, and what it computes at each step."""
