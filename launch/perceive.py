"""roadcraft perceive clip.mp4                     what the network sees in a video that no simulator drew
roadcraft perceive pictures/ --fov 60 --height 1.3

Writes overlay.mp4 and percepts.jsonl (one line a frame, ego frame, metres) into runs/<time>-perceive/, and says at the
end what it never found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import radians
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from roadcraft.control.decision import Decision
from roadcraft.launch import build
from roadcraft.launch.draw import Image
from roadcraft.launch.log import percentiles
from roadcraft.launch.options.evaluation import Perceive
from roadcraft.launch.overlay import LANE_SHOWN, SCORE_SHOWN, overlay
from roadcraft.launch.runs import Run, plain
from roadcraft.launch.video import VideoFile
from roadcraft.perception.percept import EVENTS, Percept
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import LANE_X, Camera, Command, Control, Ego, Kind, Mark, Observation

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
FASTEST = 480.0  # frames a second that a video is believed
SIZE = (640, 360)  # pixels, what the network is fed from
SHOWN = (1280, 720)
SOUGHT = ("left_line", "right_line", "both_lines", "drivable_area", "vehicles", "pedestrians", "traffic_light")
LINES = ("next_left", "left", "right", "next_right")


def run(asked: Perceive, run: Run) -> None:
    """The verb."""
    frames, count, rate = open_frames(asked)
    engine = build.build_engine(asked.engine)
    engine.reset()
    video = VideoFile(run.folder / "overlay.mp4", *SHOWN, rate=max(1, round(rate / asked.every)))
    found = Found()
    try:
        with (run.folder / "percepts.jsonl").open("w", encoding="utf-8") as file:
            for number, rgb in enumerate(tqdm(frames, total=count, desc="frames", unit="frame")):
                observation = observe(fitted(rgb), asked, number, number * asked.every / rate)
                percept = engine(observation)
                found.add(percept)
                file.write(json.dumps(plain(told(percept))) + "\n")
                video.add(overlay(observation, Decision(percept, np.zeros((0, 2)), Control(), Control()), *SHOWN))
    finally:
        video.close()
        run.result.update(found.summary(), engine=engine.name, precision=engine.precision, why=engine.why)


def open_frames(asked: Perceive) -> tuple[Iterator[Image], int, float]:
    """RGB frames, how many (0: unknown) and how many a second. Raises UserError for what cannot be read."""
    path = Path(asked.path)
    if not asked.path or not path.exists():
        raise UserError(f"path {asked.path!r}: there is no such file or folder")
    if path.is_dir():
        files = sorted((file for file in path.iterdir() if is_picture(file)), key=in_order)[:: asked.every]
        if not files:
            raise UserError(f"{path}: no pictures in it ({', '.join(PICTURES)})")
        read_picture(files[0])  # fails before anything is written
        return (read_picture(file) for file in files), len(files), asked.rate
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened() or not capture.grab() or not capture.retrieve()[0]:
        raise UserError(f"{path}: not a video that can be read")
    capture.release()
    capture = cv2.VideoCapture(str(path))
    told = capture.get(cv2.CAP_PROP_FPS)
    rate = told if 1 <= told <= FASTEST else asked.rate
    count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    return video_frames(capture, asked.every), -(-count // asked.every), rate


def is_picture(file: Path) -> bool:
    """By its name; hidden files are none."""
    return file.suffix.lower() in PICTURES and not file.name.startswith(".")


def in_order(file: Path) -> list[tuple[int, str]]:
    """Sorts by name with numbers as numbers: frame2 before frame10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", file.name)]


def read_picture(file: Path) -> Image:
    """One picture as RGB. Raises UserError when it cannot be read."""
    try:
        data = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):  # unreadable; empty or too large
        data = None
    if data is None:
        raise UserError(f"{file}: not a picture that can be read")
    return np.asarray(cv2.cvtColor(data, cv2.COLOR_BGR2RGB), np.uint8)


def video_frames(capture: cv2.VideoCapture, every: int) -> Iterator[Image]:
    """Each `every`-th frame as RGB."""
    number = 0
    while capture.grab():
        if number % every == 0:
            ok, data = capture.retrieve()
            if ok:
                yield np.asarray(cv2.cvtColor(data, cv2.COLOR_BGR2RGB), np.uint8)
        number += 1
    capture.release()


