"""Training of the second stage alone, on peaks that a trained first stage found; the rest of the network stays.

A peak is taught to be an object's class when no higher one is meant for that object and the box that the head now says
has an IoU of 0.5 with it, and none otherwise: so its score is the probability of a box that counts.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from roadcraft.perception.averaging import follow
from roadcraft.perception.heads import GROUPS
from roadcraft.perception.losses import box_loss, laplace, shared_and_union
from roadcraft.perception.network import Network
from roadcraft.perception.roi import SIDE, RoiHead, heard, place, within
from roadcraft.perception.roi_data import SHIFT, Peaks
from roadcraft.perception.weights_io import save_weights
from roadcraft.sim.errors import UserError

OFTEN = np.array([1.0, 2.0, 2.0, 0.35])  # how often peaks on vehicles, cyclists, pedestrians and nothing are drawn
CLASS_WEIGHT, DEPTH_WEIGHT = 2.0, 0.3  # of the classes' and the depth's losses beside the boxes'
LESSER = 0.2  # what the box of a peak counts that is not its object's highest
COUNTS = 0.5  # IoU from which a box is right
MIRRORED = 0.2  # share of the squares
DROP = 0.1  # share of the features that is left out
AVERAGE = 0.998  # per step, of the averaged weights that are shipped
WARM_UP = 100  # steps
EVERY = 500  # steps from one validation to the next
SOME, MANY = 5, 5000  # one peak in so many is judged, where there are more than that


@dataclass(frozen=True)
class RoiTraining:
    """A training of the second stage."""

    peaks: Path  # folders of recorded peaks
    validation: Path
    out: Path
    command: str = ""
    first_stage: str = ""  # hash of the weights whose second stage is trained
    recorded: str = ""  # what the peaks were found in
    steps: int = 6000
    batch: int = 256  # peaks
    rate: float = 2e-3
    seed: int = 0
    go_on: bool = False  # the network's second stage was trained before


def load_peaks(folder: Path) -> Peaks:
    """All peaks in a folder. Raises UserError when there are none, or none of an object by which boxes are judged."""
    parts = [Peaks.load(path) for path in sorted(folder.glob("*.npz")) if not path.stem.endswith(".part")]
    if not parts:
        raise UserError(f"no recorded peaks in {folder}")
    peaks = Peaks.joined(parts)
    if (peaks.group == GROUPS).all():
        raise UserError(f"the first stage found no object in all that is recorded in {folder}: train it first")
    if not (peaks.main & peaks.judged & fits(peaks)).any():
        raise UserError(f"no peak recorded in {folder} is of an object that a box could be judged by: record more")
    return peaks


def fits(peaks: Peaks) -> NDArray[np.bool_]:
    """Which peaks (N,) the second stage has a say in."""
    boxes = torch.from_numpy(peaks.boxes)
    return np.asarray(heard(boxes, torch.ones(len(boxes))))


def batch_of(peaks: Peaks, rows: NDArray[np.int64], rng: np.random.Generator | None) -> dict[str, Tensor]:
    """Peaks as the head is fed them; with `rng` squares are moved, light and colours changed, noise added and half of
    them mirrored, of which the first stage then says nothing (its features know left from right)."""
    n = len(rows)
    shift = np.zeros((n, 2), int) if rng is None else rng.integers(-SHIFT, SHIFT + 1, (n, 2))
    at = SHIFT + shift[:, :, None] + np.arange(SIDE)
    crops = peaks.pixels[rows][np.arange(n)[:, None, None], at[:, 1, :, None], at[:, 0, None, :]]
    pixels = (torch.from_numpy(crops).float() - 110.0) / 60.0
    boxes, truth = torch.from_numpy(peaks.boxes[rows]), torch.from_numpy(peaks.truth[rows])
    square = torch.from_numpy(peaks.squares[rows].astype(np.int64))
    scale = square[:, 2]
    left, top = (square[:, :2] + torch.from_numpy(shift) * scale[:, None]).unbind(1)
    height, width = peaks.size.tolist()
    edge = within(torch.tensor([0.0, 0.0, width, height]).expand(n, 4), left, top, scale)
    inside, truth, there = (
        within(boxes, left, top, scale),
        within(truth, left, top, scale),
        place(boxes, torch.zeros(n, 2), scale, height, width),
    )
    known = torch.from_numpy(peaks.features[rows].astype(np.float32))
    if rng is not None:
        pixels = spoiled(pixels, rng)
        flip = torch.from_numpy(rng.random(n) < MIRRORED)
        pixels[flip] = pixels[flip].flip(2)
        known[flip] = 0.0
        there[flip, 2] *= -1.0
        for box in (inside, truth, edge):
            box[flip] = box[flip][:, [2, 1, 0, 3]] * box.new_tensor([-1.0, 1.0, -1.0, 1.0])
    return {
        "pixels": pixels.permute(0, 3, 1, 2),
        "inside": inside,
        "known": known,
        "place": there,
        "truth": truth,
        "said": torch.from_numpy(peaks.said[rows]),
        "depth": torch.from_numpy(peaks.depth[rows]),
        "edge": edge,
        "main": torch.from_numpy(peaks.main[rows]),
        "group": torch.from_numpy(peaks.group[rows].astype(np.int64)),
        "weight": torch.from_numpy((peaks.judged[rows] / OFTEN[peaks.group[rows]]).astype(np.float32)),
    }


def spoiled(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Normalised pixels (N, H, W, 3) in other light and colours, a third of them noisy."""

    def drawn(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (len(pixels), 1, 1, channels)).astype(np.float32))

    changed = pixels * drawn(0.87, 1.13) + drawn(-0.15, 0.15) + drawn(-0.05, 0.05, 3)
    noise = torch.from_numpy(rng.standard_normal(pixels.shape, np.float32))
    return changed + noise * drawn(-0.3, 0.15).clamp(min=0.0)


