"""drive.rrd: the drive for the Rerun viewer (camera, masks, boxes, top view, time series), as a file or live."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from roadcraft.launch import draw
from roadcraft.launch.loop import Moment
from roadcraft.perception.percept import Percept
from roadcraft.sim.geometry import world_to_ego
from roadcraft.sim.messages import LANE_X, Episode, Kind, Tick

CAMERA_BYTES = 40 << 20  # of JPEG in a file that may have 60 MB in all
JPEG_QUALITY = 75
FIRST_STRIDE = 2  # every second frame's image, until half of the bytes are spent; then every fourth, and so on
LAST_STRIDE = 1 << 12
KINDS = tuple(Kind(k) for k in range(Kind.PEDESTRIAN + 1))


class Recording:
    """Subscriber that writes drive.rrd; with `live` it also opens the viewer."""

    def __init__(self, path: Path | None, live: bool = False) -> None:
        self.stream = rr.RecordingStream("roadcraft", batcher_config=batches(live))
        sinks: list[rr.FileSink | rr.GrpcSink] = [] if path is None else [rr.FileSink(str(path))]
        if live:
            rr.spawn(connect=False)
            sinks.append(rr.GrpcSink())
        self.stream.set_sinks(*sinks, default_blueprint=layout())
        self.bytes = self.count = 0
        self.open = True

    def begin(self, episode: Episode, tick: Tick) -> None:
        """Logs what does not change."""
        classes = [rr.AnnotationInfo(k, k.name.lower(), draw.KIND_COLORS[k]) for k in KINDS]
        self.stream.log("camera", rr.AnnotationContext(classes), static=True)
        mask = [rr.AnnotationInfo(0, color=(0, 0, 0, 0)), rr.AnnotationInfo(1, "drivable", draw.DRIVABLE)]
        mask.append(rr.AnnotationInfo(2, "lane line", draw.LANE))
        self.stream.log("masks", rr.AnnotationContext(mask), static=True)
        words = f"town {episode.town}, seed {episode.seed}, {tick.facts.route_length:.0f} m"
        self.stream.log("episode", rr.TextDocument(words), static=True)
        for name, color in (("speed", draw.EGO), ("limit", draw.DIM), ("steer", draw.EGO), ("throttle", draw.PLAN)):
            self.stream.log(f"plots/{name}", rr.SeriesLines(colors=color, names=name), static=True)

    def __call__(self, moment: Moment) -> None:
        tick, decision = moment.tick, moment.decision
        self.stream.set_time("drive", duration=tick.observation.time)
        self.image(tick)
        if decision.percept is not None:
            self.percept(decision.percept)
        self.above(moment)
        self.series(moment)
        if decision.veto:
            self.stream.log("log", rr.TextLog(f"supervisor: {decision.veto}", level="WARN"))
        for event in moment.verdict.events:
            self.stream.log("log", rr.TextLog(f"{event.kind}: {event.message}", level="ERROR"))

    def image(self, tick: Tick) -> None:
        """The camera's JPEG, thinned so that the file stays small however long the drive is."""
        rgb = tick.observation.rgb
        stride = FIRST_STRIDE
        while stride < LAST_STRIDE and self.bytes > CAMERA_BYTES * (1 - 1 / stride):
            stride *= 2
        self.count += 1
        if rgb is None or self.count % stride != 1:
            return
        _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        self.bytes += jpeg.size
        self.stream.log("camera/image", rr.EncodedImage(contents=jpeg.tobytes(), media_type="image/jpeg"))

    def percept(self, percept: Percept) -> None:
        """Masks, boxes and what the network says of the light."""
        if percept.drivable.size and self.count % FIRST_STRIDE == 1:
            mask = (percept.drivable > 0.5).astype(np.uint8)
            if percept.lane_mask.shape == mask.shape:
                mask[percept.lane_mask > 0.5] = 2
            self.stream.log("masks/network", rr.SegmentationImage(mask))
        seen = percept.objects[percept.objects["box"].any(axis=1)]
        self.stream.log(
            "camera/image/objects",
            rr.Boxes2D(array=seen["box"], array_format=rr.Box2DFormat.XYXY, class_ids=seen["kind"].astype(np.uint16)),
        )
        for name, value in zip(("red", "yellow", "green"), percept.light, strict=False):
            self.stream.log(f"plots/light/{name}", rr.Scalars(float(value)))
        self.stream.log("plots/confidence", rr.Scalars(percept.confidence))
        self.stream.log("plots/latency_ms", rr.Scalars(percept.latency * 1e3))

    def above(self, moment: Moment) -> None:
        """The scene from above: metres, x to the right of the picture is the ego's right, y upwards is ahead."""
        observation, facts, decision = moment.tick.observation, moment.tick.facts, moment.decision
        log = self.stream.log
        log("above/route", rr.Points2D(upright(observation.route_ego), colors=draw.ROUTE, radii=0.3))
        log("above/plan", rr.LineStrips2D([upright(decision.plan_ego)], colors=draw.PLAN, radii=0.2))
        log("above/lane", rr.LineStrips2D([upright(facts.path_ego)], colors=draw.ROAD, radii=facts.lane_width / 2))
        log("above/ego", rr.Boxes2D(centers=[(0, 0)], half_sizes=[facts.extent[1::-1]], colors=draw.EGO))
        near = facts.actors[np.hypot(*(facts.actors["xyz"][:, :2] - facts.pose[:2]).T) < 90]
        places = upright(world_to_ego(near["xyz"][:, :2], facts.pose))
        log("above/truth", rr.Points2D(places, colors=draw.TRUTH, radii=near["extent"][:, 1]))
        percept = decision.percept
        if percept is None:
            return
        colors = [draw.KIND_COLORS[int(k)] for k in percept.objects["kind"]]
        ways = [upright(np.vstack([item["xy_ego"], item["path_ego"]])) for item in percept.objects]
        log("above/objects", rr.Points2D(upright(percept.objects["xy_ego"]), colors=colors, radii=1.0))
        log("above/paths", rr.LineStrips2D(ways, colors=colors, radii=0.15))
        lines = [np.stack([LANE_X, y], -1)[np.isfinite(y)] for y in percept.lanes_ego[percept.lane_prob > 0.5]]
        log(
            "above/lines",
            rr.LineStrips2D([upright(line) for line in lines if len(line) > 1], colors=draw.LANE, radii=0.1),
        )

    def series(self, moment: Moment) -> None:
        """Speed, controls, score and time taken."""
        control, facts = moment.decision.control, moment.tick.facts
        values = {
            "speed": moment.tick.observation.ego.speed,
            "limit": facts.speed_limit,
            "steer": control.steer,
            "throttle": control.throttle - control.brake,
            "decide_ms": moment.decide * 1e3,
            "driving_score": moment.verdict.score_21,
        }
        for name, value in values.items():
            self.stream.log(f"plots/{name}", rr.Scalars(value))

    def close(self) -> None:
        """Makes the file whole."""
        if self.open:
            self.open = False
            self.stream.flush()
            self.stream.disconnect()


