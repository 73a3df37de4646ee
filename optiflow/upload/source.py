"""From a file's bytes to a `RawTable`: which reader a file needs, by its name."""

from pathlib import Path

from optiflow.dataset_id import table_suffix
from optiflow.errors import UserError
from optiflow.upload.compression import decompress
from optiflow.upload.table import RawTable
from optiflow.upload.text_table import read_text
from optiflow.upload.typed_table import read_excel, read_parquet


def read_table(path: Path, file_name: str, drop_columns: tuple[str, ...] = ()) -> RawTable:
    """Read a file whole, compression taken off.

    Args:
        path: The local file; its own name does not matter.
        file_name: The user's name for it, whose suffixes tell the format.
        drop_columns: Columns that may have a type that no table of ours can hold.

    Raises:
        UserError: the file cannot be read as the table that its name promises.
    """
    suffix = table_suffix(file_name)
    data = path.read_bytes()
    if not data:
        raise UserError(f"{file_name}: the file is empty (0 bytes). Upload it again once it is complete.")
    data = decompress(data, file_name)
    if not data:
        raise UserError(f"{file_name}: the file is empty. Upload a table with a header and rows.")
    if suffix == ".parquet":
        return read_parquet(data, file_name, drop_columns)
    if suffix in (".xlsx", ".xls"):
        return read_excel(data, file_name)
    return read_text(data, file_name)
