"""Floor 5: how a kernel is computed, as loops over index expressions."""
