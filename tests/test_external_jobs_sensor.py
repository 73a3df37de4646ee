"""`external_jobs_sensor`: one follow-up per job and round, with real jobs and a real catalog."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.run_request import SkipReason
from queued_runs import asked_run, stored_run

from optiflow.errors import TransientError, UserError
from optiflow.options import merge_options
from optiflow_dagster.definitions import build_definitions
from optiflow_dagster.sensors.external_jobs_decision import (
    FIRST_PAUSE,
    MAX_SUBMISSIONS,
    MAX_TRIES,
    Decision,
    RunState,
    choose_follow_ups,
    due_at,
)
from resources.adapters import Adapters
from resources.catalog.records import DatasetRecord, JobRecord, revision_of
from resources.catalog.store import CatalogStore
from resources.jobs import local_platform
from resources.jobs.contract import NOT_SUBMITTED, Channel, JobKind, JobRequest, JobState, JobStatus
from resources.jobs.local import LocalJobs
from resources.jobs.local_folder import LOCK_FILE
from resources.settings import load_settings

NOW = datetime(2024, 5, 1, tzinfo=UTC)
TRAINING, TRANSFORM = JobKind.TRAINING, JobKind.TRANSFORM
DATASET = DatasetRecord(
    "orders", "shop", revision_of("1" * 64, merge_options({})), "1" * 64, "s.csv", 1, merge_options({}), NOW
)


def job(name: str = "a", status: JobStatus = JobStatus.PENDING, kind: JobKind = TRAINING, **changes: Any) -> JobRecord:
    made = JobRecord(name, kind, "orders", "shop", DATASET.revision, f"run-of-{name}", status, NOW)
    return replace(made, **changes)


def state(name: str, status: JobStatus) -> JobState:
    return JobState(name, TRAINING, status, NOW)


@pytest.mark.parametrize(
    ("known", "there", "run", "replaced"),
    list(product(JobStatus, [*JobStatus, None], ["active", "retrying", "canceled", "ended"], [False, True])),
)
def test_a_job_is_followed_up_once_it_has_ended_and_nobody_else_answers_for_it(
    known: JobStatus, there: JobStatus | None, run: RunState, replaced: bool
) -> None:
    """`there` is what the place says; None is a job that it does not know: failed, unless its run is still at work."""
    waiting = [job(status=known)]
    if replaced:
        waiting.append(job("b", created_at=NOW + timedelta(seconds=1)))
    active = {name: state(name, JobStatus.IN_PROGRESS) for name in "b"}
    if there in (JobStatus.PENDING, JobStatus.IN_PROGRESS):
        active["a"] = state("a", there)
    asked: list[str] = []

    def describe(asked_for: JobRecord) -> JobState | None:
        asked.append(asked_for.name)
        return None if there is None else state(asked_for.name, there)

    decision = choose_follow_ups(
        waiting,
        {"a"} if replaced else set(),
        active,
        describe,
        lambda run_of: run if run_of == "run-of-a" else "active",
        lambda _: 1,
        NOW,
    )
    works = "a" in active
    busy = run in ("active", "retrying")
    assert asked == ([] if works or known.is_final else ["a"])
    found = active["a"].status if works else known if known.is_final else there
    if found is None and not busy:
        found = JobStatus.FAILED
    ours = [update.status for update in decision.updates if update.name == "a"]
    assert ours == ([] if found in (None, known) else [found])
    over = found is not None and found.is_final and not busy
    assert [job.name for job in decision.follow_up] == (["a"] if over and run == "ended" and not replaced else [])
    assert [job.name for job in decision.closed] == (["a"] if over and (run == "canceled" or replaced) else [])
    to_stop = run == "canceled" and not over and found is not JobStatus.STOPPING
    assert [job.name for job in decision.stop] == (["a"] if to_stop else [])
    assert decision.waiting == int(not over) + int(replaced)
    assert decision.again == []


def test_a_job_that_is_in_no_listing_while_it_stops_is_waited_for() -> None:
    stopping = lambda found: state(found.name, JobStatus.STOPPING)  # noqa: E731
    decision = choose_follow_ups([job()], set(), {}, stopping, lambda _: "ended", lambda _: 1, NOW)
    assert ([update.status for update in decision.updates], decision.waiting) == ([JobStatus.STOPPING], 1)
    assert decision.follow_up == []


@pytest.mark.parametrize("tries", range(1, MAX_TRIES + 2))
def test_a_job_that_failed_in_passing_is_done_again_after_a_growing_pause_and_not_for_ever(tries: int) -> None:
    failed = job(status=JobStatus.FAILED, failure_reason="CapacityError: none left", ended_at=NOW)
    due = due_at(failed, tries)
    assert FIRST_PAUSE / 2 * 2 ** (tries - 1) <= due - NOW <= FIRST_PAUSE * 1.5 * 2 ** (tries - 1)

    def decide(now: datetime) -> Decision:
        return choose_follow_ups(
            [failed], set(), {}, lambda _: state("a", JobStatus.PENDING), lambda _: "ended", lambda _: tries, now
        )

    early, late = decide(due - timedelta(seconds=1)), decide(due)
    if tries < MAX_TRIES:
        assert (early.waiting, early.again, late.again) == (1, [], [failed])
    else:
        assert early.follow_up == late.follow_up == [failed]


def test_what_was_not_taken_is_submitted_again_for_hours_and_not_for_ever() -> None:
    refused = job(status=JobStatus.FAILED, failure_reason=f"{NOT_SUBMITTED}: the quota is used up", ended_at=NOW)
    asked, now = [], NOW
    for number in range(1, MAX_SUBMISSIONS + 1):
        now = due_at(replace(refused, ended_at=now), number)
        decision = choose_follow_ups(
            [replace(refused, round=number)], set(), {}, lambda _: None, lambda _: "ended", lambda _: 1, now
        )
        asked.append((len(decision.again), len(decision.follow_up)))
    assert asked == [(1, 0)] * (MAX_SUBMISSIONS - 1) + [(0, 1)]
    assert timedelta(hours=2) < now - NOW < timedelta(hours=8)


def test_jobs_that_failed_together_do_not_come_back_together() -> None:
    failed = [job(name, status=JobStatus.FAILED, ended_at=NOW) for name in "abcdefgh"]
    assert len({due_at(one, 1) for one in failed}) == len(failed)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalJobs]:
    """Three real jobs: `good` and `scored` have completed, `bad` has failed."""
    folder = tmp_path_factory.mktemp("jobs")
    table = pl.DataFrame({"y": [float(i % 7) for i in range(50)], "x": [float(i) for i in range(50)]})
    table.cast(pl.Float32).write_parquet(folder / "train.parquet")
    table.select("x").cast(pl.Float32).write_parquet(folder / "test.parquet")
    jobs = LocalJobs(root=str(folder / "jobs"), max_parallel=2)
    train = {"train": Channel((folder / "train.parquet").as_uri())}
    parameters = {"num_round": "2", "nthread": "1"}
    jobs.submit(JobRequest("good", TRAINING, "xgboost", parameters, train))
    jobs.submit(
        JobRequest("bad", TRAINING, "xgboost", parameters, {"train": Channel((folder / "no.parquet").as_uri())})
    )
    model = jobs.wait("good", TRAINING).output_uri
    test = {"transform": Channel((folder / "test.parquet").as_uri())}
    jobs.submit(JobRequest("scored", TRANSFORM, "xgboost", {}, test, model_uri=model))
    assert jobs.wait("scored", TRANSFORM).status is JobStatus.COMPLETED
    assert jobs.wait("bad", TRAINING).status is JobStatus.FAILED
    yield jobs
    assert jobs.list_active() == []


class Ticks:
    """The real sensor, ticked like the daemon does it."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance, adapters: Adapters, jobs: LocalJobs):
        self.definitions, self.instance, self.adapters, self.jobs = definitions, instance, adapters, jobs
        self.repository = definitions.get_repository_def()

    @property
    def store(self) -> CatalogStore:
        return self.adapters.catalog.open()

    def __call__(self, sensor: str = "external_jobs_sensor") -> dg.SensorResult | SkipReason:
        context = dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.repository,
            resources={"catalog": self.adapters.catalog, "jobs": self.jobs},
        )
        result: Any = self.repository.get_sensor_def(sensor)(context)
        return result

    def requests(self, sensor: str = "external_jobs_sensor") -> list[dg.RunRequest]:
        result = self(sensor)
        assert isinstance(result, dg.SensorResult)
        return list(result.run_requests or [])

    def said(self) -> str:
        result = self()
        if isinstance(result, SkipReason):
            return str(result.skip_message)
        assert not result.run_requests
        assert result.skip_reason is not None
        return str(result.skip_reason.skip_message)

    def known(self, name: str) -> JobRecord:
        found = self.store.job(name)
        assert found is not None
        return found


