"""DriveEnv, the drivers in the embedded world, and the rewards."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from control_scenes import facts, tick

import roadcraft.control  # noqa: F401  (registers the environment)
from roadcraft.control.drivers import TruthDriver, load_driver
from roadcraft.control.env import DriveEnv
from roadcraft.control.layout import SIZE, part
from roadcraft.control.policy import Policy, action_for
from roadcraft.control.rewards import ENDS, EVENT_COST, TERMS, reward_terms
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import DT, Traffic
from roadcraft.sim.referee import Referee, Verdict

STEADY = (0.0, 0.0)  # m/s^2, along and across
SHORT: dict[str, Any] = {"scenarios": (), "town": "grid", "traffic": Traffic(3, 3), "route_length": 200.0}


def advice(vector: np.ndarray) -> np.ndarray:
    """A policy that does what the features' own rule says."""
    return np.array([0.0, action_for(8.0 * float(vector[part("advice")][0]))], np.float32)


@pytest.fixture(scope="module")
def env() -> Iterator[DriveEnv]:
    made = DriveEnv(episode=SHORT, max_time=20.0)
    yield made
    made.close()


def test_an_action_is_cut_to_its_range(env: DriveEnv) -> None:
    env.reset(options={"seed": 3})
    env.step(np.array([-3.0, 1.5], np.float32))
    assert env.action.tolist() == [-1.0, 1.0]
    assert env.action.dtype == np.float32


def drive(driver: Any, seed: int, **overrides: Any) -> tuple[Verdict, list[float]]:
    """A whole episode; the verdict and the ego's speeds."""
    world, referee, speeds = EmbeddedWorld(), Referee(), []
    now = world.reset(episode_from_seed(seed, camera=None, **overrides))
    verdict = referee(now.facts)
    while not verdict.done and now.facts.time < 150.0:
        now = world.step(driver(now).control)
        verdict = referee(now.facts)
        speeds.append(float(now.facts.velocity_ego[0]))
    return verdict, speeds


def test_gymnasiums_checker_accepts_it(env: DriveEnv) -> None:
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the missing human renderer
        check_env(env, skip_render_check=True)


def test_stable_baselines_checker_accepts_it(env: DriveEnv) -> None:
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    sb3.check_env(env, warn=True)


def test_it_is_registered_by_importing_the_package() -> None:
    made = gym.make("roadcraft/Drive-v0", episode=SHORT)
    observation, _ = made.reset(seed=3)
    assert observation.shape == (SIZE,)
    made.close()


def test_twins_are_identical(env: DriveEnv) -> None:
    def episode() -> list[np.ndarray]:
        rng = np.random.default_rng(1)
        seen = [env.reset(options={"seed": 5})[0]]
        for _ in range(30):
            seen.append(env.step(rng.uniform(-1, 1, 2).astype(np.float32))[0])
        return seen

    assert np.array_equal(episode(), episode())


def test_the_reward_is_the_sum_of_its_named_terms(env: DriveEnv) -> None:
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.array([0.0, 1.0], np.float32))
    assert set(info["terms"]) == set(TERMS)
    assert reward == pytest.approx(sum(info["terms"].values()))


def test_an_empty_seed_range_is_refused() -> None:
    with pytest.raises(UserError, match="seed range 5-5"):
        DriveEnv(seeds=(5, 5))


@pytest.mark.parametrize("kind", EVENT_COST)
def test_every_infraction_has_its_price(kind: str) -> None:
    terms = reward_terms(facts(), facts(progress=51.0), STEADY, [kind])
    assert terms[kind] == -EVENT_COST[kind]
    assert kind in ENDS or EVENT_COST[kind] <= 12.0


def test_progress_in_the_lane_is_worth_more() -> None:
    centre = reward_terms(facts(), facts(progress=52.0), STEADY, ())
    beside = reward_terms(facts(), facts(progress=52.0, lateral_error=1.4), STEADY, ())
    assert sum(centre.values()) > sum(beside.values()) > sum(reward_terms(facts(), facts(), STEADY, ()).values())


