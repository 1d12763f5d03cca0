"""What the embedded server does on the wire: seeded twins, bad clients, clients that vanish."""

from __future__ import annotations

import logging
import random
import socket
import struct
from typing import Any

import msgpack
import pytest
from raw_client import RawClient, Stream

from roadcraft.sim.embedded.server import app
from roadcraft.sim.embedded.server.logs import PAUSE, Refusals, Sparing
from roadcraft.sim.embedded.server.peers import Peers
from roadcraft.sim.embedded.server.process import ServerProcess
from roadcraft.sim.embedded.server.rpc import Inbox, ProtocolError
from roadcraft.sim.embedded.server.wire import Pose, compose, pose, relative, transform_wire

SYNCHRONOUS = [True, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
ASYNCHRONOUS = [False, False, [False], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
FRAME = slice(8, 16)  # of any message
PLATFORM_TIME = slice(48 + 8, 48 + 16)  # of a snapshot


def definition(client: RawClient, name: str, **chosen: str) -> list[Any]:
    (found,) = (each for each in client.call("get_actor_definitions") if each[1] == name)
    return [found[0], name, [[key, kind, chosen.get(key, value)] for key, kind, value, *_ in found[3]]]


# ------------------------------------------------------------------------------------------------------------ poses
def test_composing_poses_is_undone_by_relative() -> None:
    rng = random.Random(1)
    for _ in range(200):
        parent, child = (Pose(*(rng.uniform(-1.4, 1.4) for _ in range(6))) for _ in range(2))
        assert relative(parent, compose(parent, child)) == pytest.approx(child, abs=1e-9)


def test_transforms_survive_the_wire() -> None:
    rng = random.Random(2)
    for _ in range(200):
        place = Pose(*(rng.uniform(-1.5, 1.5) for _ in range(6)))
        assert pose(transform_wire(place)) == pytest.approx(place, abs=1e-12)


def test_composing_matches_the_client() -> None:
    carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
    rng = random.Random(3)
    for _ in range(50):
        parent, child = (Pose(*(rng.uniform(-1.4, 1.4) for _ in range(6))) for _ in range(2))
        (location, (pitch, yaw, roll)), (point, _) = transform_wire(parent), transform_wire(child)
        theirs = carla.Transform(carla.Location(*location), carla.Rotation(pitch, yaw, roll)).transform(
            carla.Location(*point)
        )
        ours, _ = transform_wire(compose(parent, child))
        assert ours == pytest.approx([theirs.x, theirs.y, theirs.z], abs=1e-4)


# --------------------------------------------------------------------------------------------------------- messages
def test_an_inbox_finds_messages_however_they_are_cut() -> None:
    rng = random.Random(4)
    sent = [
        [0, k, "x" * rng.randrange(40), [[False], rng.random(), {"a": [None, True, -5, b"b" * 300]}, list(range(k))]]
        for k in range(40)
    ]
    data = b"".join(msgpack.packb(message) for message in sent)
    inbox, found = Inbox(), []
    at = 0
    while at < len(data):
        step = rng.randrange(1, 400)
        inbox.feed(data[at : at + step], 0.0)
        found += list(inbox.requests(0.0))
        at += step
    assert found == [(number, method, arguments[1:], False) for _, number, method, arguments in sent]
    assert not inbox.data


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of four billion elements
        b"\x94\x00\x01\xa1x\xc6\x7f\xff\xff\xff",  # two gigabytes of bytes
        b"\xdd\x00\x30\x00\x00" * 50,  # arrays of arrays of millions
        b"\xc1",  # never used by msgpack
        msgpack.packb(["no", "request"]),
        msgpack.packb([0, 1, "version", []]),
        b"\x91" * 3000 + b"\x00",  # nested beyond any sense
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_an_inbox_refuses_what_is_no_request(data: bytes) -> None:
    inbox = Inbox()
    inbox.feed(data, 0.0)
    with pytest.raises(ProtocolError):
        list(inbox.requests(0.0))


# ----------------------------------------------------------------------------------------------------------- servers
def drive(port: int) -> tuple[list[bytes], list[bytes]]:
    """The same calls on any fresh server: all snapshots and images that they brought."""
    with RawClient(port) as client:
        client.call("set_episode_settings", SYNCHRONOUS)
        client.call("load_new_episode", "grid", False, 65535)
        _, (token,) = client.call("get_episode_info")
        snapshots = announced(client, token)
        spawns = client.call("get_map_info")[1]
        car = definition(client, "vehicle.audi.tt", server_autopilot="5")
        first = client.call("spawn_actor", car, spawns[0])
        for place in spawns[20:28]:
            client.call("spawn_actor", car, place)
        walker = definition(client, "walker.pedestrian.0007", server_autopilot="9")
        client.call("spawn_actor", walker, spawns[40])
        eye = definition(client, "sensor.camera.rgb", image_size_x="96", image_size_y="64")
        camera = client.call("spawn_actor_with_parent", eye, [[1.2, 0.0, 1.5], [0.0, 0.0, 0.0]], first[0], 0, "")
        images = announced(client, camera[5])
        told, seen = [], []
        with snapshots, images:
            for _ in range(25):
                client.call("tick_cue")
                told.append(without(snapshots.message(), FRAME, PLATFORM_TIME))
                seen.append(without(images.message(), FRAME))
        return told, seen


def announced(client: RawClient, token: bytes) -> Stream:
    """A stream that the server waits for with its next tick."""
    client.call("get_sensor_token", struct.unpack_from("<I", token)[0])
    return client.stream(token)


def without(message: bytes, *parts: slice) -> bytes:
    data = bytearray(message)
    for part in parts:
        data[part] = bytes(part.stop - part.start)
    return bytes(data)


def test_twins_are_identical() -> None:
    """Same seed, same calls: the same bits, but for the count of the frames before and the wall clock."""
    with ServerProcess(town="grid", seed=1) as one, ServerProcess(town="grid", seed=1) as other:
        (told, seen), (theirs, their_images) = drive(one.port), drive(other.port)
    assert told == theirs
    assert seen == their_images
    assert len(set(told)) == len(told), "nothing moved"


def test_bad_clients_harm_nobody_else(server: ServerProcess) -> None:
    rng = random.Random(5)
    with RawClient(server.port) as good:
        frame = good.call("set_episode_settings", SYNCHRONOUS)
        bad = []
        for data in (b"\xc1", b"GET / HTTP/1.1\r\n", rng.randbytes(5000), b"\xdd\xff\xff\xff\xff", b"\x94\x00", b""):
            for port in (server.port, server.port + 1):
                sock = socket.create_connection(("127.0.0.1", port), 5.0)
                sock.sendall(data)
                bad.append(sock)
                assert good.call("tick_cue") == frame + 1
                frame += 1
        for sock in bad:
            sock.close()
        good.call("set_episode_settings", ASYNCHRONOUS)
    server.check()


def test_wrong_arguments_are_answered_not_obeyed(server: ServerProcess) -> None:
    nonsense: list[Any] = [
        None,
        True,
        -1,
        1 << 63,
        float("nan"),
        float("inf"),
        "x",
        b"x",
        [],
        [[]],
        [[1, 2], 3],
        {"a": 1},
    ]
    with RawClient(server.port) as client:
        spawns = client.call("get_map_info")[1]
        car = client.call("spawn_actor", definition(client, "vehicle.audi.tt"), spawns[60])
        for method in (
            "set_actor_transform",
            "apply_control_to_vehicle",
            "set_actor_target_velocity",
            "apply_physics_control",
        ):
            for value in nonsense:
                with pytest.raises(RuntimeError, match=method):
                    client.call(method, car[0], value)
        with pytest.raises(RuntimeError, match="4294967295 not found"):
            client.call("destroy_actor", 0xFFFFFFFF)
        with pytest.raises(RuntimeError, match="arguments expected"):
            client.call("spawn_actor")
        with pytest.raises(RuntimeError, match="no procedure 'format_disk'"):
            client.call("format_disk", "c:")
        with pytest.raises(RuntimeError, match="no file"):
            client.call("request_file", "../../etc/passwd")
        assert client.call("destroy_actor", car[0]) is True


def test_in_asynchronous_mode_a_spawn_is_told_before_the_next_answer(server: ServerProcess) -> None:
    """A walker's controller that is started sooner ends the client: CARLA's draw_skeleton.py."""
    with RawClient(server.port) as client:
        client.call("set_episode_settings", ASYNCHRONOUS)
        places = client.call("get_map_info")[1]
        for place in places[100:120]:  # in less time than as many ticks take otherwise
            coming = client.call("tick_cue")
            car = client.call("spawn_actor", definition(client, "vehicle.audi.tt"), place)
            assert client.call("tick_cue") > coming
            assert client.call("destroy_actor", car[0]) is True


def test_after_a_reload_the_cars_of_the_world_before_are_still_known(server: ServerProcess) -> None:
    """A TrafficManager asks for one a moment late, and an error would end its process."""
    with RawClient(server.port) as client:
        client.call("set_episode_settings", SYNCHRONOUS)
        car = client.call("spawn_actor", definition(client, "vehicle.audi.tt"), client.call("get_map_info")[1][0])
        for _ in range(2):
            client.call("load_new_episode", "", False, 0xFFFF)
            assert client.call("get_actor_bounding_box", car[0]) == car[3]
            client.call("set_actor_simulate_physics", car[0], True)
        assert client.call("get_actors_by_id", [car[0]]) == []
        client.call("set_episode_settings", ASYNCHRONOUS)


def test_a_sensor_that_cannot_be_is_no_actor(server: ServerProcess) -> None:
    with RawClient(server.port) as client:
        for name, chosen in (("sensor.camera.rgb", {"fov": "180"}), ("sensor.lidar.ray_cast", {"channels": "0"})):
            with pytest.raises(RuntimeError, match=name):
                client.call("spawn_actor", definition(client, name, **chosen), [[0.0, 0.0, 9.0], [0.0, 0.0, 0.0]])
        everything = client.call("get_actors_by_id", list(range(2000)))
        assert not [actor for actor in everything if actor[2][1].startswith("sensor.")]


def test_a_slow_reader_does_not_stop_the_others(server: ServerProcess) -> None:
    """Whoever reads nothing costs one wait; from then on messages for it are dropped."""
    with RawClient(server.port) as client:
        client.call("set_episode_settings", SYNCHRONOUS)
        eye = definition(client, "sensor.camera.depth", image_size_x="1280", image_size_y="720")
        camera = client.call("spawn_actor", eye, [[0.0, 0.0, 30.0], [0.0, 0.0, 0.0]])
        stuck = announced(client, camera[5])
        frame = client.call("tick_cue")
        for _ in range(12):
            frame, before = client.call("tick_cue"), frame
            assert frame == before + 1
        client.call("destroy_actor", camera[0])
        client.call("set_episode_settings", ASYNCHRONOUS)
        stuck.socket.close()


def test_a_client_that_vanishes_leaves_a_running_world(server: ServerProcess) -> None:
    gone = RawClient(server.port)
    gone.call("set_episode_settings", SYNCHRONOUS)
    gone.call("tick_cue")
    gone.socket.close()
    with RawClient(server.port) as client:
        _, (token,) = client.call("get_episode_info")
        with client.stream(token) as snapshots:
            first, second = (struct.unpack_from("<Q", snapshots.message(), 8)[0] for _ in range(2))
        assert second > first
        assert client.call("get_episode_settings")[0] is False
    assert "no client that ticks is left" in server.tail()


def test_a_tick_asked_for_at_parting_is_run(server: ServerProcess) -> None:
    """Clients that ask for a tick and are gone before it: what they asked is done, and the server lives."""
    with RawClient(server.port) as good:
        good.call("set_episode_settings", SYNCHRONOUS)
        frame = good.call("tick_cue")
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port)) as leaving:
                leaving.sendall(
                    msgpack.packb([0, 1, "version", [[False]]]) + msgpack.packb([0, 2, "tick_cue", [[False]]])
                )
        while good.call("tick_cue") < frame + 21:
            pass
        good.call("set_episode_settings", ASYNCHRONOUS)
    server.check()


