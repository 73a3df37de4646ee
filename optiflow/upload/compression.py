"""Taking gzip and Zstandard off an upload's bytes; nothing here knows what is inside."""

import gzip
import zlib

from optiflow.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def decompress(data: bytes, file_name: str) -> bytes:
    """The bytes with every compression that the name's suffixes tell of taken off.

    Raises:
        UserError: the data is cut off, corrupt, or not compressed at all.
    """
    name = file_name.lower()
    while name.endswith((".gz", ".zst")):
        name, _, suffix = name.rpartition(".")
        data = (_gunzip if suffix == "gz" else _unzstd)(data, file_name)
    return data


def _gunzip(data: bytes, file_name: str) -> bytes:
    if not data.startswith(GZIP_MAGIC):
        raise _not_compressed(file_name, ".gz", "gzip")
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise _cut_off(file_name) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _corrupt(file_name, error) from error


def _unzstd(data: bytes, file_name: str) -> bytes:
    import zstandard

    if not data.startswith(ZSTD_MAGIC):
        raise _not_compressed(file_name, ".zst", "zstd")
    frames: list[bytes] = []
    while data:
        # The stream reader takes a cut-off frame for a whole one; only the frame object knows its end.
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            frames.append(frame.decompress(data))
        except zstandard.ZstdError as error:
            raise _corrupt(file_name, error) from error
        if not frame.eof:
            raise _cut_off(file_name)
        data = frame.unused_data
    return b"".join(frames)


def _not_compressed(file_name: str, suffix: str, kind: str) -> UserError:
    return UserError(
        f"{file_name}: the name ends in {suffix} but the content is not {kind}-compressed. "
        f"Take {suffix} off the name, or compress the file."
    )


def _cut_off(file_name: str) -> UserError:
    return UserError(f"{file_name}: the compressed data is cut off before its end. Upload the whole file again.")


def _corrupt(file_name: str, error: Exception) -> UserError:
    return UserError(f"{file_name}: the compressed data is corrupt ({error}). Compress and upload the file again.")
