"""roadcraft show                                        every style of town by day, in rain and by night, on one sheet
roadcraft show --towns '[my.xodr]' --weathers '[fog]'    a map of your own in fog
roadcraft show --out towns.jpg --size 480x270            elsewhere, larger

Traffic drives through each town for a while; the sheet shows what the car with the best view saw (`vantage.py` says
which that is), in each weather. Pictures are drawn twice as large, for smooth edges, and shrunk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from roadcraft.launch import draw
from roadcraft.launch.draw import Image
from roadcraft.launch.options.simulator import Show
from roadcraft.launch.runs import Run
from roadcraft.launch.vantage import EVERY, Sight, Street, sights
from roadcraft.launch.warm import compile_ahead
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.episodes import WEATHERS
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import DT

FINER = 2  # times as many rows and columns are drawn
GAP = 4  # pixels between pictures
QUALITY = 88  # of the JPEG


def run(asked: Show, run: Run) -> None:
    """The verb."""
    for name in asked.weathers:
        if name not in WEATHERS:
            raise UserError(f"weathers: unknown weather {name!r}: there are {', '.join(WEATHERS)}")
    out = Path(asked.out) if asked.out is not None else run.folder / "towns.jpg"
    make_folder(out)
    towns = [load_town(name) for name in asked.towns]
    compile_ahead()
    rows: list[list[Image]] = []
    run.result.update(sheet=out, towns=[])
    looks = len(range(0, round(asked.seconds / DT), EVERY))
    with tqdm(total=len(towns) * looks, desc="looks", unit="look") as bar:
        for town in towns:
            bar.set_postfix_str(town.name)
            sight = best_sight(town, asked, bar)
            rows.append([shrunk(picture) for picture in sight.pictures])
            run.result["towns"].append(told(town.name, sight))
    save(out, sheet(rows, [town.name for town in towns], list(asked.weathers)))


def best_sight(town: Town, asked: Show, bar: Any) -> Sight:
    """The last that is better than those before. Raises UserError where no car drives."""
    width, height = map(int, asked.size.split("x"))
    size = (FINER * width, FINER * height)
    best: Sight | None = None
    street = Street(town, asked.seed, asked.traffic.vehicles, asked.traffic.walkers, asked.height)
    for sight in sights(street, asked.seconds, size, [WEATHERS[name] for name in asked.weathers]):
        best = sight or best
        bar.update()
    if best is None or not best.car:
        raise UserError(f"town {town.name}: no car to look from among {asked.traffic.vehicles} vehicles")
    return best


def told(name: str, sight: Sight) -> dict[str, Any]:
    """A town's part of the last line."""
    return {
        "town": name,
        "time": sight.time,
        "car": sight.car,
        "vehicles": sight.vehicles,
        "walkers": sight.walkers,
        "worth": sight.worth,
    }


def shrunk(picture: Image) -> Image:
    """A picture at the size that was asked for."""
    height, width = picture.shape[0] // FINER, picture.shape[1] // FINER
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def sheet(rows: list[list[Image]], towns: list[str], weathers: list[str]) -> Image:
    """All pictures (H, W, 3), a town a row, with their names on them."""
    height, width = rows[0][0].shape[:2]
    shape = (len(rows) * (height + GAP) - GAP, len(rows[0]) * (width + GAP) - GAP, 3)
    whole = np.full(shape, draw.BACKGROUND, np.uint8)
    for i, (town, row) in enumerate(zip(towns, rows, strict=True)):
        for k, (weather, picture) in enumerate(zip(weathers, row, strict=True)):
            top, left = i * (height + GAP), k * (width + GAP)
            whole[top : top + height, left : left + width] = picture
            draw.pill(whole, f"{town}, {weather}", (left + 5, top + 5), draw.BACKGROUND, max(8, height // 16))
    return whole


def make_folder(path: Path) -> None:
    """The folder that a file goes to. Raises UserError where there can be none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out {path}: its folder cannot be made ({error})") from None


def save(path: Path, image: Image) -> None:
    """Writes a JPEG or a PNG. Raises UserError where that cannot be."""
    how = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    try:
        ok, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), how)
        if not ok:
            raise UserError(f"out {path}: no picture of {image.shape[1]} x {image.shape[0]} pixels can be written")
        path.write_bytes(data.tobytes())
    except (OSError, cv2.error) as error:
        raise UserError(f"out {path}: cannot be written ({error})") from None
