"""A study's file as people send it: read, or refused in words, and what was left out is counted."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import CommandLine

    from resources.postgres_client import PostgresClient

SPEC = """\
kind: study
key: {key}
tenant: demo
unit: person
treatment: {{column: took, values: {{control: 0, treated: 1}}}}
outcome: {{column: y}}
confounders: [age]
source: {{file: {file}, unit_id: person}}
"""


def people(count: int = 120) -> list[list[str]]:
    """Person, treatment, outcome, age; the treatment adds 2."""
    dice = random.Random(3)
    rows = []
    for number in range(count):
        age, took = dice.gauss(50, 10), number % 2
        rows.append([f"p{number}", str(took), f"{0.1 * age + 2 * took + dice.gauss(0, 1):.4f}", f"{age:.2f}"])
    return rows


def text(rows: list[list[str]], separator: str = ",") -> str:
    return "".join(separator.join(row) + "\n" for row in [["person", "took", "y", "age"], *rows])


def analyzed(causeway: CommandLine, folder: Path, key: str, content: bytes) -> Any:
    (folder / "study.csv").write_bytes(content)
    (folder / "study.yaml").write_text(SPEC.format(key=key, file="study.csv"))
    return causeway("analyze", folder / "study.yaml", "--json")


def test_an_empty_file_and_a_header_of_another_table_are_mistakes_of_the_caller(
    causeway: CommandLine, tmp_path: Path
) -> None:
    empty = analyzed(causeway, tmp_path, "empty", b"")
    assert (empty.code, "the file is empty" in empty.line) == (2, True)
    other = analyzed(causeway, tmp_path, "other", b"person,took,yy,age\n")
    assert (other.code, "'y'" in other.line, "'yy'" in other.line) == (2, True, True)


def test_a_header_alone_is_refused_in_words(causeway: CommandLine, tmp_path: Path) -> None:
    done = analyzed(causeway, tmp_path, "header_only", text([]).encode())
    assert done.code == 1
    assert done.json["failures"] == ["the file was landed and is not used: it has no rows below its header"]


def test_a_file_of_unusable_rows_says_which_and_why(causeway: CommandLine, tmp_path: Path) -> None:
    rows = people()
    for row in rows[:60]:
        row[2] = '"1,234"'
    done = analyzed(causeway, tmp_path, "separators", text(rows).encode())
    assert done.code == 1
    (failure,) = done.json["failures"]
    assert "60 times not_a_number, first: row 1, column 'y': '1,234' is not a number" in failure


def test_a_byte_order_mark_semicolons_and_a_few_bad_lines_are_read_and_counted(
    causeway: CommandLine, tmp_path: Path, client: PostgresClient
) -> None:
    rows = people()
    rows[3][2], rows[4][2], rows[5][3] = "NaN", "inf", "NA"
    content = b"\xef\xbb\xbf" + text(rows, ";").encode() + b"p900;1\r\np0;1;9;9\r\n\r\n"
    done = analyzed(causeway, tmp_path, "ragged", content)
    assert done.code == 0, done.err
    assert done.json["headline"]["n"] == 117, "a row without an outcome or a confounder is left out"
    codes = client.fetch_all(
        "SELECT code, count(*) FROM raw.quarantine WHERE split_part(source, '@', 1) = 'ragged' GROUP BY 1 ORDER BY 1"
    )
    assert codes == [("duplicate_unit", 1), ("not_a_number", 2), ("wrong_number_of_fields", 1)]


def test_a_treatment_that_nobody_has_is_answered_with_a_reason(causeway: CommandLine, tmp_path: Path) -> None:
    rows = [[row[0], "", *row[2:]] for row in people()]
    done = analyzed(causeway, tmp_path, "no_treatment", text(rows).encode())
    assert done.json["verdict"] == "withheld"
    assert any("took" in reason for reason in done.json["reasons"])
    assert all(row["effect"] is None for row in done.json["estimates"])


def test_rows_with_a_third_treatment_are_left_out_and_named(causeway: CommandLine, tmp_path: Path) -> None:
    rows = [[row[0], ("0", "1", "maybe")[number % 3], *row[2:]] for number, row in enumerate(people())]
    found = analyzed(causeway, tmp_path, "words", text(rows).encode()).json
    assert found["verdict"] == "caution"
    assert found["left_out"] == {"with another took (maybe)": len(rows) // 3}
    assert any("with another took (maybe)" in reason for reason in found["reasons"])
