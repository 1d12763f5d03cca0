"""Which axis of which tensor of the network counts which channels: what must be cut together to make it narrower.

Channels that are added to each other, such as those of a stage and of its residual blocks, are one group.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from roadcraft.perception.heads import SIGNS
from roadcraft.perception.network import Bottleneck, Network

Segments = tuple[str | int, ...]  # along an axis: groups of channels by name, or so many channels that all stay
NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass
class Channels:
    """The table, and beside it what tells the worth of a group's channels."""

    axes: dict[str, dict[int, Segments]] = field(default_factory=dict)  # of each tensor that can be cut
    norms: dict[str, list[str]] = field(default_factory=dict)  # of each group: scales of the batch norms on it
    filters: dict[str, list[str]] = field(default_factory=dict)  # of each group: filters that make it without a norm

    @property
    def gauges(self) -> dict[str, list[str]]:
        """Of each group the tensors along whose first axis stands what its channels are worth."""
        return self.filters | self.norms

    def convolution(self, name: str, inputs: Segments, outputs: str | None = None, norm: str | None = None) -> None:
        """A convolution or linear layer from `inputs` to a group, or to channels that all stay, and the batch norm
        that follows."""
        self.axes[f"{name}.weight"] = {1: inputs}
        if outputs is None:
            return
        self.axes[f"{name}.weight"][0] = self.axes.setdefault(f"{name}.bias", {})[0] = (outputs,)
        for tensor in NORM if norm else ():
            self.axes[f"{norm}.{tensor}"] = {0: (outputs,)}
        (self.norms if norm else self.filters).setdefault(outputs, []).append(f"{norm or name}.weight")

    def conv_block(self, name: str, inputs: Segments, outputs: str | None = None) -> None:
        """A ConvBlock."""
        self.convolution(f"{name}.0", inputs, outputs, f"{name}.1")

    def bottleneck(self, name: str, stream: str) -> None:
        """A Bottleneck that adds to the channels of `stream`."""
        self.conv_block(f"{name}.reduce", (stream,), f"{name}.reduce")
        self.conv_block(f"{name}.conv", (f"{name}.reduce",), f"{name}.conv")
        self.convolution(f"{name}.expand", (f"{name}.conv",), stream, f"{name}.norm")


def channels_of(network: Network) -> Channels:
    """The table of a network."""
    c, stages = Channels(), ("stride 4", "stride 8", "stride 16", "stride 32")
    fixed = {name: len(network.state_dict()[f"{name}.weight"]) for name in ("moving.0", "motion.0", "scene.look")}
    c.conv_block("encoder.stages.0.0", (3,), stages[0])
    for i in (1, 2, 3):
        c.conv_block(f"encoder.stages.{i}.0", (stages[i - 1],), stages[i])
        c.convolution(f"lateral{i + 1}", (stages[i],), "fused 16" if i == 1 else "laterals")
    streams = {f"encoder.stages.{i}": stage for i, stage in enumerate(stages)}
    streams |= {"fine.blocks": stages[0], "describe": "objects"}
    for name, blocks in blocks_of(network).items():
        for block in blocks:
            c.bottleneck(block, streams[name])
    c.conv_block("fuse3", ("laterals",), "fused 16")
    c.convolution("memory.enter", ("fused 16",))
    c.convolution("memory.leave", (network.architecture.hidden,), "fused 16")
    c.axes["place_row"] = c.axes["place_column"] = {1: ("fused 16",)}
    c.conv_block("fuse2", ("fused 16",), "fused 8")
    for name in ("moving_in", "mask.0.0", "signs.0.0", "scene.look", "lane.squeeze.0"):
        c.convolution(name, ("fused 8",))
    c.convolution("mask_fine", (stages[0],))
    if network.fine is not None:
        c.convolution("fine.down", (stages[0],), "fused 8", "fine.norm")
    c.conv_block("detect", ("fused 8", fixed["moving.0"]), "objects")
    c.convolution("heat", ("objects",))
    c.convolution("objects", ("objects",))
    looked, found = ("fused 8",) * fixed["scene.look"], ("fused 8",) * SIGNS
    c.convolution("scene.enter", (*looked, stages[3], fixed["motion.0"], *found, SIGNS))
    return c


def blocks_of(network: Network) -> dict[str, list[str]]:
    """Names of the residual blocks that come one after the other, by the name of what holds them."""
    found: dict[str, list[str]] = {}
    for name, module in network.named_modules():
        if isinstance(module, Bottleneck):
            found.setdefault(name.rpartition(".")[0], []).append(name)
    return found
