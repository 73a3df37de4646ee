"""The light process behind one local job: what SageMaker's platform does around the container.

It waits for a slot, puts the channels in place, runs the container program, packs the model and writes the result.
It is started by path with `python -I -S`, 10 ms instead of the second that a Dagster process takes, so it imports
only the standard library and, below its own repository root, modules that do the same.

Life and death: the job's lock (`job.lock`) and the slot's are open files that this process and the container program
share. The kernel frees them when both are gone, whatever ended them. The container program also watches its standard
input, whose other end only this process holds, so it does not outlive this process.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

REQUEST_FILE = "request.json"
LAUNCHED_FILE = "launched"
STARTED_FILE = "started.json"
STOP_FILE = "stop"
RESULT_FILE = "result.json"
LOG_FILE = "log.txt"
SLOT_FOLDER = ".slots"
FIRST_FILE = "predictions-wait"
"""In the slots' folder: locked, together, by all predictions that wait for a slot."""

STOP_POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0
LONGEST_SLOT_POLL_SECONDS = 0.2
RESERVED_BYTES = 4096
MAX_REASON_CHARACTERS = 1024


class _JobError(Exception):
    """The job cannot run; carries the reason that the user sees."""


def now() -> str:
    """The time in UTC as ISO 8601."""
    return datetime.now(UTC).isoformat()