@pytest.fixture
def tick(tmp_path: Path, place: LocalJobs) -> Iterator[Ticks]:
    settings = load_settings(home=tmp_path)
    definitions = build_definitions(settings, jobs=place)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(definitions, instance, Adapters.of(settings), place)


@pytest.mark.parametrize(
    ("name", "kind", "status", "follows"),
    [
        ("good", TRAINING, JobStatus.COMPLETED, "orders_prediction_job"),
        ("bad", TRAINING, JobStatus.FAILED, "orders_prediction_job"),
        ("scored", TRANSFORM, JobStatus.COMPLETED, "orders_report_job"),
    ],
)
def test_an_ended_job_starts_the_next_part_under_one_run_key_until_that_took_over(
    tick: Ticks, name: str, kind: JobKind, status: JobStatus, follows: str
) -> None:
    tick.store.put_job(job(name, kind=kind))
    (request,) = tick.requests()
    assert (request.job_name, request.partition_key, request.run_key) == (follows, "shop", f"{name}/1")
    assert request.partition_key == "shop"
    assert request.tags["optiflow/revision"] == DATASET.revision
    known, there = tick.known(name), tick.jobs.describe(name, kind)
    assert there is not None
    assert (known.status, known.output_uri, known.failure_reason) == (status, there.output_uri, there.failure_reason)
    # The daemon died before the run was made: the tick is repeated and says the same.
    assert [again.run_key for again in tick.requests()] == [request.run_key]
    tick.store.mark_followed_up([name])
    assert tick.said() == "No job is running."


