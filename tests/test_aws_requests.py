"""Every request that OptiFlow sends to AWS: allowed by botocore's model, listed in docs/aws.md, and granted by deploy/iam-policy.json.

What is true is taken from the requests themselves: the whole of it is driven once against the double, which writes them
down. The policies are filled in by the command that docs/aws.md gives.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import dagster as dg
import dagster_aws.ecs
import numpy as np
import polars as pl
import pytest
import yaml
from aws_double.client import REGION, AwsDouble
from botocore import xform_name
from botocore.config import Config
from moto.iam.aws_managed_policies import aws_managed_policies_data
from project import ROOT, Project
from s3_events import direct
from turnover_models import REQUEST, trained_model

from optiflow.container.channels import CSV
from optiflow.errors import UserError
from optiflow.pipelines.orders import sample as samples
from optiflow_dagster.sensors.run_failure_delivery import publish
from optiflow_dagster.sensors.run_failure_message import alert
from resources.endpoints.sagemaker import SageMakerEndpoints
from resources.jobs.contract import Channel, JobKind, JobRequest, JobStatus
from resources.jobs.sagemaker import SageMakerJobs
from resources.storage import S3Storage
from resources.storage.s3 import PART_BYTES
from resources.upload_events import UploadEvent, read_message

ACCOUNT, BUCKET, PREFIX, ROLE_NAME, QUEUE, KEY = (
    "123456789012",
    "optiflow-test",
    "team/one",
    "jobs",
    "uploads",
    "1234abcd",
)
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{ROLE_NAME}"
KMS_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY}"
IMAGE = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
DOCS = (ROOT / "docs" / "aws.md").read_text()
CODE = re.findall(r"```bash\n(.*?)```", DOCS, re.DOTALL)
ROWS_OF_TWO_POLARS_PARTS = 9_000_000
KINDS = {
    "TrainingJob": "training-job",
    "TransformJob": "transform-job",
    "ProcessingJob": "processing-job",
    "Model": "model",
    "Endpoint": "endpoint",
    "EndpointConfig": "endpoint-config",
}
OUTPUTS = ("/output", "/checkpoints")
POLICIES = ("iam-policy", "sagemaker-role-policy", "dagster-ecs-policy")
OF_S3_ALONE = {"kms:Decrypt", "kms:GenerateDataKey"}
"""Actions that S3 takes in the caller's name, where a KMS key is set; no request of ours shows them."""

Statement = dict[str, Any]


