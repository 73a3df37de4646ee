"""Scripted faults: which calls and which jobs go wrong, how, and how often."""

import threading
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from aws_double.answers import AwsError, DropConnection
from aws_double.calls import Call


@dataclass(eq=False)
class Fault:
    """Something that goes wrong with the calls that match.

    Attributes:
        operation: Pattern such as `sagemaker:CreateTrainingJob` or `s3:*`.
        code: AWS's error code; without one the call is only delayed or dropped.
        message: The error's message.
        status: The error's HTTP status.
        times: How often it happens; None for ever.
        skip: How many matching calls go well before.
        key_pattern: Pattern of S3 keys.
        parameters: Patterns of top-level parameters, by name.
        about: Text that the key or a parameter holds, such as a dataset's id.
        after: The call is carried out, and its answer is lost.
        drop: The connection is closed without an answer.
        delay: Seconds to wait before.
        hold: The call waits until `FaultScript.release`.
    """

    operation: str
    code: str | None = None
    message: str = "A fault of the test double."
    status: int = 400
    times: int | None = 1
    skip: int = 0
    key_pattern: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    about: str = ""
    after: bool = False
    drop: bool = False
    delay: float = 0.0
    hold: bool = False
    held: str = field(default="", init=False)
    released: threading.Event = field(default_factory=threading.Event, init=False)

    def matches(self, call: Call) -> bool:
        """Whether the call is one that goes wrong."""
        return (
            fnmatchcase(call.name, self.operation)
            and (not self.about or any(self.about in str(text) for text in (call.key, *call.parameters.values())))
            and (
                self.key_pattern is None or fnmatchcase(call.key or call.parameters.get("prefix", ""), self.key_pattern)
            )
            and all(fnmatchcase(str(call.parameters.get(name, "")), text) for name, text in self.parameters.items())
        )

    def strike(self, call: Call) -> None:
        """Do what the fault does to the call.

        Raises:
            AwsError: the fault has a code.
            DropConnection: the fault closes the connection.
        """
        time.sleep(self.delay)
        if self.hold:
            self.held = call.name
            self.released.wait()
            self.held = ""
        if self.drop:
            raise DropConnection
        if self.code:
            raise AwsError(self.code, self.message, self.status)


@dataclass
class JobFault:
    """What goes wrong with the jobs whose name matches: a failure, a delay, or that the job is gone."""

    name_pattern: str
    reason: str | None = None
    times: int | None = 1
    slow: float = 0.0
    vanish: bool = False
    skip: int = 0

    def matches(self, name: str) -> bool:
        """Whether the job is one that goes wrong."""
        return fnmatchcase(name, self.name_pattern)


class FaultScript:
    """All faults of a server, the oldest first; safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._job_faults: list[JobFault] = []

    def add(self, fault: Fault | JobFault) -> None:
        """Script a fault."""
        with self._lock:
            if isinstance(fault, Fault):
                self._faults.append(fault)
            else:
                self._job_faults.append(fault)

    def held(self) -> list[tuple[str, str]]:
        """The calls that wait: what their fault is about, and their names."""
        with self._lock:
            return [(fault.about, fault.held) for fault in self._faults if fault.held]

    def release(self, about: str) -> None:
        """Forget the faults about this that hold calls, and let those go on."""
        with self._lock:
            over = [fault for fault in self._faults if fault.hold and fault.about == about]
            self._faults = [fault for fault in self._faults if fault not in over]
        for fault in over:
            fault.released.set()

    def clear(self) -> None:
        """Forget all faults, and let held calls go on."""
        with self._lock:
            for fault in self._faults:
                fault.released.set()
            self._faults.clear()
            self._job_faults.clear()

    def for_call(self, call: Call) -> Fault | None:
        """The fault that strikes this call, counted."""
        with self._lock:
            return next((fault for fault in self._faults if fault.matches(call) and _count(fault)), None)

    def for_job(self, name: str) -> JobFault | None:
        """The fault that strikes this job, counted."""
        with self._lock:
            return next((fault for fault in self._job_faults if fault.matches(name) and _count(fault)), None)


def _count(fault: Fault | JobFault) -> bool:
    if fault.skip > 0:
        fault.skip -= 1
        return False
    if fault.times is None:
        return True
    fault.times -= 1
    return fault.times >= 0
