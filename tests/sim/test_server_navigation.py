"""The walkers' mesh: kept on disk with the town, and checked whenever it is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roadcraft.sim.cache import cached
from roadcraft.sim.embedded.server import navigation, navmesh
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.roads import network_from_opendrive


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


@pytest.mark.parametrize("origin", [500_000.0, 5_400_000.0])
def test_far_from_the_origin_walkers_have_a_place_as_well(origin: float) -> None:
    """As in OpenDRIVE made of OpenStreetMap in its own coordinates: the file's numbers are 0.03 and 0.5 m coarse."""
    near = load_town("grid").xodr
    place = re.compile(r'(<geometry [^>]*?\bx=")([^"]+)("[^>]*?\by=")([^"]+)')
    far = place.sub(lambda m: f"{m[1]}{float(m[2]) + origin!r}{m[3]}{float(m[4]) + origin!r}", near)
    mesh = navmesh.build(network_from_opendrive(far, "far"))
    assert mesh
    navmesh.check(mesh)
