"""The page that shows how to add a pipeline: what stands there is built in a copy of the code, and run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "new-pipeline.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"`([a-z_/]+\.py)`[^`]*?(?:`[^`\n]+`[^`]*?)*```python\n(.*?)```", PAGE, re.DOTALL)
PACKAGES = ("optiflow", "resources", "assets", "optiflow_dagster")


def build(folder: Path) -> None:
    """The packages with the page's files and its line in the registry."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
    for path, text in BLOCKS:
        (folder / path).write_text(text)
    registry = folder / "optiflow" / "pipelines" / "__init__.py"
    text = registry.read_text()
    assert text.count("(ORDERS, ") == 1
    text = text.replace("(ORDERS, ", "(FOOTFALL, ORDERS, ")
    registry.write_text(
        text.replace("from optiflow", "from optiflow.pipelines.footfall import FOOTFALL\nfrom optiflow", 1)
    )


def visitors() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    days = pl.date_range(pl.date(2025, 1, 1), pl.date(2025, 12, 31), eager=True)
    frame = pl.DataFrame({"Date": days}).join(
        pl.DataFrame({"Shop": ["north", "south"], "size": [200, 90]}), how="cross"
    )
    rate = frame["size"].to_numpy() * np.where(frame["Date"].dt.weekday().to_numpy() > 5, 2.0, 1.0)
    return frame.with_columns(Count=pl.Series(rng.poisson(rate))).drop("size")


@pytest.mark.slow
def test_the_page_s_pipeline_is_short_and_runs_from_the_upload_to_a_report_that_beats_the_mean(tmp_path: Path):
    assert [path for path, _ in BLOCKS] == [
        "optiflow/learners/footfall.py",
        "optiflow/pipelines/footfall.py",
    ]
    assert sum(len(text.splitlines()) for _, text in BLOCKS) < 55
    build(tmp_path)
    visitors().write_csv(tmp_path / "Our Visitors.csv")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OPTIFLOW_HOME": str(tmp_path)}

    def optiflow(*arguments: str) -> str:
        command = [sys.executable, "-c", "from optiflow_dagster.cli import main; main()", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "730 rows, 0 rejected, target visitors" in optiflow("upload", "Our Visitors.csv", "--pipeline", "footfall")
    optiflow("run", "footfall", "our-visitors")
    report = json.loads(optiflow("report", "footfall", "our-visitors", "--json"))
    assert report["rows"]["test"] == 146
    assert report["best_baseline"] == "mean of all days"
    assert report["skill"] > 0.8
