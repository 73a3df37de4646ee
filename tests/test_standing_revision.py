"""Options for one run alone take nothing from the dataset's own options: no job, no follow-up, no report, no champion."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from project import OPTIONS, Project, failure

from optiflow.pipelines.orders import sample as samples
from resources.catalog.records import JobRecord
from resources.catalog.store import CatalogStore
from resources.jobs.contract import JobKind
from resources.revision import REVISION_TAG

TABLE = samples.orders(300, seed=5, bad_rows=False)
ROUNDS = {"hyperparameters": {"num_round": 30, "eta": 0.2}}
LONG = {**OPTIONS, "hyperparameters": {"num_round": 100_000}}


class Shop:
    """The dataset `shop`, run with its own options and with those of one run."""

    def __init__(self, home: Path) -> None:
        self.project = Project(home)

    @property
    def store(self) -> CatalogStore:
        return self.project.adapters.catalog.open()

    def run(self, job: str = "orders_job", **options: Any) -> str:
        """Run with these options alone laid over the dataset's; returns the revision."""
        config = {"ops": {"orders__upload": {"config": {"options": options}}}} if options else {}
        result = self.project.run(job, "shop", run_config=config)
        assert result.success, failure(result)
        run = self.project.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run.tags[REVISION_TAG]

    def drop(self, options: Mapping[str, Any]) -> None:
        self.project.drop("shop.csv", TABLE, options)

    def training_job(self, revision: str) -> JobRecord:
        """The job that the sensor and the assets go by."""
        found = self.store.current_job("orders", "shop", revision, JobKind.TRAINING)
        assert found is not None, f"no job of {revision}: another revision has it"
        return found

    def followed_up(self) -> list[str]:
        """The revisions that the sensor goes on with."""
        with dg.build_sensor_context(
            instance=self.project.instance,
            resources={"catalog": self.project.adapters.catalog, "jobs": self.project.adapters.jobs},
            definitions=self.project.definitions,
        ) as context:
            answer: Any = self.project.definitions.resolve_sensor_def("external_jobs_sensor")(context)
        return [request.tags[REVISION_TAG] for request in answer.run_requests or []]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    with made.project.instance:
        yield made
    made.project.stop_jobs()


@pytest.mark.parametrize("once", [{"max_rejected_fraction": 0.5}, {"hyperparameters": {"max_depth": "5"}}])
def test_options_for_one_run_that_change_no_row_take_no_job_from_the_standing_revision(
    shop: Shop, once: dict[str, Any]
) -> None:
    """`max_depth` is 5 anyway."""
    shop.drop(LONG)
    own = shop.run("orders_training_job")
    alone = shop.run("orders_training_job", **once)
    assert alone != own
    names = [shop.training_job(revision).name for revision in (own, alone)]
    assert len(set(names)) == 2
    assert shop.run("orders_training_job", **once) == alone
    assert shop.training_job(alone).name == names[1]  # equal work of the same revision is done once, as ever
    shop.project.stop_jobs()
    assert shop.followed_up() == [own, alone]


def test_a_date_column_that_is_spelled_out_for_one_run_leaves_the_revision_standing(shop: Shop) -> None:
    shop.drop({name: value for name, value in LONG.items() if name != "date_column"})
    own = shop.run("orders_training_job")
    assert shop.run("orders_training_job", date_column="order_date") == own
    standing = shop.store.dataset("orders", "shop")
    assert standing is not None
    assert (standing.revision, standing.standing) == (own, True)
    assert len(shop.project.job_names()) == 1


def test_options_that_stood_once_and_are_given_for_one_run_now_replace_neither_report_nor_champion(shop: Shop) -> None:
    other: dict[str, Any] = {"split": {"test_fraction": 0.3}}
    shop.drop({**OPTIONS, **ROUNDS, **other})
    before = shop.run("orders_training_job")
    shop.drop({**OPTIONS, **ROUNDS})  # the options are taken out of the file
    own = shop.run()
    champion = shop.store.champion("orders", "shop")
    assert champion is not None
    assert champion.name == shop.training_job(own).name
    assert shop.run(**other) == before
    after = shop.store.champion("orders", "shop")
    assert after is not None
    assert after.name == champion.name
    standing = shop.store.dataset("orders", "shop")
    assert standing is not None
    assert standing.revision == own
    judged = {model.name: model.judged_by_time for model in shop.store.models()}
    assert judged[shop.training_job(before).name] is False
