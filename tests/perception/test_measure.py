"""The measured error model is the one that made the errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roadcraft.perception.measure import error_model, write
from roadcraft.perception.metrics import Records
from roadcraft.perception.truth import ErrorModel, TruthPerception
from roadcraft.sim.messages import LANE_X


def records(frames: int = 4000) -> Records:
    rng, r = np.random.default_rng(0), Records()
    for _ in range(frames):
        d = float(rng.uniform(0, 40))
        r.sensed.append((0, d, rng.random() < 0.8))
        error = 0.05 * rng.standard_normal()
        speed, sigma = (0.0, 0.2) if rng.random() < 0.5 else (8.0, 0.5)
        off = float(np.hypot(*rng.normal(0, sigma, 2)))
        r.objects.append((0, d, error, 0.01 * rng.standard_normal(), off, 0.0, 0.0, speed))
        for x in LANE_X:
            r.line_errors.append((float(x), abs(0.01 * x * rng.standard_normal())))
        r.lines += [(1, 10.0, True, rng.random() < 0.9), (1, 10.0, False, rng.random() < 0.05)]
        r.lights.append((d, True, rng.random() < 0.95, rng.random() < 0.97, 0.1 * rng.standard_normal()))
        r.free.append(rng.random() < 0.02)
        r.events.append((np.zeros(5, bool), np.zeros(5, bool)))
    return r


def test_it_finds_the_numbers_that_made_the_errors(tmp_path: Path) -> None:
    m = error_model(records())
    np.testing.assert_allclose(m.detect_vehicle[:4], 0.8, atol=0.05)
    np.testing.assert_allclose(m.range_sigma[:4], 0.05, rtol=0.15)
    assert m.bearing_sigma == pytest.approx(0.01, rel=0.1)
    np.testing.assert_allclose(m.velocity_sigma[:4], 0.5, rtol=0.15)
    np.testing.assert_allclose(m.standing_sigma[:4], 0.2, rtol=0.15)
    np.testing.assert_allclose(m.lane_sigma, 0.01 * LANE_X, rtol=0.1)
    assert m.lane_recall == pytest.approx(0.9, abs=0.02)
    np.testing.assert_allclose(m.light_recall[:4], 0.95, atol=0.03)
    assert m.light_wrong == pytest.approx(0.03, abs=0.01)
    assert m.detect_pedestrian == ErrorModel().detect_pedestrian  # nothing was seen of them
    write(m, tmp_path / "model.json", seeds="none")
    assert ErrorModel.load(tmp_path / "model.json") == replace(m)
    TruthPerception(tmp_path / "model.json")
