"""Tiny synthetic ticks: a straight three-lane road, a few actors, no simulator."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import (
    ACTOR,
    CONTACT,
    LANE_X,
    Camera,
    Command,
    Control,
    Driver,
    Ego,
    Episode,
    Facts,
    Kind,
    Labels,
    LightState,
    Observation,
    Tick,
)


def actors(*rows: tuple[int, Kind, float, float, float, float]) -> NDArray[np.void]:
    """Rows of id, kind, x, y [m], yaw [rad], speed [m/s]."""
    out = np.zeros(len(rows), ACTOR)
    for row, (number, kind, x, y, yaw, speed) in zip(out, rows, strict=True):
        row["id"], row["kind"], row["xyz"], row["yaw"] = number, kind, (x, y, 0.0), yaw
        row["velocity"] = speed * np.cos(yaw), speed * np.sin(yaw)
        row["extent"] = (0.2, 0.2, 0.9) if kind == Kind.PEDESTRIAN else (2.2, 0.9, 0.75)
        row["visible_px"] = -1
    return out


def facts(frame: int = 0, **changes: Any) -> Facts:
    """The ego at the world's origin in the middle of three 3.5 m lanes, heading along x."""
    values: dict[str, Any] = {
        "frame": frame,
        "time": frame * 0.05,
        "pose": np.zeros(3),
        "velocity_ego": np.array([8.0, 0.0]),
        "extent": np.array([2.45, 1.06, 0.75]),
        "progress": 0.0,
        "route_length": 500.0,
        "lateral_error": 0.0,
        "heading_error": 0.0,
        "lane_width": 3.5,
        "off_lane": 0.0,
        "wrong_way": False,
        "speed_limit": 13.9,
        "path_ego": np.stack([np.arange(60.0), np.zeros(60)], -1),
        "junction_distance": inf,
        "lanes_ego": np.array([5.25, 1.75, -1.75, -5.25])[:, None] + np.zeros(len(LANE_X)),
        "lane_marks": np.array([1, 2, 2, 1], np.uint8),
        "light": LightState.UNKNOWN,
        "light_distance": inf,
        "light_id": "",
        "stop_distance": inf,
        "stop_id": "",
        "actors": actors(),
        "contacts": np.zeros(0, CONTACT),
        "crossings": (),
        "background_speed": float("nan"),
    }
    return Facts(**(values | changes))


def observation(frame: int = 0, rgb: NDArray[np.uint8] | None = None, camera: Camera | None = None) -> Observation:
    """What belongs to `facts` of the same frame."""
    return Observation(
        frame=frame,
        time=frame * 0.05,
        rgb=rgb,
        camera=camera,
        ego=Ego(np.zeros(2), 0.0, 8.0, 0.0, np.zeros(2), 0.0),
        route_ego=np.stack([np.arange(20) * 10.0, np.zeros(20)], -1),
        command=Command.FOLLOW,
    )


def tick(frame: int = 0, **changes: Any) -> Tick:
    """A tick without a camera."""
    return Tick(observation(frame), facts(frame, **changes))


def drawn_tick(frame: int = 0, **changes: Any) -> Tick:
    """A tick with a crude picture and its labels: grey road, green land, blue sky, actors as flat boxes."""
    from roadcraft.perception.projection import corners, projected_boxes
    from roadcraft.sim.geometry import world_to_ego

    camera = Camera(labels=True)
    f = facts(frame, **changes)
    height, width = camera.height, camera.width
    v, u = np.mgrid[0:height, 0:width]
    with np.errstate(divide="ignore"):
        depth = np.where(v > height / 2, camera.focal * camera.xyz_ego[2] / (v - height / 2 + 1e-6), 1000.0)
    left = (width / 2 - u) * depth / camera.focal
    road = (v > height / 2) & (abs(left) < 5.25)
    semantic = np.where(road, 1, np.where(v > height / 2, 10, 11)).astype(np.uint8)
    marks = road & (np.abs(np.abs(left)[..., None] - [1.75, 5.2]).min(-1) < 0.08)
    semantic[marks] = 24
    instance = np.zeros((height, width), np.uint32)
    rgb = np.empty((height, width, 3), np.uint8)
    for tag, color in ((1, (90, 90, 90)), (10, (60, 120, 50)), (11, (120, 160, 220)), (24, (230, 230, 230))):
        rgb[semantic == tag] = color
    a = f.actors.copy()
    xyz = np.concatenate([world_to_ego(a["xyz"][:, :2], f.pose), a["xyz"][:, 2:]], -1)
    boxes = projected_boxes(camera, corners(xyz, a["yaw"] - f.pose[2], a["extent"]))
    for i in np.argsort(-xyz[:, 0]):
        if np.isfinite(boxes[i, 0]):
            left_, top, right, bottom = np.round(boxes[i]).astype(int)
            instance[top:bottom, left_:right] = a["id"][i]
            semantic[top:bottom, left_:right] = 12 if a["kind"][i] == Kind.PEDESTRIAN else 14
            rgb[top:bottom, left_:right] = (200, 30 + 20 * int(a["kind"][i]), 40)
            depth[top:bottom, left_:right] = xyz[i, 0] - camera.xyz_ego[0]
    a["visible_px"] = [(instance == number).sum() for number in a["id"]]
    f = facts(frame, **(changes | {"actors": a}))
    return Tick(observation(frame, rgb, camera), f, Labels(semantic, instance, depth.astype(np.float32)))


class DrawnWorld:
    """A world of `drawn_tick`s: one car ahead pulls away, one pedestrian crosses."""

    dt = 0.05

    def reset(self, episode: Episode) -> Tick:
        self._frame = -1
        return self.step(Control())

    def step(self, control: Control) -> Tick:
        self._frame += 1
        t = self._frame * self.dt
        rows = actors(
            (1, Kind.CAR, 15.0 + 3.0 * t, 0.3, 0.0, 3.0), (2, Kind.PEDESTRIAN, 12.0, -3.0 + 1.0 * t, np.pi / 2, 1.0)
        )
        return drawn_tick(self._frame, actors=rows, light=LightState.RED, light_distance=30.0 - t, light_id="7")

    def close(self) -> None:
        pass


def coasting(_: int) -> Driver:
    """A driver that does nothing."""

    @dataclass
    class Nothing:
        control: Control = field(default_factory=Control)

    return lambda tick: Nothing()
