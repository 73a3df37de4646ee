"""Dataset ids: the slug of an upload's file name that serves as partition key, folder name and job name part.

Dagster accepts commas and `...` in partition keys and breaks on them later, so the alphabet is closed here.
"""

import re
import unicodedata
from pathlib import PurePosixPath

from optiflow.errors import UserError

MAX_LENGTH = 40
PATTERN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
COMPRESSION_SUFFIXES = (".gz", ".zst")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xls")
OPTIONS_SUFFIX = ".options.yaml"


def table_suffix(file_name: str) -> str:
    """The table format's suffix, compression taken off: `a.CSV.gz` -> `.csv`.

    Raises:
        UserError: the suffix is not one of `TABLE_SUFFIXES`.
    """
    name = file_name.lower()
    for suffix in COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    suffix = PurePosixPath(name).suffix
    if suffix not in TABLE_SUFFIXES:
        raise UserError(
            f"{file_name!r} is not a table that OptiFlow reads: use one of {', '.join(TABLE_SUFFIXES)}, "
            f"plain or with {' or '.join(COMPRESSION_SUFFIXES)}."
        )
    return suffix


def file_stem(file_name: str) -> str:
    """The name without folder, compression and table suffix: `x/Sales 2024.csv.gz` -> `Sales 2024`."""
    suffix = table_suffix(file_name)
    name = PurePosixPath(file_name.replace("\\", "/")).name
    # Counted from the end: lower case can be longer than the name itself (`İ`).
    return name[: name.lower().rindex(suffix) - len(name.lower())]


def dataset_id(file_name: str) -> str:
    """The dataset id of an upload: lower-case ASCII slug of its stem, at most 40 characters.

    Accents are folded (`Müller` -> `muller`); every other run of characters becomes one hyphen.

    Raises:
        UserError: the name leads out of its folder, is no text, holds a control character, or nothing of it is left in
            the id's alphabet.
    """
    if any("\ud800" <= character <= "\udfff" for character in file_name):
        # Bytes that are not UTF-8, such as a name out of an old zip archive; no database stores it as a run's tag.
        raise UserError(f"{file_name!r} is not a UTF-8 file name: rename the file.")
    if any(unicodedata.category(character) == "Cc" for character in file_name):
        # PostgreSQL takes no NUL in a run's key; a line break or an escape spoils every list that shows the name.
        raise UserError(f"{file_name!r} holds a control character, such as a line break: rename the file.")
    if ".." in PurePosixPath(file_name.replace("\\", "/")).parts or file_name.startswith(".."):
        raise UserError(f"{file_name!r} leads out of its folder: rename the file without '..'.")
    folded = unicodedata.normalize("NFKD", file_stem(file_name)).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", folded.lower()).strip("-")[:MAX_LENGTH].rstrip("-")
    if not slug:
        raise UserError(f"{file_name!r} has no letter a-z or digit to name a dataset with: rename the file.")
    return slug


def check_dataset_id(text: str) -> str:
    """Return `text` if it is a dataset id.

    Raises:
        UserError: it is not; the message offers the id that was probably meant.
    """
    if len(text) <= MAX_LENGTH and PATTERN.fullmatch(text):
        return text
    folded = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:MAX_LENGTH].rstrip("-")
    hint = f" Did you mean {folded!r}?" if folded else ""
    raise UserError(
        f"{text!r} is not a dataset id: use a-z, 0-9 and single hyphens, at most {MAX_LENGTH} characters.{hint}"
    )
