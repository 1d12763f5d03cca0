"""Something to compare with: a network of TwinLiteNet's class as ONNX, for `roadcraft bench perception`.

The parts are those of TwinLiteNet (Che et al., "TwinLiteNet: An Efficient and Lightweight Model for Driveable Area and
Lane Segmentation in Self-Driving Cars", 2023): pyramids of dilated convolutions (ESPNet, Mehta et al., 2018), attention
over positions and over channels (DANet, Fu et al., 2019), two decoders, PReLU throughout. Its weights are random: it
sees nothing and has the cost alone, 0.44 M parameters for two tasks on one frame, without a memory.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from roadcraft.perception.export import write_graph
from roadcraft.sim.cache import cache_dir

NAME = "twinlite-like"
DILATIONS = (1, 2, 4, 8, 16)


class Normed(nn.Sequential):
    """A layer, batch norm, PReLU."""

    def __init__(self, layer: nn.Module, channels: int) -> None:
        super().__init__(layer, nn.BatchNorm2d(channels), nn.PReLU(channels))


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size but for its stride."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 * dilation, dilation, bias=False)


class Pyramid(nn.Module):
    """ESPNet's block: reduce, five dilations side by side, each wider one added to those before it."""

    def __init__(self, inputs: int, outputs: int, down: bool = False) -> None:
        super().__init__()
        branch = outputs // len(DILATIONS)
        first = outputs - branch * (len(DILATIONS) - 1)
        self.reduce = conv(inputs, branch, 3, 2) if down else conv(inputs, branch, 1)
        self.branches = nn.ModuleList(conv(branch, first if d == 1 else branch, dilation=d) for d in DILATIONS)
        self.after = nn.Sequential(nn.BatchNorm2d(outputs), nn.PReLU(outputs))
        self.residual = not down

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        first, *wider = [branch(reduced) for branch in self.branches]
        for k in range(1, len(wider)):
            wider[k] = wider[k] + wider[k - 1]
        joined = torch.cat([first, *wider], 1)
        return self.after(x + joined if self.residual else joined)


class PositionAttention(nn.Module):
    """Each place looks at all places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = nn.Conv2d(channels, channels // 8, 1), nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.share = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.query(x).flatten(2), self.key(x).flatten(2), self.value(x).flatten(2)
        looks = torch.softmax(query.transpose(1, 2) @ key, -1)
        return self.share * (value @ looks.transpose(1, 2)).view(x.shape) + x


class ChannelAttention(nn.Module):
    """Each channel looks at all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        alike = flat @ flat.transpose(1, 2)
        looks = torch.softmax(alike.amax(-1, keepdim=True) - alike, -1)
        return self.share * (looks @ flat).view(x.shape) + x


class Decoder(nn.Sequential):
    """From an eighth of the input's size to two classes a pixel."""

    def __init__(self, channels: int) -> None:
        widths = (channels, 16, 8, 2)
        super().__init__(*(Normed(nn.ConvTranspose2d(a, b, 2, 2, bias=False), b) for a, b in pairwise(widths)))


class TwinLite(nn.Module):
    """(B, 3, H, W) in 0 to 1 to drivable area and lanes, each (B, 2, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.shrink = nn.AvgPool2d(3, 2, 1)
        self.stem, self.mixed = Normed(conv(3, 16, 3, 2), 16), Normed(conv(19, 19), 19)
        self.down2, self.level2 = Pyramid(19, 64, down=True), nn.Sequential(*(Pyramid(64, 64) for _ in range(2)))
        self.mixed2 = Normed(conv(131, 131), 131)
        self.down3, self.level3 = Pyramid(131, 128, down=True), nn.Sequential(*(Pyramid(128, 128) for _ in range(3)))
        self.neck = Normed(conv(256, 32), 32)
        self.places = nn.Sequential(PositionAttention(32), Normed(conv(32, 32), 32))
        self.channels = nn.Sequential(ChannelAttention(), Normed(conv(32, 32), 32))
        self.joined = Normed(conv(32, 32, 1), 32)
        self.drivable, self.lanes = Decoder(32), Decoder(32)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        half = self.shrink(image)
        quarter = self.shrink(half)
        x = self.down2(self.mixed(torch.cat([self.stem(image), half], 1)))
        x = self.down3(self.mixed2(torch.cat([self.level2(x), x, quarter], 1)))
        x = self.neck(torch.cat([x, self.level3(x)], 1))
        x = self.joined(self.places(x) + self.channels(x))
        return self.drivable(x), self.lanes(x)


def reference_graph(width: int, height: int) -> Path:
    """The graph for an input of that size (multiples of 8), made once into the cache."""
    path = cache_dir() / f"{width}x{height}" / f"{NAME}.onnx"
    if not path.is_file():
        torch.manual_seed(0)
        write_graph(TwinLite().eval(), (torch.zeros(1, 3, height, width),), path, ["image"], ["drivable", "lanes"])
    return path
