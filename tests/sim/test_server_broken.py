"""A sensor that fails is named, and after some ticks silent for good; the world goes on with the others."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.calls_world import sensor_token
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.sensors import FAILURES, Sensors
from roadcraft.sim.embedded.server.streams import Streams
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.errors import UserError


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


KINDS = pytest.mark.parametrize("kind", ["sensor.other.imu", "sensor.camera.depth"])


def three(kind: str) -> tuple[Any, list[Actor]]:
    """A server with three sensors of a kind, each of which has sent something."""
    server: Any = SimpleNamespace(
        live=LiveWorld(load_town("grid"), "grid"),
        streams=Listened(),
        settings=SimpleNamespace(no_rendering=False, synchronous=True),
        faults=SimpleNamespace(lost=lambda _: False),
        caller=None,
        port=2000,
    )
    sensors = server.sensors = Sensors(server)
    small = [["image_size_x", 1, "8"], ["image_size_y", 1, "8"]] if "camera" in kind else []
    actors = [server.live.spawn(kind, small, Pose(x=float(x))) for x in range(3)]
    for actor in actors:
        sensors.equip(actor)
    sensors.after_tick(0.05)
    assert sorted(server.streams.sent) == [actor.stream for actor in actors]
    server.streams.sent.clear()
    return server, actors


def work(actor: Actor) -> str:
    """The name of what makes a sensor's data."""
    return "encode" if "camera" in actor.type_id else "sense"


@KINDS
def test_one_broken_sensor_does_not_end_the_world(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is named, and after some ticks it is silent for good; who asks for its stream then is told why."""
    server, actors = three(kind)
    broken = actors[1]
    setattr(broken.sensor, work(broken), fails)
    assert sensor_token(server, broken.stream)
    with caplog.at_level(logging.WARNING):
        for _ in range(FAILURES + 2):
            server.sensors.after_tick(0.05)
    assert server.streams.sent == [actors[0].stream, actors[2].stream] * (FAILURES + 2)
    first, last = caplog.records
    assert f"sensor {broken.id} ({kind}) failed" in first.getMessage()
    assert "sends nothing any more" in last.getMessage()
    assert "on purpose" in caplog.text
    with pytest.raises(UserError, match=rf"sensor {broken.id} .* nothing any more: ZeroDivisionError: on purpose"):
        sensor_token(server, broken.stream)
    assert sensor_token(server, actors[0].stream)
    server.sensors.forget(broken)
    assert not server.sensors.silenced


@KINDS
def test_a_bad_tick_costs_its_data_only(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sensors fail in every other pair of ticks, and send again after each."""
    server, actors = three(kind)
    for _ in range(FAILURES):
        with monkeypatch.context() as bad:
            if "camera" in kind:
                bad.setattr(server.sensors.cameras.renderer, "render", fails)
            else:
                for actor in actors:
                    bad.setattr(actor.sensor, "sense", fails)
            for _ in range(FAILURES - 1):
                server.sensors.after_tick(0.05)
        assert not server.streams.sent
        server.sensors.after_tick(0.05)
        assert sorted(server.streams.sent) == [actor.stream for actor in actors]
        server.streams.sent.clear()
    assert not server.sensors.silenced


def test_a_picture_that_was_not_sent_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails on the way out, once, costs nobody a picture."""
    server, actors = three("sensor.camera.depth")
    send, due = server.streams.send, [MemoryError()]

    def stumbling(*what: Any) -> None:
        if due:
            raise due.pop()
        send(*what)

    monkeypatch.setattr(server.streams, "send", stumbling)
    server.sensors.after_tick(0.05)
    assert sorted(server.streams.sent) == [actor.stream for actor in actors]
