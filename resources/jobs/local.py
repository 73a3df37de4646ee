"""Jobs on this machine: a detached process per job, with SageMaker's folders and states.

What belongs here: submitting, waiting and stopping. What does not: reading a job's folder (`local_folder`), what the
process does (`local_platform`) and how a model is trained (`optiflow.container`).

A job's folder `<root>/<name>/`: `request.json`, `job.lock` (locked as long as any process of the job lives),
`launched`, `started.json`, `stop`, `log.txt`, `ml/` (SageMaker's `/opt/ml`), `output/`, and last `result.json`. No
process id is ever read back: the lock says who is alive, also after a crash or a reboot.
"""

import contextlib
import errno
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import dagster as dg

from optiflow.artifact import MODEL_ARCHIVE
from optiflow.container.channels import PARQUET
from optiflow.errors import JobFailedError, OptiflowError, TransientError, UserError
from optiflow.learners import learner_named
from resources.jobs import local_platform as platform
from resources.jobs.contract import BUILT_IN, MAX_NAME_LENGTH, JobKind, JobRequest, JobState, OnProgress
from resources.jobs.job_code import code_digest, library_versions
from resources.jobs.local_folder import is_unfinished, read_job, try_lock, was_launched

FIRST_POLL_SECONDS = 0.01
LONGEST_POLL_SECONDS = 0.5
REMOVED_PREFIX = ".removed-"
NEEDED = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|TEMP|TMP|TZ|LANG|LANGUAGE|LC_[A-Z]+|VIRTUAL_ENV|CONDA_PREFIX|XDG_CACHE_HOME|MPLCONFIGDIR"
    r"|PYTHON(PATH|HOME|HASHSEED|UTF8|IOENCODING|UNBUFFERED|FAULTHANDLER|MALLOC|DONTWRITEBYTECODE|PYCACHEPREFIX)"
    r"|(LD|DYLD)_(LIBRARY_PATH|PRELOAD|INSERT_LIBRARIES|FALLBACK_LIBRARY_PATH)"
    r"|(OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|VECLIB|NUMEXPR|NUMBA|POLARS|RAYON|ARROW|CUDA|NVIDIA|MALLOC)_\w+"
)
"""Names of the environment variables that a job gets: where things are, the language, threads and memory.

Nothing else: a job needs no service and writes a log, and no name tells whether a value is secret (`MYSQL_PWD`, `DB_URL`).
"""


