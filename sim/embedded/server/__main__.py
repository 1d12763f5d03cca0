"""A server as a process of its own: `python -m roadcraft.sim.embedded.server --port 2000 --town grid`.

When it listens it writes one line of JSON to stdout; everything else goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from roadcraft.sim.embedded.server.app import Options, Server, serve
from roadcraft.sim.embedded.server.logs import log_to_stderr
from roadcraft.sim.errors import UserError


def main() -> int:
    """Runs a server until it is told to stop; the exit status."""
    defaults = Options()
    parser = argparse.ArgumentParser(prog="roadcraft.sim.embedded.server", description=__doc__)
    parser.add_argument("--port", type=int, default=defaults.port, help="calls; streams are on the next port")
    parser.add_argument("--host", default=defaults.host, help="address to listen on")
    parser.add_argument("--town", default=defaults.town, help="a town's name or an OpenDRIVE file")
    parser.add_argument("--maps", type=Path, default=None, help="folder of OpenDRIVE files of CARLA's towns")
    parser.add_argument("--alias-towns", action="store_true", help="load own towns under CARLA's names")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--vehicles", type=int, default=0, help="driven by the server")
    parser.add_argument("--walkers", type=int, default=0, help="driven by the server")
    parser.add_argument("--fault", default="", help="such as camera.drop=0.01,tick.stall=0.001,server.exit@500")
    parser.add_argument("--recordings", type=Path, default=defaults.recordings, help="where clients' recordings go")
    parser.add_argument("--ready", type=int, default=-1, help="descriptor that gets one byte when it listens")
    parser.add_argument("--lifeline", type=int, default=-1, help="descriptor of a pipe; the server ends when it closes")
    arguments = vars(parser.parse_args())
    notify, lifeline = arguments.pop("ready"), arguments.pop("lifeline")
    log_to_stderr(logging.INFO, "%(asctime)s %(levelname)s %(message)s")

    def ready(server: Server) -> None:
        print(json.dumps({"port": server.port, "town": server.live.map_name}), flush=True)
        if notify >= 0:
            os.write(notify, b"1")
            os.close(notify)
        if lifeline >= 0:
            server.end_with(lifeline)

    try:
        serve(ready, **arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
