"""The walkers' mesh: kept on disk with the town, and checked whenever it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadcraft.sim.cache import cached
from roadcraft.sim.embedded.server import navigation, navmesh
from roadcraft.sim.embedded.town import load_town


def test_a_mesh_is_made_once_and_checked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town, build, made = load_town("grid"), navmesh.build, []
    monkeypatch.setenv("ROADCRAFT_CACHE", str(tmp_path))
    monkeypatch.setattr(navmesh, "build", lambda network: made.append(1) or build(network))
    mesh = navigation.mesh_of(town)
    assert navigation.mesh_of(town) == mesh
    assert len(made) == 1
    (kept,) = tmp_path.glob("mesh-*.npz")
    kept.unlink()
    cached(kept.stem, lambda: {"mesh": navigation.np.frombuffer(mesh[:-40], "u1")})
    with pytest.raises(navmesh.MeshError):
        navigation.mesh_of(town)


def test_towns_have_meshes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, suburb = load_town("grid"), load_town("suburb")
    monkeypatch.setenv("ROADCRAFT_CACHE", str(tmp_path))
    monkeypatch.setattr(navmesh, "build", lambda network: b"")
    assert navigation.mesh_of(grid) == navigation.mesh_of(suburb) == b""
    assert len(list(tmp_path.glob("mesh-*.npz"))) == 2
