"""What each part of a training is worth: the network trained again and again, each time with one thing changed.

All trainings have the same small budget of steps and are judged on the same recorded frames by the figures of
`roadcraft evaluate perception`, so that they can be ranked; none of them is near its best. A drive's seed, with which
a shard's name begins, tells its town's style and its weather. Shards are chosen by links, nothing is copied.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roadcraft.perception.augment import Augmentation
from roadcraft.perception.data import Shards
from roadcraft.perception.engines import has_bf16, load_engine
from roadcraft.perception.evaluate import watch_shards
from roadcraft.perception.losses import TASKS
from roadcraft.perception.metrics import Records, figures
from roadcraft.perception.network import Architecture
from roadcraft.perception.shipped import read_card, shipped
from roadcraft.perception.train import Training, train
from roadcraft.sim.episodes import STYLES, WEATHERS, look_number
from roadcraft.sim.errors import UserError

ALL, STYLE, OTHER_STYLES, WEATHER, OTHER_WEATHERS = "all", "style", "other styles", "weather", "other weathers"
LOOK, OTHER_LOOKS = "look", "other looks"
PARTS = (ALL, STYLE, OTHER_STYLES, WEATHER, OTHER_WEATHERS, LOOK, OTHER_LOOKS)
OTHERS = {"": ALL, STYLE: OTHER_STYLES, WEATHER: OTHER_WEATHERS, LOOK: OTHER_LOOKS}  # what is left without a part
COLUMNS = (
    "drivable_miou", "lane_recall", "lane_precision", "lane_error_10m", "lane_error_30m", "vehicle_ap50",
    "pedestrian_ap50", "distance_error", "velocity_mae", "path_error_2s", "light_recall_40m", "light_false",
    "light_accuracy_40m", "event_f1",
)  # fmt: skip
COUNTS = ("frames", "vehicles", "pedestrians", "lights")  # how much there was to judge by
Figures = dict[str, dict[str, float | None]]  # by what was judged on, then by name


@dataclass(frozen=True)
class Variant:
    """A training, by what it does otherwise than the reference."""

    what: str  # for the table
    judged_on: tuple[str, ...] = (ALL,)
    without: str = ""  # STYLE, WEATHER or LOOK: no drive of it is learned from
    few: bool = False  # only so many labelled frames of the style are learned from
    init: str = ""  # "shipped", or the variant whose weights it starts from
    tasks: tuple[str, ...] = TASKS
    shown: tuple[str, ...] = COLUMNS  # the figures that its tasks have learned
    memory: str = "gru"
    augment: bool = True
    seed: int = 0


OBJECTS = ("heat", "box", "depth", "column", "shape", "velocity", "kind", "path")
VARIANTS: dict[str, Variant] = {
    "reference": Variant("gru, all tasks, augmentation, from scratch", PARTS),
    "again": Variant("the reference with another seed: how much is chance", (ALL, STYLE, OTHER_STYLES), seed=1),
    "memory-none": Variant("no memory", memory="none"),
    "memory-attention": Variant("attention instead of gru", memory="attention"),
    "no-augmentation": Variant("augmentation off", augment=False),
    "without-style": Variant("a style of town left out", (STYLE, OTHER_STYLES), without=STYLE),
    "without-weather": Variant("a weather left out", (WEATHER, OTHER_WEATHERS), without=WEATHER),
    "without-look": Variant("a kind of surfaces left out", (LOOK, OTHER_LOOKS), without=LOOK),
    "new-scratch": Variant("few frames of the style, from scratch", (STYLE,), few=True),
    "new-shipped": Variant("few frames of the style, from the shipped weights", (STYLE,), few=True, init="shipped"),
    "new-transfer": Variant("few frames of the style, from without-style", (STYLE,), few=True, init="without-style"),
    "only-objects": Variant("vehicles and pedestrians alone", tasks=OBJECTS, shown=COLUMNS[5:10]),
    "only-lanes": Variant("lanes alone", tasks=("lane_mask", "lanes", "lane_exists"), shown=COLUMNS[1:5]),
    "only-drivable": Variant("drivable area alone", tasks=("drivable",), shown=COLUMNS[:1]),
    "only-lights": Variant("lights and stop signs alone", tasks=("signs", "light", "stop"), shown=COLUMNS[10:13]),
}


@dataclass(frozen=True)
class Budget:
    """What every training has, and what is left out or new."""

    size: str  # of the network
    steps: int
    batch: int
    length: int
    threads: int
    style: str
    weather: str
    few: int  # labelled frames of the style
    look: int = 1  # number of the surfaces
    looks: int = 1  # how many there are

    def named(self, part: str) -> str:
        """What is judged on, in words: "style" is "roundabout"."""
        own = {STYLE: self.style, WEATHER: self.weather, LOOK: f"look {self.look}"}
        return {**own, **{OTHERS[name]: f"not {value}" for name, value in own.items()}}.get(part, part)


def chosen(names: Sequence[str], size: str, looks: int = 1) -> list[str]:
    """The trainings asked for, all that can be when none is named, in the order of VARIANTS. Raises UserError for an
    unknown name and for one that starts from weights, or leaves out a look, which are not there."""
    for name in names:
        if name not in VARIANTS:
            raise UserError(f"no training {name!r}: {', '.join(VARIANTS)} exist")
    ships = Architecture.from_dict(read_card(shipped())["architecture"])
    ours = replace(ships, roi=0) == Architecture.named(size)  # a second stage is trained by itself
    cannot = {name for name, variant in VARIANTS.items() if variant.without == LOOK and looks < 2}
    cannot |= {name for name, variant in VARIANTS.items() if variant.init == "shipped" and not ours}
    found = [name for name in VARIANTS if name in names or (not names and name not in cannot)]
    for name in found:
        if VARIANTS[name].without == LOOK and looks < 2:
            raise UserError(f"{name}: the drives have one look (--collect.looks {looks})")
        init = VARIANTS[name].init
        if init == "shipped" and not ours:
            raise UserError(f"{name}: the shipped weights are of another size than {size}")
        if init not in ("", "shipped", *found):
            raise UserError(f"{name} starts from {init}: name both")
    return found


def drive_seed(shard: Path) -> int:
    """The seed of the drive that a shard shows. Raises UserError for a name that does not begin with one."""
    seed = shard.name.partition("-")[0]
    if not seed.isdigit():
        raise UserError(f"{shard} does not begin with a drive's seed, as those of `roadcraft collect` do")
    return int(seed)


def style_and_weather(seed: int) -> tuple[str, str]:
    """Names of a drive's style of town and weather."""
    return STYLES[seed % len(STYLES)], list(WEATHERS)[(seed // len(STYLES)) % len(WEATHERS)]


def belongs(part: str, seed: int, how: Budget) -> bool:
    """Whether a drive is of a part: ALL, STYLE, ..."""
    style, weather = style_and_weather(seed)
    of = {STYLE: style == how.style, WEATHER: weather == how.weather, LOOK: look_number(seed, how.looks) == how.look}
    return part == ALL or (of[part] if part in of else not next(of[name] for name in of if OTHERS[name] == part))


def learned_from(variant: Variant, shards: Sequence[Path], how: Budget) -> list[Path]:
    """The shards among `shards` that a training sees. Raises UserError where nothing, or too little, is left."""
    part = STYLE if variant.few else OTHERS[variant.without]
    found = [shard for shard in shards if belongs(part, drive_seed(shard), how)]
    if not found:
        raise UserError(f"no drive to learn from is {how.named(part)}")
    return first_frames(found, how) if variant.few else found


def first_frames(shards: Sequence[Path], how: Budget) -> list[Path]:
    """The first of `shards` that together hold `how.few` frames. Raises UserError where all hold fewer."""
    with tempfile.TemporaryDirectory() as folder:
        known = Shards(linked(shards, Path(folder)))
        known.refresh()
    held = Counter(place.shard.name for clip in known.clips for place in clip)
    frames = 0
    for count, shard in enumerate(shards, 1):
        frames += held[shard.name]
        if frames >= how.few:
            return list(shards[:count])
    raise UserError(f"frames {how.few}: the shards hold only {frames} of {how.style}")


def linked(shards: Iterable[Path], folder: Path) -> Path:
    """A folder with a link to each shard."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in shards:
        if not (folder / shard.name).is_symlink():
            (folder / shard.name).symlink_to(shard.resolve())
    return folder


def trained(name: str, shards: Sequence[Path], how: Budget, out: Path, say: Callable[[str], None]) -> Path:
    """Trains a variant in `out`/name, or goes on with it; returns its last averaged weights."""
    variant, folder = VARIANTS[name], out / name
    init = {"": None, "shipped": shipped()}.get(variant.init, out / variant.init / "best.safetensors")
    training = Training(
        data=linked(learned_from(variant, shards, how), folder / "data"),
        out=folder,
        size=how.size,
        memory=variant.memory,
        steps=how.steps,
        batch=how.batch,
        length=how.length,
        warm_up=min(100, how.steps // 5),
        seed=variant.seed,
        threads=how.threads,
        save_every=50,
        validate_every=how.steps,  # without validation shards this keeps the last weights
        init=init,
        tasks=variant.tasks,
        augmentation=Augmentation() if variant.augment else Augmentation.none(),
    )
    return train(training, f"roadcraft bench training --variants {name}", say=say)


def judge(weights: Path, parts: Mapping[int, Path], how: Budget, progress: Callable[[], object]) -> Figures:
    """Figures on all drives and on those parts of them that there are. `parts`: each drive's folder of shards, by its
    seed."""
    engine = load_engine("torch", "bf16" if has_bf16() else "f32", weights, how.threads)
    records: dict[int, Records] = {}
    for seed, folder in parts.items():
        records[seed] = watch_shards(engine, folder)
        progress()
    found: Figures = {}
    for part in PARTS if how.looks > 1 else PARTS[:-2]:
        whole = Records()
        for seed, of_drive in records.items():
            if belongs(part, seed, how):
                whole.add(of_drive)
        if whole.events:
            values = figures(whole)
            found[part] = {name: values[name] for name in (*COLUMNS, *COUNTS)}
    return found


def markdown(rows: Mapping[str, Figures], how: Budget) -> str:
    """The table: the trainings side by side, by what they are judged on; "-" for what was not learned or not there."""
    lines = [f"| judged on | training | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for part in PARTS:
        for name, row in rows.items():
            if part in VARIANTS[name].judged_on and part in row:
                cells = [cell(row[part][column]) if column in VARIANTS[name].shown else "-" for column in COLUMNS]
                lines.append(f"| {how.named(part)} | {name} | {' | '.join(cells)} |")
    lines += ["", "| judged on | " + " | ".join(COUNTS) + " |", "|---" * (len(COUNTS) + 1) + "|"]
    for part, values in next(iter(rows.values())).items():
        lines.append(f"| {how.named(part)} | " + " | ".join(str(values[name]) for name in COUNTS) + " |")
    lines += ["", f"Style: {how.style}; weather: {how.weather}; few: {how.few} frames.", ""]
    lines += [f"- `{name}`: {VARIANTS[name].what}" for name in rows]
    return "\n".join(lines) + "\n"


def cell(value: float | None) -> str:
    """A figure, "-" where there was nothing to measure."""
    return "-" if value is None or value != value else f"{value:.3f}"


def told(rows: Mapping[str, Figures], how: Budget) -> dict[str, dict[str, dict[str, Any]]]:
    """The same for JSON: by training, then by what it is judged on, then by figure."""
    return {
        name: {
            how.named(part): {column: row[part][column] for column in VARIANTS[name].shown}
            for part in VARIANTS[name].judged_on
            if part in row
        }
        for name, row in rows.items()
    }
