"""docs/coverage.md says what the ops declare."""

from pathlib import Path

from thalweg.base.table import Absent
from thalweg.ir.op import vocabulary
from thalweg.tools.coverage import main, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "coverage.md"


def test_the_committed_document_is_up_to_date():
    assert DOCUMENT.read_text(encoding="utf-8") == table(), (
        "docs/coverage.md is old: run python -m thalweg.tools.coverage --write docs/coverage.md"
    )


def test_every_op_has_a_row_and_every_hole_a_reason():
    rows = {line.split("|")[1].strip(" `"): line for line in table().splitlines()
            if line.startswith("| `")}  # fmt: skip
    assert set(rows) == set(vocabulary)
    for name, op in vocabulary.items():
        cells = [cell.strip() for cell in rows[name].split("|")[1:9]]
        assert (cells[2] == "yes") == (not isinstance(op.gradient, Absent))
        if "-" in cells[2:4]:
            assert "gradient: " in cells[7] or "batch: " in cells[7]


def test_the_command_line_prints_and_writes(tmp_path, capsys):
    main([])
    assert capsys.readouterr().out == table()
    main(["--write", str(tmp_path / "coverage.md")])
    assert (tmp_path / "coverage.md").read_text(encoding="utf-8") == table()
