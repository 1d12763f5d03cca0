"""roadcraft serve                                   an empty town on 127.0.0.1:2000, as CARLA starts
roadcraft serve --vehicles 20 --walkers 20           a populated one
roadcraft serve --town my_town.xodr --port 3000      your own road network
roadcraft serve --alias-towns                        own towns under CARLA's names, for scripts that load Town01
roadcraft serve --fault camera.drop=0.01,server.exit@500   faults on demand, to test how a stack recovers

Any CARLA 0.9.16 client connects to it: `carla.Client("127.0.0.1", 2000)`. It runs until Ctrl-C.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from roadcraft.launch.options.simulator import Serve
from roadcraft.launch.runs import Run
from roadcraft.sim.embedded.server.app import Server, serve
from roadcraft.sim.embedded.server.logs import log_to_stderr


def run(asked: Serve, run: Run) -> None:
    """The verb. Raises UserError for a port in use and for an unknown town."""

    def ready(server: Server) -> None:
        where = f"{asked.host}:{server.port}"
        print(
            f"serving CARLA 0.9.16's protocol on {where}, town {asked.town}; Ctrl-C ends it",
            file=sys.stderr,
            flush=True,
        )

    log_to_stderr(logging.WARNING, "roadcraft serve: %(message)s")
    run.result.update(host=asked.host, port=asked.port, town=asked.town)
    serve(
        ready,
        host=asked.host,
        port=asked.port,
        town=asked.town,
        maps=None if asked.maps is None else Path(asked.maps),
        alias_towns=asked.alias_towns,
        seed=asked.seed,
        vehicles=asked.vehicles,
        walkers=asked.walkers,
        fault=asked.fault,
        recordings=Path(asked.recordings),
    )
