"""What a training job does: AWS's built-in XGBoost in algorithm mode, or a program of one's own in script mode.

Built-in XGBoost is played by `optiflow.container`, which reads the same channels and writes the same model. The server
has one machine: a job of several instances gets one container with the union of the shards.
"""

import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from aws_double.bucket_files import NoObjects, download, upload_folder
from aws_double.container import ROOT, Container
from aws_double.job import Job
from aws_double.job_work import JobFailed, fetch, final_metrics, put, run_program
from aws_double.script_mode import run_script

BUILT_IN_METRICS = [
    {"Name": f"{part}:{metric}", "Regex": rf".*\[[0-9]+\].*#011{part}-{metric}:([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?).*"}
    for part in ("train", "validation")
    for metric in ("rmse", "mae", "logloss", "error", "auc", "mlogloss", "merror", "rmsle", "mape")
]


class Training:
    """Channels in, the program, `model.tar.gz` out."""

    def __init__(self, job: Job, container: Container) -> None:
        self._job = job
        self._container = container
        self._request: dict[str, Any] = job.request
        self._hyperparameters: dict[str, str] = self._request.get("HyperParameters", {})

    def run(self) -> None:
        """Train."""
        self._prepare()
        self._job.move("InProgress", "Training")
        try:
            self._run_program()
        finally:
            self._keep_checkpoints()
        self._job.move("InProgress", "Uploading")
        self._upload()

    def _prepare(self) -> None:
        prefix, channels = self._container.prefix, self._request.get("InputDataConfig", [])
        self._container.write_config("hyperparameters.json", self._hyperparameters)
        self._container.write_config("inputdataconfig.json", {c["ChannelName"]: _channel(c) for c in channels})
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
        self._container.write_config("resourceconfig.json", hosts)
        for channel in channels:
            source = channel["DataSource"]["S3DataSource"]
            fetch(source["S3Uri"], prefix / "input" / "data" / channel["ChannelName"], source["S3DataType"])
        if checkpoints := self._request.get("CheckpointConfig"):
            try:
                download(checkpoints["S3Uri"].rstrip("/") + "/", prefix / "checkpoints")
            except NoObjects:
                return  # the first attempt

    def _run_program(self) -> None:
        variables = self._request.get("Environment", {})
        seconds = self._request["StoppingCondition"].get("MaxRuntimeInSeconds")
        if "sagemaker_program" in self._hyperparameters:
            run_script(self._container, self._hyperparameters, variables, seconds)
        elif "sagemaker-xgboost" in self._request["AlgorithmSpecification"].get("TrainingImage", ""):
            prefix = self._container.prefix
            command = [
                sys.executable,
                "-m",
                "optiflow.container",
                "train",
                "--prefix",
                str(prefix),
                "--exit-with-stdin",
            ]
            run_program(self._container, command, {"PYTHONPATH": str(ROOT), **variables}, prefix, seconds)
        else:
            raise JobFailed(
                "ClientError: the test double has no such training image, and no sagemaker_program was given."
            )

    def _keep_checkpoints(self) -> None:
        if checkpoints := self._request.get("CheckpointConfig"):
            upload_folder(self._container.prefix / "checkpoints", checkpoints["S3Uri"])

    def _upload(self) -> None:
        prefix, specification = self._container.prefix, self._request["AlgorithmSpecification"]
        target = f"{self._request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self._job.name}/output"
        if any((prefix / "output" / "data").iterdir()):
            put(_pack(prefix / "output" / "data", prefix / "output.tar.gz"), f"{target}/output.tar.gz")
        put(_pack(prefix / "model", prefix / "model.tar.gz"), f"{target}/model.tar.gz")
        # The definitions of built-in algorithms are AWS's own; a program's are the request's.
        script = "sagemaker_program" in self._hyperparameters
        definitions = specification.get("MetricDefinitions", []) if script else BUILT_IN_METRICS
        self._job.results["FinalMetricDataList"] = final_metrics(self._container.lines, definitions, time.time())
        self._job.results["ModelArtifacts"] = {"S3ModelArtifacts": f"{target}/model.tar.gz"}


def _channel(channel: dict[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    known = {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "ContentType": channel.get("ContentType"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _pack(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    return archive
