"""Text encodings: any bytes of a text file into UTF-8 without a byte order mark."""

import codecs

from optiflow.errors import UserError

CHUNK = 1 << 22
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
BINARY_MAGIC = {
    b"PK\x03\x04": "an Excel workbook or zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"%PDF": "a PDF",
}


def to_utf8(data: bytes, file_name: str) -> tuple[bytes, str]:
    """The text as UTF-8 with `\\n` or `\\r\\n` line ends, and the name of the encoding that it came in.

    A byte order mark decides; else strict UTF-8, else cp1252, else latin-1 (which takes any byte).

    Raises:
        UserError: the content is not text.
    """
    text, encoding = _decode(data, file_name)
    if b"\x00" in text[:CHUNK]:
        raise UserError(f"{file_name}: the file is not text (it holds zero bytes). Export the table as CSV again.")
    if b"\r" in text[:CHUNK] and b"\n" not in text:
        text = text.replace(b"\r", b"\n")  # old Macintosh line ends
    return text, encoding


def _decode(data: bytes, file_name: str) -> tuple[bytes, str]:
    for magic, kind in BINARY_MAGIC.items():
        if data.startswith(magic):
            raise UserError(f"{file_name}: the name says text, but the content is {kind}. Give it its proper suffix.")
    for bom, encoding in BOMS.items():
        if data.startswith(bom):
            if encoding == "utf-8-sig" and _is_utf8(data):
                return data[len(bom) :], encoding
            return _recode(data, encoding, file_name), encoding
    if _is_utf8(data):
        return data, "utf-8"
    try:
        return data.decode("cp1252").encode(), "cp1252"
    except UnicodeDecodeError:
        return data.decode("latin-1").encode(), "latin-1"


def _is_utf8(data: bytes) -> bool:
    # In pieces: decoding the whole at once costs up to four bytes a character.
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    try:
        for start in range(0, len(view), CHUNK):
            decoder.decode(view[start : start + CHUNK], final=start + CHUNK >= len(view))
    except UnicodeDecodeError:
        return False
    return True


def _recode(data: bytes, encoding: str, file_name: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file_name}: the file begins as {encoding} but byte {error.start:,} is not. Save it as UTF-8 again."
        ) from error
