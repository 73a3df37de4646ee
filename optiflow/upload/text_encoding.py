"""Text encodings: any text file as UTF-8, piece by piece."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from optiflow.errors import UserError
from optiflow.proposals import ProposalError
from optiflow.upload.code_page import SAMPLE_BYTES, likely_code_pages
from optiflow.upload.faults import quote

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
UTF8_SHARE = 0.8
"""Bytes beyond ASCII of which so many make UTF-8 are UTF-8, with a fault."""


@dataclass(frozen=True)
class TextFile:
    """A text file in UTF-8, from byte `start` on, with `\\n` or `\\r\\n` line ends; `encoding` is what it came in."""

    path: Path
    encoding: str
    start: int = 0

    def pieces(self, end: int | None = None) -> Iterator[bytes]:
        """The bytes up to `end`."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = end - self.start if end is not None else -1
            while left and (piece := file.read(CHUNK if left < 0 else min(CHUNK, left))):
                left -= len(piece) if left > 0 else 0
                yield piece

    def at(self, start: int) -> "TextFile":
        """The same file from a later byte on."""
        return TextFile(self.path, self.encoding, start)


def to_utf8(path: Path, file_name: str, folder: Path, encoding: str | None = None) -> TextFile:
    """The file as UTF-8; it is written anew only where it has to be.

    A byte order mark decides, then `encoding`, then whether it is UTF-8, then `likely_code_pages`.

    Args:
        path: The file.
        file_name: For messages.
        folder: Where the file may be written anew.
        encoding: The option.

    Raises:
        UserError: the content is not text, not in that encoding, or could be in several.
    """
    with path.open("rb") as file:
        head = file.read(CHUNK)
    for magic, kind in BINARY_MAGIC.items():
        if head.startswith(magic):
            raise UserError(f"{file_name}: the name says text, but the content is {kind}. Give it its proper suffix.")
    found = next((name for bom, name in BOMS.items() if head.startswith(bom)), None) or encoding
    if found is None and b"\x00" in head:
        raise UserError(
            f"{file_name}: the file is not text (it holds zero bytes). Export the table as CSV again, or set the option "
            "encoding to utf-16 if that is what it is."
        )
    text = TextFile(path, "utf-8")
    if found is None and not _is_utf8(text):
        found = _code_page(text, file_name)
    old_line_ends = b"\r" in head and b"\n" not in head and not any(b"\n" in piece for piece in text.pieces())
    is_utf8 = found is None or codecs.lookup(found).name in ("utf-8", "utf-8-sig")
    if is_utf8 and not old_line_ends and (found is None or _is_utf8(text)):
        start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        return TextFile(path, found or "utf-8", start)
    target = folder / "utf-8.txt"
    _rewrite(text, found or "utf-8", target, file_name, old_line_ends)
    return TextFile(target, found or "utf-8")


def _rewrite(text: TextFile, encoding: str, target: Path, file_name: str, old_line_ends: bool) -> None:
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    done = 0
    try:
        with target.open("wb") as file:
            for piece in text.pieces():
                part = decoder.decode(piece)
                file.write((part.replace("\r", "\n") if old_line_ends else part).encode())
                done += len(piece)
            file.write(decoder.decode(b"", final=True).encode())
    except UnicodeError as error:
        at = f" but byte {done + error.start:,} is not" if isinstance(error, UnicodeDecodeError) else ", but it is not"
        raise UserError(
            f"{file_name}: the file begins as {encoding}{at}. Save it as UTF-8 again, or name another encoding."
        ) from error


def _is_utf8(text: TextFile) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in text.pieces():
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _code_page(text: TextFile, file_name: str) -> str:
    """The code page of a text that is not UTF-8.

    Raises:
        UserError: it is UTF-8 but for a few bytes, or could be in several code pages.
    """
    lines = _lines_beyond_ascii(text)
    line = _faulty_utf8(lines)
    if line is not None:
        raise UserError(
            f"{file_name}: the file is UTF-8, but not everywhere: {quote(line)}. Export it again, or put that right and "
            "save it as UTF-8."
        )
    pages = likely_code_pages(lines)
    if not pages:
        return "latin-1"  # takes any byte
    if len(pages) == 1:
        return pages[0]
    example = next(iter(lines.splitlines()))
    readings = "; ".join(f"{page}: {quote(example.decode(page, errors='replace'))}" for page in pages[:4])
    raise ProposalError(
        f"{file_name}: the file is not UTF-8, and its letters fit several code pages: {readings}. Say which reads right.",
        file_name,
        *({"encoding": page} for page in pages[:4]),
    )


def _lines_beyond_ascii(text: TextFile) -> bytes:
    """Lines with bytes beyond ASCII, each once, up to the size of a sample."""
    found: dict[bytes, None] = {}
    size, rest = 0, b""
    for piece in text.pieces():
        if piece.isascii() and rest.isascii():
            continue
        whole, _, rest = (rest + piece).rpartition(b"\n")
        for line in whole.split(b"\n"):
            if not line.isascii() and line not in found:
                found[line] = None
                size += len(line)
            if size > SAMPLE_BYTES:
                return b"\n".join(found)
    return b"\n".join([*found, *([] if rest.isascii() else [rest])])


def _faulty_utf8(lines: bytes) -> str | None:
    """The first line at fault of text that is UTF-8 for the most part; None if it is not."""
    whole = lines.decode(errors="replace")
    good = sum(letter > "\x7f" for letter in whole) - whole.count("\ufffd")
    if good < UTF8_SHARE * (good + whole.count("\ufffd")):
        return None
    return next((line for line in whole.splitlines() if "\ufffd" in line), None)
