"""Taking gzip and Zstandard off an upload, piece by piece and no further than a limit; nothing here knows what is inside."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from optiflow.errors import UserError
from optiflow.read_limits import ReadLimits

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PIECE = 1 << 20
ZSTD_PIECE = 1 << 10
"""Four bytes can stand for 128 KB, and what a piece stands for is in memory at once."""


def unpacked(path: Path, file_name: str, folder: Path, limits: ReadLimits) -> Path:
    """The file with every compression that the name's suffixes tell of taken off.

    Args:
        path: The file.
        file_name: The user's name for it.
        folder: Where unpacked files may be put.
        limits: How large they may grow.

    Raises:
        UserError: the data is cut off, corrupt, not compressed at all, or unpacks to too much.
    """
    name, packed = file_name.lower(), path.stat().st_size
    while name.endswith((".gz", ".zst")):
        name, _, suffix = name.rpartition(".")
        target = folder / f"unpacked-{len(name)}"
        size = 0
        with target.open("wb") as file:
            for piece in (_gunzip if suffix == "gz" else _unzstd)(path, file_name):
                size += len(piece)
                limits.check_unpacked(size, packed, file_name)
                file.write(piece)
        path = target
    return path


def _gunzip(path: Path, file_name: str) -> Iterator[bytes]:
    if not _begins_with(path, GZIP_MAGIC):
        raise _not_compressed(file_name, ".gz", "gzip")
    try:
        with gzip.open(path) as file:
            while piece := file.read(PIECE):
                yield piece
    except EOFError as error:
        raise _cut_off(file_name) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _corrupt(file_name, error) from error


def _unzstd(path: Path, file_name: str) -> Iterator[bytes]:
    import zstandard

    if not _begins_with(path, ZSTD_MAGIC):
        raise _not_compressed(file_name, ".zst", "zstd")
    # The stream reader takes a cut-off frame for a whole one; only the frame object knows its end.
    frame = zstandard.ZstdDecompressor().decompressobj()
    begun = False
    with path.open("rb") as file:
        while data := file.read(ZSTD_PIECE):
            while data:
                begun = True
                try:
                    yield frame.decompress(data)
                except zstandard.ZstdError as error:
                    raise _corrupt(file_name, error) from error
                data = b""
                if frame.eof:
                    data = frame.unused_data
                    frame, begun = zstandard.ZstdDecompressor().decompressobj(), False
    if begun:
        raise _cut_off(file_name)


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _not_compressed(file_name: str, suffix: str, kind: str) -> UserError:
    return UserError(
        f"{file_name}: the name ends in {suffix} but the content is not {kind}-compressed. "
        f"Take {suffix} off the name, or compress the file."
    )


def _cut_off(file_name: str) -> UserError:
    return UserError(f"{file_name}: the compressed data is cut off before its end. Upload the whole file again.")


def _corrupt(file_name: str, error: Exception) -> UserError:
    return UserError(f"{file_name}: the compressed data is corrupt ({error}). Compress and upload the file again.")
