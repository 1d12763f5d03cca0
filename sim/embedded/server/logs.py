"""What the server writes to stderr: little, whatever clients do, and what they cannot hear otherwise.

Most of CARLA's calls do not wait for an answer: a control for a car that is gone fails in silence. `Refusals` says such
failures in the log, each at once and then at most every `PAUSE` seconds with how often it came.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

log = logging.getLogger(__name__)

PAUSE = 10.0  # s between two lines about the same refused call
MOST = 1000  # different ones that are remembered


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


class Refusals:
    """Says which calls were refused that nobody waited for."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}  # when each was said last, and how often it came since then

    def say(self, what: str) -> None:
        """Warns of one refusal, if it has not just been said."""
        now = self._clock()
        at, more = self._said.get(what, (now - PAUSE, 0))
        if now - at < PAUSE:
            self._said[what] = at, more + 1
            return
        if len(self._said) >= MOST:
            self._said.clear()
        self._said[what] = now, 0
        log.warning("%s%s", what, f" (and {more} times since this was last said)" if more else "")


def log_to_stderr(level: int, layout: str) -> None:
    """Everything of that level on goes to stderr, sparingly; `layout` as in logging's `format`."""
    logging.basicConfig(stream=sys.stderr, level=level, format=layout)
    for output in logging.getLogger().handlers:
        output.addFilter(Sparing())
