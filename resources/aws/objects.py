"""Reading one object of S3, with errors that say what is wrong.

What belongs here: that. What does not: where objects lie (`resources.storage.s3`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resources.aws.client import client
from resources.aws.errors import aws_errors


@contextmanager
def reading(bucket: str, key: str) -> Iterator[None]:
    """Translate the errors of boto3 while one object is read or looked at.

    Raises:
        FileNotFoundError: the object does not exist.
        UserError: the user can mend it; names the variable or the permission.
        TransientError: it may pass by itself.
    """
    from botocore.exceptions import ClientError

    with aws_errors(f"read s3://{bucket}/{key}"):
        try:
            yield
        except ClientError as error:
            # An answer to HEAD has no body: a missing bucket, expired credentials and a missing right look alike.
            if error.operation_name == "HeadObject":
                client("s3").get_object(Bucket=bucket, Key=key)["Body"].close()
            raise


def download(bucket: str, key: str, path: Path, config: Any = None) -> None:
    """Fetch an object into a local file, large ones in parts.

    Raises:
        FileNotFoundError, UserError, TransientError: as in `reading`.
    """
    with reading(bucket, key):
        client("s3").download_file(bucket, key, str(path), Config=config)
