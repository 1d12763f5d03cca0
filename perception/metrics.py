"""The figures of perception: percepts beside labels, frame by frame, and what comes of it in the end.

A `Scorer` gathers plain records (who was matched with whom, and how far apart); `figures` turns the records of any
selection of frames into numbers, so that one drive gives the figures by weather and by distance too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.detection import iou
from roadcraft.perception.labels import DRIVABLE_TAGS, NO_LIGHT, UNLABELLED, FrameLabels
from roadcraft.perception.percept import EVENTS, Percept
from roadcraft.perception.targets import GROUP, asked_for
from roadcraft.perception.tracker import NEW
from roadcraft.sim.messages import LANE_X

MIN_BOX = 10.0  # [pixels] height from which boxes count
NEAR = 40.0  # [m]
SAME, SAME_SHARE = 2.5, 0.2  # [m], share of the distance, within which two places are one object's
HIDDEN = 0.10  # visible share below which an object is hidden
GROUPS = ("vehicle", "cyclist", "pedestrian")
AT_10, AT_30 = int(np.argmin(abs(LANE_X - 10.0))), int(np.argmin(abs(LANE_X - 30.0)))


@dataclass
class Records:
    """What was seen of one frame, or of many."""

    pixels: list[tuple[int, int, int]] = field(default_factory=list)  # drivable: hits, said, true
    empty: list[tuple[int, int, int]] = field(default_factory=list)  # not drivable: likewise
    lines: list[tuple[int, float, bool, bool]] = field(default_factory=list)  # ego's: index, distance, true, found
    line_errors: list[tuple[float, float]] = field(default_factory=list)  # distance, |error| [m]
    truths: list[tuple[int, float]] = field(default_factory=list)  # group, distance of each object to be found
    found: list[tuple[int, float, bool, float]] = field(default_factory=list)  # group, score, right, distance
    objects: list[tuple[int, float, float, float, float, float, float, float]] = field(default_factory=list)
    #  group, distance, relative error, bearing error [rad], velocity error [m/s], path error, constant velocity's [m],
    #  true speed [m/s]
    sensed: list[tuple[int, float, bool]] = field(default_factory=list)
    #  group, distance, whether the percept has something there, of each object to be found
    ghosts: list[tuple[int, float]] = field(default_factory=list)  # group, distance of what is nowhere in truth
    hidden: list[tuple[float, bool, float, float]] = field(default_factory=list)
    #  seconds hidden, still known, error [m], distance
    lights: list[tuple[float, bool, bool, bool, float]] = field(default_factory=list)
    #  distance, visible, seen, right, relative error of the distance
    free: list[bool] = field(default_factory=list)  # no light governs: was one seen?
    stops: list[tuple[float, bool, bool]] = field(default_factory=list)  # distance (inf none), visible, seen
    events: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = field(default_factory=list)  # true, said

    def add(self, other: Records) -> None:
        """All of another's records too."""
        for name in self.__dataclass_fields__:
            getattr(self, name).extend(getattr(other, name))


