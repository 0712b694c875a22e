"""Floor 10: seeing every stage, asking where a node comes from, and finding faults at random."""
