"""Averaged weights, which follow those being trained: better than any of them, and what is validated and shipped."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(averaged: nn.Module, trained: nn.Module, keep: float) -> None:
    """Moves averaged weights, and batch norms' statistics, a share 1 - keep towards the trained; counts are copied."""
    for mine, theirs in zip(averaged.state_dict().values(), trained.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1 - keep)
        else:
            mine.copy_(theirs)
