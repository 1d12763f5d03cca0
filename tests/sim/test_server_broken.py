"""A sensor that fails is named and falls silent; the world goes on with the others."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.sensors import Sensors
from roadcraft.sim.embedded.server.streams import Streams
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town


class Listened(Streams):
    """Streams that somebody listens to; notes what is sent."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.sent: list[int] = []

    def heard(self, stream: int) -> bool:
        return True

    def send(self, stream: int, parts: Any, keep_all: bool) -> None:
        self.sent.append(stream)


def fails(*_: object) -> Any:
    raise ZeroDivisionError("on purpose")


@pytest.mark.parametrize("kind", ["sensor.other.imu", "sensor.camera.depth"])
def test_one_broken_sensor_does_not_end_the_world(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    server: Any = SimpleNamespace(
        live=LiveWorld(load_town("grid"), "grid"),
        streams=Listened(),
        settings=SimpleNamespace(no_rendering=False, synchronous=True),
        faults=SimpleNamespace(lost=lambda _: False),
    )
    sensors = Sensors(server)
    small = [["image_size_x", 1, "8"], ["image_size_y", 1, "8"]] if "camera" in kind else []
    actors = [server.live.spawn(kind, small, Pose(x=float(x))) for x in range(3)]
    for actor in actors:
        sensors.equip(actor)
    sensors.after_tick(0.05)
    assert sorted(server.streams.sent) == [actor.stream for actor in actors]
    broken = actors[1]
    setattr(broken.sensor, "encode" if small else "sense", fails)
    server.streams.sent.clear()
    with caplog.at_level(logging.ERROR):
        sensors.after_tick(0.05)
        sensors.after_tick(0.05)
    assert server.streams.sent == [actors[0].stream, actors[2].stream] * 2
    (told,) = caplog.records
    assert f"sensor {broken.id} ({kind}) failed" in told.getMessage()
    assert "on purpose" in caplog.text
