"""A running CARLA server for anybody's tests, without a GPU.

    from roadcraft.sim.embedded.testing import carla_server

    with carla_server(town="grid") as port:
        client = carla.Client("127.0.0.1", port)

Under pytest the fixture `roadcraft_carla_server` does the same, see `pytest_plugin.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def carla_server(port: int = 0, **options: Any) -> Iterator[int]:
    """Runs an embedded server in a process of its own and gives its port.

    Options: `town`, `seed`, `vehicles`, `walkers`, `maps`, `alias_towns`, `fault`, `recordings`, as of `roadcraft
    serve`. `python` is the interpreter of another environment, when the client's has `carla` and this file but not what
    the server needs.
    """
    from roadcraft.sim.embedded.server.process import ServerProcess

    with ServerProcess(port, **options) as server:
        yield server.port
