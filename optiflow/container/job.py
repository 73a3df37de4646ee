"""Entry point of the packed source in AWS's XGBoost image: `optiflow_job.py` at the top of `sourcedir.tar.gz`.

- Training in script mode: SageMaker's toolkit runs `python -m optiflow_job --eta 0.3 …` with `SAGEMAKER_BASE_DIR`
  (`/opt/ml`). The arguments repeat the hyperparameters, which are read from their file, so they are not looked at.
- A Processing job runs `optiflow_job.py transform --model … --input … --output …`.

What belongs here: where these two find and leave things. What does not: how the archive gets into the image
(`resources.jobs.source`).
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from optiflow.container import sklearn
from optiflow.container.ending import end_with, run_and_report
from optiflow.container.layout import Layout
from optiflow.errors import JobFailedError

BASE_FOLDER = "/opt/ml"
REQUIREMENTS_FILE = "requirements.txt"


def main(arguments: list[str]) -> int:
    """Train, or with `transform` as the first argument score, and return the exit code."""
    layout = Layout(Path(os.environ.get("SAGEMAKER_BASE_DIR", BASE_FOLDER)))
    if arguments[:1] == ["transform"]:
        options = _transform_options(arguments[1:])
        return run_and_report(lambda: _transform(options), layout.exit_message)
    return run_and_report(lambda: _train(layout), layout.failure)


def _transform_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="optiflow_job.py transform")
    parser.add_argument("--model", type=Path, required=True, help="a model.tar.gz")
    parser.add_argument("--input", type=Path, required=True, help="folder of files with features")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets one .out file for each of them")
    parser.add_argument("--content-type", help="text/csv or application/x-parquet; told from the file if left out")
    return parser.parse_args(arguments)


def _train(layout: Layout) -> None:
    from optiflow.container.training import run_training

    run_training(layout)


def _transform(options: argparse.Namespace) -> None:
    from optiflow.artifact import extract_model
    from optiflow.container.scoring import score_files

    _install(Path(__file__).with_name(REQUIREMENTS_FILE))
    with TemporaryDirectory() as folder:
        model = extract_model(options.model, Path(folder))
        score_files(model, options.input, options.output, options.content_type)


def _install(requirements: Path) -> None:
    """Install what the image lacks; for a training job the toolkit has done so."""
    if not requirements.is_file():
        return
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--requirement", requirements]
    if code := subprocess.run(command, check=False).returncode:
        raise JobFailedError(f"pip could not install the packed {REQUIREMENTS_FILE} (exit code {code}): see the log.")


if __name__ == "__main__":
    sklearn.leave_out()
    end_with(main(sys.argv[1:]))