class Scorer:
    """Percepts and labels of one drive in time order -> Records."""

    def __init__(self) -> None:
        self.records = Records()
        self._tracks: dict[int, tuple[int, float, float]] = {}  # actor: track, last time seen [s], first time hidden

    def add(
        self, percept: Percept, detections: NDArray[np.void], labels: FrameLabels, semantic: NDArray[np.uint8]
    ) -> None:
        """One frame. `detections` are those of the frame alone, down to low scores."""
        self._masks(percept, semantic)
        self._lanes(percept, labels)
        self._boxes(detections, labels, semantic)
        self._objects(percept, labels)
        self._presence(percept, labels, semantic)
        self._signs(percept, labels)
        said = percept.events > 0.5
        self.records.events.append((labels.frame["events"].copy(), said))

    def _masks(self, percept: Percept, semantic: NDArray[np.uint8]) -> None:
        if not percept.drivable.size:
            return
        height, width = semantic.shape
        size = percept.drivable.shape[1] * 4, percept.drivable.shape[0] * 4
        full = cv2.resize(percept.drivable, size, interpolation=cv2.INTER_LINEAR)
        said = cv2.resize(full, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        true = np.isin(semantic, DRIVABLE_TAGS)
        hits, says, is_true = int((said & true).sum()), int(said.sum()), int(true.sum())
        self.records.pixels.append((hits, says, is_true))
        self.records.empty.append((said.size - says - is_true + hits, said.size - says, said.size - is_true))

    def _lanes(self, percept: Percept, labels: FrameLabels) -> None:
        truth = labels.frame["lanes_ego"]
        for k in (1, 2):
            for i, x in enumerate(LANE_X):
                true, found = bool(np.isfinite(truth[k, i])), bool(np.isfinite(percept.lanes_ego[k, i]))
                self.records.lines.append((k, float(x), true, found))
                if true and found:
                    self.records.line_errors.append((float(x), abs(float(truth[k, i] - percept.lanes_ego[k, i]))))

    def _boxes(self, detections: NDArray[np.void], labels: FrameLabels, semantic: NDArray[np.uint8]) -> None:
        objects = labels.objects[labels.objects["pixels"] > 0]
        counts = asked_for(FrameLabels(labels.frame, objects)) & (
            objects["box"][:, 3] - objects["box"][:, 1] >= MIN_BOX
        )
        groups, distance = GROUP[objects["kind"]], np.hypot(*objects["xyz_ego"][:, :2].T)
        self.records.truths += [(int(g), float(d)) for g, d in zip(groups[counts], distance[counts], strict=True)]
        overlap = iou(detections["box"], objects["box"])
        overlap[detections["group"][:, None] != groups[None]] = 0.0
        free = np.ones(len(objects), bool)
        for i in np.argsort(-detections["score"], kind="stable"):
            row = np.where(free, overlap[i], 0.0)
            j = int(row.argmax()) if len(row) else -1
            d = detections[i]
            if j >= 0 and row[j] >= 0.5:
                free[j] = False
                if counts[j]:
                    self.records.found.append((int(groups[j]), float(d["score"]), True, float(distance[j])))
            elif d["box"][3] - d["box"][1] >= MIN_BOX and not on_unknown(d["box"], semantic):
                # Nor is one wrong that lies on something too hidden to be asked for.
                ignored = (overlap[i] > 0.2) & ~counts
                if not ignored.any():
                    at = float(np.hypot(*d["xy_ego"]))
                    self.records.found.append((int(d["group"]), float(d["score"]), False, at))

    def _objects(self, percept: Percept, labels: FrameLabels) -> None:
        truth, said = labels.objects, percept.objects
        now = float(labels.frame["time"])
        wanted = asked_for(labels)
        overlap = iou(said["box"], truth["box"])
        overlap[GROUP[said["kind"]][:, None] != GROUP[truth["kind"]][None]] = 0.0
        overlap[:, ~wanted] = 0.0
        while overlap.size and overlap.max() >= 0.5:
            i, j = np.unravel_index(int(overlap.argmax()), overlap.shape)
            overlap[i], overlap[:, j] = 0.0, 0.0
            o, t = said[i], truth[j]
            self._tracks[int(t["id"])] = (int(o["track"]), now, np.inf)
            true_xy, xy = t["xyz_ego"][:2].astype(float), o["xy_ego"].astype(float)
            distance = float(np.hypot(*true_xy))
            turn = float(np.arctan2(xy[1], xy[0]) - np.arctan2(true_xy[1], true_xy[0]))
            speed_error = float(np.hypot(*(o["velocity_ego"] - t["velocity_ego"])))
            later = t["path_ego"][-1]
            path = constant = np.nan
            if np.isfinite(later).all():
                path = float(np.hypot(*(o["path_ego"][-1] - later)))
                constant = float(np.hypot(*(xy + 2.0 * o["velocity_ego"] - later)))
            self.records.objects.append(
                (
                    int(GROUP[t["kind"]]),
                    distance,
                    float(np.hypot(*xy)) / max(distance, 0.1) - 1,
                    turn,
                    speed_error,
                    path,
                    constant,
                    float(np.hypot(*t["velocity_ego"])),
                )
            )
        self._hidden(percept, labels, now)

    def _presence(self, percept: Percept, labels: FrameLabels, semantic: NDArray[np.uint8]) -> None:
        """Who is where somebody is: within SAME metres or a share of the distance, whatever the boxes."""
        said = percept.objects[(percept.objects["score"] >= NEW) & (percept.objects["box"][:, 2] > 0)]
        truth, wanted = labels.objects, asked_for(labels)
        place = truth["xyz_ego"][:, :2].astype(float)
        distance = np.hypot(*place.T)
        away = np.hypot(*(said["xy_ego"].astype(float)[:, None] - place[None]).transpose(2, 0, 1))
        near = (away < np.maximum(SAME, SAME_SHARE * distance)) & (GROUP[said["kind"]][:, None] == GROUP[truth["kind"]])
        groups = GROUP[truth["kind"]]
        for j in np.flatnonzero(wanted):
            self.records.sensed.append((int(groups[j]), float(distance[j]), bool(near[:, j].any())))
        for i in np.flatnonzero(~near.any(1)):
            if not on_unknown(said["box"][i], semantic):
                self.records.ghosts.append((int(GROUP[said["kind"][i]]), float(np.hypot(*said["xy_ego"][i]))))

    def _hidden(self, percept: Percept, labels: FrameLabels, now: float) -> None:
        half_fov = labels.camera.fov / 2
        for t in labels.objects:
            known = self._tracks.get(int(t["id"]))
            if known is None:
                continue
            track, last, since = known
            x, y = t["xyz_ego"][:2].astype(float)
            in_view = x > 3.0 and abs(np.arctan2(y, x)) < half_fov - 0.05
            if t["fraction"] >= HIDDEN or not in_view or now - last > 3.0:
                self._tracks[int(t["id"])] = (track, last, np.inf)
                continue
            since = min(since, now)
            self._tracks[int(t["id"])] = (track, last, since)
            row = np.flatnonzero(percept.objects["track"] == track)
            error = float(np.hypot(*(percept.objects["xy_ego"][row[0]] - (x, y)))) if len(row) else np.nan
            self.records.hidden.append((now - since, bool(len(row)), error, float(np.hypot(x, y))))

    def _signs(self, percept: Percept, labels: FrameLabels) -> None:
        frame = labels.frame
        seen = bool(percept.light[:3].sum() > 0.5)
        if int(frame["light"]) == NO_LIGHT:
            self.records.free.append(seen)
        else:
            right = int(percept.light[:3].argmax()) == int(frame["light"])
            distance = float(frame["light_distance"])
            error = percept.light_distance / max(distance, 1.0) - 1 if np.isfinite(percept.light_distance) else np.nan
            self.records.lights.append((distance, bool(frame["light_visible"]), seen, right, error))
        self.records.stops.append((float(frame["stop_distance"]), bool(frame["stop_visible"]), percept.stop_prob > 0.5))


def on_unknown(box: NDArray[np.float32], semantic: NDArray[np.uint8]) -> bool:
    """Whether a box shows so much that nobody labelled that nothing can be said of it."""
    left, top, right, bottom = np.round(box).astype(int)
    part = semantic[top : max(bottom, top + 1), left : max(right, left + 1)]
    return bool(part.size and (part == UNLABELLED).mean() > 0.3)


def average_precision(found: Sequence[tuple[float, bool]], truths: int) -> float:
    """Area under the precision-recall curve (all points, PASCAL VOC 2010) of (score, right) for so many truths."""
    if truths == 0:
        return float("nan")
    if not found:
        return 0.0
    score, right = np.array([f[0] for f in found]), np.array([f[1] for f in found])
    right = right[np.argsort(-score, kind="stable")]
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best * right).sum() / truths)


