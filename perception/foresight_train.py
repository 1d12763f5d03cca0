"""Training of `foresight`: the same model in torch, on drives that an engine watched."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from roadcraft.perception.foresight import (
    BEND,
    GATHERED,
    HIDDEN,
    LEAST_SIGMA,
    MOST_SIGMA,
    PATHS,
    PLACE,
    SAID,
    SHAPES,
    SPEED,
)
from roadcraft.perception.foresight_data import Watched, Window, window
from roadcraft.perception.metrics import f1
from roadcraft.perception.percept import EVENTS, PATH_TIMES
from roadcraft.perception.shipped import card_path, file_hash
from roadcraft.perception.trackfeatures import METRES
from roadcraft.perception.trackfeatures import SPEED as FEATURE_SPEED
from roadcraft.sim.errors import UserError

NEAR, FAR = 40.0, 70.0  # [m] within which an object counts in full, and beyond which it does not
FAR_WEIGHT = 0.4
PLACES_WEIGHT = 1.0  # of a metre that a place is off
PLAIN = 0.5  # weight of a metre, and of a metre a second, beside the likelihoods
EVENTS_WEIGHT, EVENT_RARITY = 8.0, 2.0  # of their loss beside the paths', and of what happens beside what does not
QUIET = 0.5  # probability that a window in which nothing happens is passed over
VALIDATE_EVERY = 250  # steps
THRESHOLDS = np.arange(-3.0, 2.01, 0.25)  # logits that are tried, see `settle`


@dataclass(frozen=True)
class ForesightTraining:
    """A training of foresight."""

    drives: Path  # folder of `Watched` drives
    validation: Path  # folder of those that choose the best
    out: Path
    steps: int = 3000
    batch: int = 8  # windows a step
    length: int = 40  # frames of a window
    places: int = 56  # tracks of a window
    rate: float = 3e-3  # highest learning rate
    seed: int = 0


class ForesightNet(nn.Module):
    """`foresight.Foresight` in torch, for windows of many drives at once; weights of the same names."""

    def __init__(self) -> None:
        super().__init__()
        layers = {name: nn.Linear(inputs, outputs) for name, (outputs, inputs) in SHAPES.items()}
        nn.init.zeros_(layers["say"].weight)  # begins with what the filter says
        nn.init.zeros_(layers["say"].bias)
        nn.init.constant_(layers["events"].bias, -2.0)
        self.layers = nn.ModuleDict(layers)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        y: Tensor = self.layers[name](x)
        return y

    def _gru(self, name: str, x: Tensor, h: Tensor) -> Tensor:
        reset_x, update_x, new_x = self._linear(f"{name}_in", x).chunk(3, -1)
        reset_h, update_h, new_h = self._linear(f"{name}_out", h).chunk(3, -1)
        update = torch.sigmoid(update_x + update_h)
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        return new + update * (h - new)

    def forward(self, features: Tensor, there: Tensor, scenes: Tensor) -> tuple[Tensor, Tensor]:
        """Windows (B, L, N, FEATURES), (B, L, N), (B, L, SCENE_FEATURES) to what is said of each track (B, L, N,
        sum(SAID)) and logits of the events (B, L, 5)."""
        b, length, n = there.shape
        entered = F.relu(self._linear("enter", features))
        memory, gathered = features.new_zeros(b, n, HIDDEN), features.new_zeros(b, GATHERED)
        said, events = [], []
        for k in range(length):
            x, here = entered[:, k], there[:, k, :, None]
            memory = torch.where(here, self._gru("memory", x, memory), memory)
            thought = F.relu(self._linear("think", torch.cat([x, memory], -1)))
            said.append(self._linear("say", thought))
            matters = torch.where(here, F.relu(self._linear("matter", thought)), torch.zeros(())).amax(1)
            y = F.relu(self._linear("gather", torch.cat([scenes[:, k], matters], -1)))
            gathered = self._gru("events", y, gathered)
            events.append(self._linear("events", torch.cat([y, gathered], -1)))
        return torch.stack(said, 1), torch.stack(events, 1)


def tensors(windows: list[Window]) -> dict[str, Tensor]:
    """Windows of one size as a batch."""
    names = ("features", "there", "truth", "scenes", "events")
    return {name: torch.from_numpy(np.stack([getattr(w, name) for w in windows])) for name in names}


def errors(net: ForesightNet, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """How far off velocities (B, L, N) [m/s], places (B, L, N) and those at PATH_TIMES (B, L, N, 4) [m] are, velocities
    and paths with the log of the scale they are said to have; the weight of each row; whether its path is known; the
    events' logits (B, L, 5)."""
    said, events = net(batch["features"], batch["there"], batch["scenes"])
    correction, sigma, moved, bend, path_sigma = said.split(SAID, -1)
    xy, filtered = batch["features"][..., :2] * METRES, batch["features"][..., 2:4] * FEATURE_SPEED
    velocity = filtered + SPEED * correction
    truth = torch.nan_to_num(batch["truth"])
    times = torch.as_tensor(PATH_TIMES, dtype=torch.float32)[:, None]
    distance = xy.norm(dim=-1)
    sight = xy / distance[..., None].clamp(min=1.0)
    aside = torch.stack([-sight[..., 1], sight[..., 0]], -1)
    place = xy + PLACE * (moved[..., :1] * sight + moved[..., 1:] * aside)
    straight = place.detach()[..., None, :] + velocity.detach()[..., None, :] * times
    path = straight + BEND * bend.unflatten(-1, (PATHS, 2))
    known = batch["there"] & torch.isfinite(batch["truth"][..., 0]) & (distance < FAR)
    return {
        "velocity": (velocity - truth[..., :2]).norm(dim=-1),
        "velocity_sigma": sigma[..., 0].clamp(LEAST_SIGMA, MOST_SIGMA),
        "place": (place - truth[..., 2:4]).norm(dim=-1),
        "path": (path - truth[..., 4:].unflatten(-1, (PATHS, 2))).norm(dim=-1),
        "path_sigma": path_sigma.clamp(LEAST_SIGMA, MOST_SIGMA),
        "weight": known * torch.where(distance < NEAR, 1.0, FAR_WEIGHT),
        "path_known": known & torch.isfinite(batch["truth"]).all(-1),
        "events": events,
    }


