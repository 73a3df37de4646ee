"""What a batch transform job does: the serving of AWS's built-in XGBoost over files, one `.out` file for each."""

import sys
import tarfile
from pathlib import Path
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from aws_double.container import ROOT, Container
from aws_double.job import ACCOUNT, Job
from aws_double.job_log import JobLog
from aws_double.job_work import JobFailed, fetch, put, run_program

CSV = "text/csv"
SERVED = (CSV, "text/libsvm", "text/x-libsvm", "application/x-recordio-protobuf")
DEFAULT_PAYLOAD_MB = 6
SEE_LOG = "See job logs for more information"


class Transform:
    """The model and the input in, the program, predictions out."""

    def __init__(self, job: Job, container: Container) -> None:
        self._job = job
        self._container = container
        self._request: dict[str, Any] = job.request

    def run(self) -> None:
        """Score."""
        prefix, given = self._container.prefix, self._request["TransformInput"]
        self._place_model()
        source = given["DataSource"]["S3DataSource"]
        files = fetch(source["S3Uri"], prefix / "input" / "data" / "transform", source["S3DataType"])
        self._check(files, given)
        self._container.write_config("inputdataconfig.json", {"transform": {"ContentType": given["ContentType"]}})
        command = [
            sys.executable,
            "-m",
            "optiflow.container",
            "transform",
            "--prefix",
            str(prefix),
            "--exit-with-stdin",
        ]
        variables = {"PYTHONPATH": str(ROOT), **self._request.get("Environment", {})}
        try:
            run_program(self._container, command, variables, prefix, None)
        except JobFailed as failed:
            # What a served model says lands in the log only.
            self._data_log(f"Bad HTTP status received from algorithm: 500: {failed}")
            raise JobFailed(f"AlgorithmError: {SEE_LOG}") from failed
        target = self._request["TransformOutput"]["S3OutputPath"].rstrip("/")
        output = prefix / "output" / "data"
        for file in sorted(path for path in output.rglob("*") if path.is_file()):
            put(file, f"{target}/{file.relative_to(output).as_posix()}")

    def _place_model(self) -> None:
        # A model may be deleted once the job runs, but not before its data is fetched.
        model = sagemaker_backends[ACCOUNT][self._job.region]._models.get(self._request["ModelName"])
        if model is None:
            raise JobFailed(f"ClientError: Could not find model {self._request['ModelName']}.")
        container = model.primary_container or model.containers[0]
        if "sagemaker-xgboost" not in container.get("Image", ""):
            raise JobFailed("ClientError: the test double serves AWS's XGBoost image only.")
        archive = fetch(container["ModelDataUrl"], self._container.prefix / "archive")[0]
        try:
            with tarfile.open(archive, "r:*") as tar:
                tar.extractall(self._container.prefix / "model", filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise JobFailed(f"ClientError: Failed to extract model data archive {archive.name}: {error}") from error

    def _check(self, files: list[Path], given: dict[str, Any]) -> None:
        for name in ("DataProcessing", "ModelClientConfig"):
            if self._request.get(name, {}).keys() & {"InputFilter", "OutputFilter", "JoinSource"}:
                raise JobFailed("ClientError: the test double neither filters nor joins: leave DataProcessing out.")
        content_type = given.get("ContentType", "").split(";")[0].strip().lower()
        if content_type not in SERVED:
            self._data_log(
                f"Bad HTTP status received from algorithm: 415: {content_type or 'no content type'} is unsupported"
            )
            raise JobFailed(f"ClientError: {SEE_LOG}")
        limit = self._request.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB) * 1024**2
        for file in files:
            # Split into lines, the file is sent in mini-batches; whole, it is one request.
            if given.get("SplitType", "None") == "None" and limit and file.stat().st_size > limit:
                self._data_log(f"{file.name}: Algorithm payload of {file.stat().st_size} bytes is over MaxPayloadInMB")
                raise JobFailed(f"ClientError: {SEE_LOG}")

    def _data_log(self, line: str) -> None:
        log = JobLog(self._job, f"algo-1-{int(self._job.created)}/data-log")
        log.add(line)
        log.flush()
        self._container.say(line)