def f1(true: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    """F1 of one event over frames; NaN where it never happens and is never said."""
    both = int((true & said).sum())
    total = int(true.sum() + said.sum())
    return 2 * both / total if total else float("nan")


def calibration_error(scores: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599) of scores in [0, 1]."""
    if not len(scores):
        return float("nan")
    at = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [abs(scores[at == b].mean() - right[at == b].mean()) * (at == b).sum() for b in np.unique(at)]
    return float(sum(gaps) / len(scores))


def figures(r: Records) -> dict[str, Any]:
    """The figures of some records; NaN where there was nothing to measure."""
    out: dict[str, Any] = {"drivable_miou": float(np.nanmean([_iou(r.pixels), _iou(r.empty)])) if r.pixels else np.nan}
    out |= _lane_figures(r)
    for g, name in enumerate(GROUPS):
        found = [(score, right) for group, score, right, _ in r.found if group == g]
        out[f"{name}_ap50"] = average_precision(found, sum(group == g for group, _ in r.truths))
        out[f"{name}s"] = sum(group == g for group, _ in r.truths)
    scores = np.array([score for _, score, _, _ in r.found])
    out["calibration_error"] = calibration_error(scores, np.array([right for _, _, right, _ in r.found], bool))
    out |= _object_figures(r)
    out |= _sign_figures(r)
    true, said = (np.array([pair[i] for pair in r.events]).reshape(-1, len(EVENTS)) for i in (0, 1))
    each = {name: f1(true[:, i], said[:, i]) for i, name in enumerate(EVENTS)}
    happened = [each[name] for i, name in enumerate(EVENTS) if true[:, i].any()]
    out |= {"event_f1": _mean(happened), "event_f1_each": each, "frames": len(r.events)}
    return out


def _iou(counts: list[tuple[int, int, int]]) -> float:
    hits, said, true = (sum(c[i] for c in counts) for i in range(3))
    return hits / max(said + true - hits, 1)


def _mean(values: Sequence[float]) -> float:
    finite = [v for v in values if np.isfinite(v)]
    return float(np.mean(finite)) if finite else float("nan")


def _median(values: Sequence[float]) -> float:
    finite = [v for v in values if np.isfinite(v)]
    return float(np.median(finite)) if finite else float("nan")


def _share(of: list[Any], which: Callable[[Any], bool]) -> float:
    return sum(map(which, of)) / len(of) if of else float("nan")


def _lane_figures(r: Records) -> dict[str, float]:
    within = [line for line in r.lines if line[1] <= 30.0]
    return {
        "lane_recall": _share([line for line in within if line[2]], lambda line: line[3]),
        "lane_precision": _share([line for line in within if line[3]], lambda line: line[2]),
        "lane_error_10m": _mean([e for x, e in r.line_errors if x == LANE_X[AT_10]]),
        "lane_error_30m": _mean([e for x, e in r.line_errors if x == LANE_X[AT_30]]),
    }


def _object_figures(r: Records) -> dict[str, float]:
    near = [o for o in r.objects if o[1] <= NEAR]
    paths = [(o[5], o[6]) for o in near if np.isfinite(o[5])]
    return {
        "distance_error": _median([abs(o[2]) for o in near]),
        "velocity_mae": _mean([o[4] for o in near]),
        **_memory_figures(r.hidden),
        "path_error_2s": _mean([p[0] for p in paths]),
        "path_error_2s_constant_velocity": _mean([p[1] for p in paths]),
    }


def _memory_figures(hidden: Sequence[tuple[float, bool, float, float]]) -> dict[str, float]:
    """Of those who have been hidden for a second."""
    second = [h for h in hidden if 0.85 <= h[0] <= 1.15]
    return {
        "occlusion_error_1s": _mean([h[2] for h in second]),
        "occlusion_kept_1s": _share(second, lambda h: h[1]),
        "occlusions": len(second),
    }


def _sign_figures(r: Records) -> dict[str, float]:
    near = [light for light in r.lights if light[0] <= NEAR]
    visible = [light for light in near if light[1]]
    stops = [s for s in r.stops if s[0] <= NEAR and s[1]]
    return {
        "light_recall_40m": _share(visible, lambda light: light[2]),
        "light_recall_40m_even_hidden": _share(near, lambda light: light[2]),
        "light_accuracy_40m": _share([light for light in visible if light[2]], lambda light: light[3]),
        "light_distance_error": _median([abs(x[4]) for x in visible]),
        "light_false": _share(r.free, bool),
        "lights": len(visible),
        "stop_recall_40m": _share(stops, lambda s: s[2]),
        "stop_false": _share([s for s in r.stops if not np.isfinite(s[0])], lambda s: s[2]),
    }


def by_distance(r: Records, edges: Sequence[float] = (10.0, 20.0, 30.0, 40.0, 60.0, 80.0)) -> dict[str, dict[str, Any]]:
    """The figures that depend on distance, per bin that ends at each edge."""
    out: dict[str, dict[str, Any]] = {}
    low = 0.0
    for high in edges:
        part = Records(
            lines=[line for line in r.lines if low <= line[1] < high],
            line_errors=[error for error in r.line_errors if low <= error[0] < high],
            truths=[t for t in r.truths if low <= t[1] < high],
            found=[f for f in r.found if low <= f[3] < high],
            objects=[o for o in r.objects if low <= o[1] < high],
            hidden=[h for h in r.hidden if low <= h[3] < high],
            lights=[x for x in r.lights if low <= x[0] < high],
        )
        row: dict[str, Any] = {}
        for g, name in enumerate(GROUPS):
            found = [(score, right) for group, score, right, _ in part.found if group == g]
            row[f"{name}_ap50"] = average_precision(found, sum(group == g for group, _ in part.truths))
        row["lane_recall"] = _share([line for line in part.lines if line[2]], lambda line: line[3])
        row["lane_error"] = _mean([error for _, error in part.line_errors])
        row["distance_error"] = _median([abs(o[2]) for o in part.objects])
        row["velocity_mae"] = _mean([o[4] for o in part.objects])
        row |= _memory_figures(part.hidden)
        row["path_error_2s"] = _mean([o[5] for o in part.objects])
        visible = [x for x in part.lights if x[1]]
        row["light_recall"] = _share(visible, lambda x: x[2])
        row["light_accuracy"] = _share([x for x in visible if x[2]], lambda x: x[3])
        out[f"{low:g}-{high:g} m"] = row
        low = high
    return out
