"""python -m roadcraft.launch.warm    compiles the kernels of a drive ahead of it, in two processes side by side

`make install` runs it while pip still fetches the rest, so it needs no more than the slim installation has; a drive
runs it itself where that was not done, or not for these sources.
"""

from __future__ import annotations

import signal
import sys
from contextlib import closing

import numpy as np

from roadcraft.control.drivers import TruthDriver
from roadcraft.launch.options.simulator import Drive
from roadcraft.launch.waiting import waiting
from roadcraft.launch.workers import Failed, run_jobs, stop
from roadcraft.perception.decode import Decoder
from roadcraft.perception.foresight import Foresight, blank
from roadcraft.perception.heads import FIELDS, GROUPS, SCENE
from roadcraft.perception.view import Fitter
from roadcraft.sim.embedded.server.warm import once, pictures, small_world, tick
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import DT, LANE_LINES, LANE_X, Camera, Command, Ego, Episode, Observation
from roadcraft.sim.referee import Referee

TICKS = 400  # of 0.05 s: the car meets traffic and a junction
ONWARDS = np.array([0.0, 0.5], np.float32)  # a policy's action: along the path, faster; the supervisor brakes


def see(episode: Episode) -> None:
    """What the simulator's cameras need."""
    pictures(small_world(load_town(episode.town)))


def drive(episode: Episode) -> None:
    """What the simulator's ticks, facts, percepts and control need."""
    tick(small_world(load_town(episode.town)))
    decode()
    driver, referee = TruthDriver(lambda features: ONWARDS), Referee()
    with closing(EmbeddedWorld()) as world:
        world.looking = False
        now = world.reset(episode)
        for _ in range(TICKS):
            referee(now.facts)
            now = world.step(driver(now).control)


def decode() -> None:
    """What a network's answers need on their way to percepts: two frames with one object."""
    cells = (2, 2)
    heads = {
        "masks": np.zeros((2, *cells), np.float32),
        "peaks": np.zeros((GROUPS, *cells), np.float32),
        "objects": np.zeros((sum(FIELDS.values()), *cells), np.float32),
        "lane_column": np.zeros((LANE_LINES, len(LANE_X)), np.float32),
        "lane_point": np.zeros((LANE_LINES, len(LANE_X)), np.float32),
        "lane_line": np.zeros((LANE_LINES, 2), np.float32),
        "scene": np.zeros(sum(SCENE.values()), np.float32),
    }
    heads["peaks"][0, 0, 0] = 1.0
    ego = Ego(np.zeros(2), 0.0, 0.0, 0.0, np.zeros(2), 0.0)
    decoder = Decoder(Fitter(16, 16), Foresight(blank()))
    for frame in range(2):
        decoder(heads, Observation(frame, frame * DT, None, Camera(), ego, np.zeros((20, 2)), Command.FOLLOW))


PARTS = {"see": see, "drive": drive}


def compile_part(part: str) -> None:
    """A process's share, in the default drive's episode."""
    PARTS[part](episode_from_seed(Drive().seed))


def compile_ahead() -> int:
    """Compiles what was not compiled yet. What fails is said, and left to those who need it; an exit status."""
    try:
        with waiting("compiling kernels", "once: a minute or two"):
            once("ahead", side_by_side, "sim", "perception", "control")
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def side_by_side() -> None:
    """All parts, each in a process of its own. Raises UserError."""
    for part, answer in run_jobs(compile_part, list(PARTS), len(PARTS)):
        if isinstance(answer, Failed):
            raise UserError(f"the kernels to {part} could not be compiled: {answer.reason}")


def main() -> int:
    """Compiles; when told to end, so do its processes."""
    signal.signal(signal.SIGTERM, stop)
    try:
        return compile_ahead()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
