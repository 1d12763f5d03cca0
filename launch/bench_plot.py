"""The picture of a latency benchmark: one bar a row, its median filled and its 99th percentile as a line."""

from __future__ import annotations

from typing import Any

import numpy as np

from roadcraft.launch.draw import ALERT, BACKGROUND, DIM, DRIVABLE, RULE, TEXT, Image, rounded, text

WIDTH, LEFT, RIGHT, ROW, TOP = 1200, 430, 190, 34, 90  # [pixels]


def plot(rows: list[dict[str, Any]], title: str) -> Image:
    """RGB (H, 1200, 3). `rows` as in a bench.json's `runs`; times are those of one frame of a batch."""
    rows = sorted(rows, key=lambda r: r["p50_ms"] / r["batch"])
    image = np.empty((TOP + ROW * len(rows) + 50, WIDTH, 3), np.uint8)
    image[:] = BACKGROUND
    text(image, title, (24, 40), 22, TEXT, 600)
    text(image, "ms a frame: bar p50, line p99", (24, 68), 15, DIM)
    most = max(r["p99_ms"] / r["batch"] for r in rows)
    scale = (WIDTH - LEFT - RIGHT) / most
    for at in ticks(most):
        x = round(LEFT + at * scale)
        image[TOP - 6 : TOP + ROW * len(rows), x] = RULE
        text(image, f"{at:g}", (x - 8, TOP + ROW * len(rows) + 24), 14, DIM)
    for number, row in enumerate(rows):
        y = TOP + ROW * number
        p50, p99 = row["p50_ms"] / row["batch"], row["p99_ms"] / row["batch"]
        text(image, row["name"], (24, y + 20), 16)
        rounded(image, (LEFT, y + 6, max(round(p50 * scale), 8), ROW - 14), DRIVABLE, 4)
        x = round(LEFT + p99 * scale)
        image[y + 4 : y + ROW - 6, x : x + 3] = ALERT
        text(image, f"{p50:.1f} / {p99:.1f}", (LEFT + p99 * scale + 14, y + 20), 16)
    return image


def ticks(most: float) -> list[float]:
    """Round numbers from 0 up to `most`, four to ten of them."""
    step = 10.0 ** np.floor(np.log10(most))
    step = next(float(step * share) for share in (1.0, 0.5, 0.2, 0.1) if most / (step * share) >= 4)
    return [float(x) for x in np.arange(0.0, most, step)]
