"""Which job runs when: all jobs of the server, at most two at work at once, the rest waiting as Starting."""

import sys
import threading
from collections.abc import Callable

from aws_double.faults import FaultScript
from aws_double.job import OWN_ERROR, TRAINING, Job, Kind
from aws_double.job_work import JobFailed, JobStopped, work_for

MAX_PARALLEL = 2


class JobQueue:
    """All jobs of the server; safe in threads."""

    def __init__(
        self, faults: FaultScript, environment: Callable[[], dict[str, str]], wrote: Callable[[], None]
    ) -> None:
        self._faults = faults
        self._environment = environment
        self._wrote = wrote
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(MAX_PARALLEL)
        self._released = threading.Event()
        self._released.set()
        self._jobs: dict[tuple[str, str], Job] = {}
        self._threads: list[threading.Thread] = []

    def add(self, job: Job, *, run: bool = True) -> bool:
        """Take the job on and return at once; False if its name is taken."""
        with self._lock:
            if (job.kind.word, job.name) in self._jobs:
                return False
            self._jobs[job.kind.word, job.name] = job
            if run:
                thread = threading.Thread(target=self._run, args=(job,), name=job.name, daemon=True)
                self._threads = [t for t in self._threads if t.is_alive()] + [thread]
                thread.start()
        return True

    def find(self, kind: Kind, name: str) -> Job | None:
        """The job of this name."""
        return self._jobs.get((kind.word, name))

    def by_arn(self, arn: str) -> Job | None:
        """The job of this ARN."""
        return next((job for job in list(self._jobs.values()) if job.arn == arn), None)

    def of_kind(self, kind: Kind) -> list[Job]:
        """All jobs of a kind."""
        return [job for (word, _), job in list(self._jobs.items()) if word == kind.word]

    def stop(self, job: Job) -> None:
        """Ask the job to end; a job without work of its own ends at once."""
        job.stop_asked.set()
        with self._lock:
            busy = any(thread.name == job.name and thread.is_alive() for thread in self._threads)
        if not busy:
            job.move("Stopped")

    def vanish(self, name: str) -> int:
        """Forget the jobs of this name, killing their work; how many there were."""
        with self._lock:
            gone = [self._jobs.pop(key) for key in list(self._jobs) if key[1] == name]
        for job in gone:
            job.stop_asked.set()
        return len(gone)

    def hold(self) -> None:
        """Keep jobs from running their program until `release`."""
        self._released.clear()

    def release(self) -> None:
        """Let held jobs go on."""
        self._released.set()

    def clear(self) -> None:
        """Kill everything and forget it."""
        with self._lock:
            threads, jobs = self._threads, list(self._jobs.values())
            self._threads, self._jobs = [], {}
        for job in jobs:
            job.stop_asked.set()
        for thread in threads:
            thread.join()
        self.release()

    def _run(self, job: Job) -> None:
        try:
            self._take_slot(job)
            try:
                self._do(job)
            finally:
                self._slots.release()
            job.move("Stopped" if job.stop_asked.is_set() else "Completed")
        except JobStopped as stopped:
            job.move("Stopped", stopped.secondary)
        except JobFailed as failed:
            job.fail(str(failed))
        finally:
            # An error of the double's own, whose traceback goes to its log. Nobody is to wait for such a job for ever, nor
            # to try again, as after an InternalServerError of SageMaker's.
            if not job.is_final:
                job.fail(f"{OWN_ERROR}: {sys.exc_info()[1]!r}")

    def _take_slot(self, job: Job) -> None:
        while not self._slots.acquire(timeout=0.02):
            if job.stop_asked.is_set():
                raise JobStopped

    def _do(self, job: Job) -> None:
        fault = self._faults.for_job(job.name)
        if job.stop_asked.is_set():
            raise JobStopped
        job.begin()
        while not self._released.wait(0.02):
            if job.stop_asked.is_set():
                raise JobStopped
        if fault and fault.slow and job.stop_asked.wait(fault.slow):
            raise JobStopped
        if fault and fault.vanish:
            self.vanish(job.name)
            raise JobStopped
        if fault and fault.reason:
            raise JobFailed(fault.reason)
        with work_for(job, self._environment()) as work:
            try:
                work.run()
            finally:
                self._wrote()


def seeded_job(name: str, region: str, status: str = "InProgress") -> Job:
    """A training job that nobody runs."""
    folder = "s3://seeded/output"
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "sagemaker-xgboost:seeded", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/seeded",
        "OutputDataConfig": {"S3OutputPath": folder},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    job = Job(TRAINING, request, region)
    job.begin()
    job.move("InProgress", "Training")
    if status == "Completed":
        job.results["ModelArtifacts"] = {"S3ModelArtifacts": f"{folder}/{name}/output/model.tar.gz"}
    if status != "InProgress":
        job.move(status)
    return job