def fitted(rgb: Image) -> Image:
    """The picture at the network's size: cut to 16:9 above and below, or padded there, never distorted."""
    height, width = rgb.shape[:2]
    wanted = width * SIZE[1] / SIZE[0]
    if height > wanted:
        cut = int((height - wanted) / 2)
        rgb = rgb[cut : height - cut]
    elif height < wanted - 1:
        pad = round((wanted - height) / 2)
        rgb = np.asarray(cv2.copyMakeBorder(rgb, pad, pad, 0, 0, cv2.BORDER_CONSTANT), np.uint8)
    return np.asarray(cv2.resize(rgb, SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def observe(rgb: Image, asked: Perceive, number: int, time: float) -> Observation:
    """A frame as an observation of a car that drives straight on at one speed."""
    camera = Camera(*SIZE, fov=radians(asked.fov), xyz_ego=(1.2, 0.0, asked.height), pitch=radians(asked.pitch))
    ego = Ego(np.array([asked.speed * time, 0.0]), 0.0, asked.speed, 0.0, np.zeros(2), 0.0)
    route = np.stack([np.arange(1, 21) * 10.0, np.zeros(20)], -1)
    return Observation(number, time, rgb, camera, ego, route, Command.FOLLOW)


def told(percept: Percept) -> dict[str, Any]:
    """A percept as a JSON line: lines at LANE_X, objects, light, stop sign, events, confidence."""
    names = percept.objects.dtype.names or ()
    objects = [
        {name: Kind(int(item[name])).name.lower() if name == "kind" else item[name] for name in names}
        for item in percept.objects
    ]
    return {
        "frame": percept.frame,
        "time": percept.time,
        "lane_x": LANE_X,
        "lanes_ego": dict(zip(LINES, percept.lanes_ego, strict=True)),
        "lane_prob": dict(zip(LINES, percept.lane_prob, strict=True)),
        "lane_marks": {
            line: Mark(int(mark)).name.lower() for line, mark in zip(LINES, percept.lane_marks, strict=True)
        },
        "objects": objects,
        "light": dict(zip(("red", "yellow", "green", "none"), percept.light, strict=True)),
        "light_distance": percept.light_distance,
        "stop_prob": percept.stop_prob,
        "stop_distance": percept.stop_distance,
        "events": dict(zip(EVENTS, percept.events, strict=True)),
        "drivable_share": float((percept.drivable > 0.5).mean()),
        "confidence": percept.confidence,
        "latency_ms": 1e3 * percept.latency,
    }


class Found:
    """Counts in how many frames each thing was seen."""

    def __init__(self) -> None:
        self.frames = 0
        self.latency: list[float] = []
        self.drivable: list[float] = []  # share of each picture
        self.seen = dict.fromkeys(SOUGHT, 0)

    def add(self, percept: Percept) -> None:
        """One frame."""
        self.frames += 1
        self.latency.append(percept.latency)
        kinds = percept.objects["kind"][percept.objects["score"] >= SCORE_SHOWN]
        left, right = (bool(probability >= LANE_SHOWN) for probability in percept.lane_prob[1:3])
        self.drivable.append(float((percept.drivable > 0.5).mean()))
        self.seen["left_line"] += left
        self.seen["right_line"] += right
        self.seen["both_lines"] += left and right
        self.seen["drivable_area"] += self.drivable[-1] > 0.02
        self.seen["vehicles"] += bool((kinds < Kind.PEDESTRIAN).any())
        self.seen["pedestrians"] += bool((kinds == Kind.PEDESTRIAN).any())
        self.seen["traffic_light"] += bool(percept.light[:3].sum() > 0.5)

    def summary(self) -> dict[str, Any]:
        """Shares of frames, and what was never found."""
        return {
            "frames": self.frames,
            "seen_in": {name: count / max(self.frames, 1) for name, count in self.seen.items()},
            "drivable_share": float(np.mean(self.drivable)) if self.drivable else 0.0,
            "not_found": [name for name, count in self.seen.items() if count == 0],
            **percentiles(self.latency),
        }
