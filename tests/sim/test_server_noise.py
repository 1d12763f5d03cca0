"""A camera's noise: as much as was asked for, its own in each picture, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.cameras import Camera, Cameras
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.noise import Noise
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.errors import UserError

AT = Pose(0.0, 0.0, 1.5)


@pytest.fixture(scope="module")
def live() -> LiveWorld:
    return LiveWorld(load_town("grid"), "")


def noise(live: LiveWorld, **given: float) -> Noise:
    return Noise(live.spawn("sensor.camera.rgb", [[name, 2, str(value)] for name, value in given.items()], Pose()))


def noisy(film: Noise, level: int = 128) -> np.ndarray:
    """(H, W, 4) of a flat patch."""
    pixels = np.full((180, 320, 4), level, np.uint8)
    film(pixels)
    return pixels


def test_by_default_there_is_none(live: LiveWorld) -> None:
    assert noise(live).none
    assert (noisy(noise(live, noise_seed=7)) == 128).all()


@pytest.mark.parametrize("sigma", [1.0, 5.0, 20.0])
def test_it_is_as_strong_as_asked_for(live: LiveWorld, sigma: float) -> None:
    film = noise(live, noise_stddev=sigma)
    added = np.stack([noisy(film) for _ in range(4)]).astype(float) - 128
    assert (added[..., 3] == 0).all()
    colours = added[..., :3]
    # Rounding to whole levels adds the variance of 1/12.
    assert colours.std((0, 1, 2)) == pytest.approx(np.full(3, np.sqrt(sigma**2 + 1 / 12)), rel=0.01)
    assert np.abs(colours.mean((0, 1, 2))).max() < 0.01 * sigma
    flat = colours.reshape(-1, 3)
    within = np.abs(flat[:, 0]) <= sigma
    if sigma > 4:
        assert within.mean() == pytest.approx(0.683, abs=0.05)  # a normal distribution's share within one of it


def test_it_depends_on_nothing_else_in_the_picture(live: LiveWorld) -> None:
    """Colours, neighbours and pictures are independent of each other."""
    film = noise(live, noise_stddev=10.0)
    first, second = (noisy(film)[..., :3].astype(float) - 128 for _ in range(2))
    pairs = [
        (first[..., 0], first[..., 1]), (first[..., 1], first[..., 2]), (first[:, 1:], first[:, :-1]),
        (first[1:], first[:-1]), (first, second),
    ]  # fmt: skip
    for a, b in pairs:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_the_seed_says_it_all(live: LiveWorld) -> None:
    one, same, other = (noise(live, noise_stddev=10.0, noise_seed=seed) for seed in (3, 3, 4))
    for _ in range(3):
        a, b, c = noisy(one), noisy(same), noisy(other)
        assert (a == b).all()
        assert (a != c).mean() > 0.5


def test_black_and_white_are_the_ends(live: LiveWorld) -> None:
    film = noise(live, noise_stddev=10.0)
    assert noisy(film, 0)[..., :3].min() == 0
    assert noisy(film, 0)[..., :3].max() < 60
    assert noisy(film, 255)[..., :3].max() == 255
    assert noisy(film, 255)[..., :3].min() > 195


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_what_cannot_be_is_refused(live: LiveWorld, value: float) -> None:
    with pytest.raises(UserError, match="noise_stddev"):
        noise(live, noise_stddev=value)


def test_a_noisy_camera_beside_another_leaves_that_ones_picture(live: LiveWorld) -> None:
    """They look from the same place, so that one picture is drawn for both."""
    chosen = {"image_size_x": 64, "image_size_y": 36, "motion_blur_intensity": 0.0}

    def camera(**more: float) -> Actor:
        actor = live.spawn("sensor.camera.rgb", [[name, 2, str(value)] for name, value in (chosen | more).items()], AT)
        actor.sensor = Camera(actor)
        return actor

    loud, plain, cameras = camera(noise_stddev=10.0), camera(), Cameras()
    ((_, (_, pixels)),) = cameras.images(live, [plain])
    alone = bytes(pixels)
    disturbed, beside = (bytes(pixels) for _, (_, pixels) in cameras.images(live, [loud, plain]))
    assert beside == alone
    assert disturbed != alone
