"""CARLA's values on the wire: checked decoding, encoding, and CARLA's left-handed degrees.

Structs travel as msgpack arrays of their fields. Inside the server a place is a `Pose` in the project's own frame
(right-handed, radians); a decoder makes one from what a client sent and `transform_wire` turns it back. Mirroring y
commutes with composing transforms, so relative poses (attachments) convert the same way. What a client sends that is
not finite, out of range or of the wrong shape raises `WireError`: nothing unchecked reaches the simulation's kernels.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from math import acos, asin, atan2, copysign, cos, degrees, isfinite, radians, sin
from typing import Any, NamedTuple

from roadcraft.sim.errors import UserError
from roadcraft.sim.geometry import to_carla_yaw, wrap

VERSION = "0.9.16"  # the client prints a warning for any other
LARGEST = 1e7  # of any coordinate, speed or force that a client may send, in its unit
NO_TOKEN = b""
HEADER = struct.Struct("<QQd6f")  # sensor, frame, time, location and rotation

# `sensor_type_id` of a stream header: the place of each sensor in 0.9.16's registry.
COLLISION, DEPTH, NORMALS, DVS, GNSS, IMU, LANE_INVASION = range(7)
OBSTACLE, OPTICAL_FLOW, RADAR, SEMANTIC_LIDAR, LIDAR = range(7, 12)
RGB, SEMANTIC, INSTANCE, COSMOS, WORLD_OBSERVER, GBUFFER_U8, GBUFFER_F32, V2X_CAM, V2X_CUSTOM = range(13, 22)

# Semantic tags (`carla.CityObjectLabel`), each at its number.
_TAGS = """none roads sidewalks buildings walls fences poles traffic_light traffic_signs vegetation terrain sky
pedestrians rider car truck bus train motorcycle bicycle static dynamic other water road_lines ground bridge rail_track
guard_rail"""
CITY_TAGS = {name: tag for tag, name in enumerate(_TAGS.split())}
ANY_TAG = 255

Vector = tuple[float, float, float]


class WireError(UserError):
    """A client sent a value that cannot be used; the message names it."""


class Pose(NamedTuple):
    """A place in the project's frame: x forward or east, y left or north, z up [m]; ISO 8855 angles [rad]."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0  # positive nose down
    roll: float = 0.0  # positive right side down

    @property
    def xyz(self) -> Vector:
        """The position alone."""
        return (self.x, self.y, self.z)


ORIGIN = Pose()
Matrix = tuple[Vector, Vector, Vector]


