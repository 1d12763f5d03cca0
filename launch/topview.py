"""The scene from above, ego frame, driving upwards: route, plan, lanes and objects; the truth as faint outlines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from roadcraft.control.decision import Decision
from roadcraft.launch import draw
from roadcraft.launch.draw import Image
from roadcraft.launch.overlay import LANE_SHOWN, SCORE_SHOWN
from roadcraft.perception.percept import Percept
from roadcraft.sim.geometry import world_to_ego, wrap
from roadcraft.sim.messages import LANE_X, Facts, Kind, LightState, Mark, Tick

BEHIND = 0.24  # share of the picture's height that lies behind the ego
RING = 20.0  # m between the rings
FRONT = 2.45  # m from the ego's origin to its bumper


class TopView:
    """Draws pictures of one size at one scale [pixels/m]."""

    def __init__(self, width: int, height: int, scale: float = 6.0) -> None:
        self.width, self.height, self.scale = width, height, scale
        self.ground = np.empty((height, width, 3), np.uint8)
        self.ground[:] = draw.CARD
        origin = self.pixels(np.zeros((1, 2)))[0]
        for ring in np.arange(RING, height / scale, RING):
            draw.dot(self.ground, origin, ring * scale, draw.RULE, 1)
            right = 0.6 * width / 2
            up = np.sqrt(max(0.0, (ring * scale) ** 2 - right**2))
            draw.text(self.ground, f"{ring:.0f} m", (origin[0] + right + 2, origin[1] - up - 5), 12, draw.DIM)

    def pixels(self, xy_ego: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (..., 2) [m] of the ego frame as pixels: x upwards, y to the left."""
        column = self.width / 2 - xy_ego[..., 1] * self.scale
        row = self.height * (1 - BEHIND) - xy_ego[..., 0] * self.scale
        return np.stack([column, row], -1)

    def __call__(self, tick: Tick, decision: Decision) -> Image:
        """One picture (height, width, 3)."""
        image = self.ground.copy()
        self.road(image, tick.facts)
        self.route(image, tick)
        if len(decision.plan_ego) > 1:
            draw.line(image, self.pixels(decision.plan_ego), draw.ALERT if decision.veto else draw.PLAN, 4)
        self.truth(image, tick.facts)
        if decision.percept is not None:
            self.lanes(image, decision.percept)
            self.objects(image, decision.percept)
        self.box(image, np.zeros(2), 0.0, tick.facts.extent[:2], draw.EGO, filled=True)
        return image

    def box(
        self,
        image: Image,
        xy: NDArray[np.floating],
        yaw: float,
        half: NDArray[np.floating],
        color: draw.Color,
        filled: bool,
    ) -> None:
        """A footprint with its heading."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, s], [-s, c]])
        ring = np.array([[1.0, 1], [1, -1], [-1, -1], [-1, 1]]) * np.maximum(half, 0.3) @ turn + xy
        if filled:
            draw.fill(image, self.pixels(ring), color)
        else:
            draw.line(image, self.pixels(ring), color, 1, closed=True)

    def road(self, image: Image, facts: Facts) -> None:
        """The true lane ahead and its stop line in the light's colour."""
        width = max(1, round(facts.lane_width * self.scale))
        draw.line(image, self.pixels(facts.path_ego), draw.ROAD, width)
        for distance, color in (
            (facts.light_distance, draw.LAMPS[facts.light] if facts.light <= LightState.GREEN else None),
            (facts.stop_distance, draw.STOP),
        ):
            at = distance + FRONT
            if color is None or not 0 <= at < len(facts.path_ego) - 1:
                continue
            a, b = facts.path_ego[int(at)], facts.path_ego[int(at) + 1]
            across = np.array([a[1] - b[1], b[0] - a[0]]) * facts.lane_width / 2
            draw.line(image, self.pixels(np.stack([a + across, a - across])), color, 3)

    def route(self, image: Image, tick: Tick) -> None:
        """The route as the driver gets it, with its GNSS error."""
        points = self.pixels(tick.observation.route_ego)
        draw.line(image, points, draw.ROUTE, 1)
        for point in points:
            draw.dot(image, point, 3, draw.ROUTE)

    def truth(self, image: Image, facts: Facts) -> None:
        """Where the others truly are."""
        xy = world_to_ego(facts.actors["xyz"][:, :2], facts.pose)
        for actor, place in zip(facts.actors, xy, strict=True):
            if np.abs(place).max() < 90:
                yaw = wrap(float(actor["yaw"]) - float(facts.pose[2]))
                self.box(image, place, yaw, actor["extent"][:2], draw.TRUTH, filled=False)

    def lanes(self, image: Image, percept: Percept) -> None:
        """The perceived lane lines."""
        for offsets, probability, mark in zip(percept.lanes_ego, percept.lane_prob, percept.lane_marks, strict=True):
            if probability >= LANE_SHOWN:
                points = self.pixels(np.stack([LANE_X, offsets], -1))
                draw.line(image, points, draw.LANE if mark != Mark.BROKEN else draw.DIM, 2)

    def objects(self, image: Image, percept: Percept) -> None:
        """The perceived objects, their predicted paths and how unsure those are; hidden ones as outlines."""
        for item in percept.objects[percept.objects["score"] >= SCORE_SHOWN]:
            color = draw.KIND_COLORS[int(item["kind"])]
            hidden = not item["box"].any()
            if item["kind"] == Kind.PEDESTRIAN:
                draw.dot(image, self.pixels(item["xy_ego"]), 0.5 * self.scale, color, 1 if hidden else cv2.FILLED)
            else:
                self.box(image, item["xy_ego"], float(item["yaw_ego"]), item["size"] / 2, color, filled=not hidden)
            way = np.vstack([item["xy_ego"], item["path_ego"]])
            if np.ptp(way, axis=0).max() > 0.5:
                draw.line(image, self.pixels(way), color, 2)
                for place, sigma in zip(item["path_ego"], item["path_sigma"], strict=True):
                    draw.dot(image, self.pixels(place), min(float(sigma), 3.0) * self.scale, color, 1)