class Everything:
    """A project on the double, and all that it can ask of AWS."""

    def __init__(self, double: AwsDouble, home: Path) -> None:
        self.double = double
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        queue = boto3.client("sqs").create_queue(QueueName=QUEUE)["QueueUrl"]
        boto3.client("sns").create_topic(Name=TOPIC.rsplit(":", 1)[1])
        self.settings: dict[str, Any] = {
            "env": "aws",
            "storage": f"s3://{BUCKET}/{PREFIX}",
            "sagemaker_role_arn": ROLE,
            "image_uri": IMAGE,
        }
        self.project = self._project(home / "plain")
        self.tuned = self._project(
            home / "tuned",
            kms_key=KMS_KEY,
            use_spot=True,
            subnets=["subnet-0a"],
            security_groups=["sg-0a"],
            job_tags=["team=supply"],
            instance_count=2,
            upload_queue_url=queue,
        )
        assert isinstance(self.project.adapters.storage, S3Storage)
        assert isinstance(self.project.adapters.jobs, SageMakerJobs)
        self.storage, self.jobs = self.project.adapters.storage, self.project.adapters.jobs
        double.clear_requests()
        for drive in (self._chains, self._sensors, self._alert, self._jobs, self._endpoints, self._objects):
            drive()
        self.requests = double.requests()

    def _project(self, home: Path, **settings: Any) -> Project:
        home.mkdir()
        return Project(home, **self.settings, **settings)

    def _chains(self) -> None:
        """The whole chain once; and a submission with every setting, which the next run adopts."""
        options = {**samples.SAMPLE_OPTIONS, "hyperparameters": {"num_round": 5}}
        file = self.project.home / "shop.csv"
        samples.orders(300, seed=3, bad_rows=False).write_csv(file)
        self.storage.write_bytes(f"uploads/orders/{file.name}.options.yaml", yaml.safe_dump(options).encode())
        self.storage.put_file(f"uploads/orders/{file.name}", file)
        assert self.project.run("orders_job", "shop").success
        options["hyperparameters"] = {"num_round": 6}
        self.storage.write_bytes(f"uploads/orders/{file.name}.options.yaml", yaml.safe_dump(options).encode())
        for _ in range(2):
            assert self.tuned.run("orders_training_job", "shop").success

    def _sensors(self) -> None:
        self._tick(self.project, "uploads_sensor", None)
        event = UploadEvent(BUCKET, f"{PREFIX}/uploads/orders/shop.csv", 9, "e", "01", "t")
        url = self.tuned.settings.upload_queue_url
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(direct(event)))  # as S3 does it
        read = self._tick(self.tuned, "uploads_sensor", None)
        assert len(read.run_requests or []) == 1
        self._tick(self.tuned, "uploads_sensor", read.cursor)

    def _alert(self) -> None:
        publish(TOPIC, alert(dg.DagsterRun(job_name="orders_job", tags={"dagster/partition": "shop"}), "Why"))

    def _tick(self, project: Project, sensor: str, cursor: str | None) -> dg.SensorResult:
        assert isinstance(project.definitions, dg.Definitions)
        repository = project.definitions.get_repository_def()
        context = dg.build_sensor_context(
            instance=project.instance,
            cursor=cursor,
            repository_def=repository,
            resources={"storage": project.adapters.storage},
        )
        result: Any = repository.get_sensor_def(sensor)(context)
        assert isinstance(result, dg.SensorResult), result
        return result

    def _jobs(self) -> None:
        """Every kind of job: started, adopted, listed, described, stopped; and one that fails, with its log."""
        self.double.hold_jobs()
        channel = Channel(f"{self.storage.uri}/lake/none.csv", CSV)
        model = f"{self.storage.uri}/jobs/orders-x/output/model.tar.gz"
        source = f"{self.storage.uri}/lake/code/sourcedir.tar.gz"
        for number, jobs in enumerate((self.jobs, self.jobs, self.tuned.adapters.jobs)):
            end = number // 2
            for request in (
                JobRequest(f"orders-t{end}", JobKind.TRAINING, "xgboost", {"num_round": "1"}, {"train": channel}),
                JobRequest(f"orders-s{end}", JobKind.TRAINING, "later", {}, {"train": channel}, source_uri=source),
                JobRequest(f"orders-b{end}", JobKind.TRANSFORM, "xgboost", {}, {"transform": channel}, model),
                JobRequest(f"orders-p{end}", JobKind.PROCESSING, "later", {}, {"transform": channel}, model, source),
            ):
                jobs.submit(request)
        assert len({state.name for state in self.jobs.list_active()}) >= 8
        self.jobs.stop("orders-t0", JobKind.TRAINING)
        self.jobs.stop("orders-b0", JobKind.TRANSFORM)
        self.jobs.stop("orders-p0", JobKind.PROCESSING)
        self.double.release_jobs()
        failed = self.jobs.wait("orders-s0", JobKind.TRAINING)
        assert failed.status is JobStatus.FAILED
        self.jobs.log_tail(failed)

    def _endpoints(self) -> None:
        """An endpoint: made, changed, asked, gone back and deleted."""
        made = self.project.adapters.endpoints
        assert isinstance(made, SageMakerEndpoints)
        endpoints = made.model_copy(update={"first_poll_seconds": 0.05})
        for number in range(2):
            model = trained_model(self.storage, "outlet", f"turnover-outlet-training-{number}", seed=number)
            endpoints.deploy(model)
            endpoints.wait("outlet")
        endpoints.invoke("outlet", REQUEST)
        endpoints.roll_back("outlet")
        endpoints.wait("outlet")
        endpoints.delete("outlet")

    def _objects(self) -> None:
        """Objects in parts, by boto3 and by polars, whole and broken off; and one that is not there."""
        large = self.project.home / "large"
        large.write_bytes(bytes(PART_BYTES + 1))
        self.storage.put_file("lake/large", large)
        with self.storage.local_copy("lake/large"):
            pass
        table = pl.DataFrame({"a": np.random.default_rng(0).random(ROWS_OF_TWO_POLARS_PARTS)})
        self.storage.write_parquet("lake/large.parquet", table)
        assert self.storage.scan_parquet("lake/large.parquet").select(pl.len()).collect().item() == table.height
        assert not self.storage.exists("lake/none")
        self.double.add_fault("s3:UploadPart", "AccessDenied", status=403, times=None)
        for write in (
            lambda: self.storage.put_file("lake/broken", large),
            lambda: self.storage.write_parquet("lake/broken", table),
        ):
            with pytest.raises(UserError, match="s3:PutObject"):
                write()
        self.double.clear_faults()


