"""The SQS queue that S3 tells of uploads.

What belongs here: receiving and deleting messages. What does not: reading them (`resources.upload_events`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from optiflow.errors import TransientError
from resources.aws.client import client
from resources.aws.errors import aws_errors

BATCH = 10
HIDDEN_SECONDS = 300
"""How long a received message stays hidden: longer than a tick and the one after it, which deletes it."""

FIRST_WAIT_SECONDS = 1
"""With a wait SQS asks all of its servers; without one it may overlook messages."""


@dataclass(frozen=True)
class Message:
    """One received message. `receipt` is what it is deleted by."""

    id: str
    receipt: str
    body: str


@dataclass(frozen=True)
class UploadQueue:
    """The queue at `url`."""

    url: str

    def receive(self, limit: int) -> Iterator[Message]:
        """Messages until the queue is empty or `limit` is reached; hidden from others for a while, not deleted."""
        left, wait = limit, FIRST_WAIT_SECONDS
        while left > 0:
            with aws_errors(f"receive from {self.url}"):
                answer = client("sqs").receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=min(BATCH, left),
                    VisibilityTimeout=HIDDEN_SECONDS,
                    WaitTimeSeconds=wait,
                )
            messages = answer.get("Messages", ())
            if not messages:
                return
            for message in messages:
                yield Message(message["MessageId"], message["ReceiptHandle"], message["Body"])
            left, wait = left - len(messages), 0

    def delete(self, receipts: Iterable[str]) -> None:
        """Delete messages; one that is gone already is no error.

        Raises:
            TransientError: some could not be deleted.
        """
        left = list(receipts)
        for start in range(0, len(left), BATCH):
            entries = [{"Id": str(n), "ReceiptHandle": r} for n, r in enumerate(left[start : start + BATCH])]
            with aws_errors(f"delete from {self.url}"):
                answer = client("sqs").delete_message_batch(QueueUrl=self.url, Entries=entries)
            # The sender's fault is a receipt that no longer counts: the message will come again, and be known then.
            kept = [failed for failed in answer.get("Failed", ()) if not failed.get("SenderFault")]
            if kept:
                raise TransientError(
                    f"Cannot delete {len(kept)} messages from {self.url} just now ({kept[0]['Code']})."
                )
