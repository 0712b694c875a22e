"""Which Keras this is."""

__version__ = "3.15.1"
"""The version of Keras whose behaviour and file format this is."""


def version() -> str:
    """The version of Keras whose behaviour and file format this is."""
    return __version__
