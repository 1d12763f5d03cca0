"""The blueprint library as the wire carries it: the catalogue's vehicles, walkers and props, and CARLA's sensors.

A definition is `[uid, id, "tag,tag", attributes]`, an attribute
`[id, type, value, recommended values, is modifiable, restricted to the recommended]`; all values are strings.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from roadcraft.sim.embedded.catalogue import CATALOGUE, Blueprint
from roadcraft.sim.messages import Kind

BOOL, INT, FLOAT, STRING, COLOR = 1, 2, 3, 4, 5  # attribute types
MESH, EMPTY = "static.prop.mesh", "util.actor.empty"  # actors without a body
AUTOPILOT = "server_autopilot"  # 0: driven by clients; otherwise the seed of the server's own driver

Attribute = list[Any]
Definition = list[Any]

# Sensors and their attributes with CARLA's defaults; the type is read from the default value.
_LENS = (
    "lens_circle_falloff=5.0 lens_circle_multiplier=0.0 lens_k=-1.0 lens_kcube=0.0 lens_x_size=0.08 lens_y_size=0.08"
)
_CAMERA = f"image_size_x=800 image_size_y=600 fov=90.0 sensor_tick=0.0 {_LENS}"
_PHOTO = (
    "enable_postprocess_effects=true bloom_intensity=0.675 fstop=1.4 iso=100.0 gamma=2.2 lens_flare_intensity=0.1 "
    "shutter_speed=200.0 min_fstop=1.2 blade_count=5 exposure_mode=histogram exposure_compensation=0.0 "
    "exposure_min_bright=10.0 exposure_max_bright=12.0 exposure_speed_up=3.0 exposure_speed_down=1.0 "
    "calibration_constant=16.0 focal_distance=1000.0 blur_amount=1.0 blur_radius=0.0 motion_blur_intensity=0.45 "
    "motion_blur_max_distortion=0.35 motion_blur_min_object_screen_size=0.1 slope=0.88 toe=0.55 shoulder=0.26 "
    "black_clip=0.0 white_clip=0.04 temp=6500.0 tint=0.0 chromatic_aberration_intensity=0.0 "
    "chromatic_aberration_offset=0.0"
)
_NOISE = "noise_stddev=0.0 noise_seed=0"  # not CARLA's
_EVENTS = (
    "positive_threshold=0.3 negative_threshold=0.3 sigma_positive_threshold=0.0 sigma_negative_threshold=0.0 "
    "refractory_period_ns=0 use_log=true log_eps=0.001"
)
_SCAN = (
    "channels=32 range=10.0 points_per_second=56000 rotation_frequency=10.0 upper_fov=10.0 lower_fov=-30.0 "
    "horizontal_fov=360.0 sensor_tick=0.0"
)
_RADIO = (
    "noise_seed=0 transmit_power=21.5 receiver_sensitivity=-99.0 frequency_ghz=5.9 combined_antenna_gain=10.0 "
    "scenario=highway path_loss_model=winner path_loss_exponent=2.7 d_ref=1.0 filter_distance=500.0 "
    "use_etsi_fading=true custom_fading_stddev=0.0"
)
_GAUGES = (
    "noise_lat_stddev=0.0 noise_lat_bias=0.0 noise_lon_stddev=0.0 noise_lon_bias=0.0 noise_alt_stddev=0.0 "
    "noise_alt_bias=0.0 noise_head_stddev=0.0 noise_head_bias=0.0 noise_accel_stddev_x=0.0 noise_accel_stddev_y=0.0 "
    "noise_accel_stddev_z=0.0 noise_yawrate_stddev=0.0 noise_yawrate_bias=0.0 noise_vel_stddev_x=0.0"
)
_CHOICES = {
    "exposure_mode": ("histogram", "manual"),
    "scenario": ("highway", "rural", "urban"),
    "path_loss_model": ("winner", "geometric"),
}
_SENSORS: dict[str, str] = {
    "sensor.camera.rgb": f"{_CAMERA} {_PHOTO} {_NOISE}",
    "sensor.camera.depth": _CAMERA,
    "sensor.camera.semantic_segmentation": _CAMERA,
    "sensor.camera.instance_segmentation": _CAMERA,
    "sensor.camera.normals": _CAMERA,
    "sensor.camera.optical_flow": _CAMERA,
    "sensor.camera.cosmos_visualization": _CAMERA,
    "sensor.camera.dvs": f"{_CAMERA} {_PHOTO} {_EVENTS}",
    "sensor.lidar.ray_cast": f"{_SCAN} atmosphere_attenuation_rate=0.004 dropoff_general_rate=0.45 "
    "dropoff_intensity_limit=0.8 dropoff_zero_intensity=0.4 noise_stddev=0.0 noise_seed=0",
    "sensor.lidar.ray_cast_semantic": _SCAN,
    "sensor.other.radar": "horizontal_fov=30.0 vertical_fov=30.0 range=100.0 points_per_second=1500 sensor_tick=0.0 "
    "noise_seed=0",
    "sensor.other.imu": "noise_accel_stddev_x=0.0 noise_accel_stddev_y=0.0 noise_accel_stddev_z=0.0 "
    "noise_gyro_stddev_x=0.0 noise_gyro_stddev_y=0.0 noise_gyro_stddev_z=0.0 noise_gyro_bias_x=0.0 "
    "noise_gyro_bias_y=0.0 noise_gyro_bias_z=0.0 noise_seed=0 sensor_tick=0.0",
    "sensor.other.gnss": "noise_alt_stddev=0.0 noise_lat_stddev=0.0 noise_lon_stddev=0.0 noise_alt_bias=0.0 "
    "noise_lat_bias=0.0 noise_lon_bias=0.0 noise_seed=0 sensor_tick=0.0",
    "sensor.other.v2x": f"{_RADIO} gen_cam_min=0.1 gen_cam_max=1.0 fixed_rate=false {_GAUGES} sensor_tick=0.0",
    "sensor.other.v2x_custom": f"{_RADIO} sensor_tick=0.0",
    "sensor.other.obstacle": "distance=5.0 hit_radius=0.5 only_dynamics=false debug_linetrace=false sensor_tick=0.0",
    "sensor.other.collision": "",
    "sensor.other.lane_invasion": "",
}
_PLAIN = ("sensor.other.imu", "sensor.other.gnss", "sensor.other.radar")  # sensors without recommended roles
_ROLES = ("front", "back", "left", "right", "front_left", "front_right", "back_left", "back_right")


def _variable(name: str, kind: int, *values: object, restricted: bool = False) -> Attribute:
    texts = [str(value) for value in values]
    return [name, kind, texts[0], texts, True, restricted]


def _fact(name: str, kind: int, value: object) -> Attribute:
    return [name, kind, str(value).lower() if kind == BOOL else str(value), [], False, False]


def _from_default(item: str) -> Attribute:
    name, value = item.split("=")
    if value in ("true", "false"):
        return _variable(name, BOOL, value)
    if name in _CHOICES:
        return _variable(name, STRING, *_CHOICES[name], restricted=True)
    try:
        return _variable(name, INT if value.lstrip("-").isdigit() else FLOAT, value)
    finally:
        float(value)


def _color(blueprint: Blueprint) -> list[Attribute]:
    texts = [",".join(map(str, color)) for color in blueprint.colors]
    return [_variable("color", COLOR, *texts, restricted=False)] if texts else []


def _vehicle(blueprint: Blueprint) -> list[Attribute]:
    return [
        _variable("role_name", STRING, "autopilot", "scenario", "ego_vehicle"),
        *_color(blueprint),
        _variable("sticky_control", BOOL, "true"),
        _variable("terramechanics", BOOL, "false"),
        _variable(AUTOPILOT, INT, 0),
        _fact("object_type", STRING, ""),
        _fact("base_type", STRING, blueprint.base_type),
        _fact("special_type", STRING, blueprint.special_type),
        _fact("number_of_wheels", INT, blueprint.wheels),
        _fact("generation", INT, blueprint.generation),
        _fact("has_lights", BOOL, blueprint.has_lights),
        _fact("has_dynamic_doors", BOOL, blueprint.has_dynamic_doors),
    ]


def _walker(blueprint: Blueprint) -> list[Attribute]:
    speeds = ("0.0", "1.4", "2.8") if blueprint.age == "adult" else ("0.0", "1.1", "2.2")
    return [
        _variable("role_name", STRING, "pedestrian"),
        _variable("is_invincible", BOOL, "true"),
        _variable("speed", FLOAT, *speeds),
        _variable("use_wheelchair", BOOL, "false"),
        _variable(AUTOPILOT, INT, 0),
        _fact("can_use_wheelchair", BOOL, "false"),
        _fact("gender", STRING, blueprint.gender),
        _fact("age", STRING, blueprint.age),
        _fact("generation", INT, blueprint.generation),
    ]


def _prop(blueprint: Blueprint) -> list[Attribute]:
    return [_variable("role_name", STRING, "prop"), _fact("size", STRING, blueprint.size)]


@cache
def definitions() -> tuple[Definition, ...]:
    """All definitions; the uid of each is its place, counted from 1."""
    found: list[tuple[str, list[Attribute]]] = []
    for blueprint in CATALOGUE:
        make = _vehicle if blueprint.is_vehicle else _walker if blueprint.kind == Kind.PEDESTRIAN else _prop
        found.append((blueprint.id, make(blueprint)))
    role = _variable("role_name", STRING, "default")
    for name, attributes in _SENSORS.items():
        own = role if name in _PLAIN else _variable("role_name", STRING, *_ROLES)
        found.append((name, [own, *map(_from_default, attributes.split())]))
    found.append(("controller.ai.walker", [role]))
    found.append((EMPTY, [role]))
    mesh = [_variable("mesh_path", STRING, ""), _variable("mass", FLOAT, "0.0"), _variable("scale", FLOAT, "1.0")]
    found.append((MESH, [_variable("role_name", STRING, "prop"), *mesh]))
    sizes = [_variable(f"extent_{axis}", FLOAT, "1.0") for axis in "xyz"]  # [cm] half sizes
    found.append(("static.trigger.friction", [role, _variable("friction", FLOAT, "3.5"), *sizes]))
    return tuple([k, name, name.replace(".", ","), attributes] for k, (name, attributes) in enumerate(found, 1))


@cache
def by_id() -> dict[str, Definition]:
    """The definitions by their id."""
    return {definition[1]: definition for definition in definitions()}
