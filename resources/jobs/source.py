"""The packed `optiflow` source (`sourcedir.tar.gz`) that AWS's XGBoost image trains, scores and serves with.

The archive holds `optiflow_job.py` (`optiflow.container.job`), `optiflow_serving.py` (`optiflow.container.serving`),
the modules of `optiflow` that need nothing but that image, and a `requirements.txt` if a learner needs more. Image
3.2-0 has Python 3.12, XGBoost, pandas, scikit-learn and pyarrow; nothing in the archive needs more than the 3.10 of
image 3.0-5.

**Training in script mode.** `CreateTrainingJob` without entrypoint or arguments; besides the learner's own
hyperparameters those of `script_mode(source_uri)`. The toolkit unpacks the archive in `/opt/ml/code`, runs
`pip install . [-r requirements.txt]` there, then `python -m optiflow_job --eta 0.3 …`. Channels, model, metrics and
failure lie where the built-in algorithm has them. The toolkit then overwrites `/opt/ml/output/failure` with the command
that failed, so FailureReason only says that; our own sentence is the last line of ours in the log.

**Scoring in a Processing job.** `AppSpecification.ContainerEntrypoint` and `ContainerArguments` are what
`scoring_command` returns, and the job's folders are:

| | name | LocalPath | holds |
|---|---|---|---|
| ProcessingInput | source | `/opt/ml/processing/input/source` | `sourcedir.tar.gz` |
| ProcessingInput | model | `/opt/ml/processing/input/model` | `model.tar.gz` |
| ProcessingInput | transform | `/opt/ml/processing/input/transform` | the files of the channel `transform` |
| ProcessingOutput | predictions | `/opt/ml/processing/output` | `<file>.out` for each |

All inputs: S3DataType S3Prefix, S3InputMode File. The reason of a failure is in `/opt/ml/output/message`, which
`DescribeProcessingJob` gives as ExitMessage.

**Serving.** A model with `SAGEMAKER_PROGRAM` = `optiflow_serving.py` and `SAGEMAKER_SUBMIT_DIRECTORY` = the archive's
address. The toolkit installs the archive and calls `model_fn`, `input_fn`, `predict_fn` and `output_fn` of the program.

What does not belong here: the requests themselves, and what the program does (`optiflow.container`).
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import optiflow
from optiflow.artifact import MODEL_ARCHIVE
from resources.storage import LAKE, Storage

ARCHIVE = "sourcedir.tar.gz"
ENTRY_POINT = "optiflow_job.py"
SERVING_ENTRY_POINT = "optiflow_serving.py"
PROCESSING_FOLDER = "/opt/ml/processing"
INPUTS = ("source", "model", "transform")
"""Names of a Processing job's inputs, each a folder below `input/`."""

PACKED = ("__init__.py", "artifact.py", "disk.py", "errors.py", "container", "learners")
"""Modules and packages of `optiflow` that run in the image."""

DIGEST_LENGTH = 12

# Python unpacks, because Amazon Linux's base image has no tar. SageMaker allows 256 characters and no line break.
UNPACK_AND_RUN = (
    "import os,sys,tarfile as t,tempfile;"
    "d=tempfile.mkdtemp();"
    "a=t.open(sys.argv[1]);"
    "a.extraction_filter=getattr(t,'data_filter',None);"  # Python has it since 3.10.12
    "a.extractall(d);"
    f"os.execv(sys.executable,[sys.executable,d+'/{ENTRY_POINT}',*sys.argv[2:]])"
)


def pack_source(requirements: Iterable[str] = ()) -> bytes:
    """The archive; equal code and requirements give equal bytes.

    Args:
        requirements: Lines of `requirements.txt`: what the image lacks. Nothing for XGBoost.
    """
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content in sorted(_files(requirements)):
            member = tarfile.TarInfo(name)  # time, owner and mode are fixed by default
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def source_key(digest: str) -> str:
    """Where the lake keeps the archive with this sha256."""
    return f"{LAKE}/code/{digest[:DIGEST_LENGTH]}/{ARCHIVE}"


def put_source(storage: Storage, requirements: Iterable[str] = ()) -> str:
    """File the archive in the lake, unless it is there, and return its address."""
    archive = pack_source(requirements)
    key = source_key(hashlib.sha256(archive).hexdigest())
    if not storage.exists(key):
        storage.write_bytes(key, archive)
    return storage.uri_for(key)


def script_mode(source_uri: str) -> dict[str, str]:
    """The hyperparameters by which SageMaker's toolkit finds the source, as JSON, which it decodes."""
    return {
        "sagemaker_program": json.dumps(ENTRY_POINT),
        "sagemaker_submit_directory": json.dumps(source_uri),
    }


def input_folder(name: str, root: str = PROCESSING_FOLDER) -> str:
    """LocalPath of a Processing job's input: `source`, `model` or `transform`."""
    return f"{root}/input/{name}"


def output_folder(root: str = PROCESSING_FOLDER) -> str:
    """LocalPath of a Processing job's output."""
    return f"{root}/output"


def scoring_command(content_type: str | None = None, root: str = PROCESSING_FOLDER) -> tuple[list[str], list[str]]:
    """ContainerEntrypoint and ContainerArguments of a Processing job that scores.

    Args:
        content_type: Media type of the files to score; told from each file if None.
        root: The folder that inputs and output lie in; another one than SageMaker's only to run the command elsewhere.
    """
    arguments = [f"{input_folder('source', root)}/{ARCHIVE}", "transform"]
    arguments += ["--model", f"{input_folder('model', root)}/{MODEL_ARCHIVE}"]
    arguments += ["--input", input_folder("transform", root), "--output", output_folder(root)]
    if content_type:
        arguments += ["--content-type", content_type]
    return ["python3", "-c", UNPACK_AND_RUN], arguments


def _files(requirements: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    package = Path(optiflow.__file__).parent
    for name in PACKED:
        path = package / name
        for module in path.rglob("*.py") if path.is_dir() else [path]:
            yield module.relative_to(package.parent).as_posix(), module.read_bytes()
    yield ENTRY_POINT, (package / "container" / "job.py").read_bytes()
    yield SERVING_ENTRY_POINT, (package / "container" / "serving.py").read_bytes()
    if lines := sorted(requirements):
        yield "requirements.txt", "".join(f"{line}\n" for line in lines).encode()
