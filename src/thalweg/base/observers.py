"""Who is told when something happens on a floor below: the floor above adds itself to a list."""

from collections.abc import Callable
from typing import Any

of_stages: list[Callable[[Any], None]] = []
"""Called once with the `Stages` of each traced Function, when it is first run or looked at."""
