"""SimpleRNN, LSTM and GRU against real Keras."""

from typing import Any

import pytest
from tests.keras.layers.beside import Beside, Case, booleans, numbers

X = numbers(2, 5, 3)
LONG = numbers(2, 12, 3, seed=1)
MASK = booleans("11010", "10011")
LATE = booleans("00111", "01101")
H, C = numbers(2, 4, seed=3), numbers(2, 4, seed=4)
# Of zeros, because Keras takes seconds to draw weights; each case sets its own.
ZEROS = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}


def case(name: str, kind: str, inputs: Any = X, call: Any = None, **settings: Any) -> Case:
    arrays = call or {}
    tolerance = settings.pop("tolerance", 2e-5)

    def make(layers: Any) -> Any:
        return getattr(layers, kind)(4, **ZEROS, **settings, name="layer")

    return Case(name, make, (inputs,), arrays, tolerance=tolerance)


KINDS = ("SimpleRNN", "LSTM", "GRU")
ALL = {"return_sequences": True, "return_state": True}
CASES = [
    *(case(f"{kind} last", kind) for kind in KINDS),
    *(case(f"{kind} all", kind, LONG, **ALL) for kind in KINDS),
    *(case(f"{kind} long, last", kind, LONG, return_state=True) for kind in KINDS),
    *(case(f"{kind} backwards", kind, LONG, go_backwards=True, **ALL) for kind in KINDS),
    *(case(f"{kind} masked", kind, call={"mask": MASK}, **ALL) for kind in KINDS),
    *(case(f"{kind} masked, last", kind, call={"mask": LATE}) for kind in KINDS),
    case("LSTM unrolled", "LSTM", LONG, unroll=True, return_sequences=True),
    case("LSTM started", "LSTM", call={"initial_state": [H, C], "mask": LATE}, **ALL),
    case("GRU started", "GRU", call={"initial_state": H, "mask": LATE}, return_sequences=True),
    case(
        "LSTM zeroed", "LSTM", call={"mask": MASK}, zero_output_for_mask=True,
        return_sequences=True,
    ),
    case(
        "LSTM zeroed backwards", "LSTM", call={"mask": LATE}, zero_output_for_mask=True,
        go_backwards=True, return_state=True,
    ),
    case("LSTM without bias", "LSTM", use_bias=False),
    case("LSTM closed", "LSTM", unit_forget_bias=False, activation="relu"),
    case("LSTM hard", "LSTM", recurrent_activation="hard_sigmoid", activation=None),
    case("GRU reset before", "GRU", LONG, reset_after=False, return_sequences=True),
    case("GRU without bias", "GRU", use_bias=False),
    case("SimpleRNN linear", "SimpleRNN", activation=None, use_bias=False),
    case("LSTM regularized", "LSTM", kernel_regularizer="l2", bias_constraint="non_neg"),
    case("LSTM bfloat16", "LSTM", LONG, dtype="mixed_bfloat16", tolerance=4e-2, **ALL),
    case("SimpleRNN float16", "SimpleRNN", dtype="mixed_float16", tolerance=6e-3),
]  # fmt: skip
BESIDE = Beside(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_beside_keras(case: Case) -> None:
    BESIDE.check(case)
