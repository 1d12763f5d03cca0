"""CarlaWorld against the embedded server, with the real client: the same facts as in process, and what dies is told."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import msgpack
import numpy as np
import pytest
from test_scenarios import careful

carla = pytest.importorskip("carla")

from roadcraft.sim import bridge  # noqa: E402
from roadcraft.sim.bridge import CarlaWorld  # noqa: E402
from roadcraft.sim.embedded.server.process import ServerProcess, free_port  # noqa: E402
from roadcraft.sim.embedded.world import EmbeddedWorld  # noqa: E402
from roadcraft.sim.episodes import WEATHERS, episode_from_seed  # noqa: E402
from roadcraft.sim.errors import UserError, WorldLost  # noqa: E402
from roadcraft.sim.geometry import wrap  # noqa: E402
from roadcraft.sim.messages import Camera, Control, Episode, Facts, Tick, Traffic  # noqa: E402
from roadcraft.sim.scenarios import SCENARIOS  # noqa: E402

# The wire carries 32 bit floats: 1e-5 m at 100 m from the origin, degrees to 1e-5.
TOLERANCE = 1e-3  # m, m/s, rad: some hundred roundings later
TOWN = "grid-20"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(town=TOWN) as process:
        yield process


def episode(**changes: Any) -> Episode:
    return replace(episode_from_seed(2000, camera=None, weather="clear"), town=TOWN, **changes)


def steer_along(tick: Tick) -> Control:
    """Pure pursuit at 6 m/s; a little restless, so that throttle, brake and steering are all used."""
    facts = tick.facts
    x, y = facts.path_ego[6] + (1.43, 0.0)
    accel = 6 + 2 * np.sin(facts.time) - float(facts.velocity_ego[0])
    steer = np.arctan(5.72 * y / (x * x + y * y)) / np.radians(70)
    return Control(
        float(np.clip(steer, -1, 1)), float(np.clip(0.3 * accel, 0, 0.7)), float(np.clip(-0.2 * accel, 0, 1))
    )


def differences(a: Facts, b: Facts) -> dict[str, float]:
    """By how much each fact differs; numbers of actors aside, which only name them."""
    found = {}
    for field in fields(Facts):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if field.name in ("actors", "contacts"):
            assert len(x) == len(y), f"{field.name} at frame {a.frame}"
            for name in x.dtype.names:
                if name == "yaw":
                    found["actors.yaw"] = max((abs(wrap(d)) for d in x["yaw"] - y["yaw"]), default=0.0)
                elif name not in ("id", "impulse"):
                    found[f"{field.name}.{name}"] = float(np.abs(x[name].astype(float) - y[name]).max(initial=0.0))
        elif field.name == "pose":
            found["pose"] = max(*np.abs(x[:2] - y[:2]), abs(wrap(x[2] - y[2])))
        elif isinstance(x, (float, np.ndarray)):
            assert np.array_equal(np.isnan(x), np.isnan(y)), f"{field.name} at frame {a.frame}"
            gap = np.abs(np.nan_to_num(x, posinf=1e6) - np.nan_to_num(y, posinf=1e6))
            found[field.name] = float(np.max(gap))
        else:
            assert x == y, f"{field.name} at frame {a.frame}"
    return found


def test_both_worlds_tell_the_same(server: ServerProcess) -> None:
    """200 ticks among 30 vehicles and 20 walkers: the same episode, the same controls, the same facts."""
    drive = episode(traffic=Traffic(30, 20))
    embedded, worst = EmbeddedWorld(), {}
    with CarlaWorld(port=server.port, process=server) as remote:
        a, b = embedded.reset(drive), remote.reset(drive)
        for _ in range(200):
            for name, gap in differences(a.facts, b.facts).items():
                worst[name] = max(worst.get(name, 0.0), gap)
            assert np.abs(a.observation.route_ego - b.observation.route_ego).max() < TOLERANCE
            assert np.abs(a.observation.ego.accel_ego - b.observation.ego.accel_ego).max() < TOLERANCE
            assert a.observation.command == b.observation.command
            control = steer_along(a)
            a, b = embedded.step(control), remote.step(control)
    assert len(a.facts.actors) > 5
    assert a.facts.progress > 10
    assert {name: gap for name, gap in worst.items() if gap > TOLERANCE} == {}


def episode_in_which(world: EmbeddedWorld, name: str) -> tuple[Episode, int]:
    """The first seed's episode in which that scenario happens to a careful driver, and after how many ticks."""
    for seed in range(2000, 2020):
        drive = episode_from_seed(seed, camera=None, weather="clear", traffic=Traffic(0, 0), scenarios=(name,))
        tick = world.reset(drive)
        for count in range(1500 if world.director.all else 0):
            tick = world.step(careful(tick))
            if world.director.all[0].happened:
                return drive, count
    raise AssertionError(f"{name} never happens")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "pedestrian_crossing" else pytest.mark.slow) for name in SCENARIOS],
)
def test_scenarios_run_alike_in_both_worlds(server: ServerProcess, name: str) -> None:
    embedded, others, worst = EmbeddedWorld(), 0, 0.0
    drive, ticks = episode_in_which(embedded, name)
    with CarlaWorld(port=server.port, process=server) as remote:
        a, b = embedded.reset(drive), remote.reset(drive)
        for _ in range(ticks + 80):
            worst = max(worst, *differences(a.facts, b.facts).values())
            others = max(others, len(a.facts.actors))
            control = careful(a)
            a, b = embedded.step(control), remote.step(control)
        happened = [[s.happened for s in world.director.all] for world in (embedded, remote)]
    assert others >= 1
    assert happened[0] == happened[1]
    assert any(happened[0])
    assert worst < TOLERANCE


