"""The verb `drive` for real: what it leaves, how it ends when something dies, what it says to bad input."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roadcraft.launch.__main__ import main
from roadcraft.sim.scores import KINDS

SHORT = ["--route_length", "60", "--traffic.vehicles", "2", "--traffic.walkers", "2", "--traffic.scenarios", "false"]
WITHOUT_FILES = ["--video", "false", "--rerun", "false"]
KEYS = {
    "driving_score", "route_completion", "infractions", "final_speed", "ticks", "vetoes", "real_time_factor", "driver",
    "perception", "loop", "run",
}  # fmt: skip

SABOTEURS = '''
import os, signal
from pathlib import Path
from roadcraft.control.expert import ExpertDriver

class Saboteur(ExpertDriver):
    ticks = 0
    def __call__(self, tick):
        self.ticks += 1
        if self.ticks == 15:
            self.act()
        return super().__call__(tick)

class Interrupts(Saboteur):
    """Ctrl-C."""
    def act(self):
        os.kill(os.getpid(), signal.SIGINT)

class Terminates(Saboteur):
    def act(self):
        os.kill(os.getpid(), signal.SIGTERM)

class KillsServer(Saboteur):
    def act(self):
        os.kill(servers()[0], signal.SIGKILL)

class Fails(Saboteur):
    def act(self):
        raise ZeroDivisionError("the driver is broken")

def servers():
    """The server processes that this one has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = entry.read_text().split(" ", 1)
            words = entry.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(rest.rsplit(")", 1)[1].split()[1]) == os.getpid() and b"embedded.server" in words:
            found.append(int(pid))
    Path("servers.txt").write_text(" ".join(map(str, found)))
    return found
'''


def run(*words: str) -> tuple[int, dict[str, Any], str]:
    """The command in a process of its own: exit status, its last line, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "roadcraft.launch", *words], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr


def only_folder(runs: Path) -> Path:
    (folder,) = runs.iterdir()
    return folder


def test_a_drive_leaves_everything_behind(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drive", "drive-tiny"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)  # one line, nothing else
    assert result.keys() >= KEYS
    assert result["route_completion"] == 100
    assert set(result["infractions"]) == set(KINDS)
    assert result["infractions"]["collision_vehicle"] == 0
    assert result["loop"]["p50_ms"] > 0
    assert "100%" in err
    folder = only_folder(runs)
    assert Path(result["run"]) == folder.relative_to(runs.parent)
    assert {file.name for file in folder.iterdir()} == {
        "config.yaml", "drive.jpg", "drive.mp4", "drive.rrd", "log.jsonl", "results.json",
    }  # fmt: skip
    record = json.loads((folder / "results.json").read_text())["_checkpoint"]["records"][0]
    assert record["scores"]["score_route"] == 100
    assert len((folder / "log.jsonl").read_text().splitlines()) == result["ticks"] + 1


@pytest.mark.parametrize(
    ("saboteur", "status", "said"),
    [
        ("Interrupts", 130, "interrupted"),
        pytest.param("Terminates", 130, "interrupted", marks=pytest.mark.slow),
        ("KillsServer", 1, "killed"),
        pytest.param("Fails", 1, "the driver is broken", marks=pytest.mark.slow),
    ],
)
def test_results_are_kept_and_the_server_ends_however_a_drive_ends(
    saboteur: str, status: int, said: str, runs: Path
) -> None:
    Path("saboteurs.py").write_text(SABOTEURS)
    code, result, err = run("drive", "--driver", f"saboteurs.py:{saboteur}", *SHORT, *WITHOUT_FILES)
    assert code == status, err
    assert said in err.splitlines()[-1]
    assert result["ticks"] == 14
    assert result["status"] == "Running"
    record = json.loads((only_folder(runs) / "results.json").read_text())["_checkpoint"]["records"][0]
    assert 0 < record["scores"]["score_route"] < 100
    if saboteur == "KillsServer":
        assert not Path("/proc", Path("servers.txt").read_text()).exists()
    if saboteur != "Fails":
        assert "Traceback" not in err


def test_max_ticks_and_a_server_that_runs_already(runs: Path) -> None:
    """Two drives on one server, neither of which stops it."""
    from roadcraft.sim.embedded.server.process import ServerProcess

    with ServerProcess(town="grid-20") as server:
        where = ["--sim.port", str(server.port), "--driver", "expert", "--max_ticks", "5", *SHORT, *WITHOUT_FILES]
        assert [main(["drive", *where]) for _ in range(2)] == [0, 0]
        assert server.alive


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--driver", "nobody"], "nobody"),
        (["--driver", "nowhere.py:Driver"], "nowhere.py"),
        (["--driver", "expert", "--town", "atlantis"], "atlantis"),
        (["--driver", "expert", "--town", "broken.xodr"], "map broken is not"),
        (["--driver", "expert", "--weather", "frogs"], "frogs"),
        (["--driver", "truth", "--policy", "none.safetensors"], "none.safetensors"),
        (["--driver", "truth", "--latency", "-1"], "latency -1"),
        (["--driver", "truth", "--latency", "nowhere.json"], "latency nowhere.json"),
        (["--driver", "truth", "--latency", "broken.xodr"], "latency broken.xodr"),
        (["--driver", "network", "--engine.name", "abacus"], "abacus"),
        (["--driver", "network", "--engine.weights", "none.safetensors"], "none.safetensors"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.xodr").write_text("<OpenDRIVE><road")
    assert main(["drive", "--sim.world", "embedded", *SHORT, *WITHOUT_FILES, *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1, error


def logged(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """The lines of a short drive's log.jsonl, without what the clock on the wall says."""
    where = ["--driver", "truth", "--sim.world", "embedded", "--max_ticks", "60", *SHORT, *WITHOUT_FILES]
    assert main(["drive", *where, *words]) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    lines = [json.loads(line) for line in (Path(run) / "log.jsonl").read_text().splitlines()[1:]]
    return [{key: value for key, value in line.items() if key != "decide_ms"} for line in lines]


def test_percepts_may_arrive_late(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is seen before the first has arrived; those later than the supervisor's limit are never driven on."""
    at_once = logged(capsys)
    assert logged(capsys, "--latency", "0") == at_once
    late = logged(capsys, "--latency", "100")
    assert [line["veto"] for line in late[:3]] == ["missing_percept", "missing_percept", ""]
    assert {line["seen"]["latency_ms"] for line in late[2:]} == {100.0}
    assert late[-1]["progress"] > 1
    Path("bench.json").write_text('{"histogram": [[400, 400, 7]]}')
    never = logged(capsys, "--latency", "bench.json")
    assert {line["veto"] for line in never[8:]} == {"stale_percept"}
    assert never == logged(capsys, "--latency", "400")
    assert never[-1]["progress"] < 0.5


def test_no_server_there(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert main(["drive", "--driver", "expert", "--sim.port", str(port), *WITHOUT_FILES]) == 2
    error = capsys.readouterr().err
    assert str(port) in error
    assert error.count("\n") == 1


def test_a_port_in_use(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert str(port) in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_sessions_in_parallel(runs: Path) -> None:
    code, result, err = run("drive", "--driver", "expert", "--sessions", "2", *SHORT, *WITHOUT_FILES)
    assert code == 0, err
    assert [one["seed"] for one in result["sessions"]] == [2000, 2001]
    assert result.keys() >= KEYS
    assert {folder.name for folder in only_folder(runs).iterdir() if folder.is_dir()} == {"2000", "2001"}
