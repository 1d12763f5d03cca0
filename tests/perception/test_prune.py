"""Pruning: what is silent can go unheard, the least goes first, and what cannot shrink is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from roadcraft.perception.channels import blocks_of, channels_of
from roadcraft.perception.heads import MOTION
from roadcraft.perception.network import Architecture, Network
from roadcraft.perception.prune import pruned
from roadcraft.perception.shipped import shipped
from roadcraft.perception.weights_io import load_network
from roadcraft.sim.errors import UserError

SMALL = replace(Architecture.named("tiny"), height=72, width=128)
LARGE = replace(SMALL, widths=(12, 12, 20, 24), depths=(2, 3, 1, 2), neck=20, describe=2, fine=2)


def network(architecture: Architecture, seed: int = 0) -> Network:
    """Random weights, with nothing at the zeros and ones that training begins with."""
    torch.manual_seed(seed)
    made = Network(architecture).eval()
    with torch.no_grad():
        for name, value in made.state_dict().items():
            if "norm" in name or "place" in name or value.ndim == 1:
                value.copy_(torch.rand_like(value.float()) + 0.5)
    return made


@torch.no_grad()
def heads(of: Network) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    frames = torch.randint(0, 256, (1, 2, 72, 128, 3), dtype=torch.uint8, generator=g)
    return of(frames, torch.randn(1, 2, MOTION, generator=g))[0]


def assert_same(a: Network, b: Network) -> None:
    theirs = heads(b)
    for name, value in heads(a).items():
        if name == "detected":
            continue  # channels inside, which are left out themselves
        assert value.std() > 0, name
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-4, msg=name)


@torch.no_grad()
def silence(large: Network, to: Architecture, seed: int = 0) -> None:
    """Makes as many channels and blocks silent, drawn at random, as `large` has more than `to`."""
    g = torch.Generator().manual_seed(seed)
    state, channels = large.state_dict(), channels_of(large)
    now = large.architecture
    narrow = Network(replace(to, depths=now.depths, describe=now.describe, fine=now.fine)).state_dict()
    for group, gauges in channels.gauges.items():
        have, want = len(state[gauges[0]]), len(narrow[gauges[0]])
        dead = torch.randperm(have, generator=g)[: have - want]
        for name, axes in channels.axes.items():
            for axis in (axis for axis, segments in axes.items() if segments == (group,) and name in state):
                if axis == 0 or name.startswith("place"):
                    state[name].index_fill_(axis, dead, 0.0)
    after = blocks_of(Network(to))
    for holder, blocks in blocks_of(large).items():
        for i in torch.randperm(len(blocks), generator=g)[: len(blocks) - len(after[holder])].tolist():
            state[f"{blocks[i]}.norm.weight"].zero_()
            state[f"{blocks[i]}.norm.bias"].zero_()


def test_with_nothing_to_leave_out_it_is_the_same_bit_for_bit() -> None:
    trained, _ = load_network(shipped())
    same, left_out = pruned(trained, trained.architecture)
    assert left_out == []
    mine = same.state_dict()
    assert mine.keys() == trained.state_dict().keys()
    for name, value in trained.state_dict().items():
        assert torch.equal(mine[name], value), name


@pytest.mark.parametrize("memory", ["gru", "attention"])
def test_what_is_silent_is_left_out_and_nothing_changes(memory: str) -> None:
    to = replace(SMALL, memory=memory)
    large = network(replace(LARGE, memory=memory))
    silence(large, to)
    small, left_out = pruned(large, to)
    assert small.architecture == to
    assert {"8 of 24 channels of stride 32", "4 of 20 channels of fused 8"} <= set(left_out)
    assert_same(large, small)


def test_the_shipped_network_can_become_slim() -> None:
    trained, _ = load_network(shipped())
    slim, left_out = pruned(trained, Architecture.named("slim"))
    assert slim.architecture == Architecture.named("slim")
    assert sum(line.startswith("block ") for line in left_out) == 4
    assert "the second stage" in left_out
    with pytest.raises(UserError, match="second stage cannot be pruned"):
        pruned(trained, replace(Architecture.named("slim"), roi=trained.architecture.roi))


def test_the_block_with_the_least_scale_goes_first() -> None:
    large = network(SMALL)
    for to, gone in ((2, ["1.2"]), (1, ["1.2", "1.3"]), (0, ["1.1", "1.2", "1.3"])):
        large = network(replace(SMALL, depths=(1, 3, 1, 1)))
        for i, scale in ((1, -0.9), (2, 0.1), (3, 0.5)):
            torch.nn.init.constant_(large.get_parameter(f"encoder.stages.1.{i}.norm.weight"), scale)
        _, left_out = pruned(large, replace(SMALL, depths=(1, to, 1, 1)))
        assert left_out == [f"block encoder.stages.{name}" for name in gone]


def test_a_branch_can_go_as_a_whole() -> None:
    large = network(SMALL)
    assert large.fine is not None
    torch.nn.init.zeros_(large.fine.norm.weight)
    torch.nn.init.zeros_(large.fine.norm.bias)
    small, left_out = pruned(large, replace(SMALL, fine=0))
    assert left_out == ["block fine.blocks.0"]
    assert_same(large, small)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": (8, 8, 16, 20)}, "widths .*: that is more"),
        ({"depths": (1, 2, 1, 1)}, "depths .*: that is more"),
        ({"neck": 17}, "neck 16 to 17: that is more"),
        ({"hidden": 4}, "hidden 8 to 4: it stays"),
        ({"memory": "none"}, "memory gru to none: it stays"),
    ],
)
def test_what_cannot_shrink_to_what_is_asked_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        pruned(network(SMALL), replace(SMALL, **change))  # type: ignore[arg-type]
