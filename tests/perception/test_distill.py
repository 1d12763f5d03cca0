"""Distillation: nothing to learn at the teacher itself, something beside it, and divergences that are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Laplace, kl_divergence

from roadcraft.perception.distill import binary, categorical, distances, laplacian
from roadcraft.perception.heads import FIELDS, GROUPS, LANE_COLUMNS, SCENE, SIGNS
from roadcraft.perception.losses import TASKS, Balance

SHAPES = {
    "masks": (2, 12, 16), "heat": (GROUPS, 6, 8), "objects": (sum(FIELDS.values()), 6, 8), "signs": (SIGNS, 6, 8),
    "lane_column": (4, 10, LANE_COLUMNS), "lane_point": (4, 10), "lane_line": (4, 3), "scene": (sum(SCENE.values()),),
}  # fmt: skip


def heads(seed: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {name: torch.randn(1, 2, *shape, generator=g) for name, shape in SHAPES.items()}


def test_at_the_teacher_there_is_no_distance_and_no_gradient() -> None:
    taught = heads(0)
    said = {name: value.clone().requires_grad_() for name, value in taught.items()}
    found = distances(said, taught, torch.ones(2))
    assert set(found) == set(TASKS)
    for task, distance in found.items():
        assert distance.item() == pytest.approx(0.0, abs=1e-6), task
    sum(found.values(), torch.zeros(())).backward()
    for name, value in said.items():
        assert value.grad is not None
        assert value.grad.abs().max() < 1e-6, name


def test_every_distance_beside_the_teacher_is_positive_and_falls() -> None:
    taught = heads(0)
    said = {name: (value + 0.3 * heads(1)[name]).requires_grad_() for name, value in taught.items()}
    first = distances(said, taught, torch.ones(2))
    optimizer = torch.optim.Adam(said.values(), lr=0.02)
    for _ in range(10):
        optimizer.zero_grad()
        sum(distances(said, taught, torch.ones(2)).values(), torch.zeros(())).backward()
        optimizer.step()
    for task, last in distances(said, taught, torch.ones(2)).items():
        assert 0 <= last < 0.7 * first[task], task


def test_of_a_frame_without_a_street_only_that_is_learned() -> None:
    found = distances(heads(1), heads(0), torch.zeros(2))
    assert {task for task, distance in found.items() if distance > 0} == {"valid"}


def test_divergences_are_those_of_the_distributions() -> None:
    g = torch.Generator().manual_seed(0)
    a, b, c, d = torch.randn(4, 50, 3, generator=g)
    known = kl_divergence(Bernoulli(logits=b), Bernoulli(logits=a))
    torch.testing.assert_close(binary(a, b), known, rtol=1e-4, atol=1e-5)
    known = kl_divergence(Categorical(logits=b), Categorical(logits=a))
    torch.testing.assert_close(categorical(a, b), known, rtol=1e-4, atol=1e-5)
    known = kl_divergence(Laplace(c, d.exp()), Laplace(a, b.exp()))
    torch.testing.assert_close(laplacian(a, b, c, d), known, rtol=1e-4, atol=1e-5)


def test_the_teacher_counts_as_much_as_the_labels() -> None:
    balance = Balance()
    torch.nn.init.normal_(balance.log_variance)
    losses = {task: torch.ones((), requires_grad=True) for task in TASKS}
    balance(losses).backward()
    for task, weight in balance.weights().items():
        torch.testing.assert_close(losses[task].grad, weight)
