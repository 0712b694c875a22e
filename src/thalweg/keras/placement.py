"""Devices: there is one, the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain


@contextmanager
def device(device_name: str) -> Iterator[None]:
    """Within this block tensors are made on a device: "cpu", "cpu:0".

    Raises ArgumentError for a device that this machine's build has not.
    """
    if not isinstance(device_name, str):
        raise ArgumentTypeError(
            explain(
                "device",
                "the name of a device as a string, such as 'cpu:0'",
                f"Invalid value for argument `device_name`: {device_name!r}",
            )
        )
    if device_name.lower().split(":")[0] != "cpu":
        raise ArgumentError(explain("device", "'cpu'", repr(device_name)))
    yield