def write_json(path: Path, data: Any) -> None:
    """Put JSON in place: whoever reads `path` sees all of it or the file that was there before.

    An existing temporary file is overwritten rather than truncated first, so that the blocks reserved by
    `reserve_result` are used when the disk is full.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    text = json.dumps(data).encode()
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as file:
        file.write(text)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _names_to_disk(path.parent)


def _names_to_disk(folder: Path) -> None:
    # After a power cut a file may be there under its temporary name only, or not at all.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such call for folders
            raise
    finally:
        os.close(handle)


def reserve_result(folder: Path) -> None:
    """Take the disk space of the result in advance: a job that dies of a full disk must be able to say so."""
    (folder / f".{RESULT_FILE}.tmp").write_bytes(b" " * RESERVED_BYTES)


def main(folder: Path, max_parallel: int, lock_fd: int) -> int:
    """Run the job that lies in `folder`, and leave `result.json` as the last thing.

    Args:
        folder: The job's folder with `request.json`.
        max_parallel: How many jobs of the same root run at once.
        lock_fd: The job's lock, taken by the submitter and inherited.
    """
    (folder / LAUNCHED_FILE).touch()
    result: dict[str, Any] = {"status": "Failed", "failure_reason": None, "metrics": {}}
    try:
        request = _read_request(folder / REQUEST_FILE)
        reserve_result(folder)
        _prepare(folder / "ml", request)
        slot_fd = _wait_for_slot(folder, max_parallel, goes_first=request["kind"] != "training")
        if slot_fd is None:
            result["status"] = "Stopped"
        else:
            write_json(folder / STARTED_FILE, {"started_at": now()})
            result.update(_run(folder, request, (lock_fd, slot_fd)))
    except _JobError as error:
        result["failure_reason"] = str(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            result["failure_reason"] = f"the job's process cannot go on: {error}"
        else:
            from optiflow.container.ending import DISK_FULL

            result["failure_reason"] = DISK_FULL
    with contextlib.suppress(OSError):  # the log may lie on a full disk, and the result still has to be written
        if result["failure_reason"] and not (folder / "ml" / "output" / "failure").exists():
            print(result["failure_reason"], file=sys.stderr, flush=True)
    for name in ("input/data", "model"):  # copies of what lies elsewhere
        shutil.rmtree(folder / "ml" / name, ignore_errors=True)
    write_json(folder / RESULT_FILE, {**result, "ended_at": now()})
    return 0 if result["status"] == "Completed" else 1


def _read_request(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise _JobError(f"{path} holds no JSON: it was damaged. Run the job again.") from error


def _prepare(ml: Path, request: dict[str, Any]) -> None:
    config = ml / "input" / "config"
    for folder in (config, ml / "input" / "data", ml / "model", ml / "output" / "data"):
        folder.mkdir(parents=True, exist_ok=True)
    channels = request["channels"]
    types = {
        name: {"TrainingInputMode": "File", "ContentType": channel["content_type"], "RecordWrapperType": "None"}
        for name, channel in channels.items()
    }
    write_json(config / "hyperparameters.json", request["hyperparameters"])
    write_json(config / "inputdataconfig.json", types)
    write_json(config / "resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]})
    for name, channel in channels.items():
        _place_channel(_local_path(channel["uri"], f"channel {name}"), ml / "input" / "data" / name)
    if request["model_uri"]:
        _place_model(_local_path(request["model_uri"], "the model archive"), ml / "model")


def _local_path(uri: str, what: str) -> Path:
    parts = urlparse(uri)
    if parts.scheme != "file":
        raise _JobError(f"{what} lies at {uri}: local jobs read file:// addresses only.")
    path = Path(unquote(parts.path))
    if not path.exists():
        raise _JobError(f"{what} is missing: there is nothing at {uri}.")
    return path


def _place_channel(source: Path, target: Path) -> None:
    files = [p for p in source.rglob("*") if p.is_file()] if source.is_dir() else [source]
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        place = target / (file.relative_to(source) if source.is_dir() else file.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            os.link(file.resolve(), place)
        except OSError:  # another disk, or a file system without hard links
            shutil.copyfile(file, place)


def _place_model(archive: Path, target: Path) -> None:
    from optiflow.artifact import extract_model
    from optiflow.errors import UserError

    try:
        extract_model(archive, target)
    except UserError as error:
        raise _JobError(str(error)) from error


def _wait_for_slot(folder: Path, max_parallel: int, goes_first: bool) -> int | None:
    """An open, locked slot file; None when the job was stopped before it got one.

    Predictions go first: a report then waits for the jobs that run, and not for every training that was submitted
    before. Like a slot, the kernel frees their lock when they are gone, whatever ended them.
    """
    slots = folder.parent / SLOT_FOLDER
    slots.mkdir(exist_ok=True)
    pause = 0.01
    with (slots / FIRST_FILE).open("ab") as first:
        if goes_first:
            fcntl.flock(first, fcntl.LOCK_SH)
        while not (folder / STOP_FILE).exists():
            slot = _free_slot(slots, max_parallel) if goes_first or _is_unlocked(first.fileno()) else None
            if slot is not None:
                return slot
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_SLOT_POLL_SECONDS)
    return None


def _is_unlocked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def _free_slot(slots: Path, max_parallel: int) -> int | None:
    for number in range(max_parallel):
        slot = os.open(slots / str(number), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(slot)
            continue
        return slot
    return None


def _run(folder: Path, request: dict[str, Any], locks: tuple[int, ...]) -> dict[str, Any]:
    training = request["kind"] == "training"
    ml = folder / "ml"
    command = [sys.executable, "-m", "optiflow.container", "train" if training else "transform"]
    process = subprocess.Popen(
        [*command, "--prefix", str(ml), "--exit-with-stdin"],
        stdin=subprocess.PIPE,
        pass_fds=locks,
        process_group=0,
        cwd=folder,
    )
    threading.Thread(target=_stop_on_request, args=(process, folder), daemon=True).start()
    from optiflow.artifact import MODEL_ARCHIVE, pack_model  # 20 ms, while the container program starts

    code = process.wait()
    if code != 0:
        if (folder / STOP_FILE).exists():
            return {"status": "Stopped"}
        raise _JobError(_why_failed(code, ml / "output" / "failure", folder / LOG_FILE))
    if not training:
        (ml / "output" / "data").rename(folder / "output")
        return {"status": "Completed"}
    pack_model(ml / "model", folder / "output" / MODEL_ARCHIVE)
    metrics = json.loads((ml / "output" / "data" / "metrics.json").read_text())
    own = {name: metrics[name] for name in ("best_iteration", "rounds") if name in metrics}
    return {"status": "Completed", "metrics": {**metrics["metrics"], **own}}


def _stop_on_request(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    while not (folder / STOP_FILE).exists():
        time.sleep(STOP_POLL_SECONDS)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(process.pid, number)
        time.sleep(GRACE_SECONDS)


def _why_failed(code: int, failure: Path, log: Path) -> str:
    said = failure.read_text(errors="replace").strip() if failure.exists() else ""
    if said:
        return said[:MAX_REASON_CHARACTERS]
    from optiflow.container.ending import DISK_FULL, EXIT_DISK_FULL

    if code == EXIT_DISK_FULL:
        return DISK_FULL
    if code < 0:
        hint = " Perhaps it ran out of memory: use fewer rows or columns, or free some memory." if code == -9 else ""
        return f"the job's process was killed by {signal.Signals(-code).name}.{hint} Its log is {log}."
    lines = log.read_text(errors="replace").strip().splitlines()
    last = f" Its last line: {lines[-1][:300]}" if lines else ""
    return f"the job's process ended with exit code {code}. Its log is {log}.{last}"


if __name__ == "__main__":
    # Appended, not first: an installed package's root is site-packages, which must not hide the standard library.
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
