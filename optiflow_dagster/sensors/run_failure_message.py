"""The message of a failed run: what a chat tool, a mailbox or a program gets, small enough for each of them.

What belongs here: the words and their size. What does not: who takes the message (`run_failure_delivery`).
"""

import json

import dagster as dg

from optiflow_dagster.asked_runs import PARTITION_TAG

ELLIPSIS = "…"
MAX_TEXT_BYTES = 16_000
"""Of `text` and of `cause`, as they stand in JSON: with both, a message stays below 40,000 bytes, which is what Slack
takes; SNS takes 262,144."""
MAX_NAME_BYTES = 1_000


def alert(run: dg.DagsterRun, cause: str) -> dict[str, str]:
    """The message: `text` is what chat tools show, the rest is for programs. What is too long is cut and ends in `…`."""
    partition = run.tags.get(PARTITION_TAG, "")
    what = f"{run.job_name} of {partition}" if partition else run.job_name
    return {
        "text": cut(f"OptiFlow: {what} failed. {cause}", MAX_TEXT_BYTES),
        "job": cut(run.job_name, MAX_NAME_BYTES),
        "dataset": cut(partition, MAX_NAME_BYTES),
        "run_id": run.run_id,
        "cause": cut(cause, MAX_TEXT_BYTES),
    }


def cut(text: str, most: int) -> str:
    """The text, or as much of its beginning as fits, with an ellipsis.

    Args:
        text: Any string. Half a surrogate pair, which no encoding takes, becomes U+FFFD.
        most: Bytes of the result as UTF-8 in JSON, where a control character takes six; the quotes are not counted.
    """
    # More characters than bytes never fit, and a cause may be as long as a table.
    whole = text[: most + 1].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(text) <= most and _size(whole) <= most:
        return whole
    room, end = most - _size(ELLIPSIS), 0
    for character in whole:
        room -= _size(character)
        if room < 0:
            break
        end += 1
    return whole[:end] + ELLIPSIS


def as_json(message: dict[str, str]) -> bytes:
    """The message as it is sent."""
    return json.dumps(message, ensure_ascii=False).encode()


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2