def losses(head: RoiHead, batch: dict[str, Tensor], drop: float = 0.0) -> dict[str, Tensor]:
    """Sums over a batch: the boxes' loss and the weight of the boxes `asked` for; the depths' loss and the weight of
    those that are `placed`; the classes' loss and the `weight` of the peaks; `objects` that are judged, and of how many
    the box counts `before` and `after`."""
    known = F.dropout(batch["known"], drop)
    pixels = batch["pixels"].contiguous(memory_format=torch.channels_last)
    box, classes, further = head(pixels, batch["inside"], known, batch["place"])
    truth, meant, edge = batch["truth"], batch["group"] < GROUPS, batch["edge"]
    with torch.no_grad():
        before, after = (
            overlap(b.maximum(edge[:, [0, 1, 0, 1]]).minimum(edge[:, [2, 3, 2, 3]]), truth) >= COUNTS
            for b in (batch["inside"], box)
        )
        wanted = torch.where(batch["main"] & after, batch["group"], GROUPS)
    each = F.cross_entropy(classes, wanted, reduction="none") * batch["weight"]
    asked = torch.where(batch["main"], 1.0, LESSER)[meant]
    placed = batch["main"] & torch.isfinite(batch["depth"])
    depth, scale = (batch["said"] + further)[placed].unbind(1)
    objects = batch["main"] & (batch["weight"] > 0)
    return {
        "boxes": (box_loss(box[meant] * SIDE, truth[meant] * SIDE) * asked).sum(),
        "asked": asked.sum(),
        "depths": laplace(depth - batch["depth"][placed], scale).sum(),
        "placed": placed.float().sum(),
        "classes": each.sum(),
        "weight": batch["weight"].sum(),
        "objects": objects.float().sum(),
        "before": before[objects].float().sum(),
        "after": after[objects].float().sum(),
    }


