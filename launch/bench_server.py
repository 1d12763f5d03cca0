"""What CARLA's protocol costs: the real client on a server of its own, beside the same ticks in this process.

Town, traffic and camera (320x180, standing, no motion blur) are the same on both sides. A served tick is the client's:
`world.tick()` and its picture. Processor time is that of the server's process, so that the client's share does not
count.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import clock_gettime, perf_counter, process_time
from typing import Any

from tqdm import tqdm

from roadcraft.launch.options.bench import BenchSim
from roadcraft.sim.embedded.server.cameras import Camera, Cameras
from roadcraft.sim.embedded.server.crowd import populate
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.process import ServerProcess
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.messages import DT

CHOSEN = {"image_size_x": "320", "image_size_y": "180", "motion_blur_intensity": "0.0"}  # sharp, as drives see it
EYE = 1.5  # [m] of the camera above the road
CALLS = 500  # round trips that are timed
WARM = 20  # ticks before anything is timed
SCHEDULER_CLOCK = 2  # in Linux' number for another process's clock, which counts nanoseconds (/proc counts in 10 ms)


def bench_server(asked: BenchSim, town: str) -> dict[str, Any]:
    """Ticks a second through the client, processor time [ms] of a tick on either side, and the round trip of a call.

    Empty where the `carla` wheel does not exist.
    """
    try:
        import carla
    except ImportError:
        return {}
    vehicles, walkers = asked.traffic.vehicles, asked.traffic.walkers
    in_process = in_this_process(town, asked.seed, vehicles, walkers)
    with ServerProcess(town=town, seed=asked.seed, vehicles=vehicles, walkers=walkers) as server:
        client = carla.Client("127.0.0.1", server.port)
        client.set_timeout(60.0)
        with served(client) as tick:
            assert server.process is not None
            pid = server.process.pid
            alone, through = [], []
            for _ in tqdm(range(asked.rounds), desc="served rounds"):
                alone.append(round_of(in_process, asked.ticks, process_time))
                through.append(round_of(tick, asked.ticks, lambda: processor_time(pid)))
            trips = [seconds(client.get_server_version) for _ in range(CALLS)]
    used, own = median(spent for _, spent in through), median(spent for _, spent in alone)
    return {
        "ticks_per_s": 1 / median(time for time, _ in through),
        "server": {
            "cpu_ms": used * 1e3,
            "in_process_cpu_ms": own * 1e3,
            "serving_ms": (used - own) * 1e3,
            "round_trip_ms": median(trips) * 1e3,
        },
    }


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes [s]."""
    began = perf_counter()
    call()
    return perf_counter() - began


def round_of(go: Callable[[], None], count: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds that each of `count` ticks took, and what `clock` counted of each."""
    before, began = clock(), perf_counter()
    for _ in range(count):
        go()
    return (perf_counter() - began) / count, (clock() - before) / count


def processor_time(process: int) -> float:
    """[s] that a process has used so far, with all its threads (Linux)."""
    return clock_gettime(~process << 3 | SCHEDULER_CLOCK)


def in_this_process(town: str, seed: int, vehicles: int, walkers: int) -> Callable[[], None]:
    """One tick of the server's world with its picture, without sockets."""
    live = LiveWorld(load_town(town), town, seed=seed)
    populate(live, vehicles, walkers, seed)
    x, y, yaw = live.town.network.spawns[0].tolist()
    chosen = [[name, 2, value] for name, value in CHOSEN.items()]
    actor = live.spawn("sensor.camera.rgb", chosen, Pose(x, y, EYE, yaw))
    actor.sensor = Camera(actor)
    cameras = Cameras()

    def tick() -> None:
        live.step(DT)
        for _ in cameras.images(live, [actor]):
            pass

    for _ in range(WARM):
        tick()
    return tick


@contextmanager
def served(client: Any) -> Iterator[Callable[[], None]]:
    """One tick through a client with its picture, in synchronous mode."""
    import carla

    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, DT
    world.apply_settings(settings)
    blueprint = world.get_blueprint_library().find("sensor.camera.rgb")
    for name, value in CHOSEN.items():
        blueprint.set_attribute(name, value)
    place = world.get_map().get_spawn_points()[0]
    place.location.z = EYE
    camera = world.spawn_actor(blueprint, carla.Transform(place.location, place.rotation))
    images: queue.SimpleQueue[Any] = queue.SimpleQueue()
    camera.listen(images.put)

    def tick() -> None:
        world.tick()
        images.get(timeout=60.0)

    for _ in range(WARM):
        tick()
    yield tick
    camera.destroy()
