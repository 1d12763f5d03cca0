"""A camera's lens and film: nothing by default, known curves, straight lines that bend, a rim that darkens."""

from __future__ import annotations

import numpy as np
import pytest

from roadcraft.sim.embedded.server.blueprints import by_id
from roadcraft.sim.embedded.server.cameras import Camera, Cameras
from roadcraft.sim.embedded.server.compatibility import CAMERA_NOTES
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.optics import Optics
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.errors import UserError

WIDTH, HEIGHT = 160, 120
RGB, SEMANTIC = "sensor.camera.rgb", "sensor.camera.semantic_segmentation"


@pytest.fixture(scope="module")
def live() -> LiveWorld:
    return LiveWorld(load_town("grid"), "")


def optics(live: LiveWorld, kind: str = RGB, **given: float | str) -> Optics:
    actor = live.spawn(kind, [[name, 2, str(value)] for name, value in given.items()], Pose())
    return Optics(actor, WIDTH, HEIGHT, kind == RGB)


def through(lens: Optics, picture: np.ndarray) -> np.ndarray:
    """The three colours of what becomes of (H, W) grey values."""
    pixels = np.repeat(picture[..., None], 4, -1).astype(np.uint8)
    lens(pixels)
    return pixels[..., :3]


def test_the_default_changes_nothing(live: LiveWorld) -> None:
    assert optics(live).plain
    assert optics(live, enable_postprocess_effects="false", gamma=1.0).plain


@pytest.mark.parametrize(("gamma", "exposure"), [(1.1, 0.0), (4.4, 0.0), (2.2, 1.0), (2.2, -2.0)])
def test_the_film_has_its_curve(live: LiveWorld, gamma: float, exposure: float) -> None:
    grey = np.full((HEIGHT, WIDTH), 100)
    out = through(optics(live, gamma=gamma, exposure_compensation=exposure), grey)
    wanted = 255 * min(1.0, ((100 / 255) ** 2.2 * 2**exposure) ** (1 / gamma))
    assert out == pytest.approx(wanted, abs=0.51)


def test_a_camera_set_by_hand_has_the_light_of_its_settings(live: LiveWorld) -> None:
    grey, doubled = np.full((HEIGHT, WIDTH), 100), 255 * (2 * (100 / 255) ** 2.2) ** (1 / 2.2)
    assert optics(live, exposure_mode="manual").plain
    for given in ({"iso": 200}, {"shutter_speed": 100}, {"fstop": 1.4 / 2**0.5}, {"iso": 400, "shutter_speed": 400}):
        assert optics(live, **given).plain  # the exposure meter makes up for it
        assert through(optics(live, exposure_mode="manual", **given), grey) == pytest.approx(doubled, abs=0.51)
    for name in ("iso", "shutter_speed", "fstop"):
        with pytest.raises(UserError, match=name):
            optics(live, exposure_mode="manual", **{name: 0.0})


@pytest.mark.parametrize("kind", [RGB, SEMANTIC])
def test_a_lens_moves_things_by_its_formula(live: LiveWorld, kind: str) -> None:
    """A vertical line: at each row it is seen where the source of that place is the line."""
    line = np.zeros((HEIGHT, WIDTH))
    line[:, 129:132] = 250
    out = through(optics(live, kind, lens_k=2.0, lens_x_size=0.3, lens_y_size=0.0), line)[..., 0].astype(float)
    for row in (0, 60, 119):
        v, u = (row + 0.5) / HEIGHT - 0.5, (np.arange(WIDTH) + 0.5) / WIDTH - 0.5
        square = (WIDTH / HEIGHT * u) ** 2 + v**2
        source = (u * (1 + 0.3 * 2.0 * square + 0.08 * square) + 0.5) * WIDTH
        seen = float((out[row] * np.arange(WIDTH)).sum() / out[row].sum())
        assert seen == pytest.approx(float(np.interp(131.0, source + 0.5, np.arange(WIDTH) + 0.0)), abs=0.8)
    bent = out[[0, 60]].argmax(1)
    assert bent[0] < bent[1] - 2  # further out it is drawn in more
    if kind == SEMANTIC:
        assert set(np.unique(out)) == {0.0, 250.0}