def test_who_waits_for_a_tick_of_a_server_that_is_told_to_end_hears_of_it() -> None:
    """Without that a client would wait for its time-out."""
    with ServerProcess(town="grid") as ending, RawClient(ending.port) as client, RawClient(ending.port) as other:
        client.call("set_episode_settings", SYNCHRONOUS)
        eye = definition(client, "sensor.other.imu")
        announce = client.call("spawn_actor", eye, [[0.0, 0.0, 9.0], [0.0, 0.0, 0.0]])[5]
        client.call("get_sensor_token", struct.unpack_from("<I", announce)[0])
        client.send("tick_cue")  # waits a second for that stream
        other.call("version")
        assert ending.process is not None
        ending.process.terminate()
        assert "told to end" in str(client.receive())
        with pytest.raises(ConnectionError):  # closed without an answer: one would end a client with a TrafficManager
            other.call("version")
        assert ending.process.wait(5.0) == 0


def test_the_log_stays_small() -> None:
    """However much is said: a burst is written, then a line now and then, which tells what is missing."""
    sparing = Sparing(most=3, pause=10.0)

    def say(at: float) -> str | None:
        record = logging.LogRecord("", logging.INFO, "", 0, "hello %d", (7,), None)
        record.created = at
        return record.getMessage() if sparing.filter(record) else None

    assert [say(1.0 + k / 100) for k in range(5)] == ["hello 7"] * 3 + [None] * 2
    assert say(12.0) == "hello 7 (2 lines before were left out)"
    assert say(12.5) is None
    assert [say(1000.0) for _ in range(5)].count(None) == 2


def test_a_refusal_is_said_once_and_again_with_how_often(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    for what in ("a", "a", "b", "a"):
        refusals.say(what)
    now[0] = PAUSE
    refusals.say("a")
    assert [record.getMessage() for record in caplog.records] == ["a", "b", "a (and 2 times since this was last said)"]


def test_a_flood_of_slow_calls_leaves_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """One client sends a thousand calls of 5 ms at once: another's only call is run after a few of them."""
    server, order, now = object.__new__(app.Server), [], [0.0]
    ours, theirs = socket.socket(), socket.socket()
    flood, other = app.Connection(ours, "flood"), app.Connection(theirs, "other")
    flood.waiting.extend((k, "slow", [], False) for k in range(1000))
    other.waiting.append((0, "version", [], False))
    server.peers = Peers()
    server.peers.pending = {flood: None, other: None}

    def execute(connection: app.Connection, *request: object) -> None:
        order.append(connection.peer)
        now[0] += 0.005

    monkeypatch.setattr(app.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(server, "_execute", execute)
    monkeypatch.setattr(server.peers, "watch", lambda connection: None)
    server._run_pending()
    server.peers.close()
    ours.close()
    theirs.close()
    assert order.index("other") < 10
    assert list(server.peers.pending) == [flood]
