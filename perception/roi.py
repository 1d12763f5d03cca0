"""The second stage: each of the best peaks is looked at again, at the input's full resolution and not the heatmaps'; a
RoI head (Girshick 2015).

A person 40 m away is three pixels wide, less than half a cell of the heatmaps. So a square of pixels around each peak's
box, one pixel in 1, 2, 4 or 8 so that the box fits, goes through a small CNN, which says with the cell's features where
the edges are, what it is, if anything, and how far off the first stage is in its depth. What it says replaces the first
stage's word in the same heads.

Boxes and squares are told from the middle of their cell, in small numbers, and squares are gathered at whole pixels: in
bfloat16 a column of 600 is off by two pixels, a distance of 10 by a thirtieth of one.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadcraft.perception.blocks import ConvBlock
from roadcraft.perception.heads import GROUPS
from roadcraft.perception.view import STRIDE

SIDE = 32  # pixels of a square
ROOM = 1.3  # times the box's longer side that a square spans, at least
MARGIN = 6.0  # [pixels] and so much more
SCALES = (1, 2, 4, 8)  # one pixel in so many
LEAST = 0.02  # peaks below are left to the first stage
LOG_BOX = -3.0, 5.0  # what `detection` believes, too
BINS = SIDE // 2  # places in a square at which an edge may be
SAID = 6  # of an object's fields that are said again: offset, log_box, log_depth, log_depth_sigma
PLACE = 5  # numbers that say where a box is in the picture


class RoiHead(nn.Module):
    """Squares of pixels, and what the first stage says of them, to edges and classes."""

    def __init__(self, neck: int, widths: tuple[int, int, int] = (16, 24, 40), hidden: int = 96) -> None:
        super().__init__()
        a, b, c = widths
        self.near = nn.Sequential(ConvBlock(3 + 2, a, 5, 2), ConvBlock(a, b, 3, 1))
        self.far = nn.Sequential(ConvBlock(b, c, 3, 2), ConvBlock(c, c, 3, 1))
        self.lateral = nn.Conv2d(c, b, 1)
        self.fuse = ConvBlock(b, b, 3, 1)
        self.across, self.down = (
            nn.Sequential(nn.Conv1d(2 * b, c, 3, padding=1), nn.ReLU(inplace=True), nn.Conv1d(c, 2, 3, padding=1))
            for _ in range(2)
        )
        self.hint = nn.Linear(neck + GROUPS + PLACE, 2 * c)  # what is told, for the edges across and down
        self.trust = nn.Parameter(torch.tensor(1.0))  # in the first stage's edges, per bin
        self.told = nn.Linear(4 * c + neck + GROUPS + PLACE + 8, hidden)
        self.sharp = nn.Linear(4 * c, hidden, bias=False)
        self.classes = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, GROUPS + 1))
        self.depth = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, 2))
        for new in (self.hint, self.sharp, self.depth[3]):  # nothing before they are trained: they can join weights
            for parameter in new.parameters():
                nn.init.zeros_(parameter)

    def forward(self, squares: Tensor, inside: Tensor, known: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Squares (N, 3, SIDE, SIDE), the first stage's boxes in them (N, 4), see `within`, what is told of their cells
        (N, neck + GROUPS) and where they are (N, PLACE) to boxes (N, 4) in the squares, logits (N, GROUPS + 1) of the
        classes and of none, and what is to be added (N, 2) to the first stage's log depth and the log of its scale."""
        near = self.near(torch.cat([squares, relative(inside).to(squares.dtype)], 1))
        far = self.far(near)
        fused = self.fuse(F.relu(near + F.interpolate(self.lateral(far), scale_factor=2.0, mode="nearest")))
        across, down = self.hint(torch.cat([known, place], 1))[..., None].chunk(2, 1)
        columns, rows = _after(self.across, profile(fused, 2), across), _after(self.down, profile(fused, 3), down)
        found, spread = self.edges(torch.cat([columns, rows], 1), by_axis(inside))
        box = by_axis(found)
        pooled, highest = (pool(far, SIDE // 8).flatten(1) for pool in (F.avg_pool2d, F.max_pool2d))
        said = self.told(torch.cat([pooled, known, place, box - inside, spread], 1)) + self.sharp(highest)
        return box, self.classes(said), self.depth(said)

    def edges(self, logits: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Where edges are (N, E) and how unsure that is (N, E), from logits (N, E, BINS) of where they might be and
        where the first stage has them (N, E)."""
        at = bins(logits)
        doubt = (at - before[..., None]).abs() * (BINS / 2)
        p = torch.softmax(logits - F.softplus(self.trust) * doubt.to(logits.dtype), -1)
        found = (p * at).sum(-1)
        return found, (p * (at - found[..., None]).abs()).sum(-1)

    def step(self, most: int, pixels: Tensor, heads: dict[str, Tensor], peaks: Tensor) -> dict[str, Tensor]:
        """What is said of the `most` highest peaks (B, GROUPS, h, w) of normalised pictures (B, H, W, 3): `roi_cells`
        (B, K) row * w + column; `roi_box` (B, K, 4) edges [cells] from the cell's middle; `roi_classes`
        (B, K, GROUPS + 1) logits; `roi_depth` (B, K, 2) what is to be added to log depth and the log of its scale;
        `roi_heard` (B, K) whether what is said counts, see `heard`."""
        b, height, width, _ = pixels.shape
        cells = candidates(peaks, most)
        boxes = first_boxes(at_cells(heads["objects"], cells, 4))
        # A table in the graph: whole numbers are divided by a chain of nodes.
        table = middles(torch.arange(peaks.shape[2] * peaks.shape[3], device=cells.device), peaks.shape[3])
        middle = table.index_select(0, cells.flatten()).unflatten(0, cells.shape)
        where = left, top, scale = squares_of(boxes)
        seen = squares(pixels, left + middle[..., 0], top + middle[..., 1], scale)
        known = torch.cat([at_cells(heads["detected"], cells), at_cells(heads["heat"], cells)], 2)
        inside, there = within(boxes, *where), place(boxes, middle, scale, height, width)
        box, classes, depth = self(*(x.flatten(0, 1).to(pixels.dtype) for x in (seen, inside, known, there)))
        box = outside(box.float().unflatten(0, (b, most)), *where)
        return {
            "roi_cells": cells,
            "roi_box": box / STRIDE,
            "roi_classes": classes.unflatten(0, (b, most)),
            "roi_depth": depth.unflatten(0, (b, most)),
            "roi_heard": heard(boxes, at_cells(peaks, cells).amax(-1)),
        }


def by_axis(edges: Tensor) -> Tensor:
    """Edges (N, 4) left, top, right, bottom as left, right, top, bottom, and back."""
    return edges.unflatten(1, (2, 2)).transpose(1, 2).flatten(1)


def _after(edges: nn.Module, maps: Tensor, hint: Tensor) -> Tensor:
    """What the layers of `edges` make of maps (N, C, BINS), with a hint (N, c, 1) after the first."""
    assert isinstance(edges, nn.Sequential)
    return edges[1:](edges[0](maps) + hint)


def relative(inside: Tensor) -> Tensor:
    """(N, 2, SIDE, SIDE): how far right and down of the box's middle each pixel is, in half boxes, 2 at most."""
    at = ((torch.arange(SIDE, device=inside.device, dtype=inside.dtype) + 0.5) * (2 / SIDE) - 1.0)[None]
    grid = torch.stack([at.expand(SIDE, -1), at.T.expand(-1, SIDE)])
    half = ((inside[:, 2:] - inside[:, :2]) / 2).clamp(min=1 / SIDE)
    middle = (inside[:, 2:] + inside[:, :2]) / 2
    return ((grid - middle[..., None, None]) / half[..., None, None]).clamp(-2.0, 2.0)


def profile(maps: Tensor, along: int) -> Tensor:
    """(N, 2 C, BINS): mean and maximum of maps (N, C, BINS, BINS) along an axis."""
    window = (BINS, 1) if along == 2 else (1, BINS)  # pools, which engines do faster than reductions
    return torch.cat([F.avg_pool2d(maps, window), F.max_pool2d(maps, window)], 1).squeeze(along)


def bins(like: Tensor) -> Tensor:
    """(BINS,) where in a square the places are at which an edge may be."""
    return (torch.arange(BINS, device=like.device, dtype=like.dtype) + 0.5) * (2 / BINS) - 1.0


def first_boxes(said: Tensor) -> Tensor:
    """The first stage's boxes (..., 4) [input pixels] from their cells' middles, from what is `said` (..., FIELDS)."""
    offset, half = said[..., :2].float(), torch.exp(said[..., 2:4].float().clamp(*LOG_BOX)) / 2
    return torch.cat([offset - half, offset + half], -1) * STRIDE


def middles(cells: Tensor, cols: int) -> Tensor:
    """Pixels (..., 2) int64, column and row, in the middle of cells (...) of a map `cols` wide."""
    return torch.stack([cells % cols, cells // cols], -1) * STRIDE + STRIDE // 2


def span(boxes: Tensor) -> Tensor:
    """How wide and high (...) [pixels] a square around each box (..., 4) should be, at least."""
    return (boxes[..., 2:] - boxes[..., :2]).amax(-1) * ROOM + MARGIN


def heard(boxes: Tensor, peak: Tensor) -> Tensor:
    """Whether the second stage has a say (...) in boxes (..., 4) and peaks (...): not where no square is as large as
    the box, whose edges it would not see, nor where the peak is lower than any that it has learned from."""
    return (span(boxes) <= SIDE * SCALES[-1]) & (peak > LEAST)


def squares_of(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The square of each box (..., 4): left and top [pixels] and how many pixels one of its own is, all int64."""
    wide = span(boxes)
    most = torch.tensor([SIDE * s for s in SCALES[:-1]], device=wide.device)
    more = torch.tensor([b - a for a, b in pairwise(SCALES)], device=wide.device)
    scale = SCALES[0] + ((wide[..., None] > most).long() * more).sum(-1)
    corner = ((boxes[..., :2] + boxes[..., 2:]) / 2).round().long() - scale[..., None] * (SIDE // 2)
    return corner[..., 0], corner[..., 1], scale


def pixels_of(left: Tensor, top: Tensor, scale: Tensor, height: int, width: int, side: int = SIDE) -> Tensor:
    """Places (..., side * side) of the squares' pixels in a picture laid out as (height * width); of those outside of
    it, the nearest inside."""
    rows, cols = lines_of(left, top, scale, height, width, side)
    return (rows[..., :, None] * width + cols[..., None, :]).flatten(-2)


def lines_of(
    left: Tensor, top: Tensor, scale: Tensor, height: int, width: int, side: int = SIDE
) -> tuple[Tensor, Tensor]:
    """Rows and columns (..., side) of a picture that squares (...) show; of those outside of it, the nearest inside."""
    steps = scale[..., None] * torch.arange(side, device=left.device)
    return (top[..., None] + steps).clamp(0, height - 1), (left[..., None] + steps).clamp(0, width - 1)


def within(boxes: Tensor, left: Tensor, top: Tensor, scale: Tensor) -> Tensor:
    """Boxes (..., 4) in units of half their square from its middle."""
    half = scale.to(boxes.dtype)[..., None] * (SIDE / 2)
    corner = torch.stack([left, top, left, top], -1).to(boxes.dtype)
    return (boxes - corner) / half - 1.0


def outside(box: Tensor, left: Tensor, top: Tensor, scale: Tensor) -> Tensor:
    """Boxes (..., 4) [pixels] of the picture, from where they are in their squares: `within` undone."""
    corner = torch.stack([left, top, left, top], -1).to(box.dtype)
    return corner + (box + 1.0) * (scale.to(box.dtype)[..., None] * (SIDE / 2))


def place(boxes: Tensor, middle: Tensor, scale: Tensor, height: int, width: int) -> Tensor:
    """(..., PLACE): the size of the first stage's boxes (..., 4), their place in the picture, the square's scale. Boxes
    are seen from `middle` (..., 2)."""
    size = torch.log((boxes[..., 2:] - boxes[..., :2]).clamp(min=0.5)) - 3.0
    at = (boxes[..., :2] + boxes[..., 2:]) + 2 * middle.to(boxes.dtype)
    where = at / at.new_tensor([width, height]) - 1.0
    return torch.cat([size, where, torch.log(scale.to(boxes.dtype))[..., None]], -1)


def candidates(peaks: Tensor, most: int) -> Tensor:
    """Cells (B, most) of the highest peaks (B, GROUPS, h, w) of any group, as row * w + column, best first."""
    return peaks.amax(1).flatten(1).topk(most, sorted=True).indices


def said_again(heads: dict[str, Tensor], peaks: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
    """Peaks (B, GROUPS, h, w) and objects (B, FIELDS, h, w) with what the second stage says of its cells in place of
    the first's, where it has a say."""
    cells, box, counts = heads["roi_cells"], heads["roi_box"], heads["roi_heard"][..., None]
    classes = torch.softmax(heads["roi_classes"].float(), -1)[..., :GROUPS]
    size = (box[..., 2:] - box[..., :2]).clamp(min=1e-3)
    before = at_cells(objects, cells, SAID)
    depth = before[..., 4:] + heads["roi_depth"].float()
    said = torch.cat([(box[..., :2] + box[..., 2:]) / 2, torch.log(size), depth], -1)
    classes = torch.where(counts, classes, at_cells(peaks, cells))
    said = torch.where(counts, said, before)
    return put(peaks, cells, classes), put(objects, cells, said)


def put(maps: Tensor, cells: Tensor, values: Tensor) -> Tensor:
    """Maps (B, C, h, w) with values (B, K, c) at cells (B, K) of their first c channels."""
    at = flat(maps, cells, values.shape[2])
    return maps.flatten().scatter(0, at, values.flatten().to(maps.dtype)).reshape(maps.shape)


def at_cells(maps: Tensor, cells: Tensor, channels: int | None = None) -> Tensor:
    """(B, K, channels) of maps (B, C, h, w) at cells (B, K), of their first channels; of all without a number."""
    channels = maps.shape[1] if channels is None else channels
    return maps.flatten().index_select(0, flat(maps, cells, channels)).reshape(*cells.shape, channels)


def flat(maps: Tensor, cells: Tensor, channels: int) -> Tensor:
    """Places (B * K * channels) in flattened maps (B, C, h, w) of cells (B, K) of the first channels."""
    b, c, height, width = maps.shape
    first = torch.arange(b)[:, None, None] * c + torch.arange(channels)
    return (cells[..., None] + first.to(cells.device) * (height * width)).flatten()


def squares(pixels: Tensor, left: Tensor, top: Tensor, scale: Tensor) -> Tensor:
    """(B, K, 3, SIDE, SIDE) what squares (B, K) show of pictures (B, H, W, 3). Gathered number by number: engines copy
    single numbers faster than threes."""
    b, height, width, colours = pixels.shape
    rows, cols = lines_of(left, top, scale, height, width)
    rows = rows + torch.arange(b, device=rows.device)[:, None, None] * height
    cols = (cols * colours)[:, :, None] + torch.arange(colours, device=cols.device)[:, None]
    at = (rows * (width * colours))[:, :, None, :, None] + cols[:, :, :, None]
    return pixels.flatten().index_select(0, at.flatten()).reshape(at.shape)
