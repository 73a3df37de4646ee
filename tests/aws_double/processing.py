"""What a processing job does: inputs to container paths, any program, container paths to outputs."""

from pathlib import Path
from typing import Any

from aws_double.container import Container, image_python
from aws_double.job import Job
from aws_double.job_work import JobFailed, fetch, put, run_program

CONTAINER_ROOT = "/opt/ml"
INTERPRETERS = ("python", "python3", "/usr/bin/python3", "/miniconda3/bin/python3")


class Processing:
    """Runs the entry point of the request, with `/opt/ml` meaning the job's folder wherever it is named."""

    def __init__(self, job: Job, container: Container) -> None:
        self._job = job
        self._container = container
        self._request: dict[str, Any] = job.request

    def run(self) -> None:
        """Process."""
        prefix = self._container.prefix
        self._container.write_config("processingjobconfig.json", self._request)
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"]}
        self._container.write_config("resourceconfig.json", hosts)
        (prefix / "config").symlink_to(prefix / "input" / "config")
        for given in self._request.get("ProcessingInputs", []):
            source = given["S3Input"]
            fetch(source["S3Uri"], self._path(source["LocalPath"]), source["S3DataType"])
        outputs = [one["S3Output"] for one in self._request.get("ProcessingOutputConfig", {}).get("Outputs", [])]
        for output in outputs:
            self._path(output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        self._job.move("InProgress", "Processing")
        try:
            self._run_program()
        finally:
            message = prefix / "output" / "message"
            if message.is_file():
                self._job.results["ExitMessage"] = message.read_text(errors="replace")[:1024]
        for output in outputs:
            self._upload(self._path(output["LocalPath"]), output["S3Uri"])

    def _run_program(self) -> None:
        specification = self._request["AppSpecification"]
        entry = [self._mapped(part) for part in specification.get("ContainerEntrypoint", [])]
        if not entry:
            raise JobFailed("ClientError: the test double has no image with an entry point of its own: give one.")
        if entry[0] in INTERPRETERS:
            entry[0] = image_python()
        arguments = [self._mapped(part) for part in specification.get("ContainerArguments", [])]
        environment = {name: self._mapped(value) for name, value in self._request.get("Environment", {}).items()}
        variables = {"SAGEMAKER_BASE_DIR": str(self._container.prefix), **environment}
        seconds = self._request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        run_program(self._container, [*entry, *arguments], variables, self._container.prefix, seconds)

    def _mapped(self, text: str) -> str:
        return text.replace(CONTAINER_ROOT, str(self._container.prefix))

    def _path(self, text: str) -> Path:
        return Path(self._mapped(text))

    def _upload(self, folder: Path, uri: str) -> None:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            put(file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}")
