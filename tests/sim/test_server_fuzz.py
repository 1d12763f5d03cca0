"""Random and mutated messages: the server answers errors or closes that connection, and goes on serving the others."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Any

import msgpack
import pytest
from raw_client import RawClient

from roadcraft.sim.embedded.server import app  # noqa: F401  # fills the table of calls
from roadcraft.sim.embedded.server.calls import CALLS
from roadcraft.sim.embedded.server.process import ServerProcess

SYNCHRONOUS = [True, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
METHODS_THAT_TAKE_LONG = ("load_new_episode", "copy_opendrive_to_file", "replay_file", "start_recorder")
EVERY = 500  # messages between two looks at whether the others are served


def value(rng: random.Random, depth: int = 0) -> Any:
    """Anything that msgpack can say."""
    kind = rng.randrange(14 if depth < 4 else 10)
    if kind < 4:
        return rng.choice([0, 1, -1, 2, 7, 46, 255, 256, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, -(1 << 63)])
    if kind < 7:
        return rng.choice([0.0, 1.5, -1e30, 1e308, float("nan"), float("inf"), rng.uniform(-200, 200)])
    if kind < 8:
        return rng.choice([True, False, None])
    if kind < 9:
        return rng.choice(["", "x", "vehicle.audi.tt", "sensor.lidar.ray_cast", "../..", "\0", "ü" * rng.randrange(50)])
    if kind < 10:
        return rng.randbytes(rng.randrange(30))
    return [value(rng, depth + 1) for _ in range(rng.randrange(8))]


def mutated(rng: random.Random, call: list[Any]) -> list[Any]:
    """A valid call with one part of it exchanged, doubled or taken away."""
    parts = list(call)
    if not parts:
        return [value(rng)]
    at = rng.randrange(len(parts))
    if isinstance(parts[at], list) and rng.random() < 0.7:
        parts[at] = mutated(rng, parts[at])
    else:
        parts[at : at + 1] = rng.choice([[value(rng)], [], [parts[at], parts[at]]])
    return parts


def valid(rng: random.Random, actor: int) -> tuple[str, list[Any]]:
    """Some sensible call."""
    place = [[rng.uniform(-100, 100), rng.uniform(-100, 100), 1.0], [0.0, rng.uniform(-180, 180), 0.0]]
    audi = [1, rng.choice(["vehicle.audi.tt", "walker.pedestrian.0001", "sensor.other.imu", "static.prop.box01"]), []]
    calls: list[tuple[str, list[Any]]] = [
        ("spawn_actor", [audi, place]),
        ("spawn_actor_with_parent", [audi, place, actor, 0, ""]),
        ("apply_control_to_vehicle", [actor, [0.5, 0.1, 0.0, False, False, False, 0]]),
        ("apply_control_to_walker", [actor, [[1.0, 0.0, 0.0], 1.0, False]]),
        ("set_actor_transform", [actor, place]),
        ("add_actor_impulse", [actor, [10.0, 0.0, 0.0]]),
        ("apply_batch", [[[[0, [audi, place, [False], 0, "", []]]], [[7, [actor, place, 1.0]]]], False]),
        ("destroy_actor", [actor]),
        ("get_actors_by_id", [[actor, 1, 2]]),
        ("set_weather_parameters", [[1.0] * 14]),
        ("set_traffic_light_state", [actor, 2]),
        ("cast_ray", [place[0], place[1]]),
        ("project_point", [place[0], [0.0, 0.0, -1.0], 10.0]),
        ("get_physics_control", [actor]),
        ("show_recorder_file_info", ["x.log", True]),
        ("get_environment_objects", [3]),
        ("set_episode_settings", [SYNCHRONOUS]),
        ("tick_cue", []),
    ]
    return rng.choice(calls)


def memory(server: ServerProcess) -> int:
    """Resident bytes of the server."""
    assert server.process is not None
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


def attack(server: ServerProcess, messages: int, seed: int) -> None:
    """Sends that many bad messages over ever new connections, with a good client beside them."""
    rng = random.Random(seed)
    with RawClient(server.port) as good:
        names = ["version", *{valid(rng, 1)[0] for _ in range(200)}]
        sock, stuck = None, []
        for k in range(messages):
            if k % EVERY == 0:
                good.call("set_episode_settings", SYNCHRONOUS)
                frame = good.call("tick_cue")
                assert good.call("tick_cue") > frame  # ticks that bad clients asked for may come between
            if sock is None:
                sock = socket.create_connection(("127.0.0.1", server.port), 10.0)
                sock.settimeout(0.0)
            actor = rng.choice([1, 2, 20, 30, 50, rng.randrange(200)])
            name, arguments = valid(rng, actor)
            style = rng.random()
            if style < 0.6:
                message = msgpack.packb([0, k & 0xFFFFFFFF, name, [[False], *mutated(rng, arguments)]])
            elif style < 0.8:
                message = msgpack.packb([0, k, rng.choice(names), [[False], *[value(rng) for _ in range(3)]]])
            elif style < 0.9:
                message = bytearray(msgpack.packb([0, k, name, [[False], *arguments]]))
                message[rng.randrange(len(message))] = rng.randrange(256)
            else:
                message = rng.randbytes(rng.randrange(1, 60))
            try:
                sock.send(message[: rng.randrange(len(message) + 1)] if rng.random() < 0.05 else message)
                sock.recv(1 << 16)
            except BlockingIOError:
                pass
            except OSError:
                sock.close()
                sock = None
                continue
            if rng.random() < 0.02:  # left open in the middle of something
                stuck.append(sock)
                sock = None
                if len(stuck) > 40:
                    stuck.pop(rng.randrange(len(stuck))).close()
        for each in [*stuck, *([sock] if sock else [])]:
            each.close()
        good.call("load_new_episode", "", True, 65535)
    server.check()


@pytest.mark.slow
def test_fuzz() -> None:
    with ServerProcess(town="grid") as server:
        attack(server, 3000, seed=1)


@pytest.mark.slow
def test_every_bad_call_is_answered_and_none_fails_inside() -> None:
    """All calls in turn, with sensible arguments that were mutated or with random ones; each answer is awaited."""
    rng = random.Random(7)
    names = sorted(CALLS.keys() - {"set_episode_settings", *METHODS_THAT_TAKE_LONG})
    with ServerProcess(town="grid") as server, RawClient(server.port) as client:
        for k in range(6000):
            name, arguments = valid(rng, rng.randrange(200))
            arguments = mutated(rng, arguments)
            if k % 2 or name == "set_episode_settings":
                name = names[k // 2 % len(names)]
                arguments = [rng.choice([value(rng), rng.randrange(200)]) for _ in range(rng.randrange(6))]
            number = client.send(name, *arguments)
            answer = client.receive()
            assert answer[1] == number
            assert "internal error" not in str(answer), (name, arguments)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_hundred_thousand_bad_messages() -> None:
    with ServerProcess(town="grid") as server:
        attack(server, 20_000, seed=2)
        before = memory(server)
        for seed in range(3, 7):
            attack(server, 20_000, seed)
        assert memory(server) < 1.5 * before + (64 << 20)