@pytest.mark.parametrize("weather", ["clear", "night"])
def test_both_worlds_see_the_same(server: ServerProcess, weather: str) -> None:
    drive = episode(camera=Camera(width=160, height=90, labels=True))
    drive = replace(drive, weather=WEATHERS[weather])
    embedded = EmbeddedWorld()
    with CarlaWorld(port=server.port, process=server) as remote:
        a, b = embedded.reset(drive), remote.reset(drive)
        for _ in range(10):
            a, b = embedded.step(steer_along(a)), remote.step(steer_along(a))
        assert a.observation.rgb is not None
        assert b.observation.rgb is not None
        assert a.observation.rgb.std() > 10
        assert embedded.simulation is not None
        assert embedded.simulation.body(embedded.ego)["lights"] == (3 if weather == "night" else 0)
        assert a.labels is not None
        assert b.labels is not None
        far = np.abs(a.observation.rgb.astype(int) - b.observation.rgb).max(-1) > 2
        assert far.mean() < 0.01
        assert remote._rig is not None
        blueprint = remote._rig._cameras["rgb"].actor.attributes
        assert float(blueprint["motion_blur_intensity"]) == 0  # CARLA's default blurs, the embedded world does not
        assert (a.labels.semantic != b.labels.semantic).mean() < 0.01
        near = (a.labels.depth < 100) & (b.labels.depth < 100)
        assert np.quantile(np.abs(a.labels.depth - b.labels.depth)[near], 0.99) < 0.05
        seen = [np.sort(t.facts.actors["visible_px"]) for t in (a, b)]
        assert np.abs(seen[0] - seen[1]).max() <= 5


def test_an_episode_leaves_nothing_behind(server: ServerProcess) -> None:
    with CarlaWorld(port=server.port, process=server) as world:
        for _ in range(2):  # also from one episode to the next
            world.reset(episode(traffic=Traffic(5, 5), camera=Camera(width=64, height=36)))
            world.step(Control())
    client = carla.Client("127.0.0.1", server.port)
    client.set_timeout(10.0)
    left = client.get_world()
    assert not left.get_settings().synchronous_mode
    left.wait_for_tick()
    kinds = {actor.type_id.split(".")[0] for actor in left.get_actors()}
    assert kinds <= {"spectator", "traffic"}


def test_an_exception_in_the_loop_frees_the_server_too(server: ServerProcess) -> None:
    def crash() -> None:
        with CarlaWorld(port=server.port, process=server) as world:
            world.reset(episode(traffic=Traffic(1, 1)))
            raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        crash()
    client = carla.Client("127.0.0.1", server.port)
    client.set_timeout(10.0)
    assert not client.get_world().get_settings().synchronous_mode


def test_an_unknown_town_is_named(server: ServerProcess) -> None:
    with CarlaWorld(port=server.port, process=server) as world, pytest.raises(UserError, match="Atlantis"):
        world.reset(replace(episode(), town="Atlantis"))


def test_a_killed_server_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "TICK_TIMEOUT", 2.0)
    with ServerProcess(town=TOWN) as process:
        world = CarlaWorld(port=process.port, process=process)
        world.reset(episode(traffic=Traffic(2, 2), camera=Camera(width=64, height=36)))
        world.step(Control())
        process.kill()
        with pytest.raises(WorldLost, match=rf"127.0.0.1:{process.port} .* tick 2; .* killed by signal 9") as lost:
            world.step(Control())
        assert "\n" not in str(lost.value)
        world.close()
        world.close()


@pytest.mark.slow
def test_a_server_that_somebody_else_started_and_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "TICK_TIMEOUT", 2.0)
    with ServerProcess(town=TOWN) as process:
        world = CarlaWorld(port=process.port)
        world.reset(episode(traffic=Traffic(0, 0)))
        process.kill()
        with pytest.raises(WorldLost, match="nothing listens there any more"):
            world.step(Control())
        world.close()


def test_nobody_listens() -> None:
    port = free_port()
    with pytest.raises(UserError, match=rf"no CARLA server listens at 127.0.0.1:{port}.*roadcraft serve --port {port}"):
        CarlaWorld(port=port)


def answering(port: int, answers: dict[str, Any]) -> socket.socket:
    """A server that answers a few calls, each with a fixed value."""
    listener = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    def talk(sock: socket.socket) -> None:
        unpacker = msgpack.Unpacker()
        with contextlib.suppress(OSError), sock:
            while data := sock.recv(4096):
                unpacker.feed(data)
                for _, number, method, _ in unpacker:
                    if method in answers:
                        sock.sendall(msgpack.packb([1, number, None, [[1, answers[method]]]]))

    threading.Thread(target=serve, daemon=True).start()
    return listener


def test_another_version() -> None:
    port = free_port()
    with answering(port, {"version": "0.9.13"}), pytest.raises(UserError, match=r"is CARLA 0\.9\.13, the client is 0"):
        CarlaWorld(port=port)


def test_something_else_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "CONNECT_TIMEOUT", 0.5)
    port = free_port()
    with answering(port, {}), pytest.raises(UserError, match=f"127.0.0.1:{port} does not answer as a CARLA server"):
        CarlaWorld(port=port)
