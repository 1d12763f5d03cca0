"""Weather in pictures: each of CARLA's parameters acts or is known not to; rain falls, fog thickens, light falls."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from test_render import spawn_body, street_view

from roadcraft.sim.embedded.render import Renderer, Scene, View
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.messages import Weather

LINCOLN = "vehicle.lincoln.mkz_2020"
SILENT = {  # docs/carla.md, `set_weather_parameters`
    "wind_intensity", "fog_falloff", "scattering_intensity", "mie_scattering_scale", "rayleigh_scattering_scale",
}  # fmt: skip
SOME_OF_ALL = Weather(20.0, 10.0, 10.0, fog_density=20.0, fog_distance=5.0, wetness=20.0, dust_storm=5.0)
OTHERWISE = {"sun_altitude_angle": 20.0, "sun_azimuth_angle": 100.0, "fog_distance": 30.0}  # 70 for the others
NIGHT = Weather(sun_altitude_angle=-40.0)


@pytest.fixture(scope="module")
def town() -> Town:
    return load_town("grid")


@pytest.fixture(scope="module")
def renderer(town: Town) -> Renderer:
    return Renderer(town)


def picture(renderer: Renderer, scene: Scene, view: View, hide: int = 0) -> NDArray[np.int64]:
    rgb = renderer.render(scene, view, hide=hide).rgb
    assert rgb is not None
    return rgb.astype(np.int64)


def test_each_parameter_acts_or_is_known_not_to(renderer: Renderer, town: Town) -> None:
    view, car = street_view(town), spawn_body(1, LINCOLN, town, 9)
    before = picture(renderer, Scene(car, weather=SOME_OF_ALL), view)
    changed = set()
    for name in (field.name for field in fields(Weather)):
        other = replace(SOME_OF_ALL, **{name: OTHERWISE.get(name, 70.0)})
        change = np.abs(picture(renderer, Scene(car, weather=other), view) - before).max(2)
        if change.any():
            changed.add(name)
            assert (change > 4).mean() > 0.1, name
    assert changed == {field.name for field in fields(Weather)} - SILENT


def test_drops_fall_while_it_rains(renderer: Renderer, town: Town) -> None:
    wet = Weather(cloudiness=90.0, wetness=80.0, precipitation_deposits=60.0)
    moved = []
    for weather in (wet, replace(wet, precipitation=80.0)):
        first, later = (picture(renderer, Scene(weather=weather, time=time), street_view(town)) for time in (1.0, 1.1))
        moved.append(int((first != later).any(2).sum()))
    assert moved[0] == 0
    assert moved[1] > 100


def test_fog_hides_what_is_far_and_begins_where_it_is_told(renderer: Renderer, town: Town) -> None:
    """By how much a white car differs from a black one, by the same in clear air."""

    def contrast(weather: Weather, ahead: float) -> float:
        car, view = spawn_body(1, LINCOLN, town, ahead), street_view(town)
        pictures = []
        for shade in (255, 0):
            car["color"] = shade
            pictures.append(picture(renderer, Scene(car, weather=weather), view))
        return float((pictures[0] - pictures[1]).sum())

    clear = Weather(fog_density=0.0)
    shares = []
    for weather in (Weather(fog_density=50.0, fog_distance=0.0), Weather(fog_density=50.0, fog_distance=30.0)):
        shares.append([contrast(weather, ahead) / contrast(clear, ahead) for ahead in (10.0, 20.0, 40.0)])
    thick, late = shares
    assert thick[0] > thick[1] + 0.05
    assert thick[1] > thick[2] + 0.05
    assert late[1] == pytest.approx(1.0, abs=0.1)
    assert late[2] > thick[2] + 0.1


@pytest.mark.parametrize("lights", [2, 4])
def test_headlights_light_the_road_before_them_by_night(renderer: Renderer, town: Town, lights: int) -> None:
    """Those of a car that stands 3 m to the left of the camera and a little behind it."""
    view, road = street_view(town), slice(85, 130)

    def gain(weather: Weather) -> NDArray[np.int64]:
        cars = [spawn_body(1, LINCOLN, town, -3.0, lights=on) for on in (0, lights)]
        for car in cars:
            car["xyz"] += 3.0 * np.array([-np.sin(view.yaw), np.cos(view.yaw), 0.0])
        dark, lit = (picture(renderer, Scene(car, weather=weather), view) for car in cars)
        return lit - dark

    night = gain(NIGHT)[road]
    assert night.mean() > 4
    assert night[:, :128].mean() > 1.5 * night[:, 128:].mean()
    assert not gain(Weather())[road].any()


def test_a_camera_looks_along_its_own_cars_headlights(renderer: Renderer, town: Town) -> None:
    view, without = street_view(town), picture(renderer, Scene(weather=NIGHT), street_view(town))
    for lights, lit in ((0, False), (1, False), (2, True), (4, True)):  # CARLA's Position, LowBeam, HighBeam
        car = spawn_body(3, LINCOLN, town, 0.0, lights=lights)
        gain = (picture(renderer, Scene(car, weather=NIGHT), view, hide=3) - without)[85:130]
        assert gain.mean() > 10 if lit else not gain.any()


def test_a_shadow_lies_away_from_the_sun(renderer: Renderer, town: Town) -> None:
    """Seen from above; CARLA's azimuth is clockwise from x, its y is to the right."""
    x, y, _ = town.network.spawns[0]
    car = spawn_body(1, LINCOLN, town, 0.0)
    over = View((x, y, 25.0), 0.0, np.pi / 2, 0.0, 128, 128, 0.8)

    def darkened(weather: Weather) -> NDArray[np.int64]:
        return (
            picture(renderer, Scene(weather=weather), over) - picture(renderer, Scene(car, weather=weather), over)
        ).sum(2)

    columns, rows = np.meshgrid(np.arange(128) - 63.5, np.arange(128) - 63.5)
    for azimuth in (20.0, 110.0, 200.0, 290.0):
        weather = Weather(cloudiness=0.0, sun_altitude_angle=40.0, sun_azimuth_angle=azimuth)
        seen = renderer.render(Scene(car), over, rgb=False, instance=True).instance
        assert seen is not None
        loss = darkened(weather)
        loss = np.where((seen == 0) & (loss > 20), loss, 0)
        towards = np.array([-(rows * loss).sum(), (columns * loss).sum()]) / loss.sum()  # ahead (x), to the right
        sun = np.array([np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))])
        assert towards @ sun < -0.6 * np.hypot(*towards)
        assert np.hypot(*towards) > 1.5
    assert (darkened(Weather(cloudiness=100.0))[seen == 0] > 20).sum() < 0.6 * (seen == 1).sum()