@pytest.fixture(scope="module")
def everything(aws_double: AwsDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("OPTIFLOW_", "FRED_", "AWS_")):
                patch.delenv(name)
        for name, value in aws_double.environment.items():
            patch.setenv(name, value)
        aws_double.reset()
        yield Everything(aws_double, tmp_path_factory.mktemp("everything"))
        aws_double.reset()


@pytest.fixture
def sent(everything: Everything) -> list[dict[str, Any]]:
    """The requests that OptiFlow has sent."""
    return [call for call in everything.requests if call["operation"] != "sqs:SendMessage"]


def listed() -> dict[str, set[str]]:
    """The table of docs/aws.md: the IAM actions of each operation."""
    rows = re.findall(r"^\| (\S+) \| `(\w+)` \|[^|]*\| ([^|]*) \|[^|]*\|$", DOCS, re.MULTILINE)
    assert rows
    return {f"{service}:{operation}": set(re.findall(r"`([^`]+)`", actions)) for service, operation, actions in rows}


@cache
def filled() -> dict[str, dict[str, Any]]:
    """The JSON files of deploy/, filled in by the command of docs/aws.md."""
    (command,) = [code for code in CODE if "sed " in code]
    values = {"BUCKET": BUCKET, "PREFIX": PREFIX, "AWS_REGION": REGION, "ACCOUNT_ID": ACCOUNT}
    values |= {"ROLE_NAME": ROLE_NAME, "QUEUE_NAME": QUEUE, "TOPIC_NAME": "alerts", "KEY_ID": KEY}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "deploy", Path(folder) / "deploy")
        subprocess.run(["bash", "-euc", command], cwd=folder, env={**os.environ, **values}, check=True)
        return {p.stem: json.loads(p.read_text()) for p in Path(folder, "filled").glob("*.json")}


def actions_of(name: str) -> list[str]:
    return [action for statement in filled()[name]["Statement"] for action in statement["Action"]]


def allows(name: str, action: str, resource: str, **context: str) -> bool:
    """Whether IAM allows it; the policies have nothing but what this understands."""
    for statement in filled()[name]["Statement"]:
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert statement["Effect"] == "Allow"
        conditions = statement.get("Condition", {"StringEquals": {}})
        assert conditions.keys() == {"StringEquals"}
        patterns = (re.escape(pattern).replace(r"\*", ".*") for pattern in statement["Resource"])
        if (
            action in statement["Action"]
            and any(re.fullmatch(pattern, resource) for pattern in patterns)
            and all(context.get(key.split(":")[1]) == value for key, value in conditions["StringEquals"].items())
        ):
            return True
    return False


