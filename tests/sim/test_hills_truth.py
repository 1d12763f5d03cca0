"""Pictures of hills against plain ray casting in numpy: the same triangles, shapes and baked ground, nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hilly import hilly_town
from test_render_truth import compare

from roadcraft.sim.embedded.render import Renderer
from roadcraft.sim.embedded.town import Town, load_town

pytest.importorskip("carla", reason="the wheel of the carla client does not exist for this machine")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    path: Path = tmp_path_factory.mktemp("hills") / "hilly.xodr"
    path.write_text(hilly_town("grid"))
    return load_town(str(path))


@pytest.fixture(scope="module")
def renderer(town: Town) -> Renderer:
    return Renderer(town)


def test_pictures_of_hills_equal_plain_ray_casting(renderer: Renderer, town: Town) -> None:
    shares = np.array([compare(renderer, town, seed) for seed in range(3)])
    assert shares[:, 0].mean() <= 0.005
    assert shares[:, 1].mean() <= 0.005


@pytest.mark.slow
@pytest.mark.timeout(1500)  # minutes, and much more on a machine that others use
def test_many_pictures_of_hills_equal_plain_ray_casting(renderer: Renderer, town: Town) -> None:
    shares = np.array([compare(renderer, town, seed) for seed in range(100, 130)])
    assert shares[:, 0].mean() <= 0.005
    assert shares[:, 1].mean() <= 0.005
