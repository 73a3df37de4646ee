"""Dataset ids: the slug of an upload's file name that serves as partition key, folder name and job name part.

Dagster accepts commas and `...` in partition keys and breaks on them later, so the alphabet is closed here.
"""

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

from optiflow.errors import UserError
from optiflow.transliteration import to_latin

MAX_LENGTH = 40
DIGEST_LENGTH = 6
NAMELESS = "data"
"""What an id begins with where nothing of the name is left in its alphabet."""
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

    Accents are folded (`Müller` -> `muller`), Cyrillic and Greek are spelt in Latin letters; every other run of characters
    becomes one hyphen. Where letters of another script are lost or the end is cut off, six hexadecimal digits of the whole
    name's sha256 stand at the end, so that names that differ only there stay apart.

    Raises:
        UserError: the name leads out of its folder, is no text, holds a control character, or has no letter or digit.
    """
    _refuse_unfit(file_name)
    return _slug(file_stem(file_name), file_name)


def folder_stem(name: str) -> str:
    """The name of a folder without a table's suffix, which Spark gives to its folders: `sales.parquet` -> `sales`."""
    try:
        return file_stem(name)
    except UserError:
        return name


def folder_id(name: str) -> str:
    """The dataset id of a folder of files; as `dataset_id`, for a name that needs no suffix.

    Raises:
        UserError: as `dataset_id`.
    """
    _refuse_unfit(name)
    return _slug(folder_stem(name), name)


def former_id(stem: str) -> str | None:
    """The id that a name had before lost letters and cut-off ends were told apart; None if it made none."""
    folded = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return _hyphenated(folded)[:MAX_LENGTH].rstrip("-") or None


def _refuse_unfit(name: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in name):
        # Bytes that are not UTF-8, such as a name out of an old zip archive; no database stores it as a run's tag.
        raise UserError(f"{name!r} is not a UTF-8 file name: rename the file.")
    if any(unicodedata.category(character) == "Cc" for character in name):
        # PostgreSQL takes no NUL in a run's key; a line break or an escape spoils every list that shows the name.
        raise UserError(f"{name!r} holds a control character, such as a line break: rename the file.")
    if ".." in PurePosixPath(name.replace("\\", "/")).parts or name.startswith(".."):
        raise UserError(f"{name!r} leads out of its folder: rename the file without '..'.")


def _slug(stem: str, name: str) -> str:
    spelt, is_whole = to_latin(stem)
    slug = _hyphenated(spelt)
    if is_whole and len(slug) <= MAX_LENGTH:
        if not slug:
            raise UserError(f"{name!r} has no letter or digit to name a dataset with: rename the file.")
        return slug
    # Composed and in one case, as the same name may come from another file system.
    digest = hashlib.sha256(unicodedata.normalize("NFC", stem).casefold().encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{slug[: MAX_LENGTH - DIGEST_LENGTH - 1].rstrip('-') or NAMELESS}-{digest}"


def _hyphenated(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


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
