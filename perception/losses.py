"""What is wrong with the heads, task by task, and how the tasks are weighed against each other.

Weights follow Kendall et al. 2018 (arXiv:1705.07115): each task has a learned log variance s and counts
exp(-s) * loss + s / 2, so that no task drowns the others; tasks that predict the scale of their own error (Laplace)
are likelihoods already and count as they are. Each is weighted by `PRIORITY`, what driving needs most.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadcraft.perception.heads import FIELDS, SCENE
from roadcraft.perception.percept import PATH_TIMES
from roadcraft.perception.targets import Targets

Batch = dict[str, Tensor]
TASKS = (
    "drivable", "lane_mask", "heat", "box", "depth", "column", "shape", "velocity", "kind", "path",
    "signs", "lanes", "lane_exists", "light", "stop", "events", "valid",
)  # fmt: skip
SELF_SCALED = ("depth", "velocity", "path")
PRIORITY = {
    "heat": 8.0, "box": 8.0, "depth": 1.0, "column": 2.0, "velocity": 1.5, "path": 0.2, "lanes": 1.5, "light": 4.0,
    "signs": 2.5, "events": 2.0, "lane_mask": 0.4, "drivable": 0.5,
}  # fmt: skip
EVENT_WEIGHT = 4.0  # events are rare
LIGHT_WEIGHT = (1.0, 2.0, 1.5, 1.0)  # so is yellow, and nobody waits at green
MIN_SIGMA_LOG = -4.0  # Laplace scales are not believed to be smaller than exp of this


def collate(clips: list[list[Targets]]) -> Batch:
    """Targets of B clips of T frames as tensors whose first dimension is B * T; positives as flat lists."""
    flat = [t for clip in clips for t in clip]
    positives = np.concatenate([t.positives for t in flat])
    batch = {
        name: torch.from_numpy(np.stack([getattr(t, name) for t in flat]))
        for name in (
            "masks", "heat", "heat_weight", "signs", "signs_weight", "lane_column", "lane_metres",
            "lane_exists", "lane_solid", "events",
        )
    }  # fmt: skip
    for name in ("light_weight", "light_distance", "stop", "stop_weight", "stop_distance", "valid"):
        batch[name] = torch.tensor([getattr(t, name) for t in flat], dtype=torch.float32)
    batch["light"] = torch.tensor([t.light for t in flat])
    batch["frame"] = torch.from_numpy(np.repeat(np.arange(len(flat)), [len(t.positives) for t in flat]))
    for name in positives.dtype.names or ():
        column = positives[name].copy()  # a view of one row counts as contiguous, with strides that torch refuses
        batch[f"at_{name}"] = torch.from_numpy(column.astype(np.int64) if name in ("row", "col") else column)
    return batch


def split_fields(values: Tensor, fields: dict[str, int]) -> Batch:
    """The last dimension cut into named parts."""
    return dict(zip(fields, values.split(list(fields.values()), -1), strict=True))


def task_losses(heads: Batch, batch: Batch) -> Batch:
    """The loss of each of TASKS (scalars) for heads of shape (B, T, ...)."""
    heads = {name: value.flatten(0, 1).float() for name, value in heads.items()}
    valid = batch["valid"]
    losses = _mask_losses(heads["masks"], batch["masks"].float(), valid)
    losses["heat"] = focal(heads["heat"], batch["heat"], batch["heat_weight"] * valid[:, None, None, None])
    weight = (batch["signs_weight"] * valid[:, None])[..., None, None]
    losses["signs"] = focal(heads["signs"], batch["signs"], weight)
    losses |= _object_losses(heads["objects"], batch)
    losses |= _lane_losses(heads, batch)
    losses |= _scene_losses(split_fields(heads["scene"], SCENE), batch)
    return losses


def _mask_losses(logits: Tensor, target: Tensor, valid: Tensor) -> Batch:
    share = valid[:, None, None]
    drivable = F.binary_cross_entropy_with_logits(logits[:, 0], target[:, 0], reduction="none")
    lane = F.binary_cross_entropy_with_logits(
        logits[:, 1], target[:, 1], reduction="none", pos_weight=logits.new_tensor(3.0)
    )
    return {"drivable": (drivable * share).mean(), "lane_mask": (lane * share).mean() * 3.0}


def focal(logits: Tensor, heat: Tensor, weight: Tensor) -> Tensor:
    """Penalty-reduced focal loss on heatmaps (Zhou et al. 2019, arXiv:1904.07850, equation 1)."""
    p = torch.sigmoid(logits)
    peak = heat > 0.99
    found = -F.logsigmoid(logits) * (1 - p) ** 2
    quiet = -F.logsigmoid(-logits) * p**2 * (1 - heat) ** 4
    loss = torch.where(peak, found, quiet) * weight
    return loss.sum() / (peak * weight).sum().clamp(min=4.0)


def laplace(error: Tensor, log_sigma: Tensor) -> Tensor:
    """Negative log likelihood, up to a constant, of an error whose Laplace scale is predicted too."""
    log_sigma = log_sigma.clamp(MIN_SIGMA_LOG, 4.0)
    return error.abs() * torch.exp(-log_sigma) + log_sigma


def decode_box(offset: Tensor, log_box: Tensor) -> Tensor:
    """Boxes (..., 4) left, top, right, bottom [cells] from the cell's centre."""
    half = torch.exp(log_box.clamp(-3.0, 5.0)) / 2
    return torch.cat([offset - half, offset + half], -1)


