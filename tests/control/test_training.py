"""Cloning and PPO in small: they run, resume exactly, and learn something."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from roadcraft.control.curriculum import Curriculum, Lesson
from roadcraft.control.env import DriveEnv
from roadcraft.control.imitation import Dataset, clone, fit, to_policy
from roadcraft.control.layout import SIZE
from roadcraft.control.policy import Policy
from roadcraft.control.ppo import module_of
from roadcraft.control.train import PolicyTraining, read_checkpoint, train
from roadcraft.perception.percept import Percept
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Episode, Observation, Traffic
from roadcraft.sim.scenarios import scenarios_of

SMALL: dict[str, Any] = {
    "envs": 1,
    "rollout": 32,
    "batch": 32,
    "block": 1,
    "critic_steps": 32,
    "evaluate_every": 100,
    "evaluate_seeds": (1000, 1001),
    "env": {"episode": {"town": "grid", "traffic": Traffic(0, 0), "route_length": 100.0}, "max_time": 5.0},
}


def data(n: int = 600) -> Dataset:
    """Observations whose right action is a simple function of two of their numbers."""
    rng = np.random.default_rng(0)
    vectors = rng.uniform(-1, 1, (n, SIZE)).astype(np.float32)
    return Dataset(list(vectors), list(np.stack([0.5 * vectors[:, 3], -0.8 * vectors[:, 7]], -1)))


def test_fit_learns_a_simple_rule() -> None:
    few, _ = fit(data(), epochs=1, batch=64)
    many, _ = fit(data(), epochs=40, batch=64)
    vectors, actions = data().arrays()

    def error(policy: Any) -> float:
        return float(np.mean([np.abs(policy(v) - a).mean() for v, a in zip(vectors[:100], actions[:100], strict=True)]))

    assert error(many) < 0.5 * error(few)


def test_a_dataset_comes_back(tmp_path: Path) -> None:
    data(20).save(tmp_path / "d.npz")
    assert Dataset.load(tmp_path / "d.npz").rounds == 0
    for was, came in zip(data(20).arrays(), Dataset.load(tmp_path / "d.npz").arrays(), strict=True):
        assert np.array_equal(was, came)
    other = {"vectors": np.zeros((2, 3), np.float32), "actions": np.zeros((2, 2), np.float32), "rounds": 0}
    np.savez(tmp_path / "other.npz", **other)
    with pytest.raises(UserError, match=r"other\.npz"):
        Dataset.load(tmp_path / "other.npz")


def test_torch_and_numpy_agree_about_a_policy() -> None:
    import torch

    policy, _ = fit(data(), epochs=1, batch=64)
    module, vectors = module_of(policy), data().arrays()[0][:50]
    with torch.no_grad():
        wanted = module(torch.from_numpy(vectors)).numpy().clip(-1, 1)
    assert np.array([policy(v) for v in vectors]) == pytest.approx(wanted, abs=1e-5)
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(to_policy(module).layers, policy.layers, strict=True))


def test_two_blocks_are_one_block_and_another_after_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from roadcraft.control import train as training

    monkeypatch.setattr(training, "evaluate", lambda *_: {"driving_score": 1.0, "route_completion": 1.0})
    monkeypatch.setattr(training, "to_onnx", lambda *_: None)
    start, _ = fit(data(), epochs=1, batch=64)
    start.save(tmp_path / "start.safetensors")
    options = SMALL | {"init": tmp_path / "start.safetensors"}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(PolicyTraining(out=whole, steps=96, **options), say=lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        train(PolicyTraining(out=parts, steps=96, **options), say=interrupt_at("block 3"))
    assert read_checkpoint(parts)[0]["steps"] == 64
    train(PolicyTraining(out=parts, steps=96, **options), say=lambda _: None)
    (state_a, tensors_a), (state_b, tensors_b) = read_checkpoint(whole), read_checkpoint(parts)
    assert (state_a["steps"], state_b["steps"]) == (96, 96)
    assert tensors_a.keys() == tensors_b.keys()
    assert all(np.array_equal(tensors_a[k], tensors_b[k]) for k in tensors_a)
    found = EventAccumulator(str(whole / "tensorboard" / "evaluations"))
    found.Reload()
    assert [(e.step, e.value) for e in found.Scalars("evaluation/driving_score")] == [(0, 1.0), (96, 1.0)]
    assert found.Tags()["scalars"] == ["evaluation/driving_score", "evaluation/route_completion"]
    first = read_checkpoint_of_start(start)
    assert any(not np.array_equal(tensors_a[f"policy.{name}"], value) for name, value in first.items())
    shutil.rmtree(whole)


def interrupt_at(words: str) -> Callable[[str], None]:
    """Ctrl-C when a training says that."""

    def say(said: str) -> None:
        if said.startswith(words):
            raise KeyboardInterrupt

    return say


def read_checkpoint_of_start(policy: Any) -> dict[str, Any]:
    """The actor's parameters before any training, under the checkpoint's names."""
    names = ("mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net")
    pairs = zip(names, policy.layers, strict=True)
    return {
        f"{name}.{part}": value for name, layer in pairs for part, value in zip(("weight", "bias"), layer, strict=True)
    }


def test_a_clone_broken_off_and_resumed_equals_one_that_was_not(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    options: dict[str, Any] = {"steps": 75, "seeds": (0, 50), "seed": 3, "shares": (1.0, 0.5, 0.0), "env": SMALL["env"]}
    clone(whole, say=lambda _: None, **options)

    def breaks(words: str) -> None:
        if words.startswith("round 2/3"):
            raise KeyboardInterrupt

    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        clone(broken, say=breaks, **options)
    clone(broken, say=told.append, **options)
    assert [words.split(":")[0] for words in told] == ["round 3/3"]
    for a, b in zip(*(Dataset.load(path / "dataset.npz").arrays() for path in (whole, broken)), strict=True):
        assert np.array_equal(a, b)
    once, twice = (Policy.load(path / "clone.safetensors") for path in (whole, broken))
    assert once.card == twice.card
    assert clone(broken, say=told.append, **options).card["rounds"] == 3
    assert len(told) == 1


def test_the_actor_is_frozen_while_the_critic_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from roadcraft.control import train as training

    monkeypatch.setattr(training, "evaluate", lambda *_: {"driving_score": 1.0, "route_completion": 1.0})
    monkeypatch.setattr(training, "to_onnx", lambda *_: None)
    start, _ = fit(data(), epochs=1, batch=64)
    start.save(tmp_path / "start.safetensors")
    how = PolicyTraining(
        out=tmp_path / "out", steps=64, **(SMALL | {"critic_steps": 64, "init": tmp_path / "start.safetensors"})
    )
    train(how, say=lambda _: None)
    _, tensors = read_checkpoint(tmp_path / "out")
    for name, value in read_checkpoint_of_start(start).items():
        assert np.array_equal(tensors[f"policy.{name}"], value)


def test_traffic_and_scenarios_grow_to_all_that_an_episode_has() -> None:
    whole = Episode("grid", traffic=Traffic(30, 20, 0.5), scenarios=("cut_in", "obstacle", "left_turn"))
    driven = [Curriculum().lesson(done)(whole) for done in np.linspace(0.0, 1.0, 101)]
    first = driven[0]
    assert (first.traffic, first.scenarios) == (Traffic(6, 4, 0.5), ())
    assert driven[-1] == Lesson()(whole) == whole
    for before, after in pairwise(driven):
        assert before.traffic.vehicles <= after.traffic.vehicles
        assert before.traffic.walkers <= after.traffic.walkers
        assert after.scenarios[: len(before.scenarios)] == before.scenarios
    assert {len(episode.scenarios) for episode in driven} == {0, 1, 2, 3}


def test_each_block_has_the_lesson_of_its_share_also_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roadcraft.control import train as training

    monkeypatch.setattr(training, "evaluate", lambda *_: {"driving_score": 1.0, "route_completion": 1.0})
    monkeypatch.setattr(training, "to_onnx", lambda *_: None)
    given: list[Lesson] = []
    monkeypatch.setattr(DriveEnv, "learn", lambda _, lesson: given.append(lesson))
    fit(data(), epochs=1, batch=64)[0].save(tmp_path / "start.safetensors")
    how = PolicyTraining(out=tmp_path / "out", steps=64, **(SMALL | {"init": tmp_path / "start.safetensors"}))
    with pytest.raises(KeyboardInterrupt):
        train(how, say=interrupt_at("block 2"))
    train(how, say=lambda _: None)
    half = Curriculum().lesson(0.5)
    assert given == [Curriculum().lesson(0.0), half, half]
    assert training.lesson(replace(how, curriculum=None), 0) == Lesson()


def test_an_episode_is_driven_as_its_lesson_says() -> None:
    env = DriveEnv(episode=SMALL["env"]["episode"] | {"traffic": Traffic(10, 0)})
    env.learn(Lesson(0.5, 0.0))
    env.reset(options={"seed": 3})
    assert (env.episode.traffic.vehicles, env.episode.scenarios) == (5, ())
    env.learn(Lesson())
    env.reset(options={"seed": 3})
    assert (env.episode.traffic.vehicles, env.episode.scenarios) == (10, scenarios_of(3))
    env.close()


class Watching:
    """A tiny network that counts the frames it has seen."""

    def __init__(self, weights: Path) -> None:
        from roadcraft.perception.engines import load_engine

        self.engine, self.frames = load_engine("torch", "f32", weights, threads=1), 0

    def reset(self) -> None:
        self.engine.reset()

    def __call__(self, observation: Observation) -> Percept:
        self.frames += 1
        return self.engine(observation)


def test_the_network_is_in_the_loop_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each environment has an engine of its own, and the policy is judged by what another sees."""
    from roadcraft.control import train as training
    from roadcraft.perception.network import Architecture, Network
    from roadcraft.perception.weights_io import save_weights

    weights = tmp_path / "tiny.safetensors"
    save_weights(weights, Network(Architecture.named("tiny")).eval(), {"command": "a test"})
    made: list[Watching] = []

    def engine() -> Watching:
        made.append(Watching(weights))
        return made[-1]

    monkeypatch.setattr(training, "evaluate", partial(training.evaluate, max_time=0.2))
    monkeypatch.setattr(training, "to_onnx", lambda *_: None)
    start, _ = fit(data(), epochs=1, batch=64)
    start.save(tmp_path / "start.safetensors")
    options = SMALL | {"init": tmp_path / "start.safetensors", "engine": engine, "rollout": 8, "batch": 8}
    best = train(PolicyTraining(out=tmp_path / "out", steps=8, **options), say=lambda _: None)
    judging, driving = made
    assert driving.frames >= 1 + 2 * 8  # two ticks a decision
    assert judging.frames == 2 * 4  # before and after, ticks of 0.05 s
    assert json.loads(best.with_suffix(".json").read_text())["evaluation"]["percepts"] == "network"


