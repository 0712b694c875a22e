"""What is said to the user while a program runs: lines of text, questions, warnings."""

import logging
import sys
import warnings

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.keras import settings

LOGGER = logging.getLogger("thalweg")
LEVELS = ("FATAL", "ERROR", "WARNING", "INFO", "DEBUG")


def print_message(message: str, line_break: bool = True) -> None:
    """Write a message to standard output, or to the log where interactive logging is off.

    Characters that the output's encoding lacks become question marks.
    """
    if not settings.is_interactive_logging_enabled():
        LOGGER.info(message)
        return
    write(f"{message}\n" if line_break else message)


def write(text: str) -> None:
    """Write text to standard output at once, whatever its encoding."""
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def set_logging_verbosity(level: str) -> None:
    """Choose what reaches the log: FATAL, ERROR, WARNING, INFO or DEBUG and what is graver."""
    if level not in LEVELS:
        raise ArgumentError(
            explain("set_logging_verbosity", f"a level among {', '.join(LEVELS)}", f"{level!r}")
        )
    LOGGER.setLevel(level)


def ask_to_proceed_with_overwrite(path: object) -> bool:
    """Ask on the terminal whether the file at `path` may be replaced; True for yes."""
    question = f"{path} exists. Overwrite it? [y/n] "
    while (answer := input(question).strip().lower()) not in ("y", "n"):
        question = "Please answer y (overwrite) or n (cancel). "
    return answer == "y"


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points at the user's line: the innermost one outside the package."""
    warnings.warn(message, category, stacklevel=outer_level())
