"""Floor 6: machines. Each backend lowers the vocabulary in a table of its own."""