def resources_of(call: dict[str, Any], action: str) -> list[str]:
    """The ARNs of what the action of a request is done to."""
    service, operation, parameters = call["service"], call["operation"].split(":")[1], call["parameters"]
    if action == "iam:PassRole":
        return [parameters.get("RoleArn") or parameters["ExecutionRoleArn"]]
    if service == "s3":
        below = "" if action == "s3:ListBucket" else f"/{call['key']}"
        return [f"arn:aws:s3:::{call['bucket']}{below}"]
    if service == "sqs":
        return [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{parameters['QueueUrl'].rsplit('/', 1)[1]}"]
    if service == "sns":
        return [parameters["TopicArn"]]
    if service == "logs":
        stream = f":log-stream:{parameters['logStreamName']}" if "logStreamName" in parameters else ""
        return [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{parameters['logGroupName']}{stream}"]
    if "ResourceArn" in parameters:
        return [parameters["ResourceArn"]]
    if operation.startswith("List"):
        return ["*"]
    kind = re.sub("^(Create|Update|Describe|Stop|Delete|Invoke)", "", operation)
    # An endpoint is made of a configuration, and AWS asks for the right to both.
    kinds = [kind, "EndpointConfig"] if operation in ("CreateEndpoint", "UpdateEndpoint") else [kind]
    return [f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{KINDS[one]}/{parameters[f'{one}Name']}" for one in kinds]


def test_no_request_is_refused_by_botocores_model_of_the_api(sent: list[dict[str, Any]]) -> None:
    assert [(call["operation"], call["invalid"]) for call in sent if call["invalid"]] == []
    assert len(sent) > 200


def test_the_model_does_refuse_a_wrong_request(aws: AwsDouble) -> None:
    wrong = boto3.client("sagemaker", config=Config(parameter_validation=False))
    with pytest.raises(wrong.exceptions.ClientError, match="ValidationException"):
        wrong.create_training_job(TrainingJobName="no spaces, please", RoleArn=ROLE)
    (call,) = aws.requests("sagemaker:CreateTrainingJob")
    assert call["invalid"]


def test_the_table_lists_what_is_sent_and_nothing_else(sent: list[dict[str, Any]]) -> None:
    assert {call["operation"] for call in sent} == listed().keys()


def test_every_setting_is_in_the_requests_it_is_for(sent: list[dict[str, Any]]) -> None:
    made = [c["parameters"] for c in sent if c["operation"] in ("sagemaker:CreateTrainingJob", "sagemaker:CreateModel")]
    text = json.dumps(made)
    for word in (KMS_KEY, "EnableManagedSpotTraining", "subnet-0a", "sg-0a", "supply", "ShardedByS3Key", "checkpoints"):
        assert word in text


def test_the_policy_grants_the_actions_of_the_table_and_no_others() -> None:
    granted = actions_of("iam-policy")
    assert len(granted) == len(set(granted))
    assert set(granted) - OF_S3_ALONE == set().union(*listed().values())
    assert set(granted) >= OF_S3_ALONE


def test_the_policy_allows_every_request_that_was_sent(sent: list[dict[str, Any]]) -> None:
    table = listed()
    wanted = {
        (action, resource)
        for call in sent
        for action in table[call["operation"]]
        for resource in resources_of(call, action)
    }
    context = {"PassedToService": "sagemaker.amazonaws.com"}
    assert [pair for pair in sorted(wanted) if not allows("iam-policy", *pair, **context)] == []
    assert len(wanted) > 80
    assert allows("iam-policy", "kms:GenerateDataKey", KMS_KEY)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/{PREFIX}/lake/a"),
        ("s3:GetObject", f"arn:aws:s3:::another/{PREFIX}/lake/a"),
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/team/two/lake/a"),
        ("s3:PutObject", f"arn:aws:s3:::{BUCKET}/{PREFIX}/jobs/orders-a/output/model.tar.gz"),
        ("s3:ListBucket", "arn:aws:s3:::another"),
        ("sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/orders-a"),
        ("sagemaker:StopTrainingJob", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/somebody-elses"),
        ("sagemaker:DeleteEndpoint", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/somebody-elses"),
        ("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/somebody-elses"),
        ("sagemaker:DeleteModel", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/orders-a"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("logs:GetLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/x:log-stream:y"),
        ("sqs:ReceiveMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:another"),
        ("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:another"),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/another"),
    ],
)
def test_the_policy_allows_nothing_else(action: str, resource: str) -> None:
    assert not allows("iam-policy", action, resource, PassedToService="sagemaker.amazonaws.com")


def test_the_role_can_be_passed_to_sagemaker_only() -> None:
    assert not allows("iam-policy", "iam:PassRole", ROLE, PassedToService="ec2.amazonaws.com")


def test_the_role_of_the_jobs_may_read_their_channels_and_write_their_output(sent: list[dict[str, Any]]) -> None:
    texts = [json.dumps(c["parameters"]) for c in sent if c["operation"].startswith("sagemaker:Create")]
    named = re.findall(
        r'"(S3Uri|ModelDataUrl|S3OutputPath|SAGEMAKER_SUBMIT_DIRECTORY)": "s3://([^"]+)"', "".join(texts)
    )
    writes = {address for member, address in named if member == "S3OutputPath" or address.endswith(OUTPUTS)}
    reads = {address for _, address in named} - writes
    assert len(reads) > 5
    assert len(writes) > 3
    for address in reads:
        assert allows("sagemaker-role-policy", "s3:GetObject", f"arn:aws:s3:::{address}"), address
    for address in writes:
        assert allows("sagemaker-role-policy", "s3:PutObject", f"arn:aws:s3:::{address}/file"), address
        assert not allows("iam-policy", "s3:PutObject", f"arn:aws:s3:::{address}/file")
    assert not allows("sagemaker-role-policy", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/{PREFIX}/uploads/orders/a.csv")
    assert not allows("sagemaker-role-policy", "s3:PutObject", f"arn:aws:s3:::{BUCKET}/{PREFIX}/lake/orders/a")


def test_iam_takes_the_policies_and_the_trust(aws: AwsDouble) -> None:
    client = boto3.client("iam")
    trust = json.dumps(filled()["sagemaker-role-trust"])
    client.create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=trust)
    for name in POLICIES:
        client.create_policy(PolicyName=name, PolicyDocument=json.dumps(filled()[name]))
        assert filled()[name]["Version"] == "2012-10-17"


def test_every_action_is_one_that_aws_has() -> None:
    known = set(re.findall(r'"([a-z0-9-]+:[A-Z]\w+)"', aws_managed_policies_data))
    for name in POLICIES:
        assert set(actions_of(name)) <= known


def test_the_policy_for_tasks_on_ecs_grants_what_dagsters_launcher_calls() -> None:
    folder = Path(dagster_aws.ecs.__file__).parent
    code = "".join((folder / name).read_text() for name in ("launcher.py", "tasks.py", "utils.py"))
    called = {f"ecs:{name.title().replace('_', '')}" for name in re.findall(r"\becs\.([a-z]+_[a-z_]+)\(", code)}
    # A task that is started with tags needs the right to tag.
    assert {action for action in actions_of("dagster-ecs-policy") if action.startswith("ecs:")} == {
        *called,
        "ecs:TagResource",
    }


def test_the_queue_is_told_of_uploads_and_of_nothing_else(aws: AwsDouble) -> None:
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=filled()["upload-queue"])
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=filled()["upload-events"])
    (statement,) = json.loads(filled()["upload-queue"]["Policy"])["Statement"]
    assert statement["Resource"] == f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}"
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"}
    for key in ("uploads/orders/a b.csv", "lake/orders/x.parquet", "jobs/orders-a/output/model.tar.gz"):
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}", Body=b"1")
    messages = [
        m for _ in range(3) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
    ]
    told = [event.key for message in messages for event in read_message(message["Body"])]
    assert told == [f"{PREFIX}/uploads/orders/a b.csv"]
    options = f"{PREFIX}/uploads/orders/a b.csv.options.yaml"
    s3.put_object(Bucket=BUCKET, Key=options, Body=b"1")
    for key in (options, f"{PREFIX}/uploads/orders/a b.csv", f"{PREFIX}/lake/orders/x.parquet"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    messages = [
        m for _ in range(3) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
    ]
    records = [record for message in messages for record in json.loads(message["Body"]).get("Records", ())]
    assert sorted(record["eventName"] for record in records) == ["ObjectCreated:Put", "ObjectRemoved:Delete"]
    assert [event.key for message in messages for event in read_message(message["Body"])] == [options, options]


@pytest.mark.parametrize("command", re.findall(r"\baws [a-z0-9]+ [a-z-]+[^\n]*(?:\\\n[^\n]*)*", "\n".join(CODE)))
def test_every_aws_command_of_the_docs_has_operations_and_options_that_aws_has(command: str) -> None:
    _, service, verb = command.split()[:3]
    if service == "s3":
        assert verb in ("mb", "cp")
        return
    model: Any = botocore.session.get_session().get_service_model({"s3api": "s3"}.get(service, service))
    (operation,) = [name for name in model.operation_names if xform_name(name, "-") == verb]
    members = model.operation_model(operation).input_shape.members
    options = {xform_name(member, "-") for member in members} | {"query", "output", "region"}
    assert set(re.findall(r" --([a-z-]+)", command)) <= options
