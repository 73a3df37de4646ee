"""Addresses of a job or an endpoint in the AWS console, in every partition of AWS."""

from resources.jobs.contract import JobKind
from resources.jobs.sagemaker.words import WORDS

CONSOLES = {
    "aws": "https://{region}.console.aws.amazon.com",
    "aws-cn": "https://{region}.console.amazonaws.cn",
    "aws-us-gov": "https://{region}.console.amazonaws-us-gov.com",
}


def console_url(arn: str, kind: JobKind) -> str | None:
    """The job's page; None in a partition whose console has no public address."""
    base, region, name = _parts(arn)
    return f"{base}/sagemaker/home?region={region}#/{WORDS[kind].page}/{name}" if base else None


def endpoint_url(arn: str) -> str | None:
    """The page of a serving endpoint."""
    base, region, name = _parts(arn)
    return f"{base}/sagemaker/home?region={region}#/endpoints/{name}" if base else None


def log_url(arn: str, kind: JobKind) -> str | None:
    """The list of the job's log streams in CloudWatch."""
    base, region, name = _parts(arn)
    # The console reads the part after # twice: $25 stands for the percent sign that it finds the first time.
    group = WORDS[kind].log_group.replace("/", "$252F")
    streams = f"log-groups/log-group/{group}$3FlogStreamNameFilter$3D{name}$252F"
    return f"{base}/cloudwatch/home?region={region}#logsV2:{streams}" if base else None


def _parts(arn: str) -> tuple[str, str, str]:
    """The console's address, region and name; `arn:<partition>:sagemaker:<region>:<account>:training-job/<name>`."""
    _, partition, _, region, _, resource = arn.split(":", 5)
    return CONSOLES.get(partition, "").format(region=region), region, resource.split("/", 1)[-1]
