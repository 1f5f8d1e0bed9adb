"""Tables as text, as spreadsheets and Toloka's own pages write them: CSV and TSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

from toloka_airflow._internal.wording import counted

DELIMITERS = {".csv": ",", ".tsv": "\t"}
MAX_BYTES = 4 * 1024 * 1024
"""How long a cell may be; against a quote that is never closed."""
_NAMES = {";": "semicolons", "\t": "tabs", ",": "commas"}


class TableError(ValueError):
    """
    Report what is wrong with a table.

    :param line: Where the row begins.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def read_records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """
    Iterate over the rows that have cells, and the number of the line that each begins in; quoted cells may span lines.

    A text that begins with a bare quote and a later one that ends with one would make one row of all in between. In a
    TSV that is refused; in a CSV, the commas of a text could make lines honestly alike.

    :param lines: With line ends.
    :raises TableError: At the first row that cannot be read.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    record: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            record.append(line)
            yield line

    kind = "TSV" if delimiter == "\t" else "CSV"
    reader = csv.reader(remembered(), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        record.clear()
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            raise TableError(number, f"it is not {kind}: {exc}") from exc
        if cells is None:
            return
        is_joined = (
            len(record) > 1 and len(cells) > 1 and {line.count(delimiter) for line in record} == {len(cells) - 1}
        )
        if delimiter == "\t" and is_joined:
            raise TableError(
                number,
                f"by its quotes it is one row up to line {number + len(record) - 1}, but each of these lines has as "
                "many cells as a row; a cell with quotes must be in quotes, with those inside doubled",
            )
        if cells:
            yield number, cells


def wrong_number_of_cells(cells: int, columns: int, delimiter: str) -> str:
    """Say what is wrong with a row of another number of cells than the header."""
    problem = f"it has {counted(cells, 'cell')}, but the header has {columns}"
    # The usual reason, in texts.
    hint = "; a cell with a comma in it must be in double quotes" if cells > columns and delimiter == "," else ""
    return problem + hint


def check_delimiter(header: Sequence[str], delimiter: str) -> None:
    """
    Make sure that the cells of a table are not delimited by something else, as spreadsheets do it in many countries.

    :param header: The cells of its first line.
    :raises ValueError: If they are.
    """
    others = [name for character, name in _NAMES.items() if character != delimiter and character in header[0]]
    if len(header) == 1 and others:
        raise ValueError(
            f"the header {header[0]!r:.100} has {others[0]} and no {_NAMES[delimiter].rstrip('s')}: the cells of "
            ".csv have commas between them, those of .tsv tabs. Save it so, or name the file for what it is"
        )
