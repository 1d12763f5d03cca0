"""What is recorded for a seed."""

from __future__ import annotations

from roadcraft.launch.collect import episode_of
from roadcraft.launch.options.simulator import Collect
from roadcraft.sim.episodes import episode_from_seed, look_number


def test_a_drive_is_its_seeds_but_for_its_looks() -> None:
    seeds = range(20)
    assert [episode_of(Collect(), seed).town for seed in seeds] == [episode_from_seed(seed).town for seed in seeds]
    towns = [episode_of(Collect(looks=3), seed).town.partition("@") for seed in seeds]
    assert [town for town, _, _ in towns] == [episode_from_seed(seed).town for seed in seeds]
    assert [int(look or 0) for _, _, look in towns] == [look_number(seed, 3) for seed in seeds]
    assert {look for _, _, look in towns} == {"", "1", "2"}


def test_scenarios_can_be_left_out() -> None:
    some = [seed for seed in range(20) if episode_of(Collect(), seed).scenarios]
    assert some
    without = Collect(traffic=type(Collect().traffic)(scenarios=False))
    assert not any(episode_of(without, seed).scenarios for seed in some)
