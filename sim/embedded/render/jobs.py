"""The queue of meshes to be drawn.

What is drawn is queued first and drawn in one go: a mesh alone would take as long to hand over as to draw, for kernels
pass arrays by their parts.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.render.compiled import part

JOBS = 1 << 14  # meshes of one queue; further ones are left out
JOBS_QUEUED = 3  # where Canvas.faces counts them
JOB = np.dtype(
    [
        ("transform", np.float32, 12),  # unit space to camera space (3x4, row-major), orthogonal columns
        ("paint", np.float32, 3),  # [0, 1]
        ("haze", np.float32),  # share of it
        ("light", np.float32),  # brightness by lamps, as Eye.local
        ("mesh", np.int32),
        ("lights", np.uint32),  # bits of lamps that shine
        ("owner", np.uint32),  # body id
        ("variant", np.uint32),
        ("tag", np.uint8),
        ("style", np.uint8),
    ],
    align=True,
)


@part
def put_job(canvas, eye, mesh, transform, paint, lights, haze, tag, owner, variant, style):
    """Queues a mesh, lit as the thing at hand, if there is room."""
    count = canvas.faces[JOBS_QUEUED]
    if count >= JOBS:
        return
    canvas.faces[JOBS_QUEUED] = count + 1
    job = canvas.jobs[count]
    for k in range(12):
        job["transform"][k] = transform[k]
    for k in range(3):
        job["paint"][k] = paint[k]
    job["haze"], job["light"], job["mesh"], job["lights"] = haze, eye.local[0], mesh, lights
    job["owner"], job["variant"], job["tag"], job["style"] = owner, variant, tag, style
