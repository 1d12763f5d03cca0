"""A smaller network out of a trained one: residual blocks and channels are left out, those with the least scale.

What a batch norm multiplies a channel by says how much the rest of the network hears of it (Network Slimming, Liu et
al. 2017, arXiv:1708.06519); a block counts as much as the norm that ends it. Channels without a norm are judged by the
size of the filters that make them (Li et al. 2017, arXiv:1608.08710). What is left keeps its trained weights: it is
worse than what it was made from until it is trained on.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from roadcraft.perception.channels import Segments, blocks_of, channels_of
from roadcraft.perception.network import Architecture, Network
from roadcraft.sim.errors import UserError

SHRINKING = ("widths", "depths", "neck", "describe", "fine", "roi")  # all other fields stay as they are


def pruned(network: Network, to: Architecture) -> tuple[Network, list[str]]:
    """A network of architecture `to` whose weights are copied from `network`, and what was left out of each part.
    Raises UserError for the first field that cannot shrink to what `to` has."""
    check_smaller(network.architecture, to)
    if to != network.architecture and to.roi:
        raise UserError("a second stage cannot be pruned: prune to none and train another with `roadcraft train roi`")
    small, trained = Network(to), network.state_dict()
    origin, left_out = origins(network, small)
    if network.roi is not None and small.roi is None:
        left_out.append("the second stage")
    channels, mine = channels_of(small), small.state_dict()
    kept: dict[str, Tensor] = {}
    total: dict[str, int] = {}
    for group, gauges in channels.gauges.items():
        worth = torch.stack([scales(trained[origin[name]]) for name in gauges]).sum(0)
        kept[group], total[group] = best(worth, len(mine[gauges[0]])), len(worth)
        if less := len(worth) - len(kept[group]):
            left_out.append(f"{less} of {len(worth)} channels of {group}")
    with torch.no_grad():
        for name, value in mine.items():
            source = trained[origin[name]]
            for axis, segments in channels.axes.get(name, {}).items():
                source = source.index_select(axis, places(segments, kept, total))
            value.copy_(source)
    return small.train(network.training), left_out


def check_smaller(now: Architecture, to: Architecture) -> None:
    """Raises UserError for the first field of which `to` has more than `now`, or another value where none shrinks."""
    for name in (f.name for f in fields(Architecture)):
        have, want = getattr(now, name), getattr(to, name)
        pairs = zip(have, want, strict=True) if isinstance(have, tuple) else [(have, want)]
        if name not in SHRINKING and have != want:
            raise UserError(f"cannot prune {name} {have} to {want}: it stays as it is")
        if name in SHRINKING and any(w > h for h, w in pairs):
            raise UserError(f"cannot prune {name} {have} to {want}: that is more")


def origins(network: Network, small: Network) -> tuple[dict[str, str], list[str]]:
    """The name in `network` of each tensor of `small`, and the blocks of `network` that none comes from."""
    trained, after = network.state_dict(), blocks_of(small)
    origin = {name: name for name in small.state_dict()}
    left_out = []
    for holder, blocks in blocks_of(network).items():
        mine = after.get(holder, [])
        worth = torch.stack([scales(trained[f"{block}.norm.weight"]).mean() for block in blocks])
        chosen = [blocks[i] for i in best(worth, len(mine)).tolist()]
        for name in origin:
            block = ".".join(name.split(".")[: holder.count(".") + 2])
            if block in mine:
                origin[name] = chosen[mine.index(block)] + name.removeprefix(block)
        left_out += [f"block {block}" for block in blocks if block not in chosen]
    return origin, left_out


def scales(gauge: Tensor) -> Tensor:
    """How large each entry along the first axis is: the sum of its absolute values."""
    return gauge.abs().reshape(len(gauge), -1).sum(1)


def best(worth: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest, in their old order."""
    return worth.argsort(descending=True, stable=True)[:count].sort().values


def places(segments: Segments, kept: dict[str, Tensor], total: dict[str, int]) -> Tensor:
    """Indices along an axis of the large tensor of what stays; `total` is how many channels each group had."""
    found, at = [], 0
    for segment in segments:
        found.append(at + (kept[segment] if isinstance(segment, str) else torch.arange(segment)))
        at += total[segment] if isinstance(segment, str) else segment
    return torch.cat(found)