def loss(net: ForesightNet, batch: dict[str, Tensor]) -> Tensor:
    """Likelihoods of velocities (Laplace in the plane) and paths (exponential in how far off), how far off they are
    themselves, which the likelihoods ask little of where it is known to be much, and the events' likelihood."""
    e = errors(net, batch)
    velocity = e["velocity"] * torch.exp(-e["velocity_sigma"]) + 2.0 * e["velocity_sigma"] + PLAIN * e["velocity"]
    path = (e["path"] * torch.exp(-e["path_sigma"]) + e["path_sigma"] + PLAIN * e["path"]).mean(-1)
    weight, path_weight = e["weight"], e["weight"] * e["path_known"]
    rarity = batch["events"].new_tensor(EVENT_RARITY)
    events = F.binary_cross_entropy_with_logits(e["events"], batch["events"], pos_weight=rarity)
    return (
        ((velocity + PLACES_WEIGHT * e["place"]) * weight).sum() / weight.sum().clamp(min=1.0)
        + (path * path_weight).sum() / path_weight.sum().clamp(min=1.0)
        + EVENTS_WEIGHT * events
    )


def evaluated(net: ForesightNet, drives: list[Watched]) -> dict[str, Any]:
    """Mean errors of objects within NEAR that are seen, and of the places of those within FAR that are not, beside the
    filter's own; F1 of the events."""
    velocity, filtered, path, straight, true, said, place, kept, hidden, stayed = ([] for _ in range(10))
    with torch.no_grad():
        for drive in drives:
            places = len(np.unique(drive.tracks))
            batch = tensors([window(drive, 0, len(drive.counts), places)])
            e = errors(net, batch)
            xy, before = batch["features"][..., :2] * METRES, batch["features"][..., 2:4] * FEATURE_SPEED
            truth = batch["truth"]
            counts = (e["weight"] == 1.0) & (batch["features"][..., 6] <= 0.0)
            velocity.append(e["velocity"][counts])
            filtered.append((before - truth[..., :2]).norm(dim=-1)[counts])
            was = (xy - truth[..., 2:4]).norm(dim=-1)
            place.append(e["place"][counts])
            kept.append(was[counts])
            gone = (e["weight"] > 0.0) & (batch["features"][..., 6] > 0.5)
            hidden.append(e["place"][gone])
            stayed.append(was[gone])
            known = counts & e["path_known"]
            path.append(e["path"][..., -1][known])
            straight.append((xy + PATH_TIMES[-1] * before - truth[..., -2:]).norm(dim=-1)[known])
            true.append(batch["events"][0] > 0.5)
            said.append(e["events"][0] > 0.0)
    mean = {
        name: float(all_of_it.mean())
        for name, values in (
            ("velocity_mae", velocity), ("velocity_mae_of_the_filter", filtered),
            ("path_error_2s", path), ("path_error_2s_constant_velocity_of_the_filter", straight),
            ("place_error", place), ("place_error_of_the_filter", kept),
            ("place_error_hidden", hidden), ("place_error_hidden_of_the_filter", stayed),
        )
        if len(all_of_it := torch.cat(values))
    }  # fmt: skip
    happened, told = torch.cat(true).numpy(), torch.cat(said).numpy()
    each = {name: f1(happened[:, i], told[:, i]) for i, name in enumerate(EVENTS) if happened[:, i].any()}
    return {**mean, "event_f1": sum(each.values()) / max(len(each), 1), "event_f1_each": each}


