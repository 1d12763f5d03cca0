"""The ego's sensors on a CARLA server: cameras and the collision sensor, each with a queue of its own.

Callbacks run in the client's threads and only enqueue. A camera's frame is taken when it is that of the present tick;
older ones are dropped, a missing one is an error after a while.
"""

from __future__ import annotations

import queue
from math import degrees
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.errors import WorldLost
from roadcraft.sim.messages import CONTACT, Camera, Kind, Labels

FRAME_TIMEOUT = 10.0  # s that a frame may come after its tick
DEPTH_SCALE = 1000.0  # m, the full scale of CARLA's 24 bit depth

# CARLA's semantic tags by our kinds; everything else that is no actor is static.
KIND_OF_TAG = {
    12: Kind.PEDESTRIAN,
    13: Kind.BICYCLE,
    14: Kind.CAR,
    15: Kind.TRUCK,
    16: Kind.BUS,
    18: Kind.MOTORCYCLE,
    19: Kind.BICYCLE,
}
_IMAGES = {
    "rgb": "sensor.camera.rgb",
    "semantic": "sensor.camera.semantic_segmentation",
    "instance": "sensor.camera.instance_segmentation",
    "depth": "sensor.camera.depth",
}


class Sensor:
    """One CARLA sensor attached to the ego, and its queue."""

    def __init__(self, world: Any, blueprint: Any, transform: Any, ego: Any) -> None:
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.actor = world.spawn_actor(blueprint, transform, attach_to=ego)
        self.actor.listen(self.queue.put)

    def at(self, frame: int, timeout: float = FRAME_TIMEOUT) -> Any:
        """The measurement of that frame. Raises WorldLost when it does not come."""
        while True:
            try:
                data = self.queue.get(timeout=timeout)
            except queue.Empty:
                name = self.actor.type_id
                raise WorldLost(f"{name} sent no image for frame {frame} within {timeout:g} s") from None
            if data.frame == frame:
                return data
            if data.frame > frame:
                raise WorldLost(f"{self.actor.type_id} lost frame {frame}: frame {data.frame} came instead")

    def since(self, frame: int) -> list[Any]:
        """All that has come up to that frame: for sensors that speak only when something happens."""
        found = []
        while not self.queue.empty():
            found.append(self.queue.get())
        return [data for data in found if data.frame <= frame]

    def stop(self) -> None:
        """No more callbacks."""
        self.actor.stop()


class Rig:
    """The ego's camera, with its labels where asked for, and the collision sensor."""

    def __init__(self, carla: Any, world: Any, ego: Any, camera: Camera | None) -> None:
        self.sensors: list[Sensor] = []
        self._cameras: dict[str, Sensor] = {}
        self._carla = carla
        library = world.get_blueprint_library()
        try:
            self.collisions = self._add(world, library.find("sensor.other.collision"), carla.Transform(), ego)
            if camera is not None:
                names = tuple(_IMAGES) if camera.labels else ("rgb",)
                place = camera_transform(carla, camera)
                for name in names:
                    self._cameras[name] = self._add(world, _lens(library.find(_IMAGES[name]), camera), place, ego)
        except BaseException:
            self.stop()
            raise

    def _add(self, world: Any, blueprint: Any, transform: Any, ego: Any) -> Sensor:
        sensor = Sensor(world, blueprint, transform, ego)
        self.sensors.append(sensor)
        return sensor

    def stop(self) -> None:
        """Ends all callbacks; the actors are destroyed by their owner."""
        for sensor in self.sensors:
            sensor.stop()

    def images(self, frame: int) -> tuple[NDArray[np.uint8] | None, Labels | None]:
        """The pictures of that frame: RGB (H, W, 3), and the labels where asked for."""
        if not self._cameras:
            return None, None
        raw = {name: bgra(sensor.at(frame)) for name, sensor in self._cameras.items()}
        rgb = np.ascontiguousarray(raw["rgb"][:, :, 2::-1])
        if len(raw) == 1:
            return rgb, None
        return rgb, Labels(
            semantic=np.ascontiguousarray(raw["semantic"][:, :, 2]),
            instance=instance_ids(raw["instance"]),
            depth=depth_metres(raw["depth"]),
        )

    def contacts(self, frame: int, xy: NDArray[np.float64]) -> NDArray[np.void]:
        """The collisions (C,) CONTACT that have come up to that frame; `xy` is where the ego is.

        Events have no tick to wait for: one that is still on its way is told in the next tick.
        """
        events = self.collisions.since(frame)
        contacts = np.zeros(len(events), CONTACT)
        for row, event in zip(contacts, events, strict=True):
            push = event.normal_impulse
            row["id"], row["kind"] = event.other_actor.id, kind_of(event.other_actor)
            row["impulse"] = (push.x**2 + push.y**2 + push.z**2) ** 0.5
        contacts["xy"] = xy
        return contacts


def kind_of(actor: Any) -> Kind:
    """What a CARLA actor is."""
    for tag in actor.semantic_tags:
        if tag in KIND_OF_TAG:
            return KIND_OF_TAG[tag]
    if actor.type_id.startswith("vehicle."):
        return Kind.CAR
    if actor.type_id.startswith("walker."):
        return Kind.PEDESTRIAN
    return Kind.PROP if actor.type_id.startswith("static.prop.") else Kind.STATIC


def _lens(blueprint: Any, camera: Camera) -> Any:
    blueprint.set_attribute("image_size_x", str(camera.width))
    blueprint.set_attribute("image_size_y", str(camera.height))
    blueprint.set_attribute("fov", str(degrees(camera.fov)))
    blueprint.set_attribute("sensor_tick", "0.0")
    if blueprint.has_attribute("motion_blur_intensity"):  # networks are trained on sharp pictures
        blueprint.set_attribute("motion_blur_intensity", "0.0")
    return blueprint


def camera_transform(carla: Any, camera: Camera) -> Any:
    """A camera's place on the ego in CARLA's axes."""
    x, y, z = camera.xyz_ego
    return carla.Transform(carla.Location(x=x, y=-y, z=z), carla.Rotation(pitch=-degrees(camera.pitch)))


def bgra(image: Any) -> NDArray[np.uint8]:
    """(H, W, 4) view of an image's bytes."""
    return np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)


def depth_metres(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W) [m] from CARLA's 24 bit code: red is the low byte."""
    code = pixels[:, :, 2].astype(np.uint32) | pixels[:, :, 1].astype(np.uint32) << 8
    code |= pixels[:, :, 0].astype(np.uint32) << 16
    return (code * (DEPTH_SCALE / (2**24 - 1))).astype(np.float32)


def instance_ids(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(H, W) the 16 bits of instance that CARLA's image carries: green is the low byte."""
    low, high = pixels[:, :, 1].astype(np.uint32), pixels[:, :, 0].astype(np.uint32)
    return low | high << np.uint32(8)
