"""What the network's heads say, channel by channel: the contract between the network, its training and `decode.py`."""

from __future__ import annotations

from roadcraft.perception.percept import EVENTS, PATH_TIMES

LANE_ROWS, LANE_COLUMNS = 25, 80  # the lower part of the image as the lane head sees it
MOTION = 7  # numbers in `motion`: see `view.motion_vector`
MOST_PEAKS = 32  # of a frame, that the second stage learns from
GROUPS = 3  # heatmaps: vehicles, cyclists, pedestrians
SIGNS = 4  # heatmaps: governing light red, yellow, green; governing stop sign
# What is regressed at an object's centre, in this order, with the number of channels.
FIELDS: dict[str, int] = {
    "offset": 2,  # [cells] of the box centre from the cell's centre
    "log_box": 2,  # log width, height [cells]
    "log_depth": 1,  # log of the depth of the footprint's centre [m], for the reference focal length
    "log_depth_sigma": 1,  # log of its Laplace scale
    "column": 1,  # [cells] of the footprint centre's column from the cell's centre
    "log_size": 2,  # log length, width [m]
    "heading": 2,  # cosine and sine of the yaw against the line of sight
    "velocity": 2,  # [10 m/s] over ground along the ego's axes
    "log_velocity_sigma": 1,  # log of its Laplace scale [10 m/s]
    "kind": 6,  # logits of sim.messages.Kind
    "bend": 2 * len(PATH_TIMES),  # [m] of the path beside constant velocity, at PATH_TIMES
    "log_bend_sigma": len(PATH_TIMES),  # log of its Laplace scale [m]
}
# What `publish` makes of the raw heads, in this order: the outputs of every engine, before the state.
OUTPUTS = ("masks", "peaks", "objects", "signs", "lane_column", "lane_spread", "lane_point", "lane_line", "scene")
SCENE: dict[str, int] = {
    "light": 4,  # logits: red, yellow, green, none governs us
    "light_distance": 1,  # log(1 + d/m)
    "stop": 1,  # logit
    "stop_distance": 1,  # log(1 + d/m)
    "events": len(EVENTS),  # logits
    "valid": 1,  # logit: this is a picture of a street
}
