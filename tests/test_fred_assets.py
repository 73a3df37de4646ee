"""FRED's series in the graph: refreshed daily by a condition, and new figures make stale what uses them, and nothing else."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from fred_server import FredServer
from project import OPTIONS, Project, fresh_project

from assets.fred import KEY
from optiflow.pipelines.orders import sample

ORDERS = sample.orders(rows=300)
USES = {"north": ["CPIX"], "south": ["CPIX", "RATE"], "west": ["RATE"], "none": []}
MORNING = datetime(2024, 5, 6, 6, 30, tzinfo=UTC)


def publish(folder: Path, series_id: str, last: float) -> None:
    """Monthly figures that all orders can see; `last` is that of the newest month."""
    months = [date(year, month, 1) for year in range(2014, 2024) for month in range(1, 13)]
    values = [*range(100, 100 + len(months) - 1), last]
    lines = [f"observation_date,{series_id}", *(f"{day},{value}" for day, value in zip(months, values, strict=True))]
    (folder / f"{series_id}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    for series_id in ("CPIX", "RATE"):
        publish(folder, series_id, 1.0)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Iterator[tuple[Project, int]]:
    """Four enriched datasets, and the port on which FRED stands."""
    with FredServer(published) as server:
        port, own = urlsplit(server.url).port, {"fred_url": server.url, "fred_api_key": "a" * 32}
        with fresh_project(tmp_path_factory.mktemp("fred"), **own) as project:
            for dataset, series in USES.items():
                project.drop(f"{dataset}.csv", ORDERS, {**OPTIONS, "fred_series": series})
                assert project.run("orders_training_job", dataset).success
            server.__exit__()
            assert port is not None
            yield project, port


def stale(project: Project, asset: str = "enriched") -> set[str]:
    """Whose table Dagster would show as made from older data, by its own rules."""
    graph = project.definitions.get_repository_def().asset_graph
    asked = CachingStaleStatusResolver(project.instance, graph, LoadingContextForTest(project.instance))
    key = dg.AssetKey(["orders", asset])
    return {dataset for dataset in USES if asked.get_stale_causes(key, dataset)}


def refresh(project: Project, port: int, folder: Path, series_id: str) -> None:
    with FredServer(folder, port):
        done = project.definitions.resolve_job_def("fred_job").execute_in_process(
            instance=project.instance, partition_key=series_id
        )
    assert done.success


def test_new_figures_make_stale_what_uses_them_and_nothing_else(project, published):
    installed, port = project
    assert stale(installed) == set()
    for series_id in ("CPIX", "RATE"):
        refresh(installed, port, published, series_id)
    assert stale(installed) == set(), "the same figures again are nothing new"
    publish(published, "RATE", 2.0)
    refresh(installed, port, published, "RATE")
    assert stale(installed) == {"south", "west"}
    with FredServer(published, port):
        assert installed.run("orders_training_job", "west").success
    assert stale(installed) == {"south"}


def due(definitions: dg.Definitions, instance: dg.DagsterInstance, *moments: datetime) -> list[set[str]]:
    """The series that the conditions ask for at each moment, one after the other."""
    cursor, asked = None, []
    for moment in moments:
        found = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=moment, cursor=cursor)
        cursor = found.cursor
        asked.append(set(found.get_requested_partitions(KEY)))
    return asked


def test_every_series_in_use_is_fetched_once_a_day(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("optiflow_fred_series", ["UNRATE", "DGS10"])
    minute, day = timedelta(minutes=1), timedelta(days=1)
    moments = [MORNING - minute, MORNING + minute, MORNING + 2 * minute, MORNING + day - minute, MORNING + day + minute]
    both = {"UNRATE", "DGS10"}
    assert due(definitions, instance, *moments) == [set(), both, set(), set(), both]


def test_without_a_series_nothing_is_fetched(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    assert due(definitions, instance, MORNING - timedelta(minutes=1), MORNING + timedelta(minutes=1)) == [set(), set()]
