"""Small fakes of a world and of drivers, for tests of what wires them: a straight road, one car ahead, one light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.decision import Decision
from roadcraft.perception.percept import OBJECT, PATH_TIMES, Percept
from roadcraft.perception.projection import corners, projected_boxes
from roadcraft.sim.errors import WorldLost
from roadcraft.sim.messages import (
    ACTOR,
    CONTACT,
    DT,
    LANE_X,
    Camera,
    Command,
    Control,
    Ego,
    Episode,
    Facts,
    Kind,
    LightState,
    Mark,
    Observation,
    Tick,
)

FULL_THROTTLE = 4.0  # m/s^2
FULL_BRAKE = 8.0  # m/s^2


class FakeWorld:
    """A straight road of `length` [m] along x; a parked car beside it. `lost_at`: the tick at which the server dies."""

    dt = DT

    def __init__(self, length: float = 30.0, lost_at: int | None = None) -> None:
        self.length, self.lost_at = length, lost_at
        self.closed = 0

    def reset(self, episode: Episode) -> Tick:
        self.camera = episode.camera
        self.x, self.speed, self.ticks = 0.0, 5.0, 0
        return self.tick()

    def step(self, control: Control) -> Tick:
        self.ticks += 1
        if self.ticks == self.lost_at:
            raise WorldLost("the server was killed")
        self.speed = max(0.0, self.speed + (FULL_THROTTLE * control.throttle - FULL_BRAKE * control.brake) * DT)
        self.x += self.speed * DT
        return self.tick()

    def close(self) -> None:
        self.closed += 1

    def tick(self) -> Tick:
        ahead = np.clip(np.arange(1, 21) * 10.0 + self.x, 0, self.length) - self.x
        pose = np.array([self.x, 0.0, 0.0])
        ego = Ego(pose[:2], 0.0, self.speed, 0.0, np.zeros(2), 0.0)
        observation = Observation(
            frame=self.ticks,
            time=self.ticks * DT,
            rgb=None if self.camera is None else street(self.camera),
            camera=self.camera,
            ego=ego,
            route_ego=np.stack([ahead, np.zeros(20)], -1),
            command=Command.FOLLOW,
        )
        return Tick(observation, self.facts(pose))

    def facts(self, pose: NDArray[np.float64]) -> Facts:
        actors = np.zeros(1, ACTOR)
        actors["id"], actors["kind"], actors["xyz"], actors["extent"] = (
            7,
            Kind.CAR,
            (self.length, 4.0, 0.0),
            (2.4, 1, 0.8),
        )
        return Facts(
            frame=self.ticks,
            time=self.ticks * DT,
            pose=pose,
            velocity_ego=np.array([self.speed, 0.0]),
            extent=np.array([2.4, 1.0, 0.8]),
            progress=min(self.x, self.length),
            route_length=self.length,
            lateral_error=0.0,
            heading_error=0.0,
            lane_width=3.5,
            off_lane=0.0,
            wrong_way=False,
            speed_limit=13.9,
            path_ego=np.stack([np.arange(60.0), np.zeros(60)], -1),
            junction_distance=np.inf,
            lanes_ego=np.array([5.25, 1.75, -1.75, -5.25])[:, None] * np.ones(len(LANE_X)),
            lane_marks=np.array([Mark.SOLID, Mark.BROKEN, Mark.SOLID, Mark.NONE], np.uint8),
            light=LightState.GREEN,
            light_distance=max(0.0, self.length - self.x),
            light_id="1",
            stop_distance=np.inf,
            stop_id="",
            actors=actors,
            contacts=np.zeros(0, CONTACT),
            crossings=(),
            background_speed=np.nan,
        )


def street(camera: Camera) -> NDArray[np.uint8]:
    """A picture of a road: sky above, asphalt below."""
    rgb = np.empty((camera.height, camera.width, 3), np.uint8)
    rgb[: camera.height // 2] = (150, 180, 210)
    rgb[camera.height // 2 :] = (90, 90, 95)
    return rgb


def percept_of(tick: Tick) -> Percept:
    """What a perfect network would say of a fake world's tick."""
    facts, camera = tick.facts, tick.observation.camera or Camera()
    objects = np.zeros(len(facts.actors), OBJECT)
    xyz = facts.actors["xyz"] - (*facts.pose[:2], 0.0)
    objects["kind"], objects["xy_ego"], objects["track"] = facts.actors["kind"], xyz[:, :2], facts.actors["id"]
    objects["size"], objects["score"] = 2 * facts.actors["extent"][:, :2], 0.9
    objects["box"] = projected_boxes(camera, corners(xyz, facts.actors["yaw"], facts.actors["extent"]))
    objects["path_ego"] = xyz[:, None, :2] + PATH_TIMES[:, None] * (2.0, 0.5)
    objects["path_sigma"] = PATH_TIMES
    drivable = np.zeros((36, 64), np.float32)
    drivable[18:, 16:48] = 0.9
    return Percept(
        frame=tick.observation.frame,
        time=tick.observation.time,
        drivable=drivable,
        lane_mask=np.zeros((36, 64), np.float32),
        lanes_ego=facts.lanes_ego,
        lane_prob=np.array([0.9, 0.95, 0.95, 0.2]),
        lane_marks=facts.lane_marks,
        objects=objects,
        light=np.array([0.02, 0.03, 0.95, 0.0]),
        light_distance=facts.light_distance,
        stop_prob=0.0,
        stop_distance=np.inf,
        events=np.array([0.1, 0.0, 0.0, 0.6, 0.0]),
        confidence=0.9,
        latency=0.006,
    )


class FakeDriver:
    """Full throttle, with percepts; vetoed in every fourth tick. `interrupt_at`: the tick at which Ctrl-C comes."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.interrupt_at = interrupt_at
        self.seen: list[int] = []

    def reset(self) -> None:
        self.seen = []

    def __call__(self, tick: Tick) -> Decision:
        if len(self.seen) == self.interrupt_at:
            raise KeyboardInterrupt
        self.seen.append(tick.observation.frame)
        veto = "obstacle" if tick.observation.frame % 4 == 3 else ""
        wish = Control(throttle=1.0)
        plan = np.stack([np.arange(20.0), np.zeros(20)], -1)
        return Decision(percept_of(tick), plan, wish, Control(throttle=0.5) if veto else wish, veto)
