"""clips/<driver>-<seed>-<kind>-<time>s.mp4: ten seconds of the dashboard around each infraction."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from roadcraft.launch.aside import kept
from roadcraft.launch.dashboard import HEIGHT, WIDTH, Dashboard
from roadcraft.launch.loop import Moment
from roadcraft.launch.video import VideoFile
from roadcraft.sim.messages import DT, Episode, Tick

AROUND = round(5.0 / DT)  # ticks shown before an infraction, and after
SPREAD = ("min_speed",)  # belongs to a stretch of the route: there is no moment to show


class Clips:
    """Subscriber that keeps the last moments and draws them once something has happened.

    What happens while a clip is being written makes it longer; it is named after the first.
    """

    def __init__(self, folder: Path, stem: str, title: str) -> None:
        self.folder, self.stem, self.title = folder, stem, title
        self.past: deque[Moment] = deque(maxlen=AROUND)
        self.video: VideoFile | None = None
        self.dashboard = Dashboard(title)
        self.left = 0  # ticks that the open clip still goes on

    def begin(self, episode: Episode, tick: Tick) -> None:
        """A drive begins: nothing has been seen."""
        self.close()
        self.past.clear()

    def __call__(self, moment: Moment) -> None:
        happened = [event.kind for event in moment.verdict.events if event.kind not in SPREAD]
        if happened:
            if self.video is None:
                self.open(happened[0], moment.after.facts.time)
            self.left = AROUND + 1
        moment = kept(moment)
        self.past.append(moment)
        if self.video is not None:
            self.video.add(self.dashboard(moment))
            self.left -= 1
            if self.left == 0:
                self.close()

    def open(self, kind: str, time: float) -> None:
        """Begins a clip with what led to it."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{self.stem}-{kind}-{time:.2f}s.mp4"
        self.video = VideoFile(path, WIDTH, HEIGHT, round(1 / DT))
        self.dashboard = Dashboard(self.title)
        for moment in self.past:
            self.video.add(self.dashboard(moment))

    def close(self) -> None:
        """Makes the open clip whole."""
        if self.video is not None:
            self.video.close()
            self.video = None
