"""Places what stands beside the roads."""

from __future__ import annotations

from roadcraft.sim.embedded.layout import Build


def furnish(build: Build) -> None:
    """Adds buildings, trees, lamps, signs and parked cars to the map's roads as OpenDRIVE objects."""