def means(sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `losses` sums, per box, peak and object; the number of objects, and the `loss` of both kinds."""
    objects = sums["objects"].clamp(min=1.0)
    per = (("boxes", "asked"), ("classes", "weight"), ("depths", "placed"))
    boxes, classes, depths = (sums[k] / sums[by].clamp(min=1.0) for k, by in per)
    return {
        "loss": boxes + CLASS_WEIGHT * classes + DEPTH_WEIGHT * depths,
        "boxes": boxes,
        "depths": depths,
        "classes": classes,
        "objects": sums["objects"],
        "before": sums["before"] / objects,
        "after": sums["after"] / objects,
    }


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """IoU (N,) of boxes (N, 4) pair by pair; 0 where one is NaN."""
    shared, union = shared_and_union(a, b)
    return torch.nan_to_num(shared / union.clamp(min=1e-6))


def with_second_stage(network: Network, most: int, seed: int, go_on: bool = False) -> Network:
    """A network with a new second stage for `most` peaks a frame, or to `go_on` with the one that it has; all else is
    the same. Raises UserError when there is none to go on with."""
    if go_on and network.roi is None:
        raise UserError("go_on: these weights have no second stage to go on with")
    torch.manual_seed(seed)
    whole = Network(replace(network.architecture, roi=most))
    kept = {k: v for k, v in network.state_dict().items() if go_on or k[:4] != "roi."}
    whole.load_state_dict(whole.state_dict() | kept)
    return whole.eval()


def train_second_stage(
    how: RoiTraining, network: Network, card: dict[str, Any], say: Callable[[str], None] = print
) -> Path:
    """Trains the second stage of a network, which has one; returns the path of the whole network's weights, the best by
    the loss on the validation's peaks. The same peaks and seed give the same weights. Raises UserError for a loss that
    is not finite."""
    torch.set_num_threads(1)
    torch.manual_seed(how.seed)
    peaks, validation = load_peaks(how.peaks), load_peaks(how.validation)
    assert network.roi is not None
    head, rng = copy.deepcopy(network.roi).train(), np.random.default_rng(how.seed)
    averaged = copy.deepcopy(head).eval()
    optimizer = torch.optim.AdamW(head.parameters(), how.rate, weight_decay=0.02)
    kept = {name: value for name, value in card.items() if name != "figures"}  # which are of the network without it
    chance = OFTEN[peaks.group] * fits(peaks)
    chance /= chance.sum()
    about = {name: value for name, value in asdict(how).items() if not isinstance(value, Path)}
    about |= {"before": card["second_stage"]} if how.go_on else {}
    about |= {"peaks": int((chance > 0).sum()), "validation_peaks": int(fits(validation).sum())}
    best, path = math.inf, how.out / "best.safetensors"
    for step in tqdm(range(how.steps), unit="step", mininterval=5.0):
        share = step / how.steps
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / WARM_UP)
            group["lr"] = how.rate * warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * share)))
        total = means(losses(head, batch_of(peaks, rng.choice(len(chance), how.batch, p=chance), rng), DROP))["loss"]
        if not torch.isfinite(total):
            raise UserError(f"the loss is not finite in step {step} (seed {how.seed})" + so_far(best, path))
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimizer.step()
        follow(averaged, head, min(AVERAGE, (1 + step) / (10 + step)))
        if (step + 1) % EVERY == 0 or step + 1 == how.steps:
            found = judged(averaged, validation, how.batch)
            say(f"step {step + 1}: " + json.dumps({k: round(v, 4) for k, v in found.items()}))
            if not math.isfinite(found["loss"]):
                raise UserError(f"the validation's loss is not finite after step {step}" + so_far(best, path))
            if found["loss"] < best:
                best, network.roi = found["loss"], averaged
                save_weights(path, network, kept | {"second_stage": {"step": step + 1, **about, "validation": found}})
    return path


def so_far(best: float, path: Path) -> str:
    """Where the best weights of a training that ends early are, if there are any."""
    return f"; {path} is the best so far" if math.isfinite(best) else ""


@torch.no_grad()
def judged(head: RoiHead, peaks: Peaks, batch: int) -> dict[str, float]:
    """`means` over the peaks, or some of all drives where there are many."""
    some = np.flatnonzero(fits(peaks))
    some = some[:: SOME if len(some) > MANY else 1]
    each = [losses(head, batch_of(peaks, some[at : at + batch], None)) for at in range(0, len(some), batch)]
    sums = {name: torch.stack([one[name] for one in each]).sum() for name in each[0]}
    return {name: float(value) for name, value in means(sums).items()}
