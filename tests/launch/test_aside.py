"""A subscriber in a thread hears of everything, in order, and what it raises is not lost."""

from __future__ import annotations

from threading import Event

import pytest
from fakes import FakeDriver, FakeWorld

from roadcraft.launch.aside import ROOM, Aside
from roadcraft.launch.loop import Moment, drive_episode
from roadcraft.sim.messages import Episode, Tick
from roadcraft.sim.referee import Referee

EPISODE = Episode("grid-20", seed=2000)


class Slow:
    """A subscriber that waits until it is let go, then keeps what it hears; it may fail at a frame."""

    def __init__(self, fails_at: int = -1) -> None:
        self.go, self.closed, self.fails_at = Event(), False, fails_at
        self.masks: list[float] = []
        self.frames: list[int] = []

    def begin(self, episode: Episode, tick: Tick) -> None:
        self.go.clear()

    def __call__(self, moment: Moment) -> None:
        assert self.go.wait(20.0)
        frame = moment.tick.observation.frame
        if frame == self.fails_at:
            raise OSError("no space left")
        assert moment.decision.percept is not None
        self.frames.append(frame)
        self.masks.append(float(moment.decision.percept.drivable.flat[0]))

    def close(self) -> None:
        self.closed = True


def test_every_moment_arrives_in_order_with_the_masks_of_its_time() -> None:
    slow, moments = Slow(), list[Moment]()

    class Reusing:
        """Writes over each mask once the moment is over, as an engine's buffers are."""

        def begin(self, episode: Episode, tick: Tick) -> None:
            pass

        def __call__(self, moment: Moment) -> None:
            assert moment.decision.percept is not None
            moments.append(moment)
            moment.decision.percept.drivable.flat[0] = -1.0

        def close(self) -> None:
            pass

    aside = Aside(slow)
    drive_episode(FakeWorld(), FakeDriver(), EPISODE, Referee(), [aside, Reusing()], max_ticks=ROOM - 2)
    assert slow.frames == []  # the drive did not wait
    slow.go.set()
    aside.close()
    assert slow.closed
    assert slow.frames == [moment.tick.observation.frame for moment in moments]
    assert -1.0 not in slow.masks


def test_what_it_raises_ends_the_drive_and_names_it() -> None:
    slow = Slow(fails_at=3)
    aside = Aside(slow)

    class Free:
        def begin(self, episode: Episode, tick: Tick) -> None:
            slow.go.set()

        def __call__(self, moment: Moment) -> None:
            pass

        def close(self) -> None:
            pass

    with pytest.raises(RuntimeError, match="Slow failed: no space left"):
        drive_episode(FakeWorld(3000.0), FakeDriver(), EPISODE, Referee(), [aside, Free()])
    with pytest.raises(RuntimeError, match="no space left"):
        aside.close()
    assert slow.closed
    assert slow.frames == [0, 1, 2]