def test_a_run_that_adopts_a_job_again_opens_another_round(tick: Ticks) -> None:
    tick.store.put_job(job("good"))
    tick.store.mark_followed_up(["good"])
    tick.store.put_job(job("good", run_id="run-2"))
    assert [request.run_key for request in tick.requests()] == ["good/2"]


@pytest.mark.parametrize("status", list(dg.DagsterRunStatus))
def test_a_job_that_has_its_run_is_not_asked_for_again_unless_that_never_reached_the_queue(
    tick: Ticks, status: dg.DagsterRunStatus
) -> None:
    tick.store.put_job(job("good"))
    (request,) = tick.requests()
    asked_run(tick.instance, request, "external_jobs_sensor", status=status)
    if status is dg.DagsterRunStatus.NOT_STARTED:
        assert [again.run_key for again in tick.requests()] == ["good/1"]
        return
    assert (
        tick.said() == "0 job(s) still running. 1 ended job(s) have their run, which has not taken the result over yet."
    )
    tick.store.put_job(job("scored", kind=TRANSFORM))
    assert [another.run_key for another in tick.requests()] == ["scored/1"]
    tick.store.mark_followed_up(["good"])
    tick.store.put_job(job("good", run_id="run-2"))
    assert {another.run_key for another in tick.requests()} == {"good/2", "scored/1"}


