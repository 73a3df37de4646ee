"""Model archives: `model.tar.gz` packed so that equal models give equal bytes, and unpacked without trusting it.

Only the standard library: the light process of a local job and the packed source of a SageMaker job use this too.
"""

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from optiflow.errors import UserError

MODEL_FILE = "xgboost-model"
MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_MEMBERS = 1000
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill")


def pack_model(folder: Path, archive: Path) -> None:
    """Write all files of `folder` to `archive` (tar.gz) under a temporary name, then put it in place.

    Names are sorted and times, owners and modes are fixed, so that the same model always gives the same bytes.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(f".{archive.name}.tmp")
    try:
        with temporary.open("wb") as raw:
            # A model's bytes hardly shrink with more effort: level 1 is five times as fast as the default.
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
            ):
                for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
                    member = tarfile.TarInfo(path.relative_to(folder).as_posix())
                    member.size = path.stat().st_size
                    with path.open("rb") as file:
                        tar.addfile(member, file)
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)


def extract_model(
    archive: Path, target: Path, *, max_bytes: int = MAX_UNPACKED_BYTES, max_members: int = MAX_MEMBERS
) -> Path:
    """Unpack a model archive below `target` and return the path of its `xgboost-model`.

    Every member is checked before its bytes are read; nothing is left in `target` when one is refused.

    Raises:
        UserError: not a tar archive, damaged, too large, with a link, a device, a path that leads out of the archive
            or a pickle, or without `xgboost-model`.
    """
    fresh = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        with tarfile.open(archive, "r:*") as tar:
            total = 0
            for count, member in enumerate(tar, start=1):
                total += member.size
                if count > max_members or total > max_bytes:
                    raise UserError(
                        f"{archive.name} is too large: over {max_members} members or {max_bytes:,} bytes unpacked."
                    )
                if refusal := _refusal(member):
                    raise UserError(f"{archive.name} is refused: member {member.name!r} {refusal}.")
                written.append(target / member.name)
                tar.extract(member, target, set_attrs=False, filter="data")
        model = target / MODEL_FILE
        if not model.is_file():
            raise UserError(
                f"{archive.name} holds no file {MODEL_FILE!r}: give the archive of an XGBoost training job."
            )
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        _remove(target, written, fresh)
        raise UserError(f"{archive.name} is not a whole tar archive ({error}): fetch or train it again.") from error
    except UserError:
        _remove(target, written, fresh)
        raise
    return model


def _refusal(member: tarfile.TarInfo) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        return "leads out of the archive"
    if not (member.isreg() or member.isdir()):
        return "is a link or a device"
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return "is a pickle, which can run any code when it is loaded"
    return None


def _remove(target: Path, written: list[Path], fresh: bool) -> None:
    if fresh:
        shutil.rmtree(target, ignore_errors=True)
        return
    for path in written:
        if path.is_file():
            path.unlink()
