"""TruthPerception: exact without a model, statistically its model with one, twins from one seed, fast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import perception_fakes as fake
import pytest

from roadcraft.perception.truth import ErrorModel, TruthPerception
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind, LightState

CAR = (7, Kind.CAR, 20.0, 1.0, 0.1, 5.0)
WALKER = (9, Kind.PEDESTRIAN, 12.0, -3.0, 1.5, 1.0)


def test_exact_perception_repeats_the_facts() -> None:
    tick = fake.tick(actors=fake.actors(CAR, WALKER), light=LightState.RED, light_distance=18.0, light_id="s1")
    percept = TruthPerception()(tick)
    assert percept.objects["kind"].tolist() == [Kind.CAR, Kind.PEDESTRIAN]
    np.testing.assert_allclose(percept.objects["xy_ego"], [[20.0, 1.0], [12.0, -3.0]], atol=1e-5)
    np.testing.assert_allclose(
        percept.objects["velocity_ego"][0], 5.0 * np.array([np.cos(0.1), np.sin(0.1)]), atol=1e-5
    )
    np.testing.assert_allclose(
        percept.objects["path_ego"][0, 1], [20 + 5 * np.cos(0.1), 1 + 5 * np.sin(0.1)], atol=1e-4
    )
    assert percept.light.argmax() == LightState.RED
    assert percept.light_distance == pytest.approx(18.0)
    np.testing.assert_allclose(percept.lanes_ego[1], 1.75)
    assert np.isnan(percept.lanes_ego[0, 0])  # 5.25 m aside at 5 m ahead is left of the image
    assert (percept.lane_prob > 0.5).all()


def test_what_is_behind_or_far_or_covered_is_not_seen() -> None:
    hidden = (3, Kind.PEDESTRIAN, 30.0, 1.5, 0.0, 0.0)  # behind the car's body
    rows = fake.actors(CAR, hidden, (4, Kind.CAR, -10.0, 0.0, 0.0, 0.0), (5, Kind.CAR, 130.0, 0.0, 0.0, 0.0))
    rows["extent"][1, 2] = 0.7  # a child
    percept = TruthPerception()(fake.tick(actors=rows))
    np.testing.assert_allclose(percept.objects["xy_ego"], [[20.0, 1.0]], atol=1e-5)


def test_rendered_pixels_outrank_the_geometry() -> None:
    rows = fake.actors(CAR, WALKER)
    rows["visible_px"] = 0, 300
    assert TruthPerception()(fake.tick(actors=rows)).objects["kind"].tolist() == [Kind.PEDESTRIAN]


def test_a_hidden_object_moves_on_for_a_second_and_then_is_gone() -> None:
    perceive = TruthPerception(replace(ErrorModel.exact(), hold=1.0))
    track = perceive(fake.tick(0, actors=fake.actors(CAR))).objects["track"][0]
    gone = fake.actors(CAR)
    gone["visible_px"] = 0
    later = perceive(fake.tick(18, actors=gone)).objects
    assert later["track"].tolist() == [track]
    np.testing.assert_allclose(later["xy_ego"][0], [20 + 0.9 * 5 * np.cos(0.1), 1 + 0.9 * 5 * np.sin(0.1)], atol=1e-4)
    assert not later["box"].any()
    assert len(perceive(fake.tick(22, actors=gone)).objects) == 0


def test_boxes_follow_the_pinhole() -> None:
    percept = TruthPerception()(fake.tick(actors=fake.actors((1, Kind.CAR, 21.2 + 2.2, 0.0, 0.0, 0.0))))
    left, top, right, bottom = percept.objects["box"][0]
    focal = 320 / np.tan(np.radians(35))
    assert left == pytest.approx(320 - focal * 0.9 / 20, abs=1e-3)
    assert right == pytest.approx(320 + focal * 0.9 / 20, abs=1e-3)
    assert top == pytest.approx(180 + focal * 0.0 / 20, abs=1e-3)  # as high as the camera
    assert bottom == pytest.approx(180 + focal * 1.5 / 20, abs=1e-3)


def test_the_model_s_rates_are_met() -> None:
    model = replace(
        ErrorModel.exact(),
        detect_vehicle=(0.8,) * 6,
        range_sigma=(0.1,) * 6,
        light_wrong=0.2,
        hold=0.0,
        correlation=0.01,
    )
    perceive = TruthPerception(model, seed=1)
    ticks = [
        fake.tick(k, actors=fake.actors(CAR), light=LightState.GREEN, light_distance=30.0, light_id="a")
        for k in range(3000)
    ]
    percepts = [perceive(t) for t in ticks]
    seen = [p.objects for p in percepts if len(p.objects)]
    assert len(seen) / len(percepts) == pytest.approx(0.8, abs=0.03)
    distances = np.array([np.hypot(*o["xy_ego"][0]) for o in seen])
    assert distances.std() / np.hypot(20, 1) == pytest.approx(0.1, abs=0.01)
    right = np.mean([p.light.argmax() == LightState.GREEN for p in percepts])
    assert right == pytest.approx(0.8, abs=0.03)


def test_errors_last_as_long_as_the_model_says() -> None:
    perceive = TruthPerception(replace(ErrorModel.exact(), range_sigma=(0.1,) * 6, correlation=1.0), seed=3)
    error = np.array([perceive(fake.tick(k, actors=fake.actors(CAR))).objects["xy_ego"][0, 0] for k in range(8000)])
    error -= error.mean()
    after_1s = (error[:-20] * error[20:]).mean() / error.var()
    assert after_1s == pytest.approx(np.exp(-1), abs=0.1)


def test_one_seed_gives_twins_and_another_does_not() -> None:
    ticks = [fake.tick(k, actors=fake.actors(CAR, WALKER)) for k in range(50)]
    a, b, c = (TruthPerception(ErrorModel(), seed) for seed in (5, 5, 6))
    runs = [np.concatenate([perceive(t).objects for t in ticks]) for perceive in (a, b, c)]
    assert runs[0].tobytes() == runs[1].tobytes()
    assert runs[0].tobytes() != runs[2].tobytes()


def test_delay_gives_the_older_percept() -> None:
    perceive = TruthPerception(replace(ErrorModel.exact(), delay=2))
    assert [perceive(fake.tick(k)).frame for k in range(5)] == [0, 0, 0, 1, 2]


def test_a_wrong_model_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_text('{"detect_vehicles": [1]}')
    with pytest.raises(UserError, match="detect_vehicles"):
        TruthPerception(file)
    file.write_text('{"lane_sigma": [0.1]}')
    with pytest.raises(UserError, match="lane_sigma"):
        TruthPerception(file)
    with pytest.raises(UserError, match=r"nothing\.json"):
        TruthPerception(tmp_path / "nothing.json")
