"""drive.mp4: the dashboard of every tick as H.264, encoded while driving."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from roadcraft.launch.dashboard import HEIGHT, WIDTH, Dashboard
from roadcraft.launch.loop import Moment
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
    """Subscriber that writes drive.mp4."""

    def __init__(self, path: Path, title: str) -> None:
        self.file = VideoFile(path, WIDTH, HEIGHT, round(1 / DT))
        self.dashboard = Dashboard(title)

    def begin(self, episode: Episode, tick: Tick) -> None:
        """Nothing to do: the file is open."""

    def __call__(self, moment: Moment) -> None:
        self.file.add(self.dashboard(moment))

    def close(self) -> None:
        """Makes the file whole."""
        self.file.close()
