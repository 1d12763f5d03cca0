"""Recording and replaying through the real client."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from raw_client import RawClient

from roadcraft.sim.embedded.server import recording
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.process import ServerProcess
from roadcraft.sim.embedded.server.recording import MAGIC, STATE, Recorder, Recording, blocked, inside, read
from roadcraft.sim.embedded.server.replay import Replay
from roadcraft.sim.embedded.server.sensors import Sensors
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.errors import UserError

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
EGO = "vehicle.lincoln.mkz_2020"


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that records into a folder of its own, with a client in synchronous mode."""
    folder = tmp_path_factory.mktemp("recordings")
    with ServerProcess(town="grid", seed=2, recordings=folder) as process:
        client = carla.Client("127.0.0.1", process.port, 2)
        client.set_timeout(30.0)
        world = client.get_world()
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        world.apply_settings(settings)
        yield process, client, world, folder


@pytest.mark.slow
def test_a_replay_goes_where_the_recording_went(recorder: Any) -> None:
    _, client, world, folder = recorder
    place = world.get_map().get_spawn_points()[0]
    blueprint = world.get_blueprint_library().find(EGO)
    blueprint.set_attribute("role_name", "hero")
    car = world.spawn_actor(blueprint, place)
    place.location += 25.0 * place.get_forward_vector()
    wall = world.spawn_actor(world.get_blueprint_library().find("vehicle.audi.tt"), place)
    answer = client.start_recorder("../../drive.log")
    assert Path(answer) == folder / "drive.log"
    car.apply_control(carla.VehicleControl(throttle=0.7))
    way = []
    for _ in range(100):
        world.tick()
        way.append((car.get_location().x, car.get_location().y))
    client.stop_recorder()
    report = client.show_recorder_file_info("drive.log", False)
    begin = re.search(rf" Create {car.id}: {EGO} \(1\) at \((\S+), (\S+), (\S+)\)\n  role_name = hero", report)
    assert begin is not None, report[:2000]
    assert [float(value) for value in begin.groups()[:2]] == pytest.approx([100 * value for value in way[0]], abs=2.0)
    assert re.search(r" Create \d+: spectator \(0\) at ", report)
    assert re.search(r" Create \d+: traffic.traffic_light \(3\) at ", report)
    assert "Frames: 101" in report
    assert "Duration: 5 seconds" in report
    hits = client.show_recorder_collisions("drive.log", "h", "v")
    assert EGO in hits
    assert "vehicle.audi.tt" in hits
    assert EGO not in client.show_recorder_collisions("drive.log", "w", "a")
    still = client.show_recorder_actors_blocked("drive.log", 1.0, 100.0)
    assert "vehicle.audi.tt" in still
    client.apply_batch_sync([carla.command.DestroyActor(actor) for actor in (car, wall)])
    world.tick()
    assert "Replaying" in client.replay_file("drive.log", 0.0, 0.0, car.id)
    again = []
    for _ in range(100):
        world.tick()
        (actor,) = (each for each in world.get_actors().filter(EGO))
        again.append((actor.get_location().x, actor.get_location().y))
    assert np.abs(np.array(again) - np.array(way)).max() < 0.02
    assert world.get_spectator().get_location().distance(actor.get_location()) < 12.0
    client.stop_replayer(False)
    world.tick()
    assert not world.get_actors().filter("vehicle.*")


def test_who_is_gone_is_no_longer_blocked() -> None:
    """A car that stands all the time, and is destroyed after a second of four."""
    frames: list[dict[str, Any]] = []
    for k in range(5):
        states = np.zeros(1 if k == 0 else 0, STATE)
        states["id"] = 7
        frames.append({"time": float(k), "came": [], "went": [7] if k == 1 else [], "states": states.tobytes()})
    report = blocked(Recording("grid", "today", frames), 0.5, 1.0)
    assert re.search(r" 0\.00 +7 .* 1\.00\n", report), report
    assert not re.search(r" 7 .* 4\.00\n", report)


@pytest.mark.slow
def test_a_time_factor_makes_the_replay_faster(recorder: Any) -> None:
    _, client, world, _ = recorder
    client.set_replayer_time_factor(2.0)
    client.replay_file("drive.log", -3.0, 0.0, 0)
    (actor,) = world.get_actors(_ids(world)).filter(EGO)
    world.tick()
    first = actor.get_location()
    for _ in range(29):
        world.tick()
    client.set_replayer_time_factor(1.0)
    assert actor.get_location().distance(first) > 5.0
    client.stop_replayer(False)
    world.tick()


