"""Kernel sizes, strides, paddings and multipliers as users give them."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain

PADDINGS = ("valid", "same", "causal")


def sizes(
    name: str, value: Any, rank: int, layer: str, allow_zero: bool = False
) -> tuple[int, ...]:
    """An integer or a tuple of them as `rank` integers. Raises ArgumentError for other values."""
    found = (value,) * rank if isinstance(value, int) else value
    wanted = f"{rank} integers"
    text = f"The `{name}` argument must be a tuple of {rank} integers. Received {name}={value}"
    try:
        found = tuple(int(each) for each in found)
    except (TypeError, ValueError):
        raise ArgumentError(explain(layer, wanted, text)) from None
    if len(found) != rank:
        raise ArgumentError(explain(layer, wanted, text))
    bad = {each for each in found if each < 0 or (each == 0 and not allow_zero)}
    if bad:
        sign = ">=" if allow_zero else ">"
        raise ArgumentError(
            explain(
                layer,
                f"{wanted} {sign} 0",
                f"{text}, including values {bad} that do not satisfy `value {sign} 0`",
            )
        )
    return found


def padding_of(value: Any, layer: str, allow_causal: bool = True) -> str:
    """The padding in lower case. Raises ArgumentError for one that there is not."""
    found = str(value).lower()
    allowed = PADDINGS if allow_causal else PADDINGS[:2]
    if found not in allowed:
        raise ArgumentError(
            explain(
                layer,
                f"a padding; The `padding` argument must be one of {', '.join(allowed)}",
                f"padding={value}",
            )
        )
    return found


def multiplier_of(layer: str, value: Any) -> int:
    """The value, if it is above 0. Raises ArgumentError otherwise."""
    if value is None or value <= 0:
        raise ArgumentError(
            explain(
                layer,
                "a multiplier above 0",
                "Invalid value for argument `depth_multiplier`. Expected a strictly positive "
                f"value. Received depth_multiplier={value}.",
            )
        )
    return value
