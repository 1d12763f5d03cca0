"""Jobs spread over processes: a job whose process dies is run again, then reported as failed, one that raises is
reported at once; nothing else is lost."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, Generic, TypeVar

from roadcraft.sim.errors import UserError, WorldLost

Job = TypeVar("Job")
Result = TypeVar("Result")
TRIES = 2


@dataclass(frozen=True)
class Failed:
    """A job that could not be done: its process died, or the simulator was lost, on every try; or it raised."""

    reason: str
    again: bool = True  # whether another try may go better


@dataclass
class Worker(Generic[Job]):
    """One process and the job that it has."""

    process: SpawnProcess
    pipe: Connection
    job: Job | None = None
    tried: int = 0


def run_jobs(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[Job, Result | Failed]]:
    """Yields each job with its result as it is done. `work` is a module's function; jobs and results are plain data.

    Raises UserError when a job raises it. However the iteration ends, the processes are told to stop and waited for.
    """
    waiting = deque((job, 1) for job in jobs)
    workers: list[Worker[Job]] = []
    try:
        while waiting or any(worker.job is not None for worker in workers):
            while waiting and (
                idle := next((w for w in workers if w.job is None), None) or hire(work, workers, processes)
            ):
                idle.job, idle.tried = waiting.popleft()
                idle.pipe.send(idle.job)
            busy = [worker for worker in workers if worker.job is not None]
            ready = multiprocessing.connection.wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe not in ready:
                    continue
                job, answer = worker.job, hear(worker)
                assert job is not None
                worker.job = None
                if isinstance(answer, UserError):
                    raise answer
                if isinstance(answer, Failed) and not worker.process.is_alive():
                    workers.remove(worker)
                if isinstance(answer, Failed) and answer.again and worker.tried < TRIES:
                    waiting.append((job, worker.tried + 1))
                else:
                    yield job, answer
    finally:
        dismiss(workers)


def hire(work: Callable[[Job], Result], workers: list[Worker[Job]], most: int) -> Worker[Job] | None:
    """A new worker, unless there are enough."""
    if len(workers) >= most:
        return None
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_jobs, args=(work, theirs))
    process.start()
    theirs.close()
    workers.append(Worker(process, ours))
    return workers[-1]


def hear(worker: Worker[Job]) -> Any:
    """A worker's answer: its result, UserError, or Failed; Failed also when it died."""
    try:
        return worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        return Failed(f"its process died with exit code {worker.process.exitcode}")


def dismiss(workers: list[Worker[Job]]) -> None:
    """Stops all workers; the busy ones as if Ctrl-C had been pressed."""
    for worker in workers:
        worker.pipe.close()
        if worker.job is not None and worker.process.is_alive():
            worker.process.terminate()
    for worker in workers:
        worker.process.join(10.0)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def serve_jobs(work: Callable[[Job], Result], pipe: Connection) -> None:
    """A worker's life: jobs in, results out, until the pipe closes or SIGTERM comes. Ctrl-C is the parent's matter."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)
    try:
        while True:
            job = pipe.recv()
            try:
                answer: object = work(job)
            except UserError as error:
                answer = error
            except WorldLost as error:
                answer = Failed(str(error))
            except Exception as error:  # a driver of the user's own may raise anything
                if os.environ.get("ROADCRAFT_TRACE"):
                    traceback.print_exc()
                answer = Failed(f"{type(error).__name__}: {error}", again=False)
            pipe.send(answer)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        sys.exit(0)


def stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM in a worker unwinds it, so that what it opened is closed."""
    raise KeyboardInterrupt
