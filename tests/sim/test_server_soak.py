"""A soak with coming and going: `make test-slow` runs 50,000 ticks of it, `make soak` 300,000."""

from __future__ import annotations

import random
from statistics import median
from typing import Any

import pytest
from test_server_fuzz import memory

from roadcraft.launch.bench_server import processor_time
from roadcraft.sim.embedded.server.process import ServerProcess

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
LOOK = 5000  # ticks between two looks at the server
WARM = 3  # looks until everything has been there once
MOST_LIVING = 15


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    "ticks", [pytest.param(50_000, marks=pytest.mark.slow), pytest.param(300_000, marks=pytest.mark.soak)]
)
def test_memory_and_speed_stay_as_they_are(ticks: int) -> None:
    """Every second a car with a sensor comes and another goes, beside ten cars and ten walkers of the server's own."""
    with ServerProcess(town="grid", vehicles=10, walkers=10) as server:
        assert server.process is not None
        client = carla.Client("127.0.0.1", server.port, 2)
        client.set_timeout(60.0)
        world = client.get_world()
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        world.apply_settings(settings)
        coming = Coming(world)
        sizes, spent, before = [], [], processor_time(server.process.pid)
        for k in range(ticks):
            if k % 20 == 0:
                coming.and_going()
            world.tick()
            if k % LOOK == LOOK - 1:
                now = processor_time(server.process.pid)
                sizes.append(memory(server))
                spent.append((now - before) / LOOK * 1e3)
                before = now
        server.check()
    middle = (WARM + len(spent)) // 2
    early, late = median(spent[WARM:middle]), median(spent[middle:])
    growth = max(sizes[WARM:]) / sizes[WARM - 1] - 1.0
    print({"ticks": ticks, "growth": round(growth, 4), "cpu_ms": [round(early, 4), round(late, 4)], "bytes": sizes[-1]})
    assert growth < 0.05, [size >> 20 for size in sizes]
    assert late < 1.25 * early, spent


class Coming:
    """Cars with a sensor that appear somewhere and are gone a while later."""

    def __init__(self, world: Any) -> None:
        library = world.get_blueprint_library()
        self.world, self.places = world, world.get_map().get_spawn_points()
        self.kinds, self.probe = list(library.filter("vehicle.*")), library.find("sensor.other.imu")
        self.random = random.Random(3)
        self.living: list[tuple[Any, Any]] = []

    def and_going(self) -> None:
        """One more where there is room; one less when there are many."""
        car = self.world.try_spawn_actor(self.random.choice(self.kinds), self.random.choice(self.places))
        if car is not None:
            probe = self.world.spawn_actor(self.probe, carla.Transform(), attach_to=car)
            probe.listen(lambda data: None)
            self.living.append((probe, car))
        if len(self.living) > MOST_LIVING:
            for each in self.living.pop(self.random.randrange(len(self.living))):
                each.destroy()