def settle(net: ForesightNet, drives: list[Watched]) -> None:
    """Shifts the events' logits so that each is said where its F1 on these drives is best, instead of at 0.5."""
    logits, true = [], []
    events = net.layers["events"]
    assert isinstance(events, nn.Linear)
    with torch.no_grad():
        for drive in drives:
            batch = tensors([window(drive, 0, len(drive.counts), len(np.unique(drive.tracks)))])
            logits.append(net(batch["features"], batch["there"], batch["scenes"])[1][0])
            true.append(batch["events"][0] > 0.5)
        said, happened = torch.cat(logits).numpy(), torch.cat(true).numpy()
        for i in np.flatnonzero(happened.any(0)):
            scores = [f1(happened[:, i], said[:, i] > at) for at in THRESHOLDS]
            events.bias[i] -= THRESHOLDS[int(np.argmax(scores))]


def load_drives(folder: Path) -> list[Watched]:
    """All drives in a folder. Raises UserError when there are none."""
    drives = [Watched.load(path) for path in sorted(folder.glob("*.npz")) if not path.stem.endswith(".part")]
    if not drives:
        raise UserError(f"no watched drives in {folder}")
    return drives


def draw(drives: list[Watched], how: ForesightTraining, rng: np.random.Generator) -> Window:
    """A random window, mirrored half the time; those in which nothing happens are taken less often."""
    while True:
        drive = drives[int(rng.integers(len(drives)))]
        start = int(rng.integers(len(drive.counts) - how.length + 1))
        if drive.events[start : start + how.length].any() or rng.random() >= QUIET:
            return window(drive, start, how.length, how.places, bool(rng.random() < 0.5))


def train_foresight(
    how: ForesightTraining, command: str = "", about: dict[str, Any] | None = None, say: Callable[[str], None] = print
) -> Path:
    """Trains and returns the path of the best weights by validation; `about` is for their card. The same drives and
    seed give the same weights. Raises UserError when no drive is as long as a window."""
    torch.set_num_threads(1)
    torch.manual_seed(how.seed)
    drives = [drive for drive in load_drives(how.drives) if len(drive.counts) >= how.length]
    if not drives:
        raise UserError(f"no drive in {how.drives} is {how.length} frames long")
    validation = load_drives(how.validation)
    net, rng = ForesightNet(), np.random.default_rng(how.seed)
    optimizer = torch.optim.AdamW(net.parameters(), how.rate, weight_decay=0.01)
    best, path = math.inf, how.out / "foresight.safetensors"
    how.out.mkdir(parents=True, exist_ok=True)
    for step in tqdm(range(how.steps), unit="step", mininterval=5.0):
        share = step / how.steps
        for group in optimizer.param_groups:
            group["lr"] = how.rate * min(1.0, (step + 1) / 50) * 0.5 * (1.0 + math.cos(math.pi * share)) + 1e-5
        value = loss(net, tensors([draw(drives, how, rng) for _ in range(how.batch)]))
        if not torch.isfinite(value):
            raise UserError(f"the loss is not finite in step {step} (seed {how.seed}); {path} is the best so far")
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        if (step + 1) % VALIDATE_EVERY == 0 or step + 1 == how.steps:
            settled = copy.deepcopy(net)
            settle(settled, validation)
            found = evaluated(settled, validation)
            score = found["velocity_mae"] + found["path_error_2s"] + found["place_error"] - found["event_f1"]
            say(f"step {step + 1}: " + json.dumps({k: _rounded(v) for k, v in found.items()}))
            if score < best:
                best = score
                _save(path, settled, {"command": command, "step": step + 1, "validation": found, **(about or {})}, how)
    return path


def _rounded(value: Any) -> Any:
    return {k: round(v, 3) for k, v in value.items()} if isinstance(value, dict) else round(value, 3)


def _save(path: Path, net: ForesightNet, card: dict[str, Any], how: ForesightTraining) -> None:
    save_file({name: value.contiguous() for name, value in net.layers.state_dict().items()}, path)
    training = {name: value for name, value in asdict(how).items() if not isinstance(value, Path)}
    full = {**card, "training": training, "hash": file_hash(path)}
    card_path(path).write_text(json.dumps(full, indent=2) + "\n")