def upright(xy_ego: NDArray[np.floating]) -> NDArray[np.floating]:
    """Points of the ego frame as a viewer draws them whose y axis points down: ahead is up, left is left."""
    return -xy_ego[..., ::-1]


def batches(live: bool) -> rr.ChunkBatcherConfig:
    """How rows are put together: for a file in large chunks, whose headers would else outweigh what is in them."""
    config = rr.ChunkBatcherConfig()
    if not live:
        config.flush_tick = timedelta(seconds=10)
        config.flush_num_bytes = 4 << 20
        config.flush_num_rows = 1000
    return config


def layout() -> rrb.Blueprint:
    """How the viewer arranges a drive."""
    plots = [
        rrb.TimeSeriesView(name="speed [m/s]", contents=["plots/speed", "plots/limit"]),
        rrb.TimeSeriesView(name="controls", contents=["plots/steer", "plots/throttle"]),
        rrb.TimeSeriesView(name="light", contents=["plots/light/**", "plots/confidence"]),
        rrb.TimeSeriesView(name="time taken [ms]", contents=["plots/decide_ms", "plots/latency_ms"]),
    ]
    pictures = rrb.Vertical(
        rrb.Spatial2DView(origin="camera", name="camera"),
        rrb.Horizontal(rrb.Spatial2DView(origin="masks", name="masks"), rrb.TextLogView(origin="log", name="log")),
        row_shares=[3, 2],
    )
    above = rrb.Spatial2DView(
        origin="above", name="from above", visual_bounds=rrb.VisualBounds2D(x_range=(-30, 30), y_range=(-60, 20))
    )
    return rrb.Blueprint(
        rrb.Horizontal(pictures, above, rrb.Vertical(*plots), column_shares=[3, 2, 2]), collapse_panels=True
    )
