"""Looks: other surfaces, the same town."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.render import Images, Renderer, Scene, View
from roadcraft.sim.embedded.render.looks import look_of
from roadcraft.sim.embedded.render.materials import BUILDING, ROAD, ROAD_LINE, SIDEWALK, TERRAIN, VEGETATION
from roadcraft.sim.embedded.render.palette import CLASS_OF, COLORS
from roadcraft.sim.embedded.render.parts import build_parts
from roadcraft.sim.embedded.server.maps import Maps
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Weather


def picture(name: str) -> Images:
    """A street of a town, with all labels."""
    town = load_town(name)
    x, y, yaw = town.network.spawns[0]
    lights = np.zeros(len(town.network.signals), np.uint8)
    return Renderer(town).render(
        Scene(np.zeros(0, BODY), lights, Weather(), 0.0),
        View((x, y, 1.5), yaw, width=256, height=144),
        semantic=True,
        instance=True,
        depth=True,
    )


def test_a_look_changes_colours_and_nothing_else() -> None:
    plain, other, third = picture("grid"), picture("grid@3"), picture("grid@4")
    for name in ("semantic", "instance", "depth"):
        assert np.array_equal(getattr(plain, name), getattr(other, name)), name
    rgb = [np.asarray(images.rgb, np.int64) for images in (plain, other, third)]
    for tag in (ROAD, TERRAIN):
        there = plain.semantic == tag
        means = [image[there].mean(0) for image in rgb]
        assert all(np.abs(a - b).max() > 3 for a, b in ((means[0], means[1]), (means[1], means[2])))
    sky = plain.semantic == 11
    assert (rgb[0][sky] == rgb[1][sky]).all(-1).mean() > 0.9  # all but where its edges are smoothed


def test_houses_and_leaves_are_painted_and_nothing_else() -> None:
    town = load_town("grid")
    parts, _ = build_parts(town.scenery, town.network)
    painted = parts.copy()
    look = replace(look_of(3), windows=1, alike=1.0, walls=np.array((0.1, 0.2, 0.3)), leaves=np.array((0.5, 1.0, 9.0)))
    look.paint(painted)
    houses, leaves = parts["tag"] == BUILDING, parts["tag"] == VEGETATION
    assert houses.any()
    assert leaves.any()
    assert painted["paint"][houses] == pytest.approx(np.tile((0.1, 0.2, 0.3), (houses.sum(), 1)))
    assert (painted["style"][houses] == parts["style"][houses] + 1).all()
    assert painted["paint"][leaves, 0] == pytest.approx(parts["paint"][leaves, 0] / 2)
    assert painted["paint"][leaves].max() <= 1.0
    assert np.array_equal(painted[~houses & ~leaves], parts[~houses & ~leaves])


def test_towns_look_as_ever_without_a_look() -> None:
    look = look_of(0)
    assert np.array_equal(look.ground, COLORS)
    assert (look.windows, look.alike) == (0, 0.0)
    assert np.array_equal(look.leaves, np.ones(3))


@pytest.mark.parametrize("number", range(1, 40))
def test_in_every_look_the_street_can_be_told(number: int) -> None:
    """Lines are brighter than the road, road and pavement have shades, all colours are colours; always the same."""
    look = look_of(number)
    assert np.array_equal(look.ground, look_of(number).ground)
    assert look.ground.min() >= 0
    assert look.ground.max() <= 255
    brightness = look.ground.mean(1)
    grey = COLORS[:, 0] - COLORS[:, 2] < 10  # not the codes of yellow paint
    typical = np.argmin(np.abs(COLORS.mean(1) - 92) + 1e3 * (CLASS_OF != ROAD))
    new = np.argmax(brightness * (grey & (CLASS_OF == ROAD_LINE)))
    assert brightness[new] > brightness[typical] + 35
    for tag in (ROAD, SIDEWALK, TERRAIN):
        some = (tag == CLASS_OF) & (grey | (tag == TERRAIN))
        assert np.ptp(brightness[some]) > 15, tag
    far = look.ground[(CLASS_OF == ROAD) & grey]  # from asphalt to lines seen from far away
    assert (np.diff(far.mean(1)[np.argsort(COLORS[(CLASS_OF == ROAD) & grey].mean(1))]) > -1e-6).all()


def test_a_town_is_named_with_its_look() -> None:
    town = load_town("grid-3@12")
    assert (town.name, town.look) == ("grid-3@12", 12)
    assert town.xodr == load_town("grid-3").xodr
    assert load_town("grid-3").look == 0
    assert Maps().load("/Game/Carla/Maps/suburb@2")[1].look == 2
    for wrong in ("grid@", "grid@-1", "grid@x", "@3", "grid-3@1@2"):
        with pytest.raises(UserError, match=wrong):
            load_town(wrong)
        with pytest.raises(UserError, match=wrong):
            Maps().load(wrong)
