"""drive.mp4: the dashboard of every tick as H.264, encoded while driving."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from roadcraft.launch.dashboard import HEIGHT, WIDTH, Dashboard
from roadcraft.launch.loop import Moment
from roadcraft.sim.geometry import world_to_ego
from roadcraft.sim.messages import DT, Episode, Tick

CRF = "25"  # x264's constant quality; lower is better and larger


class VideoFile:
    """An H.264 file that grows frame by frame; players show it in real time."""

    def __init__(self, path: Path, width: int, height: int, rate: int) -> None:
        self.container = av.open(str(path), "w", options={"movflags": "+faststart"})
        stream = self.container.add_stream(
            "libx264", rate=rate, options={"preset": "veryfast", "crf": CRF, "tune": "zerolatency"}
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, rate)
        self.stream: VideoStream | None = stream

    def add(self, image: NDArray[np.uint8]) -> None:
        """Appends an RGB frame (height, width, 3)."""
        assert self.stream is not None
        for packet in self.stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")):
            self.container.mux(packet)

    def close(self) -> None:
        """Makes the file whole. May be called twice."""
        if self.stream is not None:
            for packet in self.stream.encode(None):
                self.container.mux(packet)
            self.container.close()
            self.stream = None


class Video:
    """Subscriber that writes drive.mp4 and, as drive.jpg, the picture with the most to see."""

    def __init__(self, path: Path, title: str) -> None:
        self.file = VideoFile(path, WIDTH, HEIGHT, round(1 / DT))
        self.dashboard = Dashboard(title)
        self.poster = path.with_suffix(".jpg")
        self.best: tuple[float, NDArray[np.uint8]] | None = None

    def begin(self, episode: Episode, tick: Tick) -> None:
        """Nothing to do: the file is open."""

    def __call__(self, moment: Moment) -> None:
        image = self.dashboard(moment)
        self.file.add(image)
        worth = to_see(moment)
        if self.best is None or worth > self.best[0]:
            self.best = worth, image.copy()

    def close(self) -> None:
        """Makes both files whole."""
        self.file.close()
        if self.best is not None:
            bgr = cv2.cvtColor(self.best[1], cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(self.poster), bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])


def to_see(moment: Moment) -> float:
    """How much a picture shows: who is near and ahead, a light, a car that moves."""
    facts = moment.tick.facts
    place = world_to_ego(facts.actors["xyz"][:, :2], facts.pose)
    seen = (place[:, 0] > 5) & (place[:, 0] < 40) & (np.abs(place[:, 1]) < 0.6 * place[:, 0])
    return float(seen.sum()) + 2.0 * (facts.light_distance < 40) + min(facts.velocity_ego[0], 5.0) / 2.5