@pytest.mark.parametrize(
    ("accel", "worse"), [((-6.0, 0.0), True), ((2.0, 0.0), False), ((0.0, 2.5), False), ((0.0, -3.5), True)]
)
def test_harsh_driving_costs(accel: tuple[float, float], worse: bool) -> None:
    there = facts(progress=52.0)
    assert (reward_terms(facts(), there, accel, ())["comfort"] < 0.0) == worse


def test_a_reward_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(ValueError, match="progress"):
        reward_terms(facts(), facts(progress=float("inf")), STEADY, ())


def test_the_expert_drives_a_route_without_a_fault() -> None:
    verdict, speeds = drive(load_driver("expert"), 10, **(SHORT | {"traffic": Traffic(0, 0)}))
    assert (verdict.status, verdict.score_21) == ("Completed", 100.0)
    assert max(speeds) > 8.0


def test_the_stack_drives_the_same_route_by_percepts() -> None:
    verdict, _ = drive(TruthDriver(advice, None), 10, **(SHORT | {"traffic": Traffic(0, 0)}))
    assert verdict.status == "Completed"
    assert verdict.score_21 > 90.0


def test_without_percepts_the_car_stops() -> None:
    driver = TruthDriver(advice, None)
    world, speeds = EmbeddedWorld(), []
    now = world.reset(episode_from_seed(10, camera=None, **SHORT))
    for frame in range(240):
        percept = driver.perception(now) if frame < 120 else None
        control = driver.stack.decide(now.observation, percept).control
        now = world.step(control)
        speeds.append(float(now.facts.velocity_ego[0]))
        assert len(now.facts.contacts) == 0
    assert max(speeds) > 3.0
    assert abs(speeds[-1]) < 0.05
    assert now.facts.time == pytest.approx(240 * DT)


def test_a_driver_forgets_when_the_frames_begin_anew() -> None:
    driver = TruthDriver(advice, "default", seed=4)
    first = [driver(tick(frame)).control for frame in range(20)]
    assert [driver(tick(frame)).control for frame in range(20)] == first


def test_unknown_drivers_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'nobody'"):
        load_driver("nobody")
    with pytest.raises(UserError, match="needs a perception engine"):
        load_driver("network")
    with pytest.raises(UserError, match="no Python file"):
        load_driver(f"{tmp_path}/none.py:Mine")
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    def __call__(self, tick):\n        return tick\n")
    assert type(load_driver(f"{file}:Mine")).__name__ == "Mine"
    with pytest.raises(UserError, match="no class Other"):
        load_driver(f"{file}:Other")


def small_policy(seed: int = 0) -> Policy:
    rng = np.random.default_rng(seed)
    sizes = (SIZE, 8, 2)
    return Policy([(rng.normal(0, 0.1, (b, a)), rng.normal(0, 0.1, b)) for a, b in pairwise(sizes)], {})


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    policy, vector = small_policy(), np.linspace(-1, 1, SIZE, dtype=np.float32)
    policy.save(tmp_path / "p.safetensors")
    assert np.array_equal(Policy.load(tmp_path / "p.safetensors")(vector), policy(vector))


def test_the_shipped_policy_loads_without_unpickling(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("safetensors")
    import pickle

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    action = Policy.load()(np.zeros(SIZE, np.float32))
    assert np.isfinite(action).all()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "p.safetensors"
    with pytest.raises(UserError, match="missing"):
        Policy.load(path)
    small_policy().save(path)
    card = path.with_suffix(".json")
    good = card.read_text()
    card.write_text(good.replace('"layout": "', '"layout": "x'))
    with pytest.raises(UserError, match="another observation layout"):
        Policy.load(path)
    card.write_text(good)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match="hash"):
        Policy.load(path)
    with pytest.raises(UserError, match="maps 7 numbers"):
        Policy([(np.zeros((2, 7), np.float32), np.zeros(2, np.float32))], {})
