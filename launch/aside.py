"""A subscriber that works in a thread of its own, so that the car does not wait until its picture is drawn."""

from __future__ import annotations

from dataclasses import replace
from queue import Queue
from threading import Thread

from roadcraft.launch.loop import Moment, Subscriber
from roadcraft.sim.messages import Episode, Tick

ROOM = 16  # moments that may wait; then the drive waits


class Aside:
    """Hands each moment to another subscriber in a thread; `close` waits until all are done.

    What the other one raises ends the drive at its next moment, or at `close`.
    """

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self._error: Exception | None = None
        self._waiting: Queue[Moment | None] = Queue(ROOM)
        self._thread = Thread(target=self._work, name=type(subscriber).__name__, daemon=True)
        self._thread.start()

    def begin(self, episode: Episode, tick: Tick) -> None:
        self.subscriber.begin(episode, tick)

    def __call__(self, moment: Moment) -> None:
        self._complain()
        self._waiting.put(kept(moment))

    def close(self) -> None:
        """Waits for the last moment. May be called twice."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()
        self.subscriber.close()
        self._complain()

    def _work(self) -> None:
        while (moment := self._waiting.get()) is not None:
            if self._error is None:  # after an error the rest is only taken off the queue: nobody waits for ever
                try:
                    self.subscriber(moment)
                except Exception as error:
                    self._error = error

    def _complain(self) -> None:
        if (error := self._error) is not None:
            raise RuntimeError(f"{type(self.subscriber).__name__} failed: {error}") from error


def kept(moment: Moment) -> Moment:
    """The moment with masks of its own: the engine writes its next answer where the last one stood."""
    percept = moment.decision.percept
    if percept is None:
        return moment
    percept = replace(percept, drivable=percept.drivable.copy(), lane_mask=percept.lane_mask.copy())
    return replace(moment, decision=replace(moment.decision, percept=percept))