@pytest.mark.slow
def test_a_replay_takes_over_what_is_still_there(recorder: Any) -> None:
    """As in CARLA: the recorded car is driven by the replay, not doubled, and stays afterwards."""
    _, client, world, _ = recorder
    blueprint = world.get_blueprint_library().find("vehicle.tesla.model3")
    car = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[9])
    world.tick()
    client.start_recorder("again.log")
    car.apply_control(carla.VehicleControl(throttle=0.6))
    for _ in range(40):
        world.tick()
    client.stop_recorder()
    end, before = car.get_location(), len(world.get_actors())
    assert end.distance(world.get_map().get_spawn_points()[9].location) > 2.0
    client.replay_file("again.log", 0.0, 0.0, car.id)
    world.tick()
    assert len(world.get_actors()) == before
    assert car.get_location().distance(world.get_map().get_spawn_points()[9].location) < 1.0
    assert world.get_spectator().get_location().distance(car.get_location()) < 15.0
    for _ in range(39):
        world.tick()
    assert car.get_location().distance(end) < 0.5
    client.stop_replayer(False)
    world.tick()
    assert len(world.get_actors()) == before
    car.destroy()


def test_replayed_actors_have_their_recorded_ids_where_these_are_free(tmp_path: Path) -> None:
    """As in CARLA, after a reload too; who comes next gets an id that nobody has."""
    town = load_town("grid")
    live = LiveWorld(town, "grid")
    spots = [Pose(x, y, 0.0, yaw) for x, y, yaw in live.told_spawns[:5].tolist()]
    cars = [live.spawn(EGO, [], spot) for spot in spots[:3]]
    recorder = Recorder(tmp_path / "three.log", live)
    live.step(0.05)
    recorder.frame(live, 0.05)
    recorder.close()
    for after in (live.last_id, 0):
        again = LiveWorld(town, "grid", after=after)
        again.destroy(again.spawn(EGO, [], spots[4]).id)
        taken = again.spawn("vehicle.audi.tt", [], spots[3], wanted=cars[1].id)
        assert taken.id == cars[1].id
        server: Any = SimpleNamespace(live=again, replay_ignores_hero=False, replay_ignores_spectator=False)
        server.sensors = Sensors(server)
        replay = Replay(server, read(tmp_path / "three.log"), 0.0, 0.0, 0, False, Pose())
        here = [replay.actors[car.id] for car in cars]
        assert here[0] == cars[0].id
        assert len({*here, taken.id}) == 4
        newcomer = again.spawn("vehicle.audi.tt", [], spots[4]).id
        assert newcomer > max(here)
        assert again.last_id == newcomer


def test_a_recording_cannot_use_up_the_ids(tmp_path: Path) -> None:
    live = LiveWorld(load_town("grid"), "grid")
    x, y, yaw = live.told_spawns[0].tolist()
    live.spawn(EGO, [], Pose(x, y, 0.0, yaw))
    recorder = Recorder(tmp_path / "one.log", live)
    recorder.frame(live, 0.05)
    recorder.close()
    edited, before = read(tmp_path / "one.log"), live.last_id
    edited.frames[0]["came"][0][0] = 2**31
    server: Any = SimpleNamespace(live=live, replay_ignores_hero=False, replay_ignores_spectator=False)
    with pytest.raises(UserError, match="2147483648"):
        Replay(server, edited, 0.0, 0.0, 0, False, Pose())
    assert live.new_id() == before + 1


