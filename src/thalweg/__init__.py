"""Thalweg: tensors, graphs and derivatives that read from the first call down to the last loop."""

__version__ = "0.1.0"
