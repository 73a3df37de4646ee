"""A code server of Dagster's own with one job, in a folder with our `dagster.yaml`: how runs are launched on a laptop."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget

ROOT = Path(__file__).parents[1]
LOCATION = "runs"
CODE = '''
import os, signal, threading, time
from pathlib import Path
import dagster as dg

FOLDER = Path(__file__).parent


@dg.op
def short() -> None:
    """Ends at once."""


@dg.op
def holds_the_lock() -> None:
    """Takes the semaphore of the event that its server shares with it, until it is told to end with it, or is canceled."""
    (handler,) = [thread for thread in threading.enumerate() if thread.name == "termination-handler"]
    with handler._args[0]._cond:
        (FOLDER / "holding").touch()
        while not (FOLDER / "end").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)


@dg.job(executor_def=dg.in_process_executor)
def short_job() -> None:
    short()


@dg.job(executor_def=dg.in_process_executor)
def holding_job() -> None:
    holds_the_lock()


defs = dg.Definitions(jobs=[short_job, holding_job])
'''


class CodeServer:
    """Launches runs as the queue does."""

    def __init__(self, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext, folder: Path) -> None:
        self.instance, self.folder = instance, folder
        self._processes = workspace
        self._workspace = workspace.create_request_context()
        (self._location,) = self._workspace.code_locations
        (self._repository,) = self._location.get_repositories().values()

    def launch(self, job_name: str) -> str:
        """A new run of the job; its process has said that it began when this returns.

        Raises:
            Exception: the server did not start it.
        """
        job = self._repository.get_full_job(job_name)
        run = self.instance.create_run(
            job_name=job_name,
            run_id=None,
            run_config={},
            status=None,
            tags={},
            root_run_id=None,
            parent_run_id=None,
            step_keys_to_execute=None,
            execution_plan_snapshot=None,
            job_snapshot=job.job_snapshot,
            parent_job_snapshot=None,
            asset_selection=None,
            asset_check_selection=None,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_graph=self._repository.asset_graph,
        )
        self.instance.launch_run(run.run_id, self._workspace)
        return run.run_id

    def kill(self) -> None:
        """End the server, which gets no chance to tell anybody."""
        for server in self._processes._grpc_server_registry._all_processes:
            server.server_process.kill()
            server.server_process.wait()

    def run(self, run_id: str) -> dg.DagsterRun:
        """As it stands now."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run


@contextmanager
def code_server(folder: Path) -> Iterator[CodeServer]:
    """A server of its own with its instance in `folder`, which is to be the current one and `DAGSTER_HOME`."""
    shutil.copy(ROOT / "dagster.yaml", folder)
    (folder / "held_runs.py").write_text(CODE)
    target = PythonFileTarget(str(folder / "held_runs.py"), None, str(folder), LOCATION)
    with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, target) as workspace:
        yield CodeServer(instance, workspace, folder)
