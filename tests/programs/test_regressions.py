"""Programs that the fuzzer found to fail once, as text, each with what was wrong.

New ones come from `python -m thalweg.tools.fuzz`, which prints them ready to be added here.
"""

import pytest

from thalweg.ir.parse import parse
from thalweg.tools.fuzz import check

PROGRAMS = {
    # Batching left the condition of a loop with the types of a single example.
    "a batched loop whose condition ignores the batch": """
program(x0: i16[3]) {
  %0: i32[] = constant(value=i32[] 0, shape=())
  %1: i32[] = constant(value=i32[] 2, shape=())
  %2: (i32[], i16[3]) = while(%1, %0, x0, condition=goes_on(x0: i32[], x1: i32[], x2: i16[3]) {
    %0: bool[] = less(x1, x0)
    return %0
  }, body=step(x0: i32[], x1: i32[], x2: i16[3]) {
    %0: i32[] = constant(value=i32[] 1, shape=())
    %1: i32[] = add(x1, %0)
    %2: i16[3] = cummax(x2, axis=0)
    return %1, %2
  }, constants=1)
  return %2.1
}
""",
    # The rule for two casts asked for the common type of a signed integer with uint64.
    "casts through types without a common type": """
program(x0: i32[2]) {
  %0: u64[2] = cast(x0, dtype=u64)
  %1: i16[2] = cast(%0, dtype=i16)
  return %1
}
""",
    # The rule for two slices put the empty part behind the end of the operand.
    "an empty part of a slice with gaps": """
program(x0: f64[2]) {
  %0: f64[1] = slice(x0, start=(0,), limit=(2,), stride=(3,))
  %1: f64[0] = slice(%0, start=(1,), limit=(1,), stride=(4,))
  return %1
}
""",
    # A loop that never runs did not know the sizes that its arguments give to its body.
    "no step of a loop with a named size": """
program(x0: f32[b], x1: f32[0,2]) {
  %0: (f32[b], f32[0,b]) = scan(x0, x1, body=step(x0: f32[b], x1: f32[2]) {
    return x0, x0
  }, carries=1, length=0)
  return %0.1
}
""",
    # A body that takes a size from around it kept the name where the size had become a number.
    "a body with a size from around it": """
program(x0: f32[b], x1: f32[3]) {
  %0: (f32[3,b]) = scan(x1, body=step(x0: f32[]) {
    %0: f32[b] = broadcast(x0, shape=(b,), axes=())
    return %0
  }, length=3)
  %1: f32[b] = sum(%0.0, axes=(0,))
  %2: f32[b] = add(%1, x0)
  return %2
}
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_failed_once(name):
    function = parse(PROGRAMS[name])
    for seed in range(3):
        assert check(function, seed) == []
