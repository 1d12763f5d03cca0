"""Loading worlds through the real client; faults; the fixture for other people's tests."""

from __future__ import annotations

import importlib.metadata
import json
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from raw_client import RawClient, Stream

from roadcraft.sim.embedded.server.compatibility import EXAMPLE, INTRO
from roadcraft.sim.embedded.server.crowd import populate
from roadcraft.sim.embedded.server.faults import CRASHED, Faults
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.maps import Maps
from roadcraft.sim.embedded.server.process import ServerProcess, free_port
from roadcraft.sim.embedded.server.snapshot import MAP_CHANGED
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.errors import UserError, WorldLost

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
SOON = 3.0  # s from the start of a server to its first tick
SYNCHRONOUS = [True, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that has a file for Town01, and its client."""
    folder = tmp_path_factory.mktemp("maps")
    (folder / "Town01.xodr").write_text(load_town("grid-3").xodr)
    with ServerProcess(town="grid", seed=1, maps=folder, vehicles=5, walkers=3) as process:
        client = carla.Client("127.0.0.1", process.port, 2)
        client.set_timeout(60.0)
        yield process, client
        process.check()


def test_a_populated_server_moves(served: Any) -> None:
    _, client = served
    world = client.get_world()
    world.wait_for_tick()
    actors = world.get_actors()
    assert len(actors.filter("vehicle.*")) == 5
    assert len(actors.filter("walker.*")) == 3
    begin = {car.id: car.get_location() for car in actors.filter("vehicle.*")}
    for _ in range(60):
        world.wait_for_tick()
    assert any(car.get_location().distance(begin[car.id]) > 1.0 for car in actors.filter("vehicle.*"))


def test_a_town_that_is_too_small_is_told(caplog: pytest.LogCaptureFixture) -> None:
    populate(LiveWorld(load_town("grid"), "grid"), 3, 2, 0)
    assert not caplog.records
    driving, _ = populate(LiveWorld(load_town("grid"), "grid"), 5000, 2, 0)
    assert caplog.messages == [f"room for {driving} of 5000 vehicles and 2 of 2 walkers"]


def test_worlds_are_loaded_by_name(served: Any) -> None:
    _, client = served
    assert "/Game/Carla/Maps/grid" in client.get_available_maps()
    assert "/Game/Carla/Maps/Town01" in client.get_available_maps()
    before = client.get_world()
    world = client.load_world("suburb")
    assert world.id != before.id
    assert world.get_map().name == "Carla/Maps/suburb"
    assert not world.get_actors().filter("vehicle.*")
    world = client.load_world("/Game/Carla/Maps/Town01")
    assert world.get_map().to_opendrive() == load_town("grid-3").xodr
    assert len(world.get_map().get_spawn_points()) >= 24
    world = client.load_world("Town01_Opt")
    assert world.get_map().name == "Carla/Maps/Town01_Opt"
    for name, why in (("Town03", r"Town03\.xodr"), ("nowhere", "'nowhere' not found")):
        with pytest.raises(RuntimeError, match=why):
            client.load_world(name)
    world = client.load_world("grid")
    assert world.get_map().name == "Carla/Maps/grid"


def test_a_reload_takes_actors_away_and_keeps_settings_when_asked(served: Any) -> None:
    _, client = served
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    blueprint = world.get_blueprint_library().find("vehicle.audi.tt")
    car = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[0])
    world.tick()
    world = client.reload_world(False)
    assert world.get_settings().synchronous_mode
    world.tick()
    assert not world.get_actors().filter("vehicle.*")
    other = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[0])
    assert other.id != car.id, "an id was given twice"
    world = client.reload_world()
    assert not world.get_settings().synchronous_mode
    world.wait_for_tick()


LOADS = """
import os, sys, time, carla
client = carla.Client("127.0.0.1", int(sys.argv[1]), 4)
client.set_timeout(60.0)
world = client.get_world()
for _ in range(4):
    world.on_tick(lambda snapshot: time.sleep(0.2))
    world.wait_for_tick()
    world = client.load_world("grid")
    world.wait_for_tick()
print(world.get_snapshot().frame, flush=True)
os._exit(0)  # a callback that still runs while Python ends would abort it, whatever the server
"""


def test_a_client_that_is_busy_with_the_old_world_gets_the_new_one(served: Any) -> None:
    """A thread of the client's that is still in a callback ends its subscription after the new one has begun."""
    process, client = served
    done = subprocess.run([sys.executable, "-c", LOADS, str(process.port)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
    client.get_world().wait_for_tick()


def test_a_new_world_has_a_stream_of_its_own_and_others_learn_of_it(served: Any) -> None:
    """Snapshots by the number of the old world are those of the new one too, once that has settled."""
    process, _ = served
    with RawClient(process.port) as raw:
        raw.call("set_episode_settings", SYNCHRONOUS)
        episode, (token,) = raw.call("get_episode_info")
        with _announced(raw, token) as old:
            raw.call("tick_cue")
            assert _episode(old.message()) == (episode, 0)
            raw.call("load_new_episode", "", False, 0xFFFF)
            later, (renewed,) = raw.call("get_episode_info")
            assert later == episode + 1
            assert renewed != token
            with _announced(raw, renewed) as new:
                raw.call("tick_cue")
                assert _episode(new.message()) == (later, MAP_CHANGED)
                assert _episode(old.message()) == (later, MAP_CHANGED)
                frame = raw.call("tick_cue")
                for stream in (old, new):
                    message = stream.message()
                    assert _episode(message) == (later, 0)
                    assert struct.unpack_from("<Q", message, 8)[0] == frame
        raw.call("load_new_episode", "", True, 0xFFFF)


def _announced(raw: RawClient, token: bytes) -> Stream:
    """A stream that the next tick waits for."""
    raw.call("get_sensor_token", struct.unpack_from("<I", token)[0])
    return raw.stream(token)


def _episode(snapshot: bytes) -> tuple[int, int]:
    """Number and flags."""
    number, *_, flags = struct.unpack_from("<Qdf3iI", snapshot, 48)
    return number, flags


@pytest.mark.slow
def test_a_generated_world_and_a_broken_one(served: Any) -> None:
    process, client = served
    text = load_town("grid-3").xodr
    world = client.generate_opendrive_world(text)
    assert world.get_map().name.endswith("OpenDriveMap")
    assert world.get_map().to_opendrive() == text
    car = world.spawn_actor(
        world.get_blueprint_library().find("vehicle.audi.tt"), world.get_map().get_spawn_points()[0]
    )
    world.wait_for_tick()
    assert car.get_location().distance(world.get_map().get_spawn_points()[0].location) < 1.0
    with RawClient(process.port) as raw, pytest.raises(RuntimeError):
        raw.call("copy_opendrive_to_file", "<OpenDRIVE></nothing>", [2.0, 50.0, 1.0, 0.6, True, True, True])
    world.wait_for_tick()
    client.load_world("grid")


def straight(length: float) -> str:
    """OpenDRIVE of one road along x with a lane in each direction."""
    lane = '<lane id="{}" type="driving" level="false"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>'
    return (
        '<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1"/>'
        f'<road name="" length="{length}" id="1" junction="-1"><planView>'
        f'<geometry s="0" x="0" y="0" hdg="0" length="{length}"><line/></geometry></planView>'
        f'<lanes><laneSection s="0"><left>{lane.format(1)}</left><center><lane id="0" type="none" level="false"/>'
        f"</center><right>{lane.format(-1)}</right></laneSection></lanes></road></OpenDRIVE>"
    )


def test_a_second_generated_world_is_the_second_text(served: Any) -> None:
    """And a broken text in between changes neither the world nor what its name stands for."""
    process, client = served
    for length in (120.0, 300.0):
        world = client.generate_opendrive_world(straight(length))
        found = world.get_map()
        assert found.to_opendrive() == straight(length)
        assert max(place.location.x for place in found.get_spawn_points()) > 0.5 * length
        car = world.spawn_actor(world.get_blueprint_library().find("vehicle.audi.tt"), found.get_spawn_points()[0])
        with RawClient(process.port) as raw, pytest.raises(RuntimeError):
            raw.call("copy_opendrive_to_file", "<OpenDRIVE></nothing>", [2.0, 50.0, 1.0, 0.6, True, True, True])
        assert client.load_world("OpenDriveMap").get_map().to_opendrive() == straight(length)
        assert client.reload_world().get_map().to_opendrive() == straight(length)
        assert car.id not in [actor.id for actor in client.get_world().get_actors()]
    client.load_world("grid")


def test_carlas_names_need_a_file_or_an_alias() -> None:
    with pytest.raises(UserError, match=r"Town05\.xodr.*--alias-towns"):
        Maps().load("Town05")
    name, town = Maps(alias_towns=True).load("/Game/Carla/Maps/Town05_Opt")
    assert name == "Town05_Opt"
    assert len(town.network.spawns) >= 24
    with pytest.raises(UserError, match="no such folder"):
        Maps(Path("/nowhere/at/all"))


# ----------------------------------------------------------------------------------------------------------- faults
def test_faults_are_seeded_and_misspelt_ones_refused() -> None:
    first, again, other = (Faults("camera.drop=0.3", seed) for seed in (1, 1, 2))
    pattern = [first.lost("camera.drop") for _ in range(400)]
    assert pattern == [again.lost("camera.drop") for _ in range(400)]
    assert pattern != [other.lost("camera.drop") for _ in range(400)]
    assert 60 < sum(pattern) < 180
    assert not any(Faults().lost("camera.drop") for _ in range(100))
    for text in (
        "camera.drop",
        "camera.drop=2",
        "lidar.explode=0.1",
        "server.exit=3",
        "server.exit@soon",
        "server.exit@0",
    ):
        with pytest.raises(UserError, match="is no fault"):
            Faults(text)


def _tick_for_long(client: RawClient) -> None:
    for _ in range(40):
        client.call("tick_cue")


@pytest.mark.slow
def test_a_server_dies_on_demand_and_says_so() -> None:
    with ServerProcess(town="grid", fault="server.exit@30") as process:
        with RawClient(process.port) as client:
            client.call("set_episode_settings", SYNCHRONOUS)
            with pytest.raises((ConnectionError, OSError)):
                _tick_for_long(client)
        process.process.wait(5.0)
        with pytest.raises(WorldLost, match=f"status {CRASHED}"):
            process.check()


# ------------------------------------------------------------------------------------------------------ its process
@pytest.mark.slow
def test_a_server_ends_with_whoever_started_it() -> None:
    """Even when its parent is killed without any chance to tidy up."""
    code = textwrap.dedent(
        """
        import os, sys
        from roadcraft.sim.embedded.server.process import ServerProcess
        server = ServerProcess(town="grid")
        print(server.start(), server.process.pid, flush=True)
        os.kill(os.getpid(), 9)
        """
    )
    parent = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    _, child = map(int, parent.stdout.split())
    for _ in range(100):
        status = Path(f"/proc/{child}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        subprocess.run(["sleep", "0.05"], check=True)
    raise AssertionError("the server outlived its parent")


@pytest.mark.slow
def test_a_warm_server_ticks_soon() -> None:
    """From its start to a client's first tick, kernels and town being in the cache; the best of three."""

    def first_tick() -> float:
        began = perf_counter()
        with ServerProcess(town="grid") as process:
            client = carla.Client("127.0.0.1", process.port, 2)
            client.set_timeout(60.0)
            world = client.get_world()
            settings = world.get_settings()
            settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
            world.apply_settings(settings)
            world.tick()
            return perf_counter() - began

    first_tick()  # fills the cache
    taken = [first_tick() for _ in range(3)]
    assert min(taken) < SOON, taken


def test_a_port_in_use_is_an_error_of_one_line(server: ServerProcess) -> None:
    with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        ServerProcess(server.port, town="grid").start()
    with pytest.raises(UserError, match="atlantis"):
        ServerProcess(town="atlantis").start()
    with pytest.raises(UserError, match="did not start: port 70000 is outside"):
        ServerProcess(70000, town="grid").start()
    with pytest.raises(UserError, match="no/such/python: No such file"):
        ServerProcess(town="grid", python="no/such/python").start()


def test_the_fixture_gives_others_a_server(tmp_path: Path) -> None:
    """The documentation's examples, as they stand there."""
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def roadcraft_carla_options():\n"
        "    return {'town': 'grid', 'seed': 4}\n"
    )
    short = INTRO.split("```python\n")[1].split("```")[0]
    (tmp_path / "test_short.py").write_text(f"import carla\n\n\n{short}")
    (tmp_path / "test_complete.py").write_text(EXAMPLE)
    assert "2 passed" in somebodys_tests(tmp_path)


@pytest.mark.slow
def test_each_worker_of_xdist_has_a_server_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_ports.py").write_text(
        "import carla, pytest\n"
        "from pathlib import Path\n"
        "@pytest.mark.parametrize('turn', range(4))\n"
        "def test_port(roadcraft_carla_server, worker_id, turn):\n"
        "    client = carla.Client('127.0.0.1', roadcraft_carla_server)\n"
        "    client.set_timeout(60.0)\n"
        "    client.get_world()\n"
        "    Path(__file__).with_name(f'{worker_id}.{roadcraft_carla_server}.port').touch()\n"
    )
    assert "4 passed" in somebodys_tests(tmp_path, "-n", "2")
    workers, ports = zip(*(file.name.split(".")[:2] for file in tmp_path.glob("*.port")), strict=True)
    assert sorted(workers) == ["gw0", "gw1"]
    assert len(set(ports)) == 2


def somebodys_tests(folder: Path, *options: str) -> str:
    """What pytest says of the tests in a folder that is not ours."""
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), "-p", "no:cacheprovider", *options]
    if not importlib.metadata.entry_points(group="pytest11", name="roadcraft"):
        command += ["-p", "roadcraft.sim.embedded.pytest_plugin"]  # installed before the entry point was there
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=290)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_server_says_when_it_is_ready() -> None:
    port = free_port()
    command = [sys.executable, "-m", "roadcraft.sim.embedded.server", f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"port": port, "town": "grid"}
        process.terminate()
        assert process.wait(10.0) == 0
