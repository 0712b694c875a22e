"""Floor 0: errors in one voice, tables that know their holes, options. Standard library only."""
