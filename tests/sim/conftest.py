"""One embedded server for the tests that talk to it through the real client; each test leaves it as it found it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from roadcraft.sim.embedded.server.process import ServerProcess


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(town="grid", seed=1) as process:
        yield process
        process.check()


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> Any:
    carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
    connected = carla.Client("127.0.0.1", server.port, 4)
    connected.set_timeout(60.0)
    return connected


@pytest.fixture
def world(client: Any) -> Iterator[Any]:
    """The world in synchronous mode at 0.05 s; actors that a test spawned are gone afterwards."""
    import carla

    world = client.get_world()
    settings = world.get_settings()
    before = (settings.synchronous_mode, settings.fixed_delta_seconds)
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    world.tick()
    kept = {actor.id for actor in world.get_actors()}
    yield world
    world.tick()
    spawned = [actor for actor in world.get_actors() if actor.id not in kept]
    client.apply_batch_sync([carla.command.DestroyActor(actor) for actor in spawned])
    world.freeze_all_traffic_lights(False)
    world.set_weather(carla.WeatherParameters.ClearNoon)
    world.tick()
    settings.synchronous_mode, settings.fixed_delta_seconds = before
    world.apply_settings(settings)
