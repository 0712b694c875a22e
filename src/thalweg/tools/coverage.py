"""docs/coverage.md: what each op of the vocabulary has, and why it lacks what it lacks.

python -m thalweg.tools.coverage                print the table
python -m thalweg.tools.coverage --write PATH   write it
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.table import Absent
from thalweg.ir.op import ABSENT, Op, Sample, vocabulary
from thalweg.ir.types import DTYPES, as_dtype
from thalweg.tools.see import write_whole

HEADER = """# What the vocabulary covers

Made by `python -m thalweg.tools.coverage --write docs/coverage.md` from the declarations of the
ops; a test compares it with them.

- **gradient** `yes`: a rule of its own; `expanded`: that of its expansion; `zero`: no slope
  wherever there is one; `-`: none, for the reason given.
- **batch** `yes`: a rule of its own; `expanded`: that of its expansion; `-`: none.
- **expands** `yes`: a composite, which a backend may take whole or have spelled out.
- **element types** are those of the operands in the op's samples, of which there are **samples**.
"""

COLUMNS: tuple[str, ...] = (
    "op", "family", "gradient", "batch", "expands", "element types", "samples", "why not",
)  # fmt: skip

GROUPS = (
    ("i8 i16 i32 i64", "ints"),
    ("u8 u16 u32 u64", "uints"),
    ("f16 bf16 f32 f64", "floats"),
    ("c64 c128", "complex"),
)


def table() -> str:
    """The whole document."""
    ops = sorted(vocabulary.values(), key=lambda op: (op.family, op.name))
    rows = [COLUMNS, *map(_row, ops)]
    counts = {
        "with a gradient": sum(row[2] in ("yes", "expanded") for row in rows[1:]),
        "that can be batched": sum(row[3] != "-" for row in rows[1:]),
        "composites": sum(row[4] == "yes" for row in rows[1:]),
        "samples": sum(int(row[6]) for row in rows[1:]),
    }
    summary = ", ".join(f"{count} {what}" for what, count in counts.items())
    lines = [HEADER, f"{len(ops)} ops: {summary}.", ""]
    lines.append(f"| {' | '.join(rows[0])} |")
    lines.append("|---|---|---|---|---|---|---:|---|")
    lines += [f"| {' | '.join(row)} |" for row in rows[1:]]
    return "\n".join(lines) + "\n"


def _row(op: Op) -> tuple[str, ...]:
    samples = [] if isinstance(op.samples, Absent) else list(op.samples())
    reasons = [
        f"{name}: {value.reason}"
        for name in ("gradient", "batch", "cost", "samples", "refuses")
        if isinstance(value := getattr(op, name), Absent) and value != ABSENT
    ]
    return (
        f"`{op.name}`",
        op.family,
        _gradient(op),
        _batch(op),
        "yes" if op.expand else "",
        _element_types(samples),
        str(len(samples)),
        "; ".join(reasons).replace("|", "\\|"),
    )


def _gradient(op: Op) -> str:
    if not isinstance(op.gradient, Absent):
        return "yes"
    if op.gradient == ABSENT:
        return "expanded"
    return "zero" if op.gradient.reason.startswith("piecewise constant") else "-"


def _batch(op: Op) -> str:
    if not isinstance(op.batch, Absent):
        return "yes"
    return "expanded" if op.batch == ABSENT else "-"


def _element_types(samples: Sequence[Sample]) -> str:
    """The element types of all operands; a whole kind by its name."""
    seen = {as_dtype(arg.dtype) for sample in samples for arg in sample.args}
    if seen == set(DTYPES):
        return "all"
    text = " ".join(dtype.short for dtype in DTYPES if dtype in seen)
    for members, name in GROUPS:
        text = text.replace(members, name)
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the document, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", metavar="PATH", help="write the document to a file")
    options = parser.parse_args(arguments)
    if options.write:
        write_whole(Path(options.write), table())
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
