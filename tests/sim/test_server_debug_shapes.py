"""What clients draw by `world.debug`: where colour cameras see it, how wide, for how long, and behind what not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_server_cameras import HEIGHT, WIDTH, Eye, metres, pixels

from roadcraft.sim.embedded.server.debug_shapes import LASTING, MOST, PIXELS, DebugShapes, debug_shape
from roadcraft.sim.embedded.server.wire import WireError

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
UP = 40.0  # [m] of the eye above a spawn point, where nothing but sky is ahead
FOCAL = WIDTH / 2  # [pixels] at 90 degrees
AWAY = 10.0  # [m] from the eye to what is drawn
GREEN = (0, 255, 0)


class Painter:
    """A sharp colour camera high over the town, which looks along CARLA's x, and what is drawn before it."""

    def __init__(self, world: Any, kinds: tuple[str, ...] = ("rgb",)) -> None:
        self.world, self.at = world, world.get_map().get_spawn_points()[0].location + carla.Location(z=UP)
        place = carla.Transform(self.at)
        blurs = {"rgb": {"motion_blur_intensity": 0.0}}
        self.eyes = {kind: Eye(world, kind, None, place, **blurs.get(kind, {})) for kind in kinds}
        world.debug.clear_debug_shape()
        self.color, self.life = carla.Color(*GREEN), 0.05

    def place(self, right: float, down: float, away: float = AWAY) -> Any:
        return self.at + carla.Location(away, right, -down)

    def line(self, one: Any, other: Any, thickness: float = 0.2, life: float | None = None) -> None:
        self.world.debug.draw_line(one, other, thickness, self.color, self.life if life is None else life)

    def look(self, kind: str = "rgb") -> np.ndarray:
        """(H, W, 3) RGB of the next tick."""
        self.world.tick()
        images = {name: eye.next() for name, eye in self.eyes.items()}
        return pixels(images[kind])[..., 2::-1]

    def painted(self) -> np.ndarray:
        """(H, W) whether a pixel of the next tick has the colour, which nothing of the town has."""
        return (self.look() == GREEN).all(axis=2)


@pytest.fixture
def painter(world: Any) -> Any:
    made = Painter(world)
    yield made
    world.debug.clear_debug_shape()
    for eye in made.eyes.values():
        eye.sensor.stop()


def row_of(down: float, away: float = AWAY) -> float:
    return HEIGHT / 2 + FOCAL * down / away


def column_of(right: float, away: float = AWAY) -> float:
    return WIDTH / 2 + FOCAL * right / away


def test_a_line_is_where_it_is_and_as_wide(painter: Painter) -> None:
    before = painter.look()
    thickness = 1.0
    painter.line(painter.place(-3.0, 2.0), painter.place(5.0, 2.0), thickness)
    after = painter.look()
    marked = (after == GREEN).all(axis=2)
    rows, columns = (np.flatnonzero(marked.any(axis=k)) for k in (1, 0))
    assert columns[0] == pytest.approx(column_of(-3.0), abs=1.0)
    assert columns[-1] + 1 == pytest.approx(column_of(5.0), abs=1.0)
    assert rows.mean() + 0.5 == pytest.approx(row_of(2.0), abs=0.5)
    assert marked[:, int(column_of(1.0))].sum() == pytest.approx(FOCAL * thickness / AWAY, abs=1.0)
    assert (after[~marked] == before[~marked]).all()


def test_a_thin_line_is_a_pixel_wide_everywhere(painter: Painter) -> None:
    painter.line(painter.place(-3.0, -2.0), painter.place(4.0, 3.0), 0.0)
    marked = painter.painted()
    across = marked.any(axis=0)[round(column_of(-2.9)) : round(column_of(3.9))]
    assert across.all()
    assert marked.sum(axis=0).max() <= 2


def test_lines_are_wider_and_nearer_ends_first(painter: Painter) -> None:
    """A strip that runs away from the eye, through the plane of the lens behind it."""
    painter.line(painter.place(0.0, 1.0, -5.0), painter.place(0.0, 1.0, 40.0), 0.5)
    marked = painter.painted()
    for away in (2.0, 5.0, 12.0):
        row = int(row_of(1.0, away))
        assert marked[row].sum() == pytest.approx(FOCAL * 0.5 / away, abs=2.0), away
    assert not marked[: int(row_of(1.0, 40.0))].any()


