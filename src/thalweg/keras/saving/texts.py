"""Texts and JSON in files: read up to a size, and with errors that name the file."""

import json
from pathlib import Path
from typing import Any

from thalweg.keras.saving.files import damaged, missing, refused
from thalweg.keras.saving.stores import readable_size

MOST_TEXT = 1 << 30
"""Bytes that a text is read up to."""


def read_text(path: Any) -> bytes:
    """The bytes of a text file. Errors: FileError."""
    place = Path(path)
    try:
        size = place.stat().st_size
        if size > MOST_TEXT:
            raise refused(path, f"a text of {readable_size(size)}")
        return place.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None


def json_of(text: bytes | str, origin: object) -> Any:
    """The values that a JSON text says. Errors: FileError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(origin, f"a text that is no JSON: {error}") from None
