"""`roadcraft serve` as a process: its options reach the server, and it ends as it is told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from roadcraft.sim.embedded.server.faults import CRASHED
from roadcraft.sim.embedded.server.process import free_port

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """The verb on a free port, and a client of it."""
    port = free_port()
    words = [sys.executable, "-m", "roadcraft.launch", "serve", "--port", str(port), *options]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next((line for line in process.stderr if f":{port}" in line), "")
            assert said, "it ended before it listened"
            client = carla.Client("127.0.0.1", port)
            client.set_timeout(60.0)
            yield process, client
        finally:
            process.kill()


def client_port(process: subprocess.Popen[str]) -> int:
    """The port that a server was started on."""
    words = list(map(str, process.args))  # type: ignore[arg-type]  # a list of words
    return int(words[words.index("--port") + 1])


def test_aliases_and_faults_reach_the_server(tmp_path: Path) -> None:
    """`--alias-towns` lets a client load Town03; the fault ends the server at its frame with its own status."""
    with serving(tmp_path, "--alias-towns", "--fault", "server.exit@40", "--vehicles", "2") as (process, client):
        world = client.get_world()
        assert len(world.get_actors().filter("vehicle.*")) == 2
        assert client.load_world("Town03").get_map().name == "Carla/Maps/Town03"
        assert process.wait(60.0) == CRASHED


def test_it_ends_cleanly_when_told(tmp_path: Path) -> None:
    """SIGTERM: status 0, and the last line of its output is one JSON object."""
    with serving(tmp_path) as (process, client):
        assert client.get_server_version() == "0.9.16"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60.0)
        assert process.returncode == 0
        assert json.loads(output.splitlines()[-1])["town"] == "grid"


def test_a_recording_outlives_its_server(tmp_path: Path) -> None:
    """SIGTERM closes a running recording, and the next server in the same place tells of it by its name."""
    with serving(tmp_path) as (process, client):
        client.start_recorder("drive.log")
        client.get_world().wait_for_tick()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60.0) == 0
    with serving(tmp_path) as (_, client):
        assert "Map: grid" in client.show_recorder_file_info("drive.log", False)


def test_it_says_what_a_client_does_not_hear(tmp_path: Path) -> None:
    """Calls and commands that nobody waits for and that fail are told on stderr: call, actor, reason; each once."""
    with serving(tmp_path) as (process, client):
        world = client.get_world()
        library, places = world.get_blueprint_library(), world.get_map().get_spawn_points()
        car = world.spawn_actor(library.find("vehicle.audi.tt"), places[0])
        walker = world.spawn_actor(library.filter("walker.*")[0], places[1])
        camera = world.spawn_actor(library.find("sensor.camera.rgb"), places[2])
        world.wait_for_tick()
        camera.enable_for_ros()
        other = carla.Client("127.0.0.1", client_port(process))
        other.set_timeout(60.0)
        theirs = other.get_world().get_actor(car.id)
        car.destroy()
        for k in range(50):
            theirs.apply_control(carla.VehicleControl(throttle=k / 50))
        other.apply_batch([carla.command.ApplyVehicleControl(walker.id, carla.VehicleControl())])
        gone = other.apply_batch_sync([carla.command.ApplyTargetVelocity(car.id, carla.Vector3D())])
        assert gone[0].error == f"actor {car.id} not found"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60.0)
    kind = walker.type_id
    assert [line for line in said.splitlines() if "refused" in line] == [
        "roadcraft serve: refused a client's enable_sensor_for_ros: enable_sensor_for_ros: "
        "this server has no ROS 2 bridge",
        f"roadcraft serve: refused a client's apply_control_to_vehicle: actor {car.id} not found",
        f"roadcraft serve: refused a client's apply_control_to_vehicle in a batch for actor {walker.id} ({kind}): "
        f"actor {walker.id} ({kind}) is no vehicle",
    ]
