"""Published heads to a percept, without a runtime, shared by all engines. `network.publish` says what the heads are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.anticipation import anticipated
from roadcraft.perception.corridor import corridor
from roadcraft.perception.detection import Heads, detections, lens
from roadcraft.perception.foresight import Foresight
from roadcraft.perception.heads import SCENE
from roadcraft.perception.percept import OBJECT, Percept
from roadcraft.perception.projection import lane_depth
from roadcraft.perception.tracker import KEPT, NEW, Tracker
from roadcraft.perception.view import Fitter
from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import Camera, Mark, Observation

LANE_SEEN = 0.5  # probability from which a lane point is given
LIGHT_SEEN = 0.5  # probability of any light from which a distance is given
_SCENE_AT = dict(zip(SCENE, np.cumsum([0, *SCENE.values()]).tolist(), strict=False))
_MARKS = int(Mark.NONE), int(Mark.BROKEN), int(Mark.SOLID)


class Decoder:
    """Published heads in time order -> percepts: the last, stateful step of every engine."""

    def __init__(self, fitter: Fitter, foresight: Foresight) -> None:
        self.fitter = fitter
        self.tracker = Tracker()
        self.foresight = foresight
        self.objects = np.zeros(0, OBJECT)  # of the last frame, one a track, however faint

    def reset(self) -> None:
        """Forgets everything seen so far."""
        self.tracker.reset()
        self.foresight.reset()

    def __call__(self, heads: Heads, observation: Observation, latency: float = 0.0) -> Percept:
        """The percept of one frame."""
        camera = observation.camera or Camera()
        found = detections(heads, camera, self.fitter, KEPT)
        ego = observation.ego
        self.objects = objects = self.tracker(found, observation.time, ego.speed, ego.yaw_rate, camera.fov / 2)
        lanes, prob, marks = lanes_from(heads, camera)
        scene = {name: heads["scene"][at : at + SCENE[name]] for name, at in _SCENE_AT.items()}
        light = scene["light"].astype(float)
        light_distance = max(float(scene["light_distance"][0]), 0.0) if light[3] < LIGHT_SEEN else np.inf
        stop = float(scene["stop"][0])
        path = corridor(lanes, observation.route_ego)
        foreseen = self.foresight(
            self.tracker,
            objects,
            observation.time,
            ego.speed,
            ego.yaw_rate,
            light,
            light_distance,
            scene["events"].astype(float),
            path,
        )
        events = anticipated(foreseen, objects, self.tracker.tracks, path, light, self.foresight.changed)
        return Percept(
            frame=observation.frame,
            time=observation.time,
            drivable=heads["masks"][0],
            lane_mask=heads["masks"][1],
            lanes_ego=lanes,
            lane_prob=prob,
            lane_marks=marks,
            objects=objects[objects["score"] >= NEW * 0.5],
            light=light,
            light_distance=light_distance,
            stop_prob=stop,
            stop_distance=max(float(scene["stop_distance"][0]), 0.0) if stop > 0.5 else np.inf,
            events=events,
            confidence=float(scene["valid"][0]),
            latency=latency,
        )


def lanes_from(heads: Heads, camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Offsets (4, 10) [m] at LANE_X with NaN where not seen, probability (4,) and kind (4,) of each line."""
    found: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]] = _lanes(
        heads["lane_column"], heads["lane_point"], heads["lane_line"], lane_depth(camera), lens(camera)
    )
    return found


@njit
def _lanes(column, point, line, depth, lenses):  # type: ignore[no-untyped-def]
    view = lenses[0]
    lanes = np.full(column.shape, np.nan)
    prob, marks = np.empty(len(line)), np.empty(len(line), np.uint8)
    none, broken, solid = _MARKS
    for i in range(len(line)):
        prob[i] = line[i, 0]
        seen = prob[i] >= LANE_SEEN
        marks[i] = (solid if line[i, 1] > 0.5 else broken) if seen else none
        for k in range(len(depth)):
            if seen and point[i, k] >= LANE_SEEN:
                left = (0.5 - column[i, k]) * view.width / view.focal
                lanes[i, k] = left * depth[k] + view.xyz_ego[1]
    return lanes, prob, marks
