"""Faults on demand, so that anybody can test how their stack recovers: `--fault camera.drop=0.01,server.exit@500`.

    camera.drop=P     each camera image is lost with probability P
    sensor.drop=P     each message of any other sensor likewise
    tick.stall=P      each tick lasts two seconds longer with probability P
    server.exit@N     the server dies at frame N, as by a crash
    server.hang@N     the server stops answering at frame N

What happens is decided by the server's seed: the same seed, the same faults.
"""

from __future__ import annotations

import os
import time

import numpy as np

from roadcraft.sim.errors import UserError

CHANCES = ("camera.drop", "sensor.drop", "tick.stall")
MOMENTS = ("server.exit", "server.hang")
STALL = 2.0  # s
CRASHED = 70  # exit status of `server.exit`


class Faults:
    """The faults of one server. Raises UserError for a text that names none."""

    def __init__(self, text: str = "", seed: int = 0) -> None:
        self.chance: dict[str, float] = {}
        self.moment: dict[str, int] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            self._add(item)
        self._random = np.random.default_rng([seed, 0xFA17])

    def _add(self, item: str) -> None:
        try:
            if "=" in item:
                name, value = item.split("=")
                if name in CHANCES and 0.0 <= float(value) <= 1.0:
                    self.chance[name] = float(value)
                    return
            elif "@" in item:
                name, value = item.split("@")
                if name in MOMENTS and int(value) > 0:  # the first tick makes frame 1
                    self.moment[name] = int(value)
                    return
        except ValueError:
            pass
        known = ", ".join([f"{name}=P" for name in CHANCES] + [f"{name}@FRAME" for name in MOMENTS])
        raise UserError(f"--fault: '{item}' is no fault; there are {known} (P between 0 and 1)")

    def lost(self, name: str) -> bool:
        """Whether this message is lost."""
        chance = self.chance.get(name, 0.0)
        return chance > 0.0 and float(self._random.random()) < chance

    def at_tick(self, frame: int) -> None:
        """What befalls the server in this tick."""
        if self.lost("tick.stall"):
            time.sleep(STALL)
        if frame == self.moment.get("server.exit"):
            os._exit(CRASHED)
        while frame == self.moment.get("server.hang"):
            time.sleep(1.0)