@pytest.mark.parametrize("again", [False, True], ids=["follows", "submits again"])
def test_a_follow_up_that_never_began_is_asked_for_again_until_it_begins(
    tick: Ticks, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optiflow_dagster.unstarted_runs.FIRST_PAUSE", timedelta(0))
    tick.store.put_job(job("good"))
    if again:
        tick.store.put_job(job("bad", dataset="other"))
        ended = NOW + timedelta(minutes=1)
        tick.store.update_job(
            JobState("bad", TRAINING, JobStatus.FAILED, NOW, ended_at=ended, failure_reason="CapacityError: x")
        )
    request = tick.requests()[-1]
    assert str(request.run_key).endswith("/again") is again
    run_ids = [asked_run(tick.instance, request, "external_jobs_sensor")]
    for number in (1, 2):
        assert not tick("unstarted_runs_sensor").run_requests
        tick.instance.report_run_failed(tick.instance.get_run_by_id(run_ids[-1]))
        assert request.run_key not in [asked.run_key for asked in tick.requests()]
        (new,) = tick.requests("unstarted_runs_sensor")
        assert new.run_key == f"{run_ids[0]}/{number}"
        assert (new.job_name, new.asset_selection) == (request.job_name, request.asset_selection)
        assert request.tags.items() <= new.tags.items()
        assert new.tags["dagster/partition"] == request.partition_key
        run_ids.append(asked_run(tick.instance, new, "unstarted_runs_sensor"))
    tick.instance.report_run_failed(tick.instance.get_run_by_id(run_ids[-1]))
    tick.store.mark_followed_up(["good", "bad"])
    assert not tick("unstarted_runs_sensor").run_requests


def test_runs_that_never_began_are_asked_for_again_some_at_a_time_the_oldest_first_and_behind_uploads_if_they_were(
    tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optiflow_dagster.unstarted_runs.FIRST_PAUSE", timedelta(0))
    tags = {"dagster/schedule_name": "orders_retraining_schedule", "dagster/priority": "-1", "dagster/run_key": "x"}
    first = [stored_run(tick.instance, "orders_training_job", f"{number:02}", tags) for number in range(25)]
    for run in tick.instance.get_runs():
        tick.instance.report_run_failed(run)
    asked = tick.requests("unstarted_runs_sensor")
    assert [request.run_key for request in asked] == [f"{run_id}/1" for run_id in first[:20]]
    assert {request.tags["dagster/priority"] for request in asked} == {"-1"}
    for request in asked:
        asked_run(tick.instance, request, "unstarted_runs_sensor")
    rest = tick.requests("unstarted_runs_sensor")
    assert [request.run_key for request in rest] == [f"{run_id}/1" for run_id in first[20:]]


def test_a_failed_job_turns_its_model_red_and_is_not_followed_up_again(tick: Ticks) -> None:
    tick.store.put_dataset(DATASET)
    tick.store.put_job(job("bad"))
    tick.instance.add_dynamic_partitions("optiflow_orders", ["shop"])
    (request,) = tick.requests()
    run = tick.definitions.resolve_job_def(str(request.job_name)).execute_in_process(
        instance=tick.instance, partition_key=request.partition_key, tags=request.tags, raise_on_error=False
    )
    (failed,) = [event for event in run.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert failed.step_key == "orders__model"
    assert told is not None
    assert str(told.description).startswith("Job bad failed: ")
    assert "no.parquet" in str(told.description)
    assert tick.said() == "No job is running."


@pytest.fixture
def long(tick: Ticks, tmp_path: Path) -> Iterator[LocalJobs]:
    """A place of its own where the job `long` runs on and on."""
    tick.jobs = place = LocalJobs(root=str(tmp_path / "jobs"))
    endless = {"num_round": "10000000", "nthread": "1", "max_depth": "1"}
    train = {"train": Channel((tmp_path / "train.parquet").as_uri())}
    pl.DataFrame({"y": [1.0, 2.0] * 9, "x": [1.0, 2.0] * 9}).write_parquet(tmp_path / "train.parquet")
    place.submit(JobRequest("long", TRAINING, "xgboost", endless, train))
    yield place
    place.stop("long", TRAINING)
    place.wait("long", TRAINING)


@contextlib.contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """Let the process that looks after the job hear nothing for a while."""
    found = subprocess.run(["pgrep", "-f", f"{local_platform.__file__} {folder} "], capture_output=True, check=True)
    processes = [int(process) for process in found.stdout.split()]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_a_running_job_is_waited_for_and_its_state_kept(tick: Ticks, long: LocalJobs) -> None:
    tick.store.put_job(job("long"))
    assert tick.said() == "1 job(s) still running."
    with frozen(Path(long.root, "long")):  # or it may have stopped before the tick asks
        long.stop("long", TRAINING)
        assert tick.said() == "1 job(s) still running."
    assert tick.known("long").status is JobStatus.STOPPING
    long.wait("long", TRAINING)
    assert [request.run_key for request in tick.requests()] == ["long/1"]
    assert tick.known("long").status is JobStatus.STOPPED


@pytest.mark.parametrize("started_by", ["daemon", "cli"])
def test_a_job_whose_run_was_canceled_is_stopped_unless_a_person_only_left_the_terminal(
    tick: Ticks, long: LocalJobs, started_by: str
) -> None:
    tags = {"optiflow/started_by": started_by}
    run = dg.DagsterRun(job_name="orders_job", status=dg.DagsterRunStatus.CANCELED, tags=tags)
    tick.instance.add_run(run)
    tick.store.put_job(job("long", run_id=run.run_id))
    if started_by == "cli":
        assert tick.said() == "1 job(s) still running."
        return
    assert tick.said() == "1 job(s) still running."
    assert long.wait("long", TRAINING).status is JobStatus.STOPPED
    assert not tick.requests()
    assert tick.known("long").status is JobStatus.STOPPED
    assert tick.said() == "No job is running."


def test_a_job_that_may_not_be_stopped_is_said_and_holds_up_no_other(tick: Ticks, long: LocalJobs) -> None:
    class Protected(LocalJobs):
        def stop(self, name: str, kind: JobKind) -> None:
            raise UserError("access is denied. Allow sagemaker:StopTrainingJob")

    run = dg.DagsterRun(job_name="orders_job", status=dg.DagsterRunStatus.CANCELED)
    tick.instance.add_run(run)
    tick.store.put_job(job("long", run_id=run.run_id))
    tick.jobs = Protected(root=long.root)
    assert tick.said() == "1 job(s) still running. access is denied. Allow sagemaker:StopTrainingJob"
    tick.store.put_job(job("gone", dataset="x"))
    assert [request.run_key for request in tick.requests()] == ["gone/1"]
    assert [found.name for found in tick.store.open_jobs()] == ["long", "gone"]


def test_a_job_that_failed_in_passing_is_submitted_again_under_another_run_key(tick: Ticks) -> None:
    ended = NOW + timedelta(minutes=1)
    failed = JobState("bad", TRAINING, JobStatus.FAILED, NOW, ended_at=ended, failure_reason="CapacityError: none")
    tick.store.put_job(job("bad"))
    tick.store.update_job(failed)
    (request,) = tick.requests()
    assert (request.job_name, request.run_key) == ("orders_training_job", "bad/1/again")
    assert request.asset_selection == [dg.AssetKey(["orders", "training_job"])]
    assert request.tags["optiflow/revision"] == DATASET.revision
    asked_run(tick.instance, request, "external_jobs_sensor", status=dg.DagsterRunStatus.STARTED)
    assert not tick.requests()
    for number in range(MAX_TRIES - 1):
        tick.store.put_job(job(f"earlier-{number}", created_at=NOW - timedelta(minutes=9 - number)))
        tick.store.update_job(replace(failed, name=f"earlier-{number}"))
        tick.store.mark_followed_up([f"earlier-{number}"])
    tick.store.put_job(job("bad"))
    tick.store.update_job(failed)
    assert [request.run_key for request in tick.requests()] == ["bad/2"]


def test_a_job_whose_run_still_works_or_will_be_retried_is_that_runs_business(tick: Ticks) -> None:
    run = dg.DagsterRun(job_name="orders_job", status=dg.DagsterRunStatus.STARTED)
    tick.instance.add_run(run)
    tick.store.put_job(job("good", run_id=run.run_id))
    assert tick.said() == "1 job(s) still running."
    assert tick.known("good").status is JobStatus.COMPLETED
    tick.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    tick.instance.report_run_failed(tick.instance.get_runs()[0])
    assert tick.said() == "1 job(s) still running."
    tick.instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    assert [request.run_key for request in tick.requests()] == ["good/1"]


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
)
def test_the_last_try_of_a_crashed_run_answers_for_its_job(tick: Ticks, status: dg.DagsterRunStatus) -> None:
    """Dagster leaves `will_retry` on the run that it has tried again."""
    last = dg.DagsterRun(job_name="orders_job", status=status)
    middle, first = (
        dg.DagsterRun(
            job_name="orders_job",
            status=dg.DagsterRunStatus.FAILURE,
            tags={"dagster/will_retry": "true", "dagster/auto_retry_run_id": tried_as},
        )
        for tried_as in (last.run_id, "")
    )
    first = first.with_tags({**first.tags, "dagster/auto_retry_run_id": middle.run_id})
    for run in (first, middle, last):
        tick.instance.add_run(run)
    tick.store.put_job(job("good", run_id=first.run_id))
    if status is dg.DagsterRunStatus.FAILURE:
        assert [request.run_key for request in tick.requests()] == ["good/1"]
    else:
        open_jobs = 0 if status is dg.DagsterRunStatus.CANCELED else 1
        assert not tick.requests()
        assert len(tick.store.open_jobs()) == open_jobs


def test_a_job_whose_folder_is_gone_has_failed_with_that_reason(tick: Ticks) -> None:
    tick.store.put_job(job("vanished"))
    assert [request.run_key for request in tick.requests()] == ["vanished/1"]
    known = tick.known("vanished")
    assert known.status is JobStatus.FAILED
    assert "unknown where it was submitted" in str(known.failure_reason)


def test_a_job_that_a_later_one_replaced_is_closed_without_a_follow_up(tick: Ticks) -> None:
    tick.store.put_job(job("bad"))
    tick.store.put_job(job("good", created_at=NOW + timedelta(seconds=1)))
    assert [request.run_key for request in tick.requests()] == ["good/1"]
    assert [found.name for found in tick.store.open_jobs()] == ["good"]


def test_a_job_that_is_adopted_while_its_replacement_runs_is_the_one_that_is_followed_up(
    tick: Ticks, place: LocalJobs, long: LocalJobs
) -> None:
    """An edited learner's job runs when the edit is taken back: the first job is adopted, and the other ends later."""
    shutil.copytree(Path(place.root, "good"), Path(long.root, "good"))
    tick.store.put_job(job("good"))
    tick.store.mark_followed_up(["good"])
    tick.store.put_job(job("long", created_at=NOW + timedelta(seconds=1)))
    tick.store.put_job(job("good", run_id="run-2"))
    (request,) = tick.requests()
    assert request.run_key == "good/2"
    tick.store.mark_followed_up(["good"])
    long.stop("long", TRAINING)
    long.wait("long", TRAINING)
    assert not tick.requests()
    assert tick.said() == "No job is running."


def test_a_place_that_cannot_be_asked_skips_the_tick_and_changes_nothing(tick: Ticks, tmp_path: Path) -> None:
    root = tmp_path / "jobs"
    shutil.copytree(Path(tick.jobs.root, "good"), root / "good")
    tick.jobs = LocalJobs(root=str(root))
    tick.store.put_job(job("good"))
    root.rename(tmp_path / "aside")
    root.touch()
    assert tick.said().startswith("Cannot ask for jobs: ")
    assert tick.known("good").status is JobStatus.PENDING
    root.unlink()
    (tmp_path / "aside").rename(root)
    assert [request.run_key for request in tick.requests()] == ["good/1"]


def test_a_job_that_cannot_be_asked_for_waits_and_holds_up_no_other(tick: Ticks) -> None:
    class Strange(LocalJobs):
        def describe(self, name: str, kind: JobKind) -> JobState | None:
            errors = {
                "denied": UserError("access is denied"),
                "down": TransientError("throttled"),
                "odd": OSError("io"),
            }
            if name in errors:
                raise errors[name]
            return super().describe(name, kind)

    tick.jobs = Strange(root=tick.jobs.root)
    for name in ("denied", "down", "odd"):
        tick.store.put_job(job(name, dataset=name))
    told = ("Cannot ask for job denied: access is denied", "Cannot ask for job down: throttled", "job odd: io")
    said = tick.said()
    assert said.startswith("3 job(s) still running.")
    assert all(one in said for one in told)
    tick.store.put_job(job("good"))
    assert [request.run_key for request in tick.requests()] == ["good/1"]
    assert [found.name for found in tick.store.open_jobs()] == ["denied", "down", "odd", "good"]


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def text(value: Any) -> Callable[[Path], None]:
    written = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda path: void(path.write_bytes(written))


def void(_: object) -> None:
    pass


KEYS = ("kind", "created_at", "started_at", "status", "ended_at", "failure_reason", "metrics")
GOOD = {"kind": "training", "status": "Completed", "failure_reason": None, "metrics": {}}
DAMAGE: Mapping[str, Callable[[Path], None]] = {
    "empty": text(b""),
    "blank": text(b" \n"),
    "zeros": text(bytes(4096)),
    "cut": text(b'{"kind": "training", "status": "Comp'),
    "no text": text(b"\xff\xfe\x00"),
    "deep": text(b"[" * 100_000),
    "long number": text(b"9" * 10_000),
    "list": text([]),
    "null": text(None),
    "number": text(7),
    "string": text("x"),
    "no keys": text({}),
    **{f"all {value!r}": text(dict.fromkeys(KEYS, value)) for value in (7, None, True, "x", "\ud83d", [], {}, [[1]])},
    "no zone": text(GOOD | dict.fromkeys(["created_at", "started_at", "ended_at"], "2024-05-01T00:00:00")),
    "year one": text(GOOD | dict.fromkeys(["created_at", "started_at", "ended_at"], "0001-01-01T00:00:00+14:00")),
    "folder": Path.mkdir,
    "loop": loop,
    "dead link": lambda path: path.symlink_to("nothing-there"),
    "pipe": os.mkfifo,
}


@pytest.fixture
def damaged(tick: Ticks, tmp_path: Path) -> Callable[[str], dict[str, Path]]:
    """Copies of a completed job, one for each kind of damage to this file; and one whole."""
    root = tmp_path / "jobs"
    source = Path(tick.jobs.root, "good")

    def made(file: str) -> dict[str, Path]:
        folders = {}
        for number, (damage, harm) in enumerate({**DAMAGE, "whole": void}.items()):
            folder = folders[damage] = root / f"orders-shop-training-{number:010x}"
            shutil.copytree(source, folder)
            if damage != "whole":
                path = folder / file
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                harm(path)
            tick.store.put_job(job(folder.name, dataset=f"shop-{number}"))
        tick.jobs = LocalJobs(root=str(root))
        return folders

    return made


@pytest.mark.parametrize(
    "file", ["request.json", "started.json", "result.json", "launched", "stop", "log.txt", "job.lock", "output"]
)
def test_a_damaged_file_of_an_ended_job_is_that_jobs_trouble(
    tick: Ticks, damaged: Callable[[str], dict[str, Path]], file: str
) -> None:
    folders = damaged(file)
    assert {request.run_key for request in tick.requests()} == {f"{folder.name}/1" for folder in folders.values()}
    for damage, folder in folders.items():
        known = tick.known(folder.name)
        if file in ("result.json", "output") and damage != "whole":
            assert known.status is JobStatus.FAILED, damage
            assert str(folder / file) in str(known.failure_reason)
            assert str(known.failure_reason).endswith("Put the file back, or run the job again.")
        else:
            assert (known.status, known.failure_reason) == (JobStatus.COMPLETED, None), damage
    state = tick.jobs.describe(folders["empty"].name, TRAINING)
    assert state is not None
    assert (state.started_at is None) == (file == "started.json")


@pytest.mark.parametrize("file", ["request.json", "started.json", "stop", "log.txt", "job.lock"])
def test_a_damaged_file_of_a_dead_job_is_that_jobs_trouble(
    tick: Ticks, damaged: Callable[[str], dict[str, Path]], file: str
) -> None:
    folders = damaged(file)
    for folder in folders.values():
        (folder / "result.json").unlink()
    assert {request.run_key for request in tick.requests()} == {f"{folder.name}/1" for folder in folders.values()}
    for damage, folder in folders.items():
        known = tick.known(folder.name)
        assert (known.status, known.ended_at is None) == (JobStatus.FAILED, False)
        named = (file == "request.json" and damage != "whole") or (file, damage) == ("job.lock", "loop")
        assert (str(folder / file) in str(known.failure_reason)) == (named or file == "log.txt"), damage


@pytest.mark.parametrize("file", ["request.json", "started.json", "stop", "log.txt"])
def test_a_damaged_file_of_a_job_at_work_leaves_it_at_work(
    tick: Ticks, damaged: Callable[[str], dict[str, Path]], file: str
) -> None:
    folders = damaged(file)
    tick.store.put_job(job("gone", dataset="x"))
    with ExitStack() as locks:
        for folder in folders.values():
            (folder / "result.json").unlink()
            fcntl.flock(locks.enter_context((folder / LOCK_FILE).open("w")), fcntl.LOCK_EX)
        assert [request.run_key for request in tick.requests()] == ["gone/1"]
        active = {state.name: state.status for state in tick.jobs.list_active()}
        for folder in folders.values():
            state = tick.jobs.describe(folder.name, TRAINING)
            assert state is not None
            assert state.status is active[folder.name]
            assert tick.jobs.log_tail(state) == "" or (folder / "log.txt").is_file()
    assert len(active) == len(folders)


def test_a_reason_that_no_database_takes_is_told_as_far_as_it_can_be(
    tick: Ticks, damaged: Callable[[str], dict[str, Path]]
) -> None:
    folder = damaged("stop")["whole"]
    said = json.loads((folder / "result.json").read_text())
    said |= {"status": "Failed", "failure_reason": "\ud83d is no letter"}
    (folder / "result.json").write_text(json.dumps(said))
    assert f"{folder.name}/1" in {request.run_key for request in tick.requests()}
    assert tick.known(folder.name).failure_reason == "? is no letter"


def test_what_lies_beside_the_jobs_stops_none(tick: Ticks, damaged: Callable[[str], dict[str, Path]]) -> None:
    folders = damaged("stop")
    for number, harm in enumerate(DAMAGE.values()):
        harm(Path(tick.jobs.root, f"orders-other-training-{number:010x}"))
    assert len(tick.requests()) == len(folders)


def test_a_damaged_job_that_is_submitted_again_is_adopted_with_what_is_known_of_it(
    tick: Ticks, damaged: Callable[[str], dict[str, Path]]
) -> None:
    for damage, folder in damaged("request.json").items():
        (folder / "result.json").unlink()
        state = tick.jobs.submit(JobRequest(folder.name, TRAINING, "xgboost"))
        assert state.status is JobStatus.FAILED, damage
        assert state == tick.jobs.describe(folder.name, TRAINING)


@pytest.mark.parametrize("kind", JobKind)
def test_a_job_whose_request_is_damaged_is_what_its_name_says_or_else_what_the_caller_takes_it_for(
    tick: Ticks, tmp_path: Path, kind: JobKind
) -> None:
    place = LocalJobs(root=str(tmp_path / "jobs"))
    for name in (f"orders-training-{kind}-0123456789", "short"):
        shutil.copytree(Path(tick.jobs.root, "good"), tmp_path / "jobs" / name)
        (tmp_path / "jobs" / name / "request.json").write_text("")
        state = place.describe(name, kind)
        assert state is not None
        assert state.kind is kind
    others = [other for other in JobKind if other is not kind]
    assert [place.describe(f"orders-training-{kind}-0123456789", other) for other in others] == [None, None]
