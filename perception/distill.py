"""How far a student's heads are from a teacher's, task by task (Hinton et al. 2015, arXiv:1503.02531).

Where a head is a distribution it is the Kullback-Leibler divergence from the teacher's: 0, with no gradient, at the
teacher itself. Boxes, shapes and distances are compared where the teacher sees something that has them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from roadcraft.perception.heads import FIELDS, SCENE
from roadcraft.perception.losses import MIN_SIGMA_LOG, Batch, split_fields
from roadcraft.perception.percept import PATH_TIMES

WEIGHT = 1.0  # of a task's distance against its labels' loss


def distances(heads: Batch, taught: Batch, valid: Tensor) -> Batch:
    """The distance of each of `losses.TASKS` (scalars) for heads of shape (B, T, ...); `valid` (B * T): 0 for frames
    that show no street, on which nothing but that is asked."""
    heads, taught = ({k: v.flatten(0, 1).float() for k, v in said.items()} for said in (heads, taught))
    street = valid[:, None, None]
    masks = binary(heads["masks"], taught["masks"])
    found = {"drivable": (masks[:, 0] * street).mean(), "lane_mask": 3.0 * (masks[:, 1] * street).mean()}
    for name in ("heat", "signs"):
        seen = torch.sigmoid(taught[name]) * street[..., None]
        apart = binary(heads[name], taught[name]) * street[..., None]
        found[name] = apart.sum() / seen.sum().clamp(min=4.0)
    found |= _objects(heads["objects"], taught["objects"], torch.sigmoid(taught["heat"]).amax(1) * street)
    found |= _lanes(heads, taught, street)
    return found | _scene(split_fields(heads["scene"], SCENE), split_fields(taught["scene"], SCENE), valid)


def binary(logits: Tensor, taught: Tensor) -> Tensor:
    """KL divergence, element by element, of probabilities from the teacher's."""
    p = torch.sigmoid(taught)
    cross = F.binary_cross_entropy_with_logits(logits, p, reduction="none")
    return cross - F.binary_cross_entropy_with_logits(taught, p, reduction="none")


def categorical(logits: Tensor, taught: Tensor) -> Tensor:
    """KL divergence of the softmax along the last axis."""
    said, wanted = torch.log_softmax(logits, -1), torch.log_softmax(taught, -1)
    return (wanted.exp() * (wanted - said)).sum(-1)


def laplacian(said: Tensor, log_sigma: Tensor, taught: Tensor, taught_log_sigma: Tensor) -> Tensor:
    """KL divergence of Laplace distributions with logarithms of their scales."""
    log_sigma, taught_log_sigma = (x.clamp(MIN_SIGMA_LOG, 4.0) for x in (log_sigma, taught_log_sigma))
    off, ratio = (said - taught).abs(), taught_log_sigma - log_sigma
    return off * torch.exp(-log_sigma) + torch.exp(ratio - off * torch.exp(-taught_log_sigma)) - ratio - 1


def _mean(apart: Tensor, weight: Tensor) -> Tensor:
    return (apart * weight).sum() / weight.sum().clamp(min=1.0)


def _near(said: Tensor, taught: Tensor) -> Tensor:
    return F.smooth_l1_loss(said, taught, reduction="none", beta=0.2).sum(-1)


def _objects(objects: Tensor, taught: Tensor, seen: Tensor) -> Batch:
    """`objects` (N, FIELDS, h, w); `seen` (N, h, w): how sure the teacher is of an object there."""
    said, wanted = (split_fields(x.movedim(1, -1), FIELDS) for x in (objects, taught))

    def near(*names: str) -> Tensor:
        return _mean(sum((_near(said[n], wanted[n]) for n in names), torch.zeros_like(seen)), seen)

    def spread(name: str, sigma: str, repeat: int = 1) -> Tensor:
        mine, theirs = (x[sigma].repeat_interleave(repeat, -1) for x in (said, wanted))
        return _mean(laplacian(said[name], mine, wanted[name], theirs).sum(-1), seen)

    return {
        "box": near("offset", "log_box"),
        "depth": spread("log_depth", "log_depth_sigma"),
        "column": near("column"),
        "shape": near("log_size", "heading"),
        "velocity": spread("velocity", "log_velocity_sigma", 2),
        "kind": _mean(categorical(said["kind"], wanted["kind"]), seen),
        "path": spread("bend", "log_bend_sigma", 2) / len(PATH_TIMES),
    }


def _lanes(heads: Batch, taught: Batch, street: Tensor) -> Batch:
    column = categorical(heads["lane_column"], taught["lane_column"])
    exists = binary(heads["lane_point"], taught["lane_point"]) * street
    line, wanted = heads["lane_line"], taught["lane_line"]
    found = binary(line[..., 0], wanted[..., 0])
    solid = binary(line[..., 1] - line[..., 2], wanted[..., 1] - wanted[..., 2]) * torch.sigmoid(wanted[..., 0])
    return {
        "lanes": _mean(column, torch.sigmoid(taught["lane_point"]) * street),
        "lane_exists": exists.mean() + ((found + solid) * street[..., 0]).mean(),
    }


def _scene(said: Batch, taught: Batch, valid: Tensor) -> Batch:
    governed = 1 - torch.softmax(taught["light"], -1)[:, 3]
    light = categorical(said["light"], taught["light"])
    light = light + governed * _near(said["light_distance"], taught["light_distance"])
    stops = torch.sigmoid(taught["stop"])[:, 0]
    stop = binary(said["stop"], taught["stop"])[:, 0] + stops * _near(said["stop_distance"], taught["stop_distance"])
    events = binary(said["events"], taught["events"]).mean(-1)
    return {
        "light": (light * valid).mean(),
        "stop": (stop * valid).mean(),
        "events": (events * valid).mean(),
        "valid": binary(said["valid"], taught["valid"]).mean(),
    }