def test_the_rim_is_dark(live: LiveWorld) -> None:
    grey = np.full((HEIGHT, WIDTH), 200)
    out = through(optics(live, lens_circle_multiplier=0.5, lens_circle_falloff=2.0), grey)[..., 0]
    assert out[60, 80] >= 199
    assert out[0, 0] == pytest.approx(100, abs=2)
    labels = through(optics(live, SEMANTIC, lens_circle_multiplier=0.5), grey)
    assert (labels == 200).all()


@pytest.mark.parametrize(
    "given",
    [{"gamma": 0.0}, {"gamma": -1.0}, {"lens_k": "nan"}, {"lens_x_size": "inf"}, {"exposure_compensation": 1e9}],
)
def test_what_no_lens_has_is_refused(live: LiveWorld, given: dict[str, float | str]) -> None:
    with pytest.raises(UserError, match=next(iter(given))):
        optics(live, **given)


def test_cameras_have_their_own(live: LiveWorld) -> None:
    """Two cameras at one place share a rendering, and differ by the film alone."""
    x, y, yaw = live.town.network.spawns[0].tolist()
    actors = []
    for gamma in (2.2, 1.1):
        given = [["image_size_x", 1, "64"], ["image_size_y", 1, "48"], ["gamma", 2, str(gamma)]]
        actors.append(live.spawn(RGB, given, Pose(x, y, 1.5, yaw)))
        actors[-1].sensor = Camera(actors[-1])
    images = [np.frombuffer(bytes(data[1]), np.uint8).reshape(48, 64, 4) for _, data in Cameras().images(live, actors)]
    plain, dark = (image[..., :3].astype(float) for image in images)
    assert dark == pytest.approx(255 * (plain / 255) ** 2, abs=0.51)
    assert (images[1][..., 3] == 255).all()


def test_what_the_page_says_acts_and_nothing_else(live: LiveWorld) -> None:
    """Each attribute is changed alone in a camera in which everything acts, and which turns past a moving car."""
    base = {
        "image_size_x": "64", "image_size_y": "48", "lens_circle_multiplier": "0.5", "exposure_mode": "manual",
        "motion_blur_intensity": "1.0", "motion_blur_max_distortion": "10.0", "noise_stddev": "1.0", "iso": "150.0",
    }  # fmt: skip
    other = {"exposure_mode": "histogram", "exposure_compensation": "0.5", "iso": "70.0", "fov": "80.0"}
    other |= {"enable_postprocess_effects": "false", "motion_blur_min_object_screen_size": "90.0"}
    usual = {name: value for name, _, value, *_ in by_id()[RGB][3] if name not in ("role_name", "sensor_tick")}
    acts = {name for names in CAMERA_NOTES for name in names} - {"sensor_tick"}
    assert acts < set(usual)
    x, y, yaw = live.town.network.spawns[0].tolist()
    c, s = np.cos(yaw), np.sin(yaw)
    car = live.spawn("vehicle.audi.tt", [], Pose(x + 8 * c, y + 8 * s, 0.0, yaw + 1.5))
    live.simulation.set_physics(car.id, False)
    actors = {}
    for name in ("", *usual):
        given = dict(base)
        if name:
            value = base.get(name, usual[name])
            given[name] = other.get(name) or (str(int(value) + 8) if value.isdigit() else str(float(value) * 1.5 + 0.3))
        actors[name] = live.spawn(RGB, [[key, 2, value] for key, value in given.items()], Pose(x, y, 1.5, yaw))
        actors[name].sensor = Camera(actors[name])
    cameras = Cameras()
    for _ in range(2):
        pictures = {actor.id: bytes(data[1]) for actor, data in cameras.images(live, list(actors.values()))}
        live.step(0.05)
        live.place(car, Pose(x + 8 * c + 1.5 * s, y + 8 * s - 1.5 * c, 0.0, yaw + 1.5))
        for actor in actors.values():
            actor.pose = Pose(x, y, 1.5, yaw + 0.15)
    plain = pictures[actors[""].id]
    assert {name for name, actor in actors.items() if pictures[actor.id] != plain} == acts
