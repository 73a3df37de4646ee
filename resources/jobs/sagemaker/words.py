"""How SageMaker calls the same thing for each kind of job: operations, members of answers, log groups, console pages.

What belongs here: names and addresses, in every partition of AWS. What does not: what the answers mean (`states`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from resources.jobs.contract import JobKind


@dataclass(frozen=True)
class Words:
    """The names that belong to one kind of job; `word` is the part that they share."""

    word: str
    page: str

    @property
    def name(self) -> str:
        """The member that holds the job's name."""
        return f"{self.word}JobName"

    @property
    def arn(self) -> str:
        """The member that holds the job's ARN."""
        return f"{self.word}JobArn"

    @property
    def status(self) -> str:
        """The member that holds the job's status."""
        return f"{self.word}JobStatus"

    @property
    def started(self) -> str:
        """The member that holds the time at which the machines were there."""
        return f"{self.word}StartTime"

    @property
    def ended(self) -> str:
        """The member that holds the time at which the machines were given back."""
        return f"{self.word}EndTime"

    @property
    def summaries(self) -> str:
        """The member of a List answer that holds the jobs."""
        return f"{self.word}JobSummaries"

    @property
    def log_group(self) -> str:
        """The CloudWatch log group of these jobs; a stream's name begins with `<job>/`."""
        return f"/aws/sagemaker/{self.word}Jobs"

    def operation(self, verb: str) -> str:
        """The client's method: `create`, `describe` or `stop` one job, or `list` them."""
        return f"{verb}_{self.word.lower()}_job" + ("s" if verb == "list" else "")

    def action(self, verb: str) -> str:
        """The IAM action of the same operation."""
        return f"sagemaker:{verb.capitalize()}{self.word}Job" + ("s" if verb == "list" else "")


WORDS: Mapping[JobKind, Words] = {
    JobKind.TRAINING: Words("Training", "jobs"),
    JobKind.TRANSFORM: Words("Transform", "transform-jobs"),
    JobKind.PROCESSING: Words("Processing", "processing-jobs"),
}

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
