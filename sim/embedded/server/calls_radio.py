"""The call of V2X sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadcraft.sim.embedded.server.actors import Category
from roadcraft.sim.embedded.server.calls import Result, call
from roadcraft.sim.embedded.server.v2x import CustomStation
from roadcraft.sim.embedded.server.v2x_layout import MOST_TEXT
from roadcraft.sim.embedded.server.wire import text, u32
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server


@call(
    "send", Result.VOID, u32, text,
    note=f"of `sensor.other.v2x_custom`: goes out in the next tick, of several the last, as in CARLA 0.9.16; at most "
    f"{MOST_TEXT} bytes",
)  # fmt: skip
def send(server: Server, number: int, message: str) -> None:
    actor = server.live.actors.get(number, Category.SENSOR)
    if not isinstance(actor.sensor, CustomStation):
        raise UserError(f"actor {number} ({actor.type_id}) sends no messages of clients; sensor.other.v2x_custom does")
    actor.sensor.tell(message)
