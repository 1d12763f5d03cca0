"""The memory of the network: what it keeps from frame to frame, explicit and dead at reset.

A memory has `initial(batch)`, which gives the empty state, and `step(state, features, motion)`, which gives the
features enriched with what was seen before, and the next state. T steps and a T-step unroll are the same thing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
# Share of a recurrent state that the next frame gets. A memory trained on clips of some frames wanders off when it runs
# for minutes; one that forgets stays where training has been.
KEPT = 0.85


class ConvGRU(nn.Module):
    """A gated recurrent unit whose state is a map (B, C, h, w) (Ballas et al. 2016, arXiv:1511.06432)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        reset, update = torch.sigmoid(self.gates(torch.cat([x, h], 1))).chunk(2, 1)
        candidate = torch.tanh(self.candidate(torch.cat([x, reset * h], 1)))
        return (1 - update) * h + update * candidate


class GRUMemory(nn.Module):
    """A ConvGRU over the stride-16 map: where things were, and how they moved."""

    names = ("memory",)

    def __init__(self, channels: int, hidden: int, motion: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = (hidden, *shape)
        self.enter = nn.Conv2d(channels, hidden, 1)
        self.motion = nn.Linear(motion, hidden)
        self.cell = ConvGRU(hidden)
        self.leave = nn.Conv2d(hidden, channels, 1)

    def initial(self, batch: int) -> State:
        """The state before the first frame: tensors of shape (batch, ...)."""
        return (self.leave.weight.new_zeros((batch, *self.shape)),)

    def step(self, state: State, features: Tensor, motion: Tensor) -> tuple[Tensor, State]:
        """Features (B, C, h, w) and embedded ego motion (B, M) to enriched features, and the next state."""
        x = torch.relu(self.enter(features) + self.motion(motion)[:, :, None, None])
        h = self.cell(x, state[0].to(x.dtype))
        return features + self.leave(h), (KEPT * h,)


class AttentionMemory(nn.Module):
    """Causal attention, cell by cell, over the last `length` frames kept in the state (queries: the present frame)."""

    names = ("keys", "values", "age")

    def __init__(self, channels: int, hidden: int, motion: int, shape: tuple[int, int], length: int = 8) -> None:
        super().__init__()
        self.hidden, self.length, self.shape = hidden, length, shape
        self.enter = nn.Conv2d(channels, hidden, 1)
        self.motion = nn.Linear(motion, hidden)
        self.query = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.key = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.value = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(length))
        self.leave = nn.Conv2d(hidden, channels, 1)

    def initial(self, batch: int) -> State:
        """Empty keys and values (batch, length, hidden, h, w), and how much of them is filled (batch, length)."""
        room = self.leave.weight.new_zeros((batch, self.length, self.hidden, *self.shape))
        return room, room.clone(), self.leave.weight.new_zeros((batch, self.length))

    def step(self, state: State, features: Tensor, motion: Tensor) -> tuple[Tensor, State]:
        """As GRUMemory.step; the oldest frame falls out of the state."""
        x = torch.relu(self.enter(features) + self.motion(motion)[:, :, None, None])
        keys = torch.cat([state[0][:, 1:].to(x.dtype), self.key(x)[:, None]], 1)
        values = torch.cat([state[1][:, 1:].to(x.dtype), self.value(x)[:, None]], 1)
        filled = torch.cat([state[2][:, 1:].to(x.dtype), torch.ones_like(state[2][:, :1]).to(x.dtype)], 1)
        scores = (self.query(x)[:, None] * keys).sum(2) / self.hidden**0.5
        scores = scores + self.position[:, None, None] + (filled[:, :, None, None] - 1) * 1e4
        seen = (torch.softmax(scores, 1)[:, :, None] * values).sum(1)
        return features + self.leave(seen), (keys, values, filled)
