"""V2X messages in the memory layout of CARLA's client, which takes their bytes as its own C structs.

Two lists in a cooperative awareness message, the zones that a roadside unit protects and the path that a vehicle came,
are pointers into the sender's memory: they stay empty, as the client would follow them and crash.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _struct(*fields: tuple[Any, ...]) -> np.dtype[np.void]:
    """Fields where a C compiler puts them."""
    return np.dtype(list(fields), align=True)


_VALUE = _struct(("value", "<i8"), ("confidence", "<i8"))
_EMPTY_LIST = _struct(("count", "<i8"), ("pointers", "<i8", 3))
_HEADER = _struct(("protocol", "<i8"), ("message", "<i8"), ("station", "<i8"))
_PLACE = _struct(("latitude", "<i8"), ("longitude", "<i8"), ("ellipse", "<i8", 3), ("altitude", _VALUE))
_MOTION = _struct(
    ("heading", _VALUE), ("speed", _VALUE), ("direction", "<i8"), ("length", _VALUE), ("width", "<i8"),
    ("along", _VALUE), ("curvature", _VALUE), ("curvature_mode", "<i8"), ("yaw_rate", _VALUE),
    ("has_control", "?"), ("control", "u1"), ("has_lane", "?"), ("lane", "<i8"),
    ("has_steering", "?"), ("steering", _VALUE), ("has_across", "?"), ("across", _VALUE),
    ("has_up", "?"), ("up", _VALUE), ("has_class", "?"), ("class", "<i8"), ("has_zone", "?"), ("zone", "<i8", 4),
)  # fmt: skip
_SLOW = _struct(("role", "<i8"), ("lights", "u1"), ("path", _EMPTY_LIST))
CAM = _struct(
    ("power", "<f4"), ("header", _HEADER), ("time", "<i8"), ("station_type", "<i8"), ("place", _PLACE),
    ("motion_kind", "<i8"), ("motion", _MOTION), ("zones", _EMPTY_LIST), ("slow_kind", "<i8"), ("slow", _SLOW),
)  # fmt: skip
CUSTOM = _struct(("power", "<f4"), ("header", _HEADER), ("text", "S100"))
MOST_TEXT = 99  # bytes; a zero ends them
PROTOCOL = 2
CUSTOM_MESSAGE, AWARENESS_MESSAGE = 0, 2  # ids of messages