@pytest.mark.parametrize("again", [False, True])
def test_after_a_replay_physics_is_as_it_was(again: bool, tmp_path: Path) -> None:
    """Of actors that were still there; those that the replay spawned anew have what a new actor of their kind has."""
    live = LiveWorld(load_town("grid"), "grid")
    spots = [Pose(x, y, 0.0, yaw) for x, y, yaw in live.told_spawns[:4].tolist()]
    machine = live.spawn("static.prop.vendingmachine", [], spots[0]._replace(z=50.0))
    car = live.spawn(EGO, [], spots[1])
    box = live.spawn("static.prop.box01", [], Pose(z=3.0), parent=car.id)
    parked, walker = live.spawn("vehicle.audi.tt", [], spots[2]), live.spawn("walker.pedestrian.0001", [], spots[3])
    live.simulation.set_physics(parked.id, False)
    recorder = Recorder(tmp_path / "stand.log", live)
    for _ in range(3):
        live.step(0.05)
        recorder.frame(live, 0.05)
    recorder.close()
    if again:
        for actor in (machine, box, car, parked, walker):
            live.destroy(actor.id)
    server: Any = SimpleNamespace(live=live, replay_ignores_hero=False, replay_ignores_spectator=False)
    server.sensors = Sensors(server)
    replay = Replay(server, read(tmp_path / "stand.log"), 0.0, 0.0, 0, False, Pose())
    here = {actor: live.actors.get(replay.actors[actor.id]) for actor in (machine, box, car, parked, walker)}
    while replay.advance(0.05, 1.0):
        live.step(0.05)
        assert not any(live.body(actor)["physics"] for actor in here.values())
    replay.finish(keep=True)
    on = {actor.type_id for actor in here.values() if live.body(actor)["physics"]}
    assert on == {car.type_id, walker.type_id} | ({parked.type_id} if again else set())
    for _ in range(20):
        live.step(0.05)
    assert live.pose_of(here[machine]).z == pytest.approx(50.0)
    ridden = live.pose_of(here[car])
    assert live.pose_of(here[box]).z == pytest.approx(ridden.z + 3.0, abs=0.05)


def _ids(world: Any) -> list[int]:
    world.tick()
    return [actor.id for actor in world.get_actors()]


@pytest.mark.slow
def test_names_stay_in_the_folder_and_files_may_be_broken(recorder: Any, tmp_path: Path) -> None:
    process, client, world, folder = recorder
    client.start_recorder("whole.log")
    for _ in range(40):
        world.tick()
    client.stop_recorder()
    for name in ("", "..", "a/..", "x\0y", "a" * 500, "*"):
        with pytest.raises(UserError):
            inside(folder, name)
    assert inside(folder, "/etc/passwd") == folder / "passwd"
    (folder / "junk.log").write_bytes(b"no recording")
    with RawClient(process.port) as raw, pytest.raises(RuntimeError, match="no recording"):
        raw.call("show_recorder_file_info", "junk.log", False)
    with RawClient(process.port) as raw, pytest.raises(RuntimeError, match="type of actor 'q' is none of h, v"):
        raw.call("show_recorder_collisions", "junk.log", ord("q"), ord("a"))
    with RawClient(process.port) as raw:
        told = raw.call("replay_file", "nowhere.log", 0.0, 0.0, 0, False, [[0.0] * 3, [0.0] * 3])
        assert (
            told == raw.call("show_recorder_file_info", "nowhere.log", True) == "File nowhere.log not found on server\n"
        )
    whole = (folder / "whole.log").read_bytes()
    cut = tmp_path / "cut.log"
    cut.write_bytes(whole[: -len(whole) // 4])
    assert 1 < len(read(cut).frames) < 41
    cut.write_bytes(MAGIC + struct.pack("<I", 1 << 31))
    with pytest.raises(UserError, match="empty"):
        read(cut)


@pytest.mark.slow
def test_a_server_told_to_end_closes_its_recording(recorder: Any) -> None:
    """The last test of this file: it ends the server."""
    process, client, world, folder = recorder
    client.start_recorder("last.log")
    frames = 7
    for _ in range(frames):
        world.tick()
    process.process.terminate()
    assert process.process.wait(5.0) == 0
    assert len(read(folder / "last.log").frames) == frames + 1


def test_a_full_recording_has_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not fit is its end: nothing smaller is written after it."""
    live = LiveWorld(load_town("grid"), "grid")
    recorder = Recorder(tmp_path / "full.log", live)
    monkeypatch.setattr(recording, "MOST_BYTES", recorder.bytes + 5000)
    for number, size in enumerate((1000, 10_000, 10)):
        recorder._block({"frame": number, "states": bytes(size)})
    recorder.close()
    assert [frame["frame"] for frame in read(tmp_path / "full.log").frames] == [0, 0]  # that of its beginning too
