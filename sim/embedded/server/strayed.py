"""Bodies that have left the world: what physics that cannot be has thrown away, as Unreal removes them too."""

from __future__ import annotations

from roadcraft.sim.embedded.server.wire import LARGEST
from roadcraft.sim.kernels import kernel


@kernel
def first_strayed(bodies):  # type: ignore[no-untyped-def]  # numba's signature
    """The id of the first of (n,) BODY that has, 0 for none."""
    for b in bodies:
        for axis in range(3):
            inside = abs(b.xyz[axis]) <= LARGEST and abs(b.velocity[axis]) <= LARGEST  # what is no number is not
            if b.id > 0 and not inside:
                return b.id
    return 0
