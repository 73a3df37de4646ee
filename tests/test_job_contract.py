"""Names of jobs, and which job a submission adopts."""

import re
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import OptiflowError
from resources.jobs.contract import MAX_NAME_LENGTH, JobKind, Jobs, JobState, JobStatus, job_name, next_attempt

ids = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda text: len(text) <= 40)
pipelines = st.sampled_from(["orders", "store_sales", "item_demand", "turnover", "stock_movements"])
kinds = st.sampled_from(list(JobKind))
parts = st.lists(st.text(max_size=20), max_size=4)


@settings(max_examples=100, deadline=None)
@given(pipelines, ids, kinds, parts, st.integers(1, 50))
def test_every_name_is_one_that_sagemaker_takes(pipeline, dataset, kind, depends_on, attempt) -> None:
    name = job_name(pipeline, dataset, kind, depends_on, attempt)
    assert re.fullmatch(r"[a-z0-9](-*[a-z0-9])*", name)
    assert len(name) <= MAX_NAME_LENGTH
    assert re.search(rf"-{kind.value}-[0-9a-f]{{10}}$", name)
    assert name == job_name(pipeline, dataset, kind, iter(depends_on), attempt)
    assert name != job_name(pipeline, dataset, kind, depends_on, attempt + 1)
    assert name != job_name(pipeline, dataset, kind, [*depends_on, "x"], attempt)


def test_datasets_that_are_cut_alike_keep_apart_by_their_digest() -> None:
    names = {job_name("stock_movements", "a" * 39 + end, JobKind.TRAINING, ["v"]) for end in "123"}
    assert len({name[:-11] for name in names}) == 1
    assert len(names) == 3


def test_parts_do_not_run_into_each_other() -> None:
    assert job_name("orders", "a", JobKind.TRAINING, ["ab", "c"]) != job_name(
        "orders", "a", JobKind.TRAINING, ["a", "bc"]
    )


def test_a_name_never_changes_between_versions() -> None:
    """A job that is running while OptiFlow is updated would be submitted, and paid for, again."""
    assert job_name("store_sales", "shop", JobKind.TRANSFORM, ["v1", "o1"]) == "store-sales-shop-transform-15f8ba746a"


class Known:
    """A place that only knows states."""

    def __init__(self, **states: JobStatus) -> None:
        self.states = states
        self.asked: list[str] = []

    def find_own(self, name: str, kind: JobKind) -> JobState | None:
        self.asked.append(name)
        status = self.states.get(name)
        return JobState(name, kind, status, datetime.now(UTC)) if status else None


def attempt(known: Known, names: Any = ("a", "b", "c")) -> tuple[str, JobState | None]:
    return next_attempt(cast(Jobs, known), names, JobKind.TRAINING)


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.COMPLETED])
def test_a_job_that_works_or_has_worked_is_adopted(status: JobStatus) -> None:
    known = Known(a=status, b=JobStatus.COMPLETED)
    name, state = attempt(known)
    assert (name, state and state.status, known.asked) == ("a", status, ["a"])


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.STOPPED, JobStatus.STOPPING])
def test_a_job_that_gave_nothing_is_left_behind(status: JobStatus) -> None:
    assert attempt(Known(a=status)) == ("b", None)
    name, state = attempt(Known(a=status, b=status, c=JobStatus.PENDING))
    assert (name, state and state.status) == ("c", JobStatus.PENDING)


def test_when_every_attempt_failed_there_is_no_other() -> None:
    with pytest.raises(OptiflowError, match="have failed; mend the data or the options"):
        attempt(Known(a=JobStatus.FAILED), ("a",))


def test_three_states_are_final() -> None:
    assert {status for status in JobStatus if status.is_final} == {
        JobStatus.COMPLETED,
        JobStatus.FAILED,
        JobStatus.STOPPED,
    }