def rotation(pose: Pose) -> Matrix:
    """Rows of Rz(yaw) Ry(pitch) Rx(roll): from the pose's own axes to the world's."""
    cy, sy, cp, sp = cos(pose.yaw), sin(pose.yaw), cos(pose.pitch), sin(pose.pitch)
    cr, sr = cos(pose.roll), sin(pose.roll)
    return (
        (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
        (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
        (-sp, cp * sr, cp * cr),
    )


def turn(matrix: Matrix, vector: Sequence[float]) -> Vector:
    """`vector` (3,) in the world's axes."""
    x, y, z = vector
    a, b, c = matrix
    return (a[0] * x + a[1] * y + a[2] * z, b[0] * x + b[1] * y + b[2] * z, c[0] * x + c[1] * y + c[2] * z)


def turn_back(matrix: Matrix, vector: Sequence[float]) -> Vector:
    """The inverse of `turn`."""
    x, y, z = vector
    a, b, c = matrix
    return (a[0] * x + b[0] * y + c[0] * z, a[1] * x + b[1] * y + c[1] * z, a[2] * x + b[2] * y + c[2] * z)


def compose(parent: Pose, relative: Pose) -> Pose:
    """The world pose of something fixed at `relative` to `parent`."""
    m = rotation(parent)
    dx, dy, dz = turn(m, relative.xyz)
    x, y, z = parent.x + dx, parent.y + dy, parent.z + dz
    if relative[3:] == (0.0, 0.0, 0.0):
        return Pose(x, y, z, *parent[3:])
    if parent.pitch == 0.0 and parent.roll == 0.0:
        return Pose(x, y, z, wrap(parent.yaw + relative.yaw), relative.pitch, relative.roll)
    r = rotation(relative)
    return Pose(x, y, z, *angles([turn(m, (r[0][k], r[1][k], r[2][k])) for k in range(3)]))


def relative(parent: Pose, child: Pose) -> Pose:
    """Where `child` is in the frame of `parent`; the inverse of `compose`."""
    axes = rotation(parent)
    x, y, z = turn_back(axes, (child.x - parent.x, child.y - parent.y, child.z - parent.z))
    if parent.pitch == 0.0 and parent.roll == 0.0:
        return Pose(x, y, z, wrap(child.yaw - parent.yaw), child.pitch, child.roll)
    r = rotation(child)
    columns = [turn_back(axes, (r[0][k], r[1][k], r[2][k])) for k in range(3)]
    return Pose(x, y, z, *angles(columns))


def between(one: Pose, other: Pose, share: float) -> Pose:
    """The pose at a share [0, 1] of the way from one to another, turned about one axis at an even rate (slerp)."""
    a, b = quaternion(one), quaternion(other)
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    turned = acos(min(abs(dot), 1.0))
    near, far = 1.0 - share, share
    if turned > 1e-6:
        near, far = sin(near * turned) / sin(turned), sin(far * turned) / sin(turned)
    w, x, y, z = (near * p + copysign(far, dot) * q for p, q in zip(a, b, strict=True))
    columns = (
        (w * w + x * x - y * y - z * z, 2 * (x * y + w * z), 2 * (x * z - w * y)),
        (2 * (x * y - w * z), w * w - x * x + y * y - z * z, 2 * (y * z + w * x)),
        (2 * (x * z + w * y), 2 * (y * z - w * x), w * w - x * x - y * y + z * z),
    )
    place = [p + share * (q - p) for p, q in zip(one.xyz, other.xyz, strict=True)]
    return Pose(place[0], place[1], place[2], *angles(columns))


def quaternion(pose: Pose) -> tuple[float, float, float, float]:
    """(w, x, y, z) of a pose's rotation, see `rotation`."""
    cy, sy, cp, sp = cos(pose.yaw / 2), sin(pose.yaw / 2), cos(pose.pitch / 2), sin(pose.pitch / 2)
    cr, sr = cos(pose.roll / 2), sin(pose.roll / 2)
    return (
        cy * cp * cr + sy * sp * sr, cy * cp * sr - sy * sp * cr,
        cy * sp * cr + sy * cp * sr, sy * cp * cr - cy * sp * sr,
    )  # fmt: skip


def angles(columns: Sequence[Vector]) -> Vector:
    """(yaw, pitch, roll) of a rotation given by its columns, the turned axes."""
    pitch = -asin(max(-1.0, min(1.0, columns[0][2])))
    return atan2(columns[0][1], columns[0][0]), pitch, atan2(columns[1][2], columns[2][2])


# ---------------------------------------------------------------------------------------------------------- decoding
Decoder = Callable[[Any], Any]


def number(value: Any) -> float:
    """A finite number of reasonable size."""
    if isinstance(value, (int, float)) and isfinite(value) and -LARGEST <= value <= LARGEST:
        return float(value)
    raise WireError(f"expected a finite number, got {value!r:.60}")


def any_number(value: Any) -> float:
    """A number that may be infinite or huge (limits and debug values that only travel back)."""
    if isinstance(value, (int, float)) and value == value:
        return float(max(-3.4e38, min(3.4e38, value)))
    raise WireError(f"expected a number, got {value!r:.60}")


def integer(low: int, high: int) -> Decoder:
    """Decoder of an integer in [low, high]."""

    def decode(value: Any) -> int:
        if isinstance(value, int) and low <= value <= high:
            return int(value)
        raise WireError(f"expected an integer in [{low}, {high}], got {value!r:.60}")

    return decode


u8, u16, u32, i32 = integer(0, 0xFF), integer(0, 0xFFFF), integer(0, 0xFFFFFFFF), integer(-(1 << 31), (1 << 31) - 1)
u64 = integer(0, (1 << 64) - 1)
port = integer(0, 0xFFFF)


def flag(value: Any) -> bool:
    """A boolean; integers 0 and 1 count."""
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise WireError(f"expected a boolean, got {value!r:.60}")


def text(value: Any) -> str:
    """A string of at most 4096 characters."""
    if isinstance(value, str) and len(value) <= 4096:
        return value
    raise WireError(f"expected a string of at most 4096 characters, got {value!r:.60}")


def long_text(value: Any) -> str:
    """A string of any length that fits into a message (OpenDRIVE)."""
    if isinstance(value, str):
        return value
    raise WireError(f"expected a string, got {value!r:.60}")


def anything(value: Any) -> Any:
    """For values that are looked at elsewhere or not at all."""
    return value


def fields(*decoders: Decoder) -> Decoder:
    """Decoder of a struct with exactly these first fields; further ones are ignored, as the client itself does."""

    def decode(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or len(value) < len(decoders):
            raise WireError(f"expected {len(decoders)} fields, got {value!r:.60}")
        return tuple([decoder(item) for decoder, item in zip(decoders, value, strict=False)])

    return decode


def listed(decoder: Decoder, most: int = 65536) -> Decoder:
    """Decoder of a list of at most `most` items."""

    def decode(value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)) or len(value) > most:
            raise WireError(f"expected a list of at most {most} items, got {value!r:.60}")
        return [decoder(item) for item in value]

    return decode


def optional(decoder: Decoder) -> Decoder:
    """`[false]` or `[true, value]`."""

    def decode(value: Any) -> Any:
        if isinstance(value, (list, tuple)) and value:
            if flag(value[0]):
                return fields(flag, decoder)(value)[1]
            return None
        raise WireError(f"expected an optional value, got {value!r:.60}")

    return decode


_three = fields(number, number, number)


def vector(value: Any) -> Vector:
    """A direction, velocity or place in the project's frame, from CARLA's left-handed one."""
    x, y, z = _three(value)
    return (x, -y, z)


def axial(value: Any) -> Vector:
    """An angular velocity [degrees/s] or torque about CARLA's axes, about ours [rad/s or unit of the torque x rad].

    A rotation vector under the mirror y -> -y turns its x and z components around. CARLA's API gives both in degrees.
    """
    x, y, z = _three(value)
    return (-x, y, -z)


def extent(value: Any) -> Vector:
    """Half sizes [m]."""
    x, y, z = _three(value)
    return (abs(x), abs(y), abs(z))


def pose(value: Any) -> Pose:
    """A `carla.Transform` ([location, rotation in degrees])."""
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        raise WireError(f"expected a transform, got {value!r:.60}")
    (x, y, z), (pitch, yaw, roll) = _three(value[0]), _three(value[1])
    return Pose(x, -y, z, wrap(-radians(yaw)), wrap(-radians(pitch)), wrap(radians(roll)))


# ---------------------------------------------------------------------------------------------------------- encoding
def location_wire(xyz: Sequence[float]) -> list[float]:
    """A place or vector in CARLA's frame."""
    return [float(xyz[0]), 0.0 - float(xyz[1]), float(xyz[2])]


def rotation_wire(pose: Pose) -> list[float]:
    """[pitch, yaw, roll] in CARLA's degrees."""
    return [0.0 - degrees(pose.pitch), to_carla_yaw(pose.yaw) + 0.0, degrees(pose.roll)]


def transform_wire(pose: Pose) -> list[list[float]]:
    """[location, rotation] in CARLA's frame."""
    return [location_wire(pose.xyz), rotation_wire(pose)]


def box_wire(centre: Pose, extent: Sequence[float], actor: int = 0) -> list[Any]:
    """A `carla.BoundingBox`: half sizes [m] around a centre; in the actor's frame or, for level boxes, the world's."""
    return [location_wire(centre.xyz), [float(e) for e in extent], rotation_wire(centre), actor]


def token(stream: int, stream_port: int) -> bytes:
    """24 bytes that tell a client where a stream is; without an address it uses the host it already talks to."""
    return struct.pack("<IHBB16x", stream, stream_port, 1, 0)


def header(sensor: int, frame: int, time: float, at: Pose) -> bytes:
    """The 48 bytes before every sensor's payload."""
    pitch, yaw, roll = rotation_wire(at)
    return HEADER.pack(sensor, frame, time, at.x, 0.0 - at.y, at.z, pitch, yaw, roll)
