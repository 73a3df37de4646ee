"""The code location: its graph, what loading it costs and shows, and that its parts can be swapped."""

import ast
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._daemon.sensor import MIN_INTERVAL_LOOP_TIME

from optiflow.pipelines import PIPELINES
from optiflow_dagster.definitions import build_definitions
from resources.adapters import Adapters
from resources.fred import FredResource
from resources.jobs.local import LocalJobs
from resources.lake import LakeIOManager
from resources.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
SNAPSHOT = Path(__file__).parent / "snapshots" / "graph.json"
UPDATE = "UPDATE_SNAPSHOTS"
"""`UPDATE_SNAPSHOTS=1 pytest tests/test_definitions.py` writes the snapshot anew; look at the diff."""

HEAVY = (
    *("sagemaker", "boto3", "botocore", "mlflow", "xgboost", "lightgbm", "sklearn", "statsforecast", "mlforecast"),
    *("matplotlib", "pandas", "pandera", "fredapi", "sqlalchemy", "alembic", "scipy", "pyarrow", "jinja2"),
    *("numpy", "tenacity", "sqlite3"),
)
LOAD = """
import json, os, sys, warnings
seen = {"network": [], "written": []}
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        seen["network"].append(str(arguments[1:]))
    elif event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        seen["written"].append(arguments[0])
    elif event == "os.mkdir":
        seen["written"].append(str(arguments[0]))
sys.addaudithook(watch)
sys.dont_write_bytecode = True
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from optiflow_dagster.definitions import defs
    defs().get_repository_def().load_all_definitions()
seen["warnings"] = [str(w.message) for w in caught if w.category.__module__.startswith("dagster")
                    or issubclass(w.category, DeprecationWarning) and "will be removed in" in str(w.message)]
seen["modules"] = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps(seen))
"""


