"""A pytest fixture that hands out a running CARLA server; there as soon as Roadcraft is installed.

    def test_my_stack(roadcraft_carla_server):
        client = carla.Client("127.0.0.1", roadcraft_carla_server)

Each pytest-xdist worker has a server of its own. Town and other options are chosen by overriding the fixture
`roadcraft_carla_options` in a conftest.py. Nothing heavy is imported before a server is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from roadcraft.sim.embedded.testing import carla_server


@pytest.fixture(scope="session")
def roadcraft_carla_options() -> dict[str, Any]:
    """Options of the fixture's server; override this fixture to change them."""
    return {}


@pytest.fixture(scope="session")
def roadcraft_carla_server(roadcraft_carla_options: dict[str, Any]) -> Iterator[int]:
    """The port of a CARLA server that runs for the whole test session."""
    with carla_server(**roadcraft_carla_options) as port:
        yield port
