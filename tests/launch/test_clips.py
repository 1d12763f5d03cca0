"""Ten seconds of video around what happened, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from fakes import FakeDriver, FakeWorld

from roadcraft.launch import clips
from roadcraft.launch.clips import Clips
from roadcraft.launch.loop import drive_episode
from roadcraft.sim.messages import DT, Camera, Episode
from roadcraft.sim.referee import Referee

EPISODE = Episode("grid", seed=7, camera=Camera(64, 36))


class Lawless(FakeWorld):
    """The fake world, where the ego runs a red light at some ticks."""

    def __init__(self, *runs: int) -> None:
        super().__init__(2000.0)
        self.runs = runs

    def facts(self, pose: Any) -> Any:
        facts = super().facts(pose)
        return replace(facts, red_light_run=str(self.ticks)) if self.ticks in self.runs else facts


def frames(path: Path) -> int:
    """How many pictures a video has."""
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def drive(folder: Path, world: FakeWorld, ticks: int) -> dict[str, int]:
    """The clips that a drive leaves, and how many pictures are in each."""
    drive_episode(world, FakeDriver(), EPISODE, Referee(), [subscriber := Clips(folder, "fake-7", "fake")], ticks)
    subscriber.close()
    subscriber.close()
    return {path.name: frames(path) for path in folder.glob("*")}


def test_it_shows_five_seconds_before_and_five_after() -> None:
    assert 2 * clips.AROUND * DT == 10.0


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ((), {}),
        ((30,), {"fake-7-red_light-1.50s.mp4": 21}),  # ten before it, its own, ten after it
        ((4,), {"fake-7-red_light-0.20s.mp4": 14}),  # only three moments came before
        ((56,), {"fake-7-red_light-2.80s.mp4": 15}),  # the drive ends four moments later
        ((20, 26), {"fake-7-red_light-1.00s.mp4": 27}),  # the second one makes it longer
        ((15, 40), {"fake-7-red_light-0.75s.mp4": 21, "fake-7-red_light-2.00s.mp4": 21}),
    ],
)
def test_clips_are_around_infractions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: tuple[int, ...], expected: dict[str, int]
) -> None:
    """Shortened to ten ticks on either side."""
    monkeypatch.setattr(clips, "AROUND", 10)
    assert drive(tmp_path / "clips", Lawless(*runs), 60) == expected