def graph_of(definitions: dg.Definitions) -> dict[str, Any]:
    """All that is promised to users and to other parts: keys, edges, partitions, checks, jobs, what starts them."""
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    assets = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        partitions = node.partitions_def
        assert isinstance(partitions, dg.DynamicPartitionsDefinition)
        assets[key.to_user_string()] = {
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "partitions": partitions.name,
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "tags": {name: tag for name, tag in node.tags.items() if not name.startswith("dagster/")},
            "backfill": node.backfill_policy and node.backfill_policy.max_partitions_per_run,
        }
    return {
        "assets": assets,
        "checks": {
            key.to_user_string(): "blocking" if graph.get(key).blocking else "warning"
            for key in sorted(graph.asset_check_keys)
        },
        "jobs": {
            job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
            for job in sorted(repository.get_all_jobs(), key=lambda job: job.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            schedule.name: [schedule.job_name, schedule.cron_schedule, schedule.default_status.value]
            for schedule in repository.schedule_defs
        },
        "sensors": {
            sensor.name: [sorted(target.job_name for target in sensor.targets), sensor.default_status.value]
            for sensor in repository.sensor_defs
        },
        "resources": sorted(repository.get_top_level_resources()),
    }


def test_the_graph_is_the_one_of_the_snapshot(definitions: dg.Definitions) -> None:
    text = json.dumps(graph_of(definitions), indent=2, sort_keys=True) + "\n"
    if os.environ.get(UPDATE):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text(), (
        f"If the change is meant, write the snapshot anew: {UPDATE}=1 pytest {__file__}"
    )


def test_no_variable_decides_which_assets_exist(
    definitions: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "FRED_API_KEY": "x",
        "OPTIFLOW_ALERT_URL": "http://x",
        "OPTIFLOW_MAX_PARALLEL_JOBS": "9",
    }.items():
        monkeypatch.setenv(name, value)
    assert graph_of(build_definitions(load_settings(home=tmp_path))) == graph_of(definitions)


def test_every_asset_says_what_it_is_and_whose(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert list(node.owners) == ["team:optiflow"]
        assert node.kinds
        assert len(node.description or "") > 20, key
        assert node.group_name == key.path[0]


def test_what_a_list_of_definitions_cuts_off_is_never_the_first_sentence(definitions: dg.Definitions) -> None:
    """`dg list defs` shows 100 characters of a description."""
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    told = {key.to_user_string(): graph.get(key).description for key in graph.get_all_asset_keys()}
    told |= {key.to_user_string(): graph.get(key).description for key in graph.asset_check_keys}
    told |= {job.name: job.description for job in repository.get_all_jobs() if not job.name.startswith("__")}
    cut = {name: text for name, text in told.items() if len(re.split(r"(?<=[.:]) ", str(text))[0]) > 100}
    assert cut == {}


def test_each_tag_of_a_run_is_written_in_one_place() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "optiflow_dagster").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and re.fullmatch(r"(dagster|optiflow)/\w+", str(node.value)):
                places[str(node.value)].add(path.name)
    assert {"dagster/partition", "dagster/root_run_id", "optiflow/follows"} <= places.keys()
    assert {tag: files for tag, files in places.items() if len(files) > 1} == {}


def test_two_definitions_share_nothing_and_take_other_parts(settings: Settings) -> None:
    other = LocalJobs(root="/elsewhere")
    plain, swapped = build_definitions(settings), build_definitions(settings, jobs=other)
    assert {id(asset) for asset in plain.assets or []}.isdisjoint(id(asset) for asset in swapped.assets or [])
    assert {id(sensor) for sensor in plain.sensors or []}.isdisjoint(id(sensor) for sensor in swapped.sensors or [])
    assert (swapped.resources or {})["jobs"] is other
    assert (plain.resources or {})["jobs"] == Adapters.of(settings).jobs
    assert set(swapped.resources or {}) == set(plain.resources or {})
    assert graph_of(swapped) == graph_of(plain)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What happened when the code location was loaded in a process of its own, in an empty folder."""
    folder = tmp_path_factory.mktemp("empty")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPTIFLOW_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return json.loads(done.stdout)


def test_loading_imports_nothing_heavy(loaded: dict[str, list[str]]) -> None:
    assert sorted(set(HEAVY) & set(loaded["modules"])) == []
    assert {"dagster", "polars", "assets"} <= set(loaded["modules"])


def test_loading_asks_no_network_and_writes_no_file(loaded: dict[str, list[str]]) -> None:
    assert loaded["network"] == []
    assert [path for path in loaded["written"] if path != os.devnull] == []


def test_loading_uses_nothing_deprecated_superseded_or_unfinished(loaded: dict[str, list[str]]) -> None:
    assert loaded["warnings"] == []


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_a_pipeline_that_is_built_alone_has_the_jobs_that_it_has_among_all(
    name: str, definitions: dg.Definitions, tmp_path: Path
) -> None:
    alone = build_definitions(load_settings(home=tmp_path), {name: PIPELINES[name]})
    jobs = {job.name for job in alone.get_repository_def().get_all_jobs()} - {"fred_job"}
    assert {job.removeprefix(name) for job in jobs if not job.startswith("__")} >= {"_job", "_training_job"}
    for job in jobs:
        if not job.startswith("__"):
            snapshots = {whole.resolve_job_def(job).get_job_snapshot_id() for whole in (alone, definitions)}
            assert len(snapshots) == 1, job


SECRETS = {
    "FRED_API_KEY": "k3y-of-ours",  # pragma: allowlist secret
    "OPTIFLOW_CATALOG_URL": "postgresql://me:p4ss-of-ours@db.example/optiflow",  # pragma: allowlist secret
    "OPTIFLOW_ALERT_URL": "https://hooks.example/t0ken-of-ours",
}


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning")
def test_no_secret_is_in_what_the_ui_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    repository = build_definitions(load_settings(home=tmp_path)).get_repository_def()
    shown = dg.serialize_value(RepositorySnap.from_def(repository))
    assert [name for name, value in SECRETS.items() if value in shown] == []
    assert "of-ours" not in shown
    assert "OPTIFLOW_CATALOG_URL" in shown
    assert "FRED_API_KEY" in shown


def test_a_run_gets_the_secrets_behind_their_names_in_nested_resources_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    monkeypatch.setenv("OPTIFLOW_CATALOG_URL", url)
    monkeypatch.setenv("FRED_API_KEY", SECRETS["FRED_API_KEY"])
    resources = Adapters.of(load_settings(home=tmp_path), hide_secrets=True).by_name()
    seen: dict[str, str | None] = {}

    @dg.asset(required_resource_keys={"io_manager", "fred"})
    def look(context: dg.AssetExecutionContext) -> None:
        manager: LakeIOManager = context.resources.io_manager
        fred: FredResource = context.resources.fred
        seen.update(nested=manager.catalog.url, key=fred.api_key)

    dg.materialize([look], resources=resources)
    assert seen == {"nested": url, "key": SECRETS["FRED_API_KEY"]}


@pytest.mark.parametrize("name", ["uploads_sensor", "external_jobs_sensor"])
def test_what_people_wait_for_is_looked_at_whenever_the_daemon_looks(definitions: dg.Definitions, name: str) -> None:
    """At an interval as long as the daemon's, some milliseconds make every other look come too early."""
    interval = definitions.resolve_sensor_def(name).minimum_interval_seconds
    assert interval is not None
    assert interval < MIN_INTERVAL_LOOP_TIME
