"""Floor 3: from a Function to values or to another Function."""
