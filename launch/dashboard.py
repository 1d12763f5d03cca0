"""One picture a tick, 1280 x 720: camera with overlay, the scene from above, instruments. Videos are made of these."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from roadcraft.launch import draw
from roadcraft.launch.draw import Image
from roadcraft.launch.loop import Moment
from roadcraft.launch.overlay import overlay
from roadcraft.launch.topview import TopView
from roadcraft.perception.percept import EVENTS
from roadcraft.sim.messages import DT, Command, Control

WIDTH, HEIGHT = 1280, 720
CAMERA = (960, 540)
HISTORY = 15.0  # s of speed shown
NOTICE = 2.0  # s for which an infraction stays on the picture
TURN = {
    Command.LEFT: "turn left",
    Command.RIGHT: "turn right",
    Command.STRAIGHT: "straight on",
    Command.FOLLOW: "follow the lane",
    Command.CHANGE_LEFT: "change to the left",
    Command.CHANGE_RIGHT: "change to the right",
}
ARROW = {
    Command.LEFT: ((12, 40), (12, 20), (-14, 20)),
    Command.RIGHT: ((-12, 40), (-12, 20), (14, 20)),
    Command.STRAIGHT: ((0, 40), (0, 40), (0, 4)),
    Command.FOLLOW: ((0, 40), (0, 40), (0, 4)),
    Command.CHANGE_LEFT: ((12, 40), (12, 28), (-10, 6)),
    Command.CHANGE_RIGHT: ((-12, 40), (-12, 28), (10, 6)),
}


class Dashboard:
    """Draws the moments of one drive, in order; it remembers speeds and infractions for a while."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.top_view = TopView(WIDTH - CAMERA[0], HEIGHT - 180)
        self.speeds: deque[tuple[float, float]] = deque(maxlen=round(HISTORY / DT))
        self.notice, self.notice_until = "", -1.0
        self.image: Image = np.empty((HEIGHT, WIDTH, 3), np.uint8)

    def __call__(self, moment: Moment) -> Image:
        """The picture (720, 1280, 3) of a moment; the same array each time."""
        image = self.image
        observation = moment.tick.observation
        image[540:] = draw.BACKGROUND
        image[:540, :960] = overlay(observation, moment.decision, *CAMERA)
        image[:540, 960:] = self.top_view(moment.tick, moment.decision)
        image[:, 959:961] = draw.BACKGROUND
        self.notices(image, moment)
        for x, width in ((8, 192), (208, 236), (452, 252), (712, 268), (988, 284)):
            draw.rounded(image, (x, 548, width, 164), draw.CARD)
        self.speed(image, moment)
        pedals(image, moment.decision.proposed, moment.decision.control)
        ahead(image, moment)
        self.history(image, moment)
        self.score(image, moment)
        return image

    def notices(self, image: Image, moment: Moment) -> None:
        """Title, veto and infractions, over the camera."""
        time = moment.tick.observation.time
        draw.pill(image, self.title, (10, 10), draw.CARD, 14)
        if moment.decision.veto:
            draw.pill(image, "supervisor: " + moment.decision.veto.replace("_", " "), (10, 42), draw.ALERT, 16)
        for event in moment.verdict.events:
            self.notice, self.notice_until = event.kind.replace("_", " "), time + NOTICE
        if time < self.notice_until:
            draw.pill(image, self.notice, (10, 76), draw.STOP, 18)
        if moment.decision.percept is not None:
            likely = [name for name, p in zip(EVENTS, moment.decision.percept.events, strict=True) if p > 0.5]
            for row, name in enumerate(likely):
                words = name.replace("_", " ")
                at = (CAMERA[0] - draw.text_width(words, 14, 600) - 36, 10 + 30 * row)
                draw.pill(image, words, at, draw.LANE, 14)

    def speed(self, image: Image, moment: Moment) -> None:
        """The speed in large figures, and the limit."""
        speed = abs(moment.tick.observation.ego.speed) * 3.6
        words = f"{speed:.0f}"
        draw.text(image, words, (104 - draw.text_width(words, 68, 600) / 2, 640), 68, draw.TEXT, 600)
        draw.text(image, "km/h", (84, 668), 17, draw.DIM)
        limit = moment.tick.facts.speed_limit * 3.6
        draw.text(image, f"limit {limit:.0f}", (78, 692), 15, draw.STOP if speed > limit + 3 else draw.DIM)

    def history(self, image: Image, moment: Moment) -> None:
        """Speed over the last seconds, below the limit's line."""
        facts = moment.tick.facts
        self.speeds.append((moment.tick.observation.ego.speed, facts.speed_limit))
        values = np.array(self.speeds)
        top = max(15.0, float(values.max()) * 1.1)
        x = 728 + np.arange(len(values)) * (236 / (HISTORY / DT))
        draw.text(image, "speed, last 15 s", (726, 572), 14, draw.DIM)
        for column, color, width in ((1, draw.RULE, 2), (0, draw.EGO, 2)):
            y = 700 - np.clip(values[:, column], 0, top) / top * 116
            draw.line(image, np.stack([x, y], -1), color, width)

    def score(self, image: Image, moment: Moment) -> None:
        """Route completion, driving score, latency and time."""
        verdict, observation = moment.verdict, moment.tick.observation
        draw.text(image, "route", (1004, 572), 14, draw.DIM)
        draw.text(image, f"{verdict.route_completion:.0f} %", (1004, 600), 24, draw.TEXT, 600)
        cv2.rectangle(image, (1004, 612), (1256, 618), draw.RULE, cv2.FILLED)
        cv2.rectangle(image, (1004, 612), (1004 + round(2.52 * verdict.route_completion), 618), draw.EGO, cv2.FILLED)
        count = sum(verdict.infractions.values())
        rows = [("time", f"{observation.time:.1f} s"), ("infractions", str(count))]
        rows.append(("decided in", f"{moment.decide * 1e3:.1f} ms"))
        for row, (name, value) in enumerate(rows):
            draw.text(image, name, (1004, 646 + 24 * row), 15, draw.DIM)
            draw.text(
                image, value, (1120, 646 + 24 * row), 15, draw.STOP if name == "infractions" and count else draw.TEXT
            )