class LocalJobs(dg.ConfigurableResource):
    """Runs each job in a process of its own below `root`; at most `max_parallel` at once, the rest are Pending.

    A job survives whoever submitted it. One that died without leaving a result is Failed.
    """

    root: str
    max_parallel: int = 2

    def environment(self, algorithm: str) -> tuple[str, ...]:
        """Our code and the libraries that it imports. Not the place: a job lies in its folder, wherever that is moved to."""
        return (code_digest(algorithm), *library_versions(algorithm))

    def scoring_format(self) -> str:
        """Parquet: the container program reads it, and no number becomes text."""
        return PARQUET

    def needs_source(self) -> bool:
        """No: the process runs what is installed here."""
        return False

    def machines(self) -> int:
        """This one."""
        return 1

    def submit(self, request: JobRequest) -> JobState:
        """Start the job, or return the state of the one that already has this name, whatever it is.

        Safe with several submitters at once: one of them starts the process, the others get its state.

        Raises:
            UserError: the name or the algorithm is not one that this place knows.
            TransientError: the disk is full.
            OptiflowError: the name belongs to a job of another kind.
        """
        if request.algorithm != BUILT_IN:
            learner_named(request.algorithm)
        folder = self._folder(request.name)
        try:
            state = _submit(folder, request, self.max_parallel)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise TransientError(f"No space left for the job {folder}: free some space, then run again.") from error
        if state.kind is not request.kind:
            raise OptiflowError(f"the job {request.name} exists and is a {state.kind} job.")
        return state

    def describe(self, name: str, kind: JobKind) -> JobState | None:
        """The job's state, or None if no job of this kind has this name."""
        state = read_job(self._folder(name), kind)
        return state if state is not None and state.kind is kind else None

    def find_own(self, name: str, kind: JobKind) -> JobState | None:
        """As `describe`: the jobs below `root` are this installation's."""
        return self.describe(name, kind)

    def stop(self, name: str, kind: JobKind) -> None:
        """Ask a running or waiting job to end; returns at once. A job in a final state stays as it is."""
        state = self.describe(name, kind)
        if state is not None and not state.status.is_final:
            (self._folder(name) / platform.STOP_FILE).touch()

    def remove(self, name: str, kind: JobKind) -> None:
        """Take the job's folder away, at once under its name: no crash leaves a part of it to be adopted."""
        folder = self._folder(name)
        away = folder.with_name(f"{REMOVED_PREFIX}{name}")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(away)
        with contextlib.suppress(FileNotFoundError):
            folder.rename(away)
            shutil.rmtree(away)

    def list_active(
        self, kinds: Collection[JobKind] = tuple(JobKind), names: Collection[str] | None = None
    ) -> list[JobState]:
        """Every job of these kinds that is not in a final state; finished jobs cost one look at a file name each."""
        with contextlib.suppress(FileNotFoundError):
            folders = sorted(entry.path for entry in os.scandir(self.root) if is_unfinished(entry))
            states = (read_job(Path(folder)) for folder in folders)
            active = [s for s in states if s is not None and s.kind in kinds and not s.status.is_final]
            return [state for state in active if names is None or state.name in names]
        return []

    def wait(self, name: str, kind: JobKind, on_progress: OnProgress | None = None) -> JobState:
        """Block until the job is in a final state.

        Args:
            name: The job's name.
            kind: The job's kind.
            on_progress: Called with the state and the log's last line whenever one of them has changed.

        Raises:
            JobFailedError: there is no such job.
        """
        pause, seen = FIRST_POLL_SECONDS, None
        while True:
            state = self.describe(name, kind)
            if state is None:
                raise JobFailedError(
                    f"there is no {kind} job {name} below {self.root}: its folder was deleted. Run it again from its "
                    "submission."
                )
            if on_progress is not None:
                line = self.log_tail(state, lines=1)
                if seen != (seen := (state.status, line)):
                    on_progress(state, line)
            if state.status.is_final:
                return state
            time.sleep(pause)
            # A twentieth of the job's length so far at most, so that waiting adds little to a short job.
            pause = min(pause * 1.05, LONGEST_POLL_SECONDS)

    @contextlib.contextmanager
    def output(self, state: JobState, result: str | None = None) -> Iterator[Path]:  # all of it is here
        """The completed job's `model.tar.gz`, or its folder of `.out` files; not to be written to."""
        folder = self._folder(state.name) / "output"
        yield folder / MODEL_ARCHIVE if state.kind is JobKind.TRAINING else folder

    def log_tail(self, state: JobState, lines: int = 50) -> str:
        """The last lines of the job's log; empty when there is none."""
        log = self._folder(state.name) / platform.LOG_FILE
        if not log.is_file():  # opening a pipe would wait for a writer
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - lines * 1000))
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _folder(self, name: str) -> Path:
        if not re.fullmatch(rf"[A-Za-z0-9](?:[A-Za-z0-9-]{{0,{MAX_NAME_LENGTH - 1}}})", name):
            raise UserError(f"{name[:80]!r} is not a job name: use up to {MAX_NAME_LENGTH} of a-z, 0-9 and hyphens.")
        return Path(self.root).absolute() / name


def _submit(folder: Path, request: JobRequest, max_parallel: int) -> JobState:
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        if was_launched(folder):
            state = read_job(folder, request.kind)
            if state is not None:
                return state
        with try_lock(folder) as lock:
            if lock is not None and not was_launched(folder):
                _launch(folder, request, max_parallel, lock)
                continue
        # Another submitter is about to start the process, or somebody is just looking at the lock.
        time.sleep(FIRST_POLL_SECONDS)


def _launch(folder: Path, request: JobRequest, max_parallel: int, lock: int) -> None:
    platform.write_json(folder / platform.REQUEST_FILE, {**asdict(request), "created_at": platform.now()})
    with (folder / platform.LOG_FILE).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", platform.__file__, str(folder), str(max_parallel), str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_environment(os.environ),
            start_new_session=True,
            pass_fds=(lock,),
        )
    (folder / platform.LAUNCHED_FILE).touch()
    # Nobody asks this object again; the thread takes the exit code, so that no zombie is left behind.
    threading.Thread(target=process.wait, daemon=True).start()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables for a job: what it needs, and our packages on the path where they are not installed."""
    environment = {name: value for name, value in variables.items() if NEEDED.fullmatch(name)}
    root = str(Path(__file__).resolve().parents[2])
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        paths = [path for path in (environment.get("PYTHONPATH"), root) if path]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    # Waiting threads sleep instead of spinning. Two jobs at once on two cores: 6 s each instead of 30; one alone: 10 % more.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment
