"""One network for the whole street: an encoder, a memory, and a head for each task.

A uint8 frame goes in at the camera's full resolution; normalisation is part of the graph. A stride-4 stem keeps small
things (a traffic light 40 m away is 3 pixels wide) without paying for full-resolution features.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadcraft.perception.blocks import ConvBlock
from roadcraft.perception.heads import FIELDS, GROUPS, LANE_COLUMNS, LANE_ROWS, MOTION, OUTPUTS, SCENE, SIGNS
from roadcraft.perception.roi import RoiHead, said_again
from roadcraft.perception.temporal import KEPT, AttentionMemory, GRUMemory, State
from roadcraft.perception.view import STRIDE
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import LANE_LINES, LANE_X


@dataclass(frozen=True)
class Architecture:
    """What must be known to build the network; stands in the card of its weights."""

    height: int = 360
    width: int = 640
    widths: tuple[int, ...] = (32, 64, 128, 192)  # channels at strides 4, 8, 16, 32
    depths: tuple[int, ...] = (1, 2, 3, 2)  # residual blocks there
    neck: int = 64  # channels of the decoder
    hidden: int = 48  # channels of the memory
    motion_map: int = 16  # channels kept from one frame to the next to see things move
    scene: int = 128  # size of the scene's memory
    describe: int = 0  # residual blocks of their own for where objects are and what they are like
    fine: int = 0  # residual blocks at stride 4 for objects alone: a person at 40 m is 5 pixels wide; 0: no such branch
    roi: int = 0  # peaks of a frame that the second stage looks at again (`roi.py`); 0: no second stage
    memory: str = "gru"  # "gru", "attention" or "none"

    def __post_init__(self) -> None:
        if self.memory not in ("gru", "attention", "none"):
            raise UserError(f"memory is {self.memory!r}: gru, attention and none exist")
        if len(self.widths) != 4 or len(self.depths) != 4:
            raise UserError(f"widths {self.widths} and depths {self.depths} must be four numbers each")
        cells = _cells(self.height) * _cells(self.width)
        if not 0 <= self.roi <= cells:
            raise UserError(f"roi {self.roi} is not between 0 and {cells}, the cells of a frame")

    @staticmethod
    def named(name: str) -> Architecture:
        """One of the sizes: small, slim (pruned from small: two thirds of its time), base, tiny (for tests)."""
        sizes = {
            "small": Architecture(describe=2, fine=1),
            "slim": Architecture(widths=(16, 48, 96, 128), depths=(1, 1, 2, 1), neck=48, describe=1, fine=1),
            "base": Architecture(
                widths=(40, 80, 160, 256), depths=(2, 3, 5, 3), neck=80, hidden=64, describe=3, fine=1
            ),
            "tiny": Architecture(
                widths=(8, 8, 16, 16),
                depths=(1, 1, 1, 1),
                neck=16,
                hidden=8,
                motion_map=4,
                scene=16,
                describe=1,
                fine=1,
            ),
        }
        if name not in sizes:
            raise UserError(f"no network size {name!r}: {', '.join(sizes)} exist")
        return sizes[name]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Architecture:
        """From JSON. Raises UserError for an unknown key."""
        try:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return Architecture(**fields)
        except TypeError as error:
            raise UserError(f"not an architecture: {error}") from None


def _cells(pixels: int) -> int:
    return -(-pixels // STRIDE)


def _half(n: int) -> int:
    return (n + 1) // 2


class Bottleneck(nn.Module):
    """Residual block with a dense 3x3 at half width: on a CPU faster than a grouped one of the same cost."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = ConvBlock(channels, channels // 2, 1)
        self.conv = ConvBlock(channels // 2, channels // 2)
        self.expand = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.expand(self.conv(self.reduce(x)))))


class Detail(nn.Module):
    """What a map of twice the size adds to a smaller one: nothing before it is trained, so that it can join weights."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Bottleneck(inputs) for _ in range(blocks)))
        self.down = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.down(self.blocks(x)))


class Encoder(nn.Module):
    """(B, 3, H, W) to maps at strides 4, 8, 16 and 32."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        stages = []
        inputs = 3
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            down = ConvBlock(inputs, width, 7, 4) if i == 0 else ConvBlock(inputs, width, 3, 2)
            stages.append(nn.Sequential(down, *(Bottleneck(width) for _ in range(depth))))
            inputs = width
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class LaneHead(nn.Module):
    """Lane lines as columns at fixed distances: each distance is about one image row, read across all columns."""

    def __init__(self, channels: int, context: int, squeeze: int = 12, width: int = 96) -> None:
        super().__init__()
        self.points = LANE_LINES * len(LANE_X)
        self.squeeze = ConvBlock(channels, squeeze, 1)
        self.mix = nn.Conv1d(squeeze * LANE_ROWS, width, 3, padding=1)
        self.context = nn.Linear(context, width)
        self.position = nn.Parameter(torch.zeros(1, width, LANE_COLUMNS))
        self.spread = nn.Conv1d(width, width, 5, padding=4, dilation=2)
        self.column = nn.Conv1d(width, self.points, 1)
        self.point = nn.Linear(width, 1)
        self.line = nn.Linear(width, 3)

    def forward(self, p2: Tensor, scene: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Column logits (B, 40, 80), visibility logits (B, 40), line logits (B, 4, 3): exists, solid, broken."""
        x = self.squeeze(p2[:, :, p2.shape[2] * 4 // 9 :])
        if x.shape[2:] != (LANE_ROWS, LANE_COLUMNS):
            x = F.interpolate(x, (LANE_ROWS, LANE_COLUMNS), mode="bilinear", align_corners=False)
        x = F.relu(self.mix(x.flatten(1, 2)) + self.context(scene)[:, :, None] + self.position)
        x = F.relu(x + self.spread(x))
        logits = self.column(x)
        weights = torch.softmax(logits.float(), 2).to(x.dtype)
        seen = torch.matmul(weights, x.transpose(1, 2))  # (B, 40, width): the features where the line is
        per_line = seen.reshape(-1, LANE_LINES, len(LANE_X), seen.shape[2]).mean(2)
        return logits, self.point(seen)[..., 0], self.line(per_line)


class SceneHead(nn.Module):
    """What concerns the whole frame: looks where it wants and where the signs are (attention), remembers (a GRU
    cell), and answers."""

    def __init__(self, channels: int, top: int, motion: int, size: int, looks: int = 6) -> None:
        super().__init__()
        self.size = size
        self.look = nn.Conv2d(channels, looks, 1)
        self.enter = nn.Linear((looks + SIGNS) * channels + top + motion + SIGNS, size)
        self.cell = nn.GRUCell(size, size)
        self.answer = nn.Sequential(
            nn.Linear(2 * size, size), nn.ReLU(inplace=True), nn.Linear(size, sum(SCENE.values()))
        )

    def gather(self, p2: Tensor, c4: Tensor, motion: Tensor, signs: Tensor) -> Tensor:
        """(B, size) from the maps of one frame; `signs` (B, SIGNS, h, w) are logits."""
        values = p2.flatten(2).transpose(1, 2)
        wishes = self.look(p2).flatten(2)
        signs = signs.flatten(2)
        looked = torch.matmul(torch.softmax(wishes.float(), 2).to(values.dtype), values).flatten(1)
        # Twice the logits: a sign found with probability 0.9 outweighs 3,600 cells of 0.002.
        found = torch.matmul(torch.softmax(2 * signs.float(), 2).to(values.dtype), values).flatten(1)
        surely = torch.sigmoid(signs.amax(2))
        return F.relu(self.enter(torch.cat([looked, c4.mean((2, 3)), motion, found, surely], 1)))


class Network(nn.Module):
    """Frames and the state to the raw heads and the next state. See `heads` for the shapes."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        quarter = _half(_half(a.height)), _half(_half(a.width))
        self.map4 = quarter
        self.map8 = _half(quarter[0]), _half(quarter[1])
        self.map16 = _half(self.map8[0]), _half(self.map8[1])
        w1, w2, w3, w4 = a.widths
        self.encoder = Encoder(a.widths, a.depths)
        self.lateral2, self.lateral3, self.lateral4 = (nn.Conv2d(w, a.neck, 1) for w in (w2, w3, w4))
        self.fuse3, self.fuse2 = ConvBlock(a.neck, a.neck), ConvBlock(a.neck, a.neck)
        embed = 16
        self.motion = nn.Sequential(nn.Linear(MOTION, embed), nn.ReLU(inplace=True))
        # Where a cell is, by row and by column: perspective is no secret.
        self.place_row = nn.Parameter(torch.zeros(1, a.neck, self.map8[0], 1))
        self.place_column = nn.Parameter(torch.zeros(1, a.neck, 1, self.map8[1]))
        memory = AttentionMemory if a.memory == "attention" else GRUMemory
        self.memory = memory(a.neck, a.hidden, embed, self.map16)
        self.moving_in = nn.Conv2d(a.neck, a.motion_map, 1)
        self.moving = ConvBlock(2 * a.motion_map, 32)
        self.mask = nn.Sequential(ConvBlock(a.neck, 32), nn.Conv2d(32, 8, 1))
        self.mask_fine = nn.Conv2d(w1, 2, 3, padding=1)
        self.fine = Detail(w1, a.neck, a.fine) if a.fine else None
        self.detect = ConvBlock(a.neck + 32, a.neck)
        self.heat = nn.Conv2d(a.neck, GROUPS, 1)
        self.describe = nn.Sequential(*(Bottleneck(a.neck) for _ in range(a.describe)))
        self.objects = nn.Conv2d(a.neck, sum(FIELDS.values()), 1)
        self.roi = RoiHead(a.neck) if a.roi else None
        self.signs = nn.Sequential(ConvBlock(a.neck, 32), nn.Conv2d(32, SIGNS, 1))
        self.scene = SceneHead(a.neck, w4, embed, a.scene)
        self.lane = LaneHead(a.neck, a.scene)
        for bias in (self.heat.bias, self.signs[1].bias):  # focal loss: begin with "nothing there" (Lin et al. 2017)
            nn.init.constant_(bias, -4.0)  # type: ignore[arg-type]

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state's tensors, in order."""
        return (*self.memory.names, "moving", "scene_memory")

    def initial(self, batch: int) -> State:
        """The state before the first frame."""
        zeros = self.place_row.new_zeros
        return (
            *self.memory.initial(batch),
            zeros((batch, self.architecture.motion_map, *self.map8)),
            zeros((batch, self.architecture.scene)),
        )

    def normalised(self, frames: Tensor) -> Tensor:
        """Pixels as they are computed with."""
        return (frames.to(self.place_row.dtype) - 110.0) * (1 / 60.0)

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Everything before the memory: frames (B, H, W, 3) uint8 to maps at strides 4, 8, 16 (fused), 32."""
        c1, c2, c3, c4 = self.encoder(self.normalised(frames).permute(0, 3, 1, 2))
        p3 = self.fuse3(_enlarge(self.lateral4(c4), c3) + self.lateral3(c3))
        return c1, self.lateral2(c2), p3, c4

    def recall(
        self, l2: Tensor, p3: Tensor, c4: Tensor, motion: Tensor, state: State
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, State]:
        """One step of the memories: the stride-8 map, the map of motion, the signs' heatmaps, the scene, and the next
        state."""
        keeps = len(self.memory.names)
        if self.architecture.memory == "none":
            state = tuple(torch.zeros_like(s) for s in state)
        p3, kept = self.memory.step(state[:keeps], p3, motion)
        p2 = self.fuse2(_enlarge(p3, l2) + l2 + (self.place_row + self.place_column).to(l2.dtype))
        now = self.moving_in(p2)
        moved = self.moving(torch.cat([now, state[keeps].to(now.dtype)], 1))
        signs = self.signs(p2)
        gathered = self.scene.gather(p2, c4, motion, signs)
        memory = self.scene.cell(gathered, state[keeps + 1].to(gathered.dtype))
        return p2, moved, signs, torch.cat([gathered, memory], 1), (*kept, now, KEPT * memory)

    def heads(self, c1: Tensor, p2: Tensor, moved: Tensor, signs: Tensor, scene: Tensor) -> dict[str, Tensor]:
        """Raw heads: masks (B, 2, H/4, W/4) logits of drivable and lane line; heat (B, 3, H/8, W/8) logits; objects
        (B, FIELDS, H/8, W/8); detected (B, neck, H/8, W/8), from which those two are read; signs (B, 4, H/8, W/8)
        logits; lane_column (B, 4, 10, 80) logits; lane_point (B, 4, 10) logits; lane_line (B, 4, 3) logits; scene
        (B, SCENE)."""
        mask = F.pixel_shuffle(self.mask(p2), 2)[:, :, : c1.shape[2], : c1.shape[3]] + self.mask_fine(c1)
        sharp = p2 if self.fine is None else p2 + self.fine(c1)
        detected = self.describe(self.detect(torch.cat([sharp, moved], 1)))
        column, point, line = self.lane(p2, scene[:, self.architecture.scene :])
        return {
            "masks": mask,
            "heat": self.heat(detected),
            "objects": self.objects(detected),
            "detected": detected,
            "signs": signs,
            "lane_column": column.reshape(-1, LANE_LINES, len(LANE_X), LANE_COLUMNS),
            "lane_point": point.reshape(-1, LANE_LINES, len(LANE_X)),
            "lane_line": line,
            "scene": self.scene.answer(scene),
        }

    def step(self, state: State, frames: Tensor, motion: Tensor) -> tuple[dict[str, Tensor], State]:
        """One frame (B, H, W, 3) uint8 with its motion vector (B, MOTION); where there is a second stage, with what it
        says as the heads `roi_cells`, `roi_box` and `roi_classes`, see `roi.RoiHead.step`."""
        c1, l2, p3, c4 = self.encode(frames)
        *found, state = self.recall(l2, p3, c4, self.motion(motion), state)
        heads = self.heads(c1, *found)
        if self.roi is not None:
            heads |= self.roi.step(self.architecture.roi, self.normalised(frames), heads, peaks(heads["heat"]))
        return heads, state

    def forward(self, frames: Tensor, motion: Tensor, state: State | None = None) -> tuple[dict[str, Tensor], State]:
        """A clip (B, T, H, W, 3) uint8 with (B, T, MOTION) to heads of shape (B, T, ...): T steps, computed at once
        where the memory allows it."""
        b, t = frames.shape[:2]
        c1, l2, p3, c4 = self.encode(frames.flatten(0, 1))
        embedded = self.motion(motion.flatten(0, 1))
        state = self.initial(b) if state is None else state
        rows = torch.arange(b, device=frames.device) * t
        steps = []
        for k in range(t):
            at = rows + k
            *found, state = self.recall(l2[at], p3[at], c4[at], embedded[at], state)
            steps.append(found)
        found = [torch.stack(x, 1).flatten(0, 1) for x in zip(*steps, strict=True)]
        return {k: v.reshape(b, t, *v.shape[1:]) for k, v in self.heads(c1, *found).items()}, state


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Twice the size, nearest neighbour, cut to the size of `like`."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")[:, :, : like.shape[2], : like.shape[3]]


def peaks(heat: Tensor) -> Tensor:
    """Probabilities where heatmaps' logits (B, GROUPS, h, w) are highest among their neighbours, zeros elsewhere."""
    p = torch.sigmoid(heat.float())
    return p * (p == F.max_pool2d(p, 3, 1, 1)).to(p.dtype)


def publish(heads: dict[str, Tensor]) -> dict[str, Tensor]:
    """Raw heads of one frame (B, ...) as engines give them, see OUTPUTS: probabilities instead of logits, peaks
    instead of heatmaps, lane columns as shares of the width with their spread."""
    heat, objects = peaks(heads["heat"]), heads["objects"].float()
    if "roi_cells" in heads:
        heat, objects = said_again(heads, heat, objects)
    column_p = torch.softmax(heads["lane_column"].float(), -1)
    at = (torch.arange(LANE_COLUMNS, device=heat.device, dtype=torch.float32) + 0.5) / LANE_COLUMNS
    column = (column_p * at).sum(-1)
    spread = (column_p * (at - column[..., None]).abs()).sum(-1)
    line = heads["lane_line"].float()
    exists, solid = torch.sigmoid(line[..., 0]), torch.sigmoid(line[..., 1] - line[..., 2])
    scene = dict(zip(SCENE, heads["scene"].float().split(list(SCENE.values()), -1), strict=True))
    said = [
        torch.softmax(scene["light"], -1),
        torch.expm1(scene["light_distance"]),
        torch.sigmoid(scene["stop"]),
        torch.expm1(scene["stop_distance"]),
        torch.sigmoid(scene["events"]),
        torch.sigmoid(scene["valid"]),
    ]
    values = (
        torch.sigmoid(heads["masks"].float()),
        heat,
        objects,
        torch.amax(torch.sigmoid(heads["signs"].float()), (2, 3)),
        column,
        spread,
        torch.sigmoid(heads["lane_point"].float()),
        torch.stack([exists, solid], -1),
        torch.cat(said, -1),
    )
    return dict(zip(OUTPUTS, values, strict=True))
