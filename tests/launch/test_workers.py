"""Jobs over processes: what dies is tried again, then named; nothing else is lost."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from roadcraft.launch.workers import Failed, run_jobs
from roadcraft.sim.errors import UserError, WorldLost


def square(job: int) -> int:
    return job * job


def dies_once(job: tuple[str, int]) -> int:
    """Kills its process the first time that it meets job 3."""
    folder, number = job
    mark = Path(folder) / "died"
    if number == 3 and not mark.exists():
        mark.touch()
        os._exit(9)
    return number


def dies_always(job: int) -> int:
    if job == 3:
        os._exit(9)
    if job == 4:
        raise WorldLost("the server was killed")
    return job


def raises(job: int) -> int:
    """Raises for job 3, at the first try only."""
    mark = Path(os.environ["PYTEST_FOLDERS"]) / "raised"
    if job == 3 and not mark.exists():
        mark.touch()
        raise IndexError("list index out of range")
    return job


def refuses(job: int) -> int:
    raise UserError(f"job {job} is not possible")


def endless(job: str) -> None:
    """Leaves a mark when it begins, another when it is made to end."""
    try:
        (Path(job) / "begun").touch()
        while True:
            time.sleep(0.01)
    finally:
        (Path(job) / "ended").touch()


def test_every_job_has_its_result() -> None:
    assert dict(run_jobs(square, range(7), 2)) == {n: n * n for n in range(7)}


def test_a_job_whose_process_dies_is_run_again(tmp_path: Path) -> None:
    done = {job[1]: answer for job, answer in run_jobs(dies_once, [(str(tmp_path), n) for n in range(5)], 2)}
    assert done == {n: n for n in range(5)}


def test_a_job_that_always_dies_is_failed_by_name_and_the_others_are_not_lost() -> None:
    done = dict(run_jobs(dies_always, range(6), 2))
    assert done == {
        0: 0,
        1: 1,
        2: 2,
        5: 5,
        3: Failed("its process died with exit code 9"),
        4: Failed("the server was killed"),
    }


def test_a_job_that_raises_is_failed_with_what_it_raised_and_not_run_again() -> None:
    done = dict(run_jobs(raises, range(6), 2))
    assert done == {0: 0, 1: 1, 2: 2, 4: 4, 5: 5, 3: Failed("IndexError: list index out of range", again=False)}


def test_bad_input_ends_all() -> None:
    with pytest.raises(UserError, match="job 0"):
        list(run_jobs(refuses, range(3), 1))


def test_leaving_early_unwinds_what_is_running(tmp_path: Path) -> None:
    """As on Ctrl-C: whoever is at work may close what it opened."""
    folders = [str(tmp_path / name) for name in ("a", "b")]
    for folder in folders:
        Path(folder).mkdir()
    jobs = run_jobs(dies_or_endless, [*folders, ""], 3)
    next(jobs)
    jobs.close()  # type: ignore[attr-defined]
    assert all((Path(folder) / "ended").exists() for folder in folders)


def dies_or_endless(job: str) -> None:
    """The last job ends as soon as the others have begun."""
    if job:
        endless(job)
    folders = [Path(os.environ["PYTEST_FOLDERS"]) / name for name in ("a", "b")]
    while not all((folder / "begun").exists() for folder in folders):
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_FOLDERS", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
