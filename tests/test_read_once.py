"""What one run of a chain reads: each table, answer and archive as seldom as its parts allow."""

import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from project import OPTIONS, Project, fresh_project
from sqlalchemy import event
from sqlalchemy.engine import Engine

from optiflow.pipelines.orders import sample
from optiflow.report import markdown
from resources.storage import FileStorage

SCAN = re.compile(r"SCAN \[[^\]]*/lake/orders/([a-z_]+)/")
CACHED = re.compile(r"CACHE\[id: ([0-9a-f-]+)\]\s+Parquet SCAN \[[^\]]*/lake/orders/([a-z_]+)/")


class Reads:
    """What was read between its making and now, by what it was."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.scans: Counter[str] = Counter()
        self.files: Counter[str] = Counter()
        self.selects = self.runs = self.unpacked = self.rendered = 0
        for method in ("collect", "sink_parquet", "sink_csv"):
            self._before(patch, pl.LazyFrame, method, lambda frame, *_, **__: self._scanned(frame.explain()))
        self._before(patch, pl, "collect_all", lambda frames, *_, **__: self._scanned(pl.explain_all(frames)))
        self._before(patch, FileStorage, "read_bytes", lambda _, key, *__, **___: self.files.update([Path(key).name]))
        self._before(patch, dg.DagsterInstance, "get_run_by_id", lambda *_, **__: self._count("runs"))
        self._before(patch, tarfile, "open", lambda *_, **__: self._count("unpacked"))
        self._before(patch, markdown, "to_markdown", lambda *_, **__: self._count("rendered"))

    def sql(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        """SQLAlchemy's own event before a statement of ours."""
        if re.match(r"\s*SELECT", statement) and re.search(r"FROM (datasets|models|jobs)\b", statement):
            self.selects += 1

    def _scanned(self, plan: str) -> None:
        # polars' own plan says which files it will read; what is read once and used twice comes out of one cache.
        self.scans.update(asset for _, asset in set(CACHED.findall(plan)))
        self.scans.update(SCAN.findall(CACHED.sub("", plan)))

    def _count(self, name: str) -> None:
        setattr(self, name, getattr(self, name) + 1)

    @staticmethod
    def _before(patch: pytest.MonkeyPatch, owner: Any, name: str, told: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def counting(*arguments: Any, **named: Any) -> Any:
            told(*arguments, **named)
            return original(*arguments, **named)

        patch.setattr(owner, name, counting)


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reads]:
    with fresh_project(tmp_path_factory.mktemp("once")) as project, pytest.MonkeyPatch.context() as patch:
        project.drop("shop.csv", sample.orders(rows=900), OPTIONS)
        counted = Reads(patch)
        event.listen(Engine, "before_cursor_execute", counted.sql)
        assert run(project).success
        event.remove(Engine, "before_cursor_execute", counted.sql)
        yield counted


def run(project: Project) -> dg.ExecuteInProcessResult:
    return project.run("orders_job", "shop")


def test_each_table_is_scanned_once_by_its_checks_and_once_by_each_asset_that_is_made_of_it(reads):
    # Its own checks, those of both sets, and what is made of it: so nobody reads a table twice for one purpose.
    assert dict(reads.scans) == {
        "upload": 3,  # schema; row balance; enriched
        "rejected": 2,  # row balance; report
        "series": 2,  # no future value; report
        "enriched": 4,  # both of its checks; the split; the check of the split; predictions, which name their rows
        "train": 3,  # the check of the split; training job; report
        "test": 3,  # the check of the split; prediction job; report
        "actuals": 2,  # the check of the split; report
        "channels": 1,
        "predictions": 1,
    }


def test_a_run_asks_once_what_it_works_on(reads):
    assert reads.runs <= 3
    assert reads.selects <= 10


def test_what_lies_beside_a_model_is_read_once_by_each_asset_and_its_archive_is_unpacked_once(reads):
    assert reads.files["encoder.json"] == 2  # prediction job; report
    assert {name: times for name, times in reads.files.items() if times > 1} == {"encoder.json": 2}
    assert reads.unpacked == 1


def test_a_report_is_rendered_once(reads):
    assert reads.rendered == 1
