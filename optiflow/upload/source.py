"""From a file to a `RawTable`: which reader a file needs, by its name, and that no reader brings the process down."""

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from optiflow.dataset_id import table_suffix
from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.read_limits import LIMITS, ReadLimits
from optiflow.upload.compression import unpacked
from optiflow.upload.excel_table import read_excel
from optiflow.upload.parquet_table import read_parquet
from optiflow.upload.table import RawTable
from optiflow.upload.text_table import read_text


def read_table(path: Path, file_name: str, options: DatasetOptions, limits: ReadLimits = LIMITS) -> RawTable:
    """Read a file, compression taken off.

    Args:
        path: The local file; its own name does not matter.
        file_name: The user's name for it, whose suffixes tell the format.
        options: Those that say how the file is written, and which columns may have a type that no table of ours can hold.
        limits: How much it may hold.

    Raises:
        UserError: the file cannot be read as the table that its name promises, or holds too much.
    """
    suffix = table_suffix(file_name)
    if path.stat().st_size == 0:
        raise UserError(f"{file_name}: the file is empty (0 bytes). Upload it again once it is complete.")
    limits.check_unpacked(path.stat().st_size, path.stat().st_size, file_name)
    with TemporaryDirectory(prefix="optiflow-") as name:
        folder = Path(name)
        plain = unpacked(path, file_name, folder, limits)
        if plain.stat().st_size == 0:
            raise UserError(f"{file_name}: the file is empty. Upload a table with a header and rows.")
        try:
            if suffix == ".parquet":
                return read_parquet(plain, file_name, options.drop_columns, limits)
            if suffix in (".xlsx", ".xls"):
                return read_excel(plain, file_name, options, limits)
            return read_text(plain, file_name, folder, options, limits)
        except pl.exceptions.PanicException as error:  # no Exception, so it would pass every handler and show its trace
            raise UserError(
                f"{file_name}: cannot be read ({str(error)[:100]}). Export it again, as CSV if need be."
            ) from error
