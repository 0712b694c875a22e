"""Floor 2: the vocabulary. Importing this package declares every op."""
