"""From clips to the one number that training minimises, wherever it runs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from roadcraft.perception.data import Clip
from roadcraft.perception.devices import Seat
from roadcraft.perception.losses import Balance, Batch, collate, task_losses
from roadcraft.perception.network import Network


class Objective(nn.Module):
    """From clips to the one number to minimise: what DistributedDataParallel averages the gradients of."""

    def __init__(self, network: Network, balance: Balance, seat: Seat) -> None:
        super().__init__()
        self.network, self.balance, self.seat = network, balance, seat

    def forward(self, frames: Tensor, motion: Tensor, targets: Batch) -> tuple[Tensor, Batch]:
        """The number, and each task's loss without its gradient. See `tensors`."""
        losses = losses_of(self.network, self.seat, self.balance.tasks, frames, motion, targets)
        return self.balance(losses), {task: loss.detach() for task, loss in losses.items()}


def tensors(clips: list[Clip]) -> tuple[Tensor, Tensor, Batch]:
    """B clips as frames (B, T, H, W, 3), motion (B, T, MOTION) and targets, see `collate`."""
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    motion = torch.from_numpy(np.stack([clip.motion for clip in clips]))
    return frames, motion, collate([clip.targets for clip in clips])


def losses_of(
    network: Network, seat: Seat, tasks: tuple[str, ...], frames: Tensor, motion: Tensor, targets: Batch
) -> Batch:
    """The loss of each of `tasks`, computed where the seat is."""
    device = seat.device
    with torch.autocast(device.type, torch.bfloat16, enabled=seat.bf16):
        heads, _ = network(frames.to(device), motion.to(device))
    losses = task_losses(heads, {name: value.to(device) for name, value in targets.items()})
    return {task: losses[task] for task in tasks}