def pedals(image: Image, proposed: Control, control: Control) -> None:
    """Steering, throttle and brake; what was proposed as a thin mark where the supervisor changed it."""
    draw.text(image, "steer", (224, 576), 15, draw.DIM)
    bar(image, (224, 588, 204), -control.steer, -proposed.steer, draw.EGO, centred=True)
    draw.text(image, "throttle", (224, 626), 15, draw.DIM)
    bar(image, (224, 638, 204), control.throttle, proposed.throttle, draw.PLAN)
    draw.text(image, "brake", (224, 676), 15, draw.DIM)
    bar(image, (224, 688, 204), control.brake, proposed.brake, draw.STOP)


def bar(
    image: Image, place: tuple[int, int, int], value: float, wish: float, color: draw.Color, centred: bool = False
) -> None:
    """A horizontal gauge at x, y of a width; `value` in [0, 1], or in [-1, 1] from the middle."""
    x, y, width = place
    draw.rounded(image, (x, y, width, 12), draw.RULE, 5)
    zero, span = (x + width // 2, width // 2) if centred else (x, width)
    left, right = sorted((zero, zero + round(value * span)))
    if right > left:
        cv2.rectangle(image, (left, y), (right, y + 11), color, cv2.FILLED)
    if abs(wish - value) > 0.02:
        mark = zero + round(wish * span)
        cv2.line(image, (mark, y - 3), (mark, y + 14), draw.TEXT, 2)


def ahead(image: Image, moment: Moment) -> None:
    """What comes next: the route's command, and the light as perceived (as it is, for drivers without percepts)."""
    observation = moment.tick.observation
    draw.text(image, "next", (468, 572), 14, draw.DIM)
    points: NDArray[np.int32] = np.add(ARROW[observation.command], (492, 584), dtype=np.int32)
    cv2.polylines(image, [points[:2]], False, draw.TEXT, 5, cv2.LINE_AA)
    cv2.arrowedLine(image, tuple(points[1]), tuple(points[2]), draw.TEXT, 5, cv2.LINE_AA, tipLength=0.4)
    draw.text(image, TURN[observation.command], (524, 612), 18, draw.TEXT)
    percept, facts = moment.decision.percept, moment.tick.facts
    lit, distance = np.zeros(3), facts.light_distance
    if percept is not None:
        lit, distance = percept.light[:3], percept.light_distance
    elif facts.light < 3:
        lit[facts.light] = 1.0
    draw.text(image, "light" if percept is not None else "light (truth)", (468, 652), 14, draw.DIM)
    for lamp, probability in enumerate(lit):
        color = tuple(round(38 + (c - 38) * float(probability)) for c in draw.LAMPS[lamp])
        cv2.circle(image, (482 + 34 * lamp, 682), 13, color, cv2.FILLED, cv2.LINE_AA)
    words = f"{distance:.0f} m" if lit.max() > 0.5 and np.isfinite(distance) else "none"
    draw.text(image, words, (590, 689), 18, draw.TEXT if words != "none" else draw.DIM)
