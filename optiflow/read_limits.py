"""How much one upload may hold, asked before it is read: a file of some kilobytes can stand for gigabytes.

What belongs here: the limits, and the words for what is beyond them. What does not: counting, which each format does.
"""

from dataclasses import dataclass

from optiflow.errors import UserError

MB = 1_000_000
MOST_TIMES_SMALLER = 200
"""No table shrinks further: exports shrink 4 to 30 times, a column that never changes 100 times."""
NOT_SUSPECT_BYTES = 32 * MB


@dataclass(frozen=True)
class ReadLimits:
    """Of an upload: unpacked bytes, which bound the text of its cells too; rows times columns; and those of a sheet.

    A cell of a text file takes some 25 bytes of memory, one of a workbook some 100, also where it is empty.
    """

    megabytes: int = 1024
    cells: int = 100_000_000
    sheet_cells: int = 10_000_000

    @property
    def unpacked_bytes(self) -> int:
        """The limit of the unpacked file."""
        return self.megabytes * MB

    def check_unpacked(self, size: int, packed: int, file_name: str) -> None:
        """Refuse a file that unpacks to too much.

        Args:
            size: What was unpacked so far, in bytes.
            packed: The size of the file itself, in bytes.
            file_name: For messages.

        Raises:
            UserError: it is over the limit, or more times the packed size than any table is.
        """
        if size > self.unpacked_bytes:
            raise UserError(
                f"{file_name}: holds more than {self.megabytes:,} MB, which OPTIFLOW_UPLOAD_MAX_MB allows. "
                "Upload fewer columns or a shorter time, or raise the setting where there is memory for it."
            )
        if size > max(NOT_SUSPECT_BYTES, packed * MOST_TIMES_SMALLER):
            raise UserError(
                f"{file_name}: unpacks to more than {MOST_TIMES_SMALLER} times its {packed / MB:,.1f} MB, as no table does. "
                "Look into it; if it is right, upload it unpacked."
            )

    def check_cells(self, rows: int, columns: int, file_name: str) -> None:
        """Refuse a table of too many cells.

        Raises:
            UserError: rows times columns are over the limit.
        """
        if rows * columns > self.cells:
            raise UserError(
                f"{file_name}: {rows:,} rows by {columns:,} columns are {rows * columns:,} cells; OPTIFLOW_UPLOAD_MAX_CELLS "
                f"allows {self.cells:,}. Upload fewer columns or a shorter time, or raise the setting where there is memory "
                "for it."
            )

    def check_text(self, size: int, what: str, file_name: str) -> None:
        """Refuse cells whose text is too much, as one long text in every cell is.

        Args:
            size: The text of all cells, in bytes.
            what: Where the longest is, in words.
            file_name: For messages.

        Raises:
            UserError: it is over the limit.
        """
        if size > self.unpacked_bytes:
            raise UserError(
                f"{file_name}: the text of all cells is {size / MB:,.0f} MB, the longest in {what}; OPTIFLOW_UPLOAD_MAX_MB "
                f"allows {self.megabytes:,}. Leave that text out."
            )


LIMITS = ReadLimits()
"""Those of an installation that sets none."""