@pytest.mark.parametrize(("clone_steps", "steps", "kind"), [(0, 32, "PPO"), (64, 0, "cloned from the expert")])
def test_ppo_from_nothing_and_cloning_alone(
    clone_steps: int, steps: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roadcraft.control import train as training

    scores = iter((1.0, 2.0))
    monkeypatch.setattr(training, "evaluate", lambda *_: {"driving_score": next(scores), "route_completion": 1.0})
    monkeypatch.setattr(training, "clone", partial(training.clone, shares=(1.0,)))
    how = PolicyTraining(out=tmp_path, clone_steps=clone_steps, steps=steps, **SMALL)
    card = json.loads(train(how, command="this", say=lambda _: None).with_suffix(".json").read_text())
    assert (card["kind"], card["command"], card.get("steps", 0)) == (kind, "this", steps)
    assert "minutes" in card
    assert (tmp_path / "dataset.npz").exists() == (clone_steps > 0)
    assert (tmp_path / "policy.onnx").exists()


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="steps = -1"):
        PolicyTraining(out=tmp_path, steps=-1)
    with pytest.raises(UserError, match="nothing to do"):
        PolicyTraining(out=tmp_path, steps=0, clone_steps=0)
    with pytest.raises(UserError, match="seeds 9-9"):
        PolicyTraining(out=tmp_path, seeds=(9, 9))
