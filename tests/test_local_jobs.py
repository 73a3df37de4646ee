"""LocalJobs with real processes: results, states, and every way in which a job can die."""

import fcntl
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost

from optiflow.artifact import extract_model
from optiflow.errors import OptiflowError, UserError
from optiflow.learners.xgboost import load
from resources.jobs import local_platform as platform
from resources.jobs.contract import Channel, JobKind, JobRequest, JobState, JobStatus
from resources.jobs.local import LocalJobs
from resources.jobs.local_folder import LOCK_FILE, try_lock

TRAINING, TRANSFORM = JobKind.TRAINING, JobKind.TRANSFORM
REPOSITORY = Path(__file__).parents[1]
SHARED = Path(os.environ.get("OPTIFLOW_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
ENDLESS = {"num_round": "1000000", "max_depth": "2"}
needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes by /proc")


@pytest.fixture
def jobs(tmp_path) -> Iterator[LocalJobs]:
    place = LocalJobs(root=str(tmp_path / "jobs"))
    yield place
    for state in place.list_active():  # of a test that failed half-way
        for pid in processes(place, state.name):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def data(tmp_path) -> Path:
    generator = np.random.default_rng(0)
    features = {f"f{i}": generator.random(300) for i in range(3)}
    frame = pl.DataFrame({"y": features["f0"] * 3 + generator.normal(0, 0.1, 300), **features})
    frame.write_parquet(tmp_path / "train.parquet")
    frame.drop("y").write_parquet(tmp_path / "features.parquet")
    return tmp_path


def request(data: Path, name: str = "orders-a-training-0123456789", **params: str) -> JobRequest:
    hyperparameters = {"num_round": "5", "nthread": "1", **params}
    return JobRequest(name, TRAINING, "xgboost", hyperparameters, {"train": Channel((data / "train.parquet").as_uri())})


def folder(jobs: LocalJobs, name: str) -> Path:
    return Path(jobs.root) / name


def processes(jobs: LocalJobs, name: str, word: str = "") -> list[int]:
    """Ids of the job's living processes whose command line holds `word`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder(jobs, name)) in command and word in command:
            found.append(int(entry.name))
    return found


def when_training(action: Callable[[], None]) -> Callable[[JobState, str], None]:
    """An `on_progress` that runs `action` once, when the first round is over."""
    done = []

    def on_progress(state: JobState, line: str) -> None:
        if line.startswith("[") and not done:
            assert state.status is JobStatus.IN_PROGRESS
            done.append(line)
            action()

    return on_progress


@contextmanager
def held_slot(jobs: LocalJobs) -> Iterator[None]:
    slots = Path(jobs.root) / platform.SLOT_FOLDER
    slots.mkdir(parents=True, exist_ok=True)
    with (slots / "0").open("w") as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)
        yield


def local_path(uri: str | None) -> Path:
    assert uri is not None
    return Path(uri.removeprefix("file://"))


def test_training_and_transform_of_real_orders_equal_plain_xgboost(jobs, tmp_path):
    source = SHARED / "orders" / "US_Regional_Sales_Data.csv"
    if not source.exists():
        pytest.skip(f"{source} is missing: set OPTIFLOW_SHARED_DATA")
    money = [pl.col(name).str.replace_all(",", "").cast(pl.Float64) for name in ("Unit Cost", "Unit Price")]
    frame = pl.read_csv(source, encoding="utf8-lossy").select(
        pl.col("Unit Price").str.replace_all(",", "").cast(pl.Float64).alias("target"),
        *("_StoreID", "_ProductID", "_CustomerID", "Order Quantity", "Discount Applied"),
        money[0],
    )
    train, validation, test = frame[:5000], frame[5000:6500], frame[6500:]
    train.write_parquet(tmp_path / "train.parquet")
    validation.write_csv(tmp_path / "validation.csv", include_header=False)
    test.drop("target").write_parquet(tmp_path / "test.parquet")
    params = {"num_round": "300", "eta": "0.3", "early_stopping_rounds": "5", "nthread": "1", "subsample": "0.8"}
    channels = {
        "train": Channel((tmp_path / "train.parquet").as_uri()),
        "validation": Channel((tmp_path / "validation.csv").as_uri(), "text/csv"),
    }
    jobs.submit(JobRequest("real-training", TRAINING, "xgboost", params, channels))
    trained = jobs.wait("real-training", TRAINING)
    assert trained.status is JobStatus.COMPLETED, trained.failure_reason
    scoring = {"transform": Channel((tmp_path / "test.parquet").as_uri())}
    jobs.submit(JobRequest("real-transform", TRANSFORM, "xgboost", {}, scoring, model_uri=trained.output_uri))
    scored = jobs.wait("real-transform", TRANSFORM)

    def matrix(part: pl.DataFrame, **label) -> xgboost.DMatrix:
        return xgboost.DMatrix(part.drop("target", strict=False).to_numpy(), **label)

    held_out = matrix(validation, label=validation["target"].to_numpy())
    expected = xgboost.train(
        {"eta": 0.3, "nthread": 1, "subsample": 0.8},
        matrix(train, label=train["target"].to_numpy()),
        300,
        evals=[(held_out, "validation")],
        callbacks=[xgboost.callback.EarlyStopping(rounds=5, save_best=True)],
        verbose_eval=False,
    )
    predictions = (local_path(scored.output_uri) / "test.parquet.out").read_text().splitlines()
    assert [float(line) for line in predictions] == expected.predict(matrix(test)).tolist()
    assert len(predictions) == test.height == 1491
    with jobs.output(trained) as archive, jobs.output(scored) as folder_of_predictions:
        model = load(extract_model(archive, tmp_path / "model"))
        assert [path.name for path in folder_of_predictions.iterdir()] == ["test.parquet.out"]
    assert model.get_dump() == expected.get_dump()
    assert trained.metrics["validation:rmse"] == pytest.approx(expected.best_score, rel=1e-6)
    assert trained.metrics["best_iteration"] == expected.best_iteration
    assert trained.created_at <= trained.started_at <= trained.ended_at


def test_states_go_forward_and_the_log_is_told_line_by_line(jobs, data):
    seen = []
    jobs.submit(request(data))
    state = jobs.wait("orders-a-training-0123456789", TRAINING, on_progress=lambda s, line: seen.append((s, line)))
    order = [JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.COMPLETED]
    ranks = [order.index(s.status) for s, _ in seen]
    assert ranks == sorted(ranks)
    assert seen[-1][1].startswith("[4]\ttrain-rmse:")
    assert len(jobs.log_tail(state, lines=3).splitlines()) == 3
    assert jobs.log_tail(state).startswith("Train matrix has 300 rows and 3 columns")


def test_only_the_result_stays_of_a_finished_job_and_nothing_half_written(jobs, data):
    jobs.submit(request(data, "a"))
    jobs.wait("a", TRAINING)
    files = {str(path.relative_to(folder(jobs, "a"))) for path in folder(jobs, "a").rglob("*") if path.is_file()}
    assert "output/model.tar.gz" in files
    assert not [name for name in files if "/." in name or name.startswith(".") or "input/data" in name]


@needs_proc
def test_a_state_file_is_on_the_disk_before_it_gets_its_name_and_then_its_name_is(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def watched(handle: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{handle}").readlink()), (tmp_path / "result.json").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    platform.write_json(tmp_path / "result.json", {"status": "Completed"})
    assert synced == [(str(tmp_path / ".result.json.tmp"), False), (str(tmp_path), True)]


def test_a_damaged_request_fails_the_job_with_that_reason(jobs, data):
    """The disk loses the request between the submission and the start of the job's process."""
    with held_slot(one := LocalJobs(root=jobs.root, max_parallel=1)):
        one.submit(request(data, "a"))
    one.wait("a", TRAINING)
    (folder(jobs, "a") / platform.RESULT_FILE).unlink()
    (folder(jobs, "a") / platform.REQUEST_FILE).write_text("")
    with try_lock(folder(jobs, "a")) as lock:
        assert platform.main(folder(jobs, "a"), 1, lock) == 1
    state = jobs.describe("a", TRAINING)
    assert state.status is JobStatus.FAILED
    assert state.failure_reason.endswith("request.json holds no JSON: it was damaged. Run the job again.")


def test_a_name_that_exists_is_adopted_and_never_run_again(jobs, data):
    jobs.submit(request(data, "a"))
    first = jobs.wait("a", TRAINING)
    assert jobs.submit(request(data, "a", num_round="99")) == first
    jobs.submit(request(data, "bad", eta="7"))
    failed = jobs.wait("bad", TRAINING)
    assert failed.status is JobStatus.FAILED
    assert failed.failure_reason == "hyperparameter 'eta' is '7': allowed is a number in [0, 1]."
    assert failed.output_uri is None
    assert jobs.submit(request(data, "bad")) == failed
    assert jobs.describe("a", TRANSFORM) is None
    with pytest.raises(OptiflowError, match="exists and is a training job"):
        jobs.submit(JobRequest("a", TRANSFORM, "xgboost"))


def submit_from_elsewhere(root: str, data: Path, barrier) -> None:
    barrier.wait()
    LocalJobs(root=root).submit(request(data, "a"))


def test_submitters_at_once_start_one_process(jobs, data):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(8)
    arguments = (jobs.root, data, barrier)
    others = [context.Process(target=submit_from_elsewhere, args=arguments) for _ in range(4)]
    others += [threading.Thread(target=submit_from_elsewhere, args=arguments) for _ in range(4)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    state = jobs.wait("a", TRAINING)
    assert state.status is JobStatus.COMPLETED
    assert jobs.log_tail(state, 1000).count("Train matrix has") == 1


def test_a_folder_left_by_a_crash_before_the_start_is_started_by_the_next_submit(jobs, data):
    folder(jobs, "a").mkdir(parents=True)
    (folder(jobs, "a") / LOCK_FILE).touch()
    (folder(jobs, "a") / ".request.json.tmp").write_text('{"name": "half')
    assert jobs.describe("a", TRAINING) is None
    (folder(jobs, "a") / platform.REQUEST_FILE).write_text('{"kind": "training", "created_at": "2020-01-01"}')
    assert jobs.describe("a", TRAINING) is None
    assert jobs.list_active() == []
    jobs.submit(request(data, "a"))
    assert jobs.wait("a", TRAINING).status is JobStatus.COMPLETED


def test_a_job_survives_its_submitter(jobs, data):
    code = (
        "import sys, os; sys.path.insert(0, 'tests'); from pathlib import Path; import test_local_jobs as t;"
        "t.LocalJobs(root=sys.argv[1], max_parallel=1).submit(t.request(Path(sys.argv[2]), 'a')); os._exit(0)"
    )
    with held_slot(jobs):  # the job cannot have ended before its submitter
        command = [sys.executable, "-c", code, jobs.root, str(data)]
        subprocess.run(command, check=True, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
        assert jobs.describe("a", TRAINING).status is JobStatus.PENDING
    assert jobs.wait("a", TRAINING).status is JobStatus.COMPLETED


@needs_proc
@pytest.mark.parametrize(
    ("victims", "said"),
    [
        (["optiflow.container"], "killed by SIGKILL. Perhaps it ran out of memory"),
        (["local_platform"], "ended without a result: it was killed"),
        (["local_platform", "optiflow.container"], "ended without a result: it was killed"),
    ],
    ids=["container", "platform", "both"],
)
def test_a_killed_training_is_failed_says_why_and_leaves_no_process(jobs, data, victims, said):
    def kill():
        for pid in [pid for word in victims for pid in processes(jobs, "a", word)]:
            os.kill(pid, signal.SIGKILL)

    jobs.submit(request(data, "a", **ENDLESS))
    state = jobs.wait("a", TRAINING, on_progress=when_training(kill))
    assert state.status is JobStatus.FAILED
    assert said in state.failure_reason
    assert str(folder(jobs, "a") / "log.txt") in state.failure_reason
    assert state.output_uri is None
    assert not list((folder(jobs, "a")).rglob("*model*.gz*"))
    assert processes(jobs, "a", "optiflow.container") == []
    assert jobs.list_active() == []
    assert jobs.describe("a", TRAINING) == state, "a final state stays as it is"
    jobs.submit(request(data, "b"))
    assert jobs.wait("b", TRAINING).status is JobStatus.COMPLETED, "the dead job's slot is free"


def test_a_job_that_waits_for_a_slot_is_pending_until_it_gets_one(jobs, data):
    one = LocalJobs(root=jobs.root, max_parallel=1)
    with held_slot(one):
        one.submit(request(data, "waiting"))
        jobs.submit(request(data, "other"))  # takes the second slot, which `one` does not have
        assert jobs.wait("other", TRAINING).status is JobStatus.COMPLETED
        state = one.describe("waiting", TRAINING)
        assert state.status is JobStatus.PENDING
        assert state.started_at is None
        assert one.log_tail(state) == ""
        assert one.list_active() == [state]
    assert one.wait("waiting", TRAINING).status is JobStatus.COMPLETED


def test_a_second_job_starts_only_after_the_first_when_one_may_run(jobs, data):
    one = LocalJobs(root=jobs.root, max_parallel=1)
    names = [f"job-{i}" for i in range(2)]
    for name in names:
        one.submit(request(data, name))
    spans = sorted((s.started_at, s.ended_at) for s in (one.wait(name, TRAINING) for name in names))
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_while_a_prediction_waits_no_training_takes_a_slot_and_predictions_do(jobs, data):
    jobs.submit(request(data, "first"))
    model = jobs.wait("first", TRAINING).output_uri
    channels = {"transform": Channel((data / "features.parquet").as_uri())}
    with (Path(jobs.root) / platform.SLOT_FOLDER / platform.FIRST_FILE).open("ab") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_SH)  # as a prediction that waits; both slots are free
        jobs.submit(request(data, "new"))
        jobs.submit(JobRequest("scored", TRANSFORM, "xgboost", {}, channels, model_uri=model))
        scored = jobs.wait("scored", TRANSFORM)
        assert scored.status is JobStatus.COMPLETED
        assert jobs.describe("new", TRAINING).status is JobStatus.PENDING
    new = jobs.wait("new", TRAINING)
    assert (new.status, new.started_at > scored.ended_at) == (JobStatus.COMPLETED, True)


def test_a_prediction_that_has_its_slot_holds_up_no_training(jobs, data):
    jobs.submit(request(data, "first"))
    model = jobs.wait("first", TRAINING).output_uri
    channels = {"transform": Channel((data / "features.parquet").as_uri())}
    one = LocalJobs(root=jobs.root, max_parallel=1)
    with held_slot(one):
        one.submit(request(data, "new"))
        one.submit(JobRequest("scored", TRANSFORM, "xgboost", {}, channels, model_uri=model))
        assert {state.status for state in one.list_active()} == {JobStatus.PENDING}
    assert one.wait("scored", TRANSFORM).status is JobStatus.COMPLETED
    assert one.wait("new", TRAINING).status is JobStatus.COMPLETED


def test_a_stopped_job_ends_and_leaves_no_artifact(jobs, data):
    statuses = []

    def stop() -> None:
        jobs.stop("a", TRAINING)
        statuses.append(jobs.describe("a", TRAINING).status)

    jobs.submit(request(data, "a", **ENDLESS))
    state = jobs.wait("a", TRAINING, on_progress=when_training(stop))
    assert statuses == [JobStatus.STOPPING]
    assert state.status is JobStatus.STOPPED
    assert state.output_uri is None
    assert not (folder(jobs, "a") / "output").exists()


def test_a_waiting_job_can_be_stopped_and_a_finished_one_stays(jobs, data):
    one = LocalJobs(root=jobs.root, max_parallel=1)
    with held_slot(one):
        one.submit(request(data, "a"))
        one.stop("a", TRAINING)
        assert one.wait("a", TRAINING).status is JobStatus.STOPPED
    one.submit(request(data, "b"))
    done = one.wait("b", TRAINING)
    one.stop("b", TRAINING)
    assert one.describe("b", TRAINING) == done


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
@pytest.mark.parametrize("full", ["output/.model.tar.gz.tmp", "ml/model/.xgboost-model.tmp"])
def test_a_full_disk_fails_the_job_with_that_reason_and_leaves_no_artifact(jobs, data, full):
    place = folder(jobs, "a") / full
    place.parent.mkdir(parents=True)
    place.symlink_to("/dev/full")
    jobs.submit(request(data, "a"))
    state = jobs.wait("a", TRAINING)
    assert state.status is JobStatus.FAILED
    assert state.failure_reason.startswith("No space left")
    assert [path for path in folder(jobs, "a").rglob("*model*") if not path.is_dir()] == []


def test_what_a_job_cannot_read_is_told_with_its_address(jobs, data):
    missing = Channel((data / "nothing.parquet").as_uri())
    jobs.submit(JobRequest("a", TRAINING, "xgboost", {"num_round": "1"}, {"train": missing}))
    assert jobs.wait("a", TRAINING).failure_reason == f"channel train is missing: there is nothing at {missing.uri}."
    remote = Channel("s3://bucket/train.parquet")
    jobs.submit(JobRequest("b", TRAINING, "xgboost", {"num_round": "1"}, {"train": remote}))
    assert "local jobs read file:// addresses only" in jobs.wait("b", TRAINING).failure_reason
    (data / "model.tar.gz").write_bytes(b"no archive")
    scoring = {"transform": Channel((data / "features.parquet").as_uri())}
    uri = (data / "model.tar.gz").as_uri()
    jobs.submit(JobRequest("c", TRANSFORM, "xgboost", {}, scoring, model_uri=uri))
    assert "model.tar.gz is not a whole tar archive" in jobs.wait("c", TRANSFORM).failure_reason


NEEDED = {
    "LC_ALL": "C.UTF-8",
    "TZ": "Europe/Vienna",
    "OMP_NUM_THREADS": "1",
    "LD_LIBRARY_PATH": "/nowhere",
    "PYTHONHASHSEED": "7",
}
NOT_NEEDED = dict.fromkeys(
    (
        *("FRED_API_KEY", "OPTIFLOW_CATALOG_URL", "AWS_SESSION_TOKEN", "MYSQL_PWD", "PGPASSFILE", "SENTRY_DSN"),
        *("DB_URL", "DATABASE_URL", "SLACK_WEBHOOK", "http_proxy", "PYTHONSTARTUP", "ANYTHING_ELSE"),
    ),
    "secret",
)


@needs_proc
def test_a_job_gets_what_it_needs_and_no_other_variable(jobs, data, monkeypatch):
    for name, value in {**NEEDED, **NOT_NEEDED}.items():
        monkeypatch.setenv(name, value)
    environments = []

    def look() -> None:
        environments.extend(Path(f"/proc/{pid}/environ").read_bytes() for pid in processes(jobs, "a"))
        jobs.stop("a", TRAINING)

    jobs.submit(request(data, "a", **ENDLESS))
    jobs.wait("a", TRAINING, on_progress=when_training(look))
    assert len(environments) == 2
    for environment in environments:
        found = dict(line.split("=", 1) for line in environment.decode().split("\0") if line)
        assert NEEDED.items() <= found.items()
        assert found["PATH"] == os.environ["PATH"]
        assert sorted(NOT_NEEDED.keys() & found.keys()) == []


def test_the_active_one_is_found_among_a_thousand_finished(jobs, data):
    for number in range(1000):
        folder(jobs, f"done-{number}").mkdir(parents=True)
        (folder(jobs, f"done-{number}") / platform.RESULT_FILE).write_text("never read")
    assert jobs.list_active() == []
    with held_slot(one := LocalJobs(root=jobs.root, max_parallel=1)):
        one.submit(request(data, "a"))
        assert [state.name for state in jobs.list_active()] == ["a"]
    one.wait("a", TRAINING)
    assert jobs.list_active() == []


def test_a_place_that_has_never_run_a_job_has_none(tmp_path):
    jobs = LocalJobs(root=str(tmp_path / "never"))
    assert jobs.list_active() == []
    assert jobs.describe("a", TRAINING) is None
    with pytest.raises(OptiflowError, match="there is no training job a below"):
        jobs.wait("a", TRAINING)
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".slots", "a" * 64, "-a", "a\n"])
def test_a_name_that_could_leave_the_folder_is_refused(jobs, data, name):
    with pytest.raises(UserError, match="is not a job name"):
        jobs.submit(request(data, name))


def test_an_algorithm_that_this_place_does_not_know_is_refused(jobs):
    with pytest.raises(UserError, match="'prophet' is not known here"):
        jobs.submit(JobRequest("a", TRAINING, "prophet"))


def test_the_light_process_imports_nothing_but_the_standard_library():
    code = (
        "import sys; sys.path.append('.');"
        "import resources.jobs.local_platform, optiflow.artifact; import json;"
        "print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names))))"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert set(json.loads(run.stdout)) <= {"__main__", "optiflow", "resources"}