def shared_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of intersection and union (P,) of boxes (P, 4), pair by pair."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    return shared, (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared


def box_loss(a: Tensor, b: Tensor) -> Tensor:
    """1 - generalised IoU (Rezatofighi et al. 2019) of boxes (P, 4), and half the error of middle and size relative to
    the size of `b`: a pedestrian 5 pixels wide asks for more care than a bus."""
    shared, union = shared_and_union(a, b)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    giou = shared / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)
    size_a, size_b = (a[:, 2:] - a[:, :2]).clamp(min=0.05), (b[:, 2:] - b[:, :2]).clamp(min=0.05)
    off = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]).abs() / 2 / size_b + (size_a / size_b).log().abs()
    return 1 - giou + 0.5 * off.clamp(max=3.0).sum(1)


def _object_losses(objects: Tensor, batch: Batch) -> Batch:
    frame, row, col = batch["frame"], batch["at_row"], batch["at_col"]
    said = split_fields(objects[frame, :, row, col], FIELDS)
    weight = batch["at_weight"] * batch["valid"][frame]
    placed = weight * batch["at_placed"]

    def mean(loss: Tensor, w: Tensor) -> Tensor:
        return (loss * w).sum() / w.sum().clamp(min=1.0)

    box = box_loss(decode_box(said["offset"], said["log_box"]), batch["at_box"])
    depth = laplace(said["log_depth"][:, 0] - batch["at_log_depth"], said["log_depth_sigma"][:, 0])
    column = F.smooth_l1_loss(said["column"][:, 0], batch["at_column"], reduction="none", beta=0.2)
    size = (said["log_size"] - batch["at_log_size"]).abs().sum(1)
    heading = F.smooth_l1_loss(said["heading"], batch["at_heading"], reduction="none", beta=0.2).sum(1)
    velocity = laplace(said["velocity"] - batch["at_velocity"], said["log_velocity_sigma"]).sum(1)
    kind = F.cross_entropy(said["kind"], batch["at_kind"], reduction="none")
    bend = batch["at_bend"]  # (P, 4, 2)
    known = torch.isfinite(bend).all(2) * placed[:, None]
    off = (said["bend"].reshape(bend.shape) - torch.nan_to_num(bend)).abs().sum(2)
    path = laplace(off, said["log_bend_sigma"])
    return {
        "box": mean(box, weight),
        "depth": mean(depth, placed),
        "column": mean(column, placed),
        "shape": mean(size + heading, placed),
        "velocity": mean(velocity, placed),
        "kind": mean(kind, weight),
        "path": (path * known).sum() / known.sum().clamp(min=1.0) / len(PATH_TIMES),
    }


