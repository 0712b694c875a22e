"""RNN of stacked cells and Bidirectional against real Keras."""

from typing import Any

import pytest
from tests.keras.layers.beside import Beside, Case, booleans, numbers

X = numbers(2, 5, 3)
MASK = booleans("11010", "10011")
LATE = booleans("00111", "01101")
ZEROS = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
ALL = {"return_sequences": True, "return_state": True}


def cells(layers: Any, *kinds: str) -> list[Any]:
    return [
        getattr(layers, f"{kind}Cell")(3 + place, **ZEROS, name=f"cell_{place}")
        for place, kind in enumerate(kinds)
    ]


def both_ways(name: str, kind: str, call: Any = None, back: Any = None, **settings: Any) -> Case:
    inner = {key: settings.pop(key) for key in list(settings) if key.startswith("return")}

    def make(layers: Any) -> Any:
        made = getattr(layers, kind)
        own = made(3, **ZEROS, **inner, name="layer")
        if back is not None:
            settings["backward_layer"] = getattr(layers, back)(
                3, **ZEROS, **inner, go_backwards=True, name="back"
            )
        return layers.Bidirectional(own, **settings, name="both")

    return Case(name, make, (X,), call or {})


def stacked(name: str, *kinds: str, call: Any = None, **settings: Any) -> Case:
    def make(layers: Any) -> Any:
        cell = layers.StackedRNNCells(cells(layers, *kinds), name="stack")
        return layers.RNN(cell, **settings, name="layer")

    return Case(name, make, (X,), call or {})


CASES = [
    stacked("cells", "LSTM", "GRU", "SimpleRNN", **ALL),
    stacked("cells masked", "LSTM", "GRU", call={"mask": MASK}, return_sequences=True),
    stacked("cells last", "GRU", "LSTM", return_state=True),
    stacked("cells masked, last", "GRU", "LSTM", call={"mask": LATE}),
    *(
        both_ways(f"both ways {mode}", "LSTM", merge_mode=mode, return_sequences=True)
        for mode in ("concat", "sum", "mul", "ave", None)
    ),
    both_ways("both ways last", "GRU"),
    both_ways("both ways masked", "GRU", call={"mask": MASK}, return_sequences=True),
    both_ways("both ways states", "LSTM", merge_mode=None, return_state=True),
    both_ways("both ways mixed", "LSTM", back="GRU", merge_mode="sum"),
    both_ways("both ways states of GRU", "GRU", merge_mode="ave", **ALL),
    both_ways(
        "both ways started together", "LSTM", **ALL,
        call={"initial_state": [numbers(2, 3, seed=i) for i in range(4)]},
    ),
    both_ways(
        "both ways started", "SimpleRNN", return_state=True,
        call={"initial_state": [numbers(2, 3, seed=5), numbers(2, 3, seed=6)]},
    ),
]  # fmt: skip
BESIDE = Beside(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_beside_keras(case: Case) -> None:
    BESIDE.check(case)
