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
from roadcraft.sim.errors import UserError


class Sparing(logging.Filter):
    """Keeps the log small whatever clients do: after `most` lines there is one every `pause` seconds."""

    def __init__(self, most: int = 2000, pause: float = 10.0) -> None:
        super().__init__()
        self.most, self.pause = most, pause
        self.left, self.since, self.dropped = float(most), 0.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; one that follows dropped ones tells how many they were."""
        if self.since:
            self.left = min(float(self.most), self.left + (record.created - self.since) / self.pause)
        self.since = record.created
        if self.left < 1.0:
            self.dropped += 1
            return False
        self.left -= 1.0
        if self.dropped:
            record.msg, record.args = f"{record.getMessage()} ({self.dropped} lines before were left out)", ()
            self.dropped = 0
        return True


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
    parser.add_argument("--folder", type=Path, default=defaults.folder, help="where clients' recordings go")
    parser.add_argument("--ready", type=int, default=-1, help="descriptor that gets one byte when it listens")
    parser.add_argument("--lifeline", type=int, default=-1, help="descriptor of a pipe; the server ends when it closes")
    arguments = vars(parser.parse_args())
    notify, lifeline = arguments.pop("ready"), arguments.pop("lifeline")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for output in logging.getLogger().handlers:
        output.addFilter(Sparing())

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