def test_what_stands_before_a_line_hides_it(painter: Painter) -> None:
    """It runs from the air into the ground, and ends in the picture where the ground's depth is its own."""
    painter.eyes["depth"] = Eye(painter.world, "depth", None, carla.Transform(painter.at, carla.Rotation(pitch=-60.0)))
    painter.eyes["rgb"].sensor.set_transform(carla.Transform(painter.at, carla.Rotation(pitch=-60.0)))
    foot = painter.at + carla.Location(x=UP * np.tan(np.radians(30.0)), z=-UP)
    painter.line(foot + carla.Location(z=10.0), foot + carla.Location(z=-10.0), 0.3, 0.0)
    painter.world.tick()
    colours, depth = (painter.eyes[kind].next() for kind in ("rgb", "depth"))
    marked = (pixels(colours)[..., 2::-1] == GREEN).all(axis=2)
    lowest = np.flatnonzero(marked.any(axis=1))[-1]
    away = UP / np.cos(np.radians(30.0))
    assert lowest == pytest.approx(HEIGHT / 2, abs=2.0)
    assert metres(depth)[lowest, WIDTH // 2] == pytest.approx(away, rel=0.05)
    painter.world.debug.clear_debug_shape()


@pytest.mark.parametrize("kind", ["depth", "semantic_segmentation", "instance_segmentation"])
def test_labels_do_not_see_what_is_drawn(world: Any, kind: str) -> None:
    painter = Painter(world, (kind, "rgb"))
    before = painter.look(kind)
    painter.line(painter.place(-3.0, 2.0), painter.place(5.0, 2.0), 1.0)
    assert (painter.look(kind) == before).all()
    for eye in painter.eyes.values():
        eye.sensor.stop()


def test_shapes_stay_as_long_as_they_live(painter: Painter) -> None:
    ends = painter.place(-3.0, 0.0), painter.place(3.0, 0.0)
    for life, ticks in ((0.01, 1), (0.15, 3), (-1.0, round(LASTING / 0.05))):
        painter.line(*ends, life=life)
        shown = [bool(painter.painted().any()) for _ in range(ticks + 2)]
        assert shown == [True] * ticks + [False] * 2, life
    painter.line(*ends, life=0.0)
    for _ in range(50):
        painter.world.tick()
        painter.eyes["rgb"].next()
    assert painter.painted().any()
    painter.world.debug.clear_debug_shape()
    assert not painter.painted().any()


def test_a_point_is_so_many_pixels_wide_at_any_distance(painter: Painter) -> None:
    for away in (5.0, 50.0):
        painter.world.debug.draw_point(painter.place(0.1, 0.1, away), 0.08, painter.color, painter.life)
        marked = painter.painted()
        assert marked.sum() == (PIXELS * 0.08) ** 2
        middle = [np.flatnonzero(marked.any(axis=k)).mean() + 0.5 for k in (1, 0)]
        assert middle == pytest.approx([row_of(0.1, away), column_of(0.1, away)], abs=0.51)


def test_the_edges_of_a_box_and_its_rotation(painter: Painter) -> None:
    """Every corner has the colour, the middle of a face has not."""
    box = carla.BoundingBox(painter.place(0.0, 0.0, 12.0), carla.Vector3D(2.0, 3.0, 1.0))
    turned = carla.Rotation(pitch=10.0, yaw=30.0, roll=-20.0)
    painter.world.debug.draw_box(box, turned, 0.2, painter.color, painter.life)
    marked = painter.painted()
    box.rotation = turned
    for corner in box.get_world_vertices(carla.Transform()):
        seen = corner - painter.at
        row, column = row_of(-seen.z, seen.x), column_of(seen.y, seen.x)
        assert marked[round(row) - 2 : round(row) + 2, round(column) - 2 : round(column) + 2].any(), (row, column)
    assert not marked[HEIGHT // 2 - 3 : HEIGHT // 2 + 3, WIDTH // 2 - 3 : WIDTH // 2 + 3].any()


def test_an_arrow_has_a_tip_at_its_end(painter: Painter) -> None:
    begin, end, size = painter.place(-4.0, 0.0), painter.place(4.0, 0.0), 1.0
    painter.world.debug.draw_arrow(begin, end, 0.1, size, painter.color, painter.life)
    marked = painter.painted()
    assert marked[:, round(column_of(0.0))].sum() <= 2
    assert not marked[:, round(column_of(4.0)) + 2 :].any()
    rows = np.flatnonzero(marked.any(axis=1))
    assert rows[-1] - rows[0] == pytest.approx(2 * FOCAL * size / (AWAY - size), abs=2.0), "of its two nearer lines"


def test_strings_and_the_screen_s_shapes_are_not_seen(painter: Painter) -> None:
    before = painter.look()
    painter.world.debug.draw_string(painter.place(0.0, 0.0), "here", False, painter.color, painter.life)
    painter.world.debug.draw_hud_line(painter.place(-3.0, 0.0), painter.place(3.0, 0.0), 5.0, painter.color, 1.0)
    assert (painter.look() == before).all()


def test_of_very_many_shapes_the_last_stay() -> None:
    """And a shape that cannot be is named."""
    line = [[1, [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], 0.1]], [1, 2, 3], 0.0, True]
    shapes, last = DebugShapes(), [line[0], [9, 9, 9], *line[2:]]
    for each in [line] * MOST + [last]:
        made = debug_shape(each)
        assert made is not None
        shapes.add(made, 0.0, 0)
    lines = shapes.lines(1.0, 20)
    assert lines is not None
    assert len(lines) == MOST
    assert lines["rgb"][-1].tolist() == [9, 9, 9]
    for broken, name in (([9, []], "debug shape 9"), ([0, [[0.0, 0.0, float("nan")], 1.0]], "finite")):
        with pytest.raises(WireError, match=name):
            debug_shape([broken, *line[1:]])