def _lane_losses(heads: Batch, batch: Batch) -> Batch:
    logits, target = heads["lane_column"], batch["lane_column"]  # (N, 4, 10, 80), (N, 4, 10)
    columns = logits.shape[-1]
    valid = batch["valid"][:, None, None]
    seen = torch.isfinite(target)
    at = torch.nan_to_num(target).clamp(0, columns - 1)
    low = at.floor().clamp(max=columns - 2)
    share = at - low
    log_p = torch.log_softmax(logits, -1)
    index = low.long()[..., None]
    near, far = log_p.gather(-1, index)[..., 0], log_p.gather(-1, index + 1)[..., 0]
    cross = -(near * (1 - share) + far * share)
    expected = (log_p.exp() * torch.arange(columns, device=logits.device)).sum(-1)
    metres = ((expected - at) * batch["lane_metres"][:, None]).abs().clamp(max=2.0)
    w = (seen * valid).float()
    total = w.sum().clamp(min=1.0)
    lanes = (cross * w).sum() / total + (metres * w).sum() / total
    point = F.binary_cross_entropy_with_logits(heads["lane_point"], seen.float(), reduction="none")
    exists = batch["lane_exists"]
    line = F.binary_cross_entropy_with_logits(heads["lane_line"][..., 0], exists, reduction="none")
    solid = heads["lane_line"][..., 1] - heads["lane_line"][..., 2]
    mark = F.binary_cross_entropy_with_logits(solid, batch["lane_solid"], reduction="none") * exists
    found = (point * valid).mean() + (line * valid[..., 0]).mean() + (mark * valid[..., 0]).mean()
    return {"lanes": lanes, "lane_exists": found}


def _scene_losses(said: Batch, batch: Batch) -> Batch:
    valid = batch["valid"]
    light_w, stop_w = batch["light_weight"] * valid, batch["stop_weight"] * valid
    rarity = said["light"].new_tensor(LIGHT_WEIGHT)
    light = F.cross_entropy(said["light"], batch["light"], weight=rarity, reduction="none")
    governed = (batch["light"] < 3) * light_w
    light = (light * light_w).mean() + _distance(said["light_distance"], batch["light_distance"], governed)
    stop = F.binary_cross_entropy_with_logits(said["stop"][:, 0], batch["stop"], reduction="none")
    stops = batch["stop"] * stop_w
    stop = (stop * stop_w).mean() + _distance(said["stop_distance"], batch["stop_distance"], stops)
    events = F.binary_cross_entropy_with_logits(
        said["events"], batch["events"], reduction="none", pos_weight=said["events"].new_tensor(EVENT_WEIGHT)
    )
    truth = F.binary_cross_entropy_with_logits(said["valid"][:, 0], valid)
    return {"light": light, "stop": stop, "events": (events * valid[:, None]).mean(), "valid": truth}


def _distance(said: Tensor, metres: Tensor, weight: Tensor) -> Tensor:
    """Error of log(1 + d), averaged over the frames where there is a distance."""
    wanted = torch.where(weight > 0, torch.log1p(metres.clamp(0.0, 100.0)), torch.zeros_like(metres))
    return ((said[:, 0] - wanted).abs() * weight).sum() / weight.sum().clamp(min=1.0)


class Balance(nn.Module):
    """The learned weights of the tasks."""

    def __init__(self, tasks: tuple[str, ...] = TASKS) -> None:
        super().__init__()
        self.tasks = tasks
        self.log_variance = nn.Parameter(torch.zeros(len(tasks)))

    def forward(self, losses: Batch) -> Tensor:
        """One number to minimise."""
        s = self.log_variance.clamp(-2.5, 2.0)
        total = torch.zeros(())
        for i, task in enumerate(self.tasks):
            own = losses[task] if task in SELF_SCALED else torch.exp(-s[i]) * losses[task] + s[i] / 2
            total = total + PRIORITY.get(task, 1.0) * own
        return total

    def weights(self) -> dict[str, Tensor]:
        """What each task's loss is multiplied by at present (scalars without gradient)."""
        s = self.log_variance.detach().clamp(-2.5, 2.0)
        own = torch.exp(-s)
        return {
            task: PRIORITY.get(task, 1.0) * (torch.ones_like(own[i]) if task in SELF_SCALED else own[i])
            for i, task in enumerate(self.tasks)
        }


def score(losses: dict[str, float]) -> float:
    """What the balance comes to when its variances have settled, up to a constant: lower is better."""
    return sum(
        PRIORITY.get(task, 1.0) * (loss if task in SELF_SCALED else math.log(max(loss, 1e-4)))
        for task, loss in losses.items()
    )
