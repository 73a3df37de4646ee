"""Model archives: `model.tar.gz` packed so that equal models give equal bytes, and unpacked without trusting it.

Only the standard library: the light process of a local job and the packed source of a SageMaker job use this too.
"""

import errno
import gzip
import shutil
import tarfile
import zlib
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from optiflow.disk import make_folder, replace_on_disk
from optiflow.errors import UserError

MODEL_ARCHIVE = "model.tar.gz"
"""The file's name wherever SageMaker, a local job or the lake keeps a model."""

MODEL_FILE = "xgboost-model"
"""The name in it of XGBoost's model, which SageMaker's serving code looks for."""

SUMMARY_FILE = "summary.json"
"""What a learner of ours says of its training; its archive is known by it, as XGBoost's is by `xgboost-model`."""

MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_MEMBERS = 1000
MAX_DEPTH = 32
MAX_HEADER_FIELDS = 100
HEADER_BYTES = 16 * 1024
"""So much may stand before a member: its header, and the ones that lengthen its name, which is 4096 bytes at most."""

READ_AHEAD_BYTES = tarfile.RECORDSIZE
DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, IndexError, RecursionError)
"""What gzip and tarfile raise at bytes that are no archive."""

CLASHES = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
"""What the system says of member names that cannot be files; a full or a broken disk stays loud."""

PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill")


def pack_model(folder: Path, archive: Path) -> None:
    """Write all files of `folder` to `archive` (tar.gz) under a temporary name, then put it in place.

    Names are sorted and times, owners and modes are fixed, so that the same model always gives the same bytes.
    """
    make_folder(archive.parent)
    temporary = archive.with_name(f".{archive.name}.tmp")
    try:
        with (
            temporary.open("wb") as raw,
            # A model's bytes hardly shrink with more effort: level 1 is five times as fast as the default.
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
                member = tarfile.TarInfo(path.relative_to(folder).as_posix())
                member.size = path.stat().st_size
                with path.open("rb") as file:
                    tar.addfile(member, file)
        replace_on_disk(temporary, archive)
    finally:
        temporary.unlink(missing_ok=True)


def extract_model(
    archive: Path, target: Path, *, max_bytes: int = MAX_UNPACKED_BYTES, max_members: int = MAX_MEMBERS
) -> Path:
    """Unpack a model archive below `target` and return the path of its `xgboost-model`, or of our `summary.json`.

    Every member is checked before its bytes are read; nothing is left in `target` when one is refused. Memory stays
    within a few MiB, whatever the archive says.

    Raises:
        UserError: not a tar.gz archive, damaged, too large, with a link, a device, a path that leads out of the archive
            or a pickle, or without a model.
        OSError: the disk is full or broken.
    """
    there = set(target.rglob("*")) if target.exists() else None
    target.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        undo.callback(_remove, target, there)
        try:
            _unpack(archive, target, max_bytes, max_members)
        except DAMAGE as error:
            raise _broken(archive, error) from error
        except OSError as error:
            if error.errno not in CLASHES:
                raise
            raise _broken(archive, error.strerror) from error
        model = next((target / name for name in (SUMMARY_FILE, MODEL_FILE) if (target / name).is_file()), None)
        if model is None:
            raise UserError(
                f"{archive.name} holds no file {MODEL_FILE!r} or {SUMMARY_FILE!r}: give the archive of a training job."
            )
        undo.pop_all()
    return model


class _Unzipped(gzip.GzipFile):
    """An archive's bytes up to a limit that grows with each member that was accepted.

    tarfile reads the headers before a member as a whole and says nothing of them: only the bytes can be counted.
    """

    def __init__(self, archive: Path) -> None:
        super().__init__(archive, "rb")
        self._archive = archive
        self._limit = HEADER_BYTES + READ_AHEAD_BYTES
        self._ended = False

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        if size and not content:
            # tarfile sees one end by itself; to a position of 2**60 it would go on reading nothing for years.
            if self._ended:
                raise EOFError("it ends too early")
            self._ended = True
        if self.tell() > self._limit:
            raise UserError(
                f"{self._archive.name} is too large: over {HEADER_BYTES:,} bytes of headers before one member."
            )
        return content

    def accept(self, member: tarfile.TarInfo) -> None:
        """Allow the bytes of `member`, and the headers of the next one."""
        blocks = -(-member.size // tarfile.BLOCKSIZE) if member.isreg() else 0
        self._limit = member.offset_data + blocks * tarfile.BLOCKSIZE + HEADER_BYTES + READ_AHEAD_BYTES


def _unpack(archive: Path, target: Path, max_bytes: int, max_members: int) -> None:
    total = 0
    with (
        _Unzipped(archive) as stream,
        tarfile.open(fileobj=stream, mode="r|", bufsize=READ_AHEAD_BYTES) as tar,
    ):
        # A second look at what `_refusal` lets pass. Python has it since 3.11.4 and 3.10.12; Debian 12 has 3.11.2.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        for count, member in enumerate(iter(tar.next, None), start=1):
            if refusal := _refusal(member, tar):
                raise UserError(f"{archive.name} is refused: member {member.name[:200]!r} {refusal}.")
            total += member.size
            if count > max_members or total > max_bytes:
                raise UserError(
                    f"{archive.name} is too large: over {max_members} members or {max_bytes:,} bytes unpacked."
                )
            stream.accept(member)
            tar.extract(member, target, set_attrs=False)


def _refusal(member: tarfile.TarInfo, tar: tarfile.TarFile) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        return "leads out of the archive"
    if not (member.isreg() or member.isdir()):
        return "is a link or a device"
    if member.issparse():
        return "is a sparse file"
    if member.size < 0:
        return "has a size below zero"
    if member.isreg() and not path.parts:
        return "is a file without a name"
    # Deeper folders than Python's recursion goes could not be removed again.
    if len(path.parts) > MAX_DEPTH:
        return f"lies more than {MAX_DEPTH} folders deep"
    # tarfile copies those of the whole archive into each member, and keeps all members.
    if max(len(member.pax_headers), len(tar.pax_headers)) > MAX_HEADER_FIELDS:
        return f"has more than {MAX_HEADER_FIELDS} header fields"
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return "is a pickle, which can run any code when it is loaded"
    return None


def _broken(archive: Path, reason: object) -> UserError:
    return UserError(f"{archive.name} is not a whole tar archive ({reason}): fetch or train it again.")


def _remove(target: Path, there: set[Path] | None) -> None:
    """Remove what was unpacked; `there` is what the folder held before, None if there was no folder."""
    if there is None:
        shutil.rmtree(target, ignore_errors=True)
        return
    for path in sorted(set(target.rglob("*")) - there, reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
