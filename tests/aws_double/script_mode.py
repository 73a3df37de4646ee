"""Script mode as the sagemaker-training toolkit does it: fetch the packed source, run its program with the
hyperparameters as arguments and the `SM_*` variables.

The source's `requirements.txt` is given to pip as the toolkit does it, but without an index: the interpreter that
stands for the image must have what they ask for.
Source: the toolkit's ENVIRONMENT_VARIABLES.md.
"""

import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_double.container import Container, image_python
from aws_double.job_work import JobFailed, fetch, run_program

REQUIREMENTS = "requirements.txt"


def run_script(
    container: Container, hyperparameters: Mapping[str, str], variables: Mapping[str, str], seconds: float | None
) -> None:
    """Run the program that the hyperparameters name.

    Raises:
        JobFailed: no such source or program, or the program failed.
        JobStopped: it was stopped.
    """
    values = {name: _decoded(text) for name, text in hyperparameters.items()}
    program, source = values.get("sagemaker_program"), values.get("sagemaker_submit_directory")
    if not program or not source:
        raise JobFailed("ClientError: script mode needs sagemaker_program and sagemaker_submit_directory.")
    code = container.prefix / "code"
    _unpack_source(str(source), code)
    if not (code / program).is_file():
        raise JobFailed(f"AlgorithmError: the packed source has no file {program}, exit code: 1")
    if (code / REQUIREMENTS).is_file():
        install = [image_python(), "-m", "pip", "install", "--no-index", "-r", REQUIREMENTS]
        run_program(container, install, variables, code, seconds)
    own = {name: value for name, value in values.items() if not name.startswith("sagemaker_")}
    arguments = [text for name in sorted(own) for text in _argument(name, own[name])]
    command = [image_python(), program, *arguments]
    settings = {**_variables(container.prefix, program, str(source), own, arguments), **variables}
    run_program(container, command, settings, code, seconds)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _unpack_source(uri: str, code: Path) -> None:
    archive = fetch(uri, code.parent / "source")[0]
    code.mkdir()
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(code, filter="data")
    except tarfile.TarError as error:
        raise JobFailed(f"AlgorithmError: {uri} is no archive of source code: {error}, exit code: 1") from error


def _argument(name: str, value: Any) -> tuple[str, str]:
    return f"-{name}" if len(name) == 1 else f"--{name}", value if isinstance(value, str) else json.dumps(value)


def _variables(prefix: Path, program: str, source: str, own: Mapping[str, Any], arguments: list[str]) -> dict[str, str]:
    data = prefix / "input" / "data"
    channels = sorted(path.name for path in data.iterdir())
    config = json.loads((prefix / "input" / "config" / "inputdataconfig.json").read_text())
    variables = {
        "SAGEMAKER_BASE_DIR": str(prefix),
        "SM_MODEL_DIR": str(prefix / "model"),
        "SM_INPUT_DIR": str(prefix / "input"),
        "SM_INPUT_CONFIG_DIR": str(prefix / "input" / "config"),
        "SM_OUTPUT_DIR": str(prefix / "output"),
        "SM_OUTPUT_DATA_DIR": str(prefix / "output" / "data"),
        "SM_CHANNELS": json.dumps(channels),
        "SM_HPS": json.dumps(own),
        "SM_INPUT_DATA_CONFIG": json.dumps(config),
        "SM_USER_ARGS": json.dumps(arguments),
        "SM_USER_ENTRY_POINT": program,
        "SM_MODULE_NAME": Path(program).stem,
        "SM_MODULE_DIR": source,
        "SM_CURRENT_HOST": "algo-1",
        "SM_HOSTS": json.dumps(["algo-1"]),
        "SM_NETWORK_INTERFACE_NAME": "eth0",
        "SM_NUM_GPUS": "0",
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_LOG_LEVEL": "20",
        "PYTHONPATH": str(prefix / "code"),
    }
    variables.update({f"SM_CHANNEL_{name.upper()}": str(data / name) for name in channels})
    variables.update(
        {f"SM_HP_{name.upper()}": value if isinstance(value, str) else json.dumps(value) for name, value in own.items()}
    )
    return variables
