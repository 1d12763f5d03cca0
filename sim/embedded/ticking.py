"""One tick of all that moves, in one compiled call: between ten the interpreter would take as long as they do."""

from __future__ import annotations

from roadcraft.sim.embedded.bins import fill_bins
from roadcraft.sim.embedded.collisions import collide
from roadcraft.sim.embedded.lights import run_clocks
from roadcraft.sim.embedded.motion import move, settle
from roadcraft.sim.embedded.traffic import drive, register
from roadcraft.sim.embedded.walkers import stroll
from roadcraft.sim.kernels import kernel


@kernel
def tick(  # type: ignore[no-untyped-def]
    bodies, physics, motion, drivers, strollers, chain, lights, groups, lanes, points, links, meetings,
    nodes, edges, signals, frame, cells, solids, roads, ground, way, clock, contacts, count, night, grip, dt,
):  # fmt: skip
    """Everything moves on by dt [s], in the order of the table in `state.py`; the arrays are those of `Simulation`.

    night: whether lamps are on. grip: the road's friction as a share of the dry road's.
    """
    run_clocks(lights, groups, dt)
    fill_bins(bodies, chain, frame, cells)
    register(bodies, drivers, chain, lanes, points, roads)
    drive(bodies, physics, drivers, chain, lanes, points, links, meetings, frame, cells, lights, way, clock, night, dt)
    stroll(bodies, strollers, nodes, edges, signals, chain, frame, cells, solids, lights, dt)
    move(bodies, physics, motion, dt, grip)
    settle(bodies, motion, dt, ground)
    collide(bodies, physics, motion, chain, frame, cells, solids, dt, contacts, count)
