"""Foresight: what is known of a track, the same model in numpy and torch, and that it learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from roadcraft.perception.detection import DETECTION
from roadcraft.perception.foresight import BEND, PLACE, SAID, SPEED, Foresight, load_foresight
from roadcraft.perception.foresight_data import TRUTH, Watched, window
from roadcraft.perception.foresight_train import (
    ForesightNet,
    ForesightTraining,
    evaluated,
    settle,
    tensors,
    train_foresight,
)
from roadcraft.perception.percept import PATH_TIMES
from roadcraft.perception.shipped import card_path, file_hash
from roadcraft.perception.tracker import Tracker
from roadcraft.perception.trackfeatures import (
    FEATURES,
    LONG_AGO,
    MIRRORED,
    SCENE_FEATURES,
    SCENE_MIRRORED,
    LightWatch,
)
from roadcraft.sim.errors import UserError

DT = 0.1
AHEAD = np.stack([np.arange(60.0), np.zeros(60)], -1)
NO_LIGHT, NO_EVENTS = np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(5)
Where = Callable[[float], tuple[float, float]]


def detections(*places: tuple[float, float], height: float = 1.5) -> NDArray[np.void]:
    d = np.zeros(len(places), DETECTION)
    d["score"], d["size"], d["velocity_sigma"] = 0.9, (4.5, 1.9), 4.0
    for row, (x, y) in zip(d, places, strict=True):
        focal = 457.0
        row["xy_ego"], row["range_sigma"] = (x, y), 0.05 * x
        left = 320.0 - focal * y / x
        row["box"] = left - 10.0, 200.0 - focal * height / x, left + 10.0, 200.0
    return d


def drive(
    foresight: Foresight, *objects: Where, frames: int = 30, speed: float = 0.0, yaw_rate: float = 0.0, mirror: int = 1
) -> tuple[Tracker, NDArray[np.void], NDArray[np.float64]]:
    """The last frame's tracker, objects and events of a drive in which objects are where they are told to be."""
    tracker = Tracker()
    for k in range(frames):
        t = k * DT
        found = detections(*((x, mirror * y) for x, y in (where(t) for where in objects)))
        seen = tracker(found, t, speed, mirror * yaw_rate, 0.6)
        events = foresight(tracker, seen, t, speed, mirror * yaw_rate, NO_LIGHT, np.inf, NO_EVENTS, AHEAD * (1, mirror))
    return tracker, seen, events


def weights(seed: int = 0) -> tuple[ForesightNet, dict[str, NDArray[np.float32]]]:
    torch.manual_seed(seed)
    net = ForesightNet()
    torch.nn.init.normal_(net.layers["say"].weight, std=0.1)
    return net, {name: value.numpy() for name, value in net.layers.state_dict().items()}


def test_slopes_tell_the_velocity_over_ground_and_the_closing_speed() -> None:
    foresight = Foresight(None)
    drive(foresight, lambda t: (40.0 + (5.0 - 8.0) * t, 2.0), speed=8.0)  # 5 m/s over ground, the ego 8
    features = foresight.features[0] * 5.0
    np.testing.assert_allclose(features[34:37], 5.0, atol=0.05)
    np.testing.assert_allclose(features[37:40], 0.0, atol=0.05)
    np.testing.assert_allclose(features[40:43], 5.0, atol=0.4)  # of the box alone
    np.testing.assert_allclose(foresight.features[0][43:46], (1.0, 1.0, 1.0), atol=0.25)


def test_a_thing_that_stands_has_no_slope_while_the_ego_turns() -> None:
    foresight, rate = Foresight(None), 0.3

    def where(t: float) -> tuple[float, float]:
        c, s = np.cos(rate * t), np.sin(rate * t)
        return c * 30.0 + s * 2.0, c * 2.0 - s * 30.0

    drive(foresight, where, yaw_rate=rate, frames=20)
    np.testing.assert_allclose(foresight.features[0][34:40], 0.0, atol=0.02)


def test_features_are_those_of_the_mirrored_scene() -> None:
    one, other = Foresight(None), Foresight(None)
    moving: Where = lambda t: (30.0 - 2.0 * t, 3.0 - 0.5 * t)  # noqa: E731
    drive(one, moving, speed=4.0, yaw_rate=0.1)
    drive(other, moving, speed=4.0, yaw_rate=0.1, mirror=-1)
    signs = np.ones(FEATURES)
    signs[list(MIRRORED)] = -1.0
    np.testing.assert_allclose(other.features * signs, one.features, atol=1e-5)
    scene = np.ones(SCENE_FEATURES)
    scene[list(SCENE_MIRRORED)] = -1.0
    np.testing.assert_allclose(other.scene * scene, one.scene, atol=1e-6)


def test_where_an_object_is_beside_the_corridor() -> None:
    foresight = Foresight(None)
    drive(foresight, lambda t: (20.0, 2.0), frames=3)
    np.testing.assert_allclose(foresight.features[0][21:23], (20.0 / 30.0, 0.5), atol=1e-3)


def test_without_weights_nothing_changes() -> None:
    tracker = Tracker()
    found = detections((20.0, 1.0))
    objects = tracker(found, 0.0, 0.0, 0.0, 0.6)
    before = objects.copy()
    said = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    events = Foresight(None)(tracker, objects, 0.0, 0.0, 0.0, NO_LIGHT, np.inf, said, AHEAD)
    np.testing.assert_array_equal(events, said)
    assert objects.tobytes() == before.tobytes()


def test_numpy_says_what_torch_says_while_objects_come_and_go() -> None:
    net, values = weights()
    foresight, tracker = Foresight(values), Tracker()
    counts, numbers, features, scenes, plain, sharpened, events = [], [], [], [], [], [], []
    for k in range(25):
        places = [(20.0 + 0.3 * k, 1.0)]
        places += [(30.0 - 0.5 * k, -3.0)] * (5 < k < 15) + [(12.0, 4.0)] * (k > 10)
        objects = tracker(detections(*places), k * DT, 5.0, 0.02, 0.6)
        plain.append(objects.copy())
        events.append(foresight(tracker, objects, k * DT, 5.0, 0.02, NO_LIGHT, np.inf, NO_EVENTS, AHEAD))
        counts.append(len(objects))
        numbers.append(objects["track"].astype(np.int64))
        features.append(foresight.features)
        scenes.append(foresight.scene)
        sharpened.append(objects.copy())
    rows = sum(counts)
    watched = Watched(
        np.array(counts),
        np.concatenate(numbers),
        np.concatenate(features),
        np.zeros((rows, TRUTH), np.float32),
        np.stack(scenes),
        np.zeros((25, 5), np.float32),
    )
    batch = tensors([window(watched, 0, 25, 8)])
    with torch.no_grad():
        said, logits = net(batch["features"], batch["there"], batch["scenes"])
    np.testing.assert_allclose(torch.sigmoid(logits[0]).numpy(), np.stack(events), atol=1e-5)
    last, before = sharpened[-1], plain[-1]
    place = {n: i for i, n in enumerate(dict.fromkeys(watched.tracks.tolist()))}
    for row, old in zip(last, before, strict=True):
        velocity, _, moved, bend, sigma = np.split(said[0, -1, place[int(row["track"])]].numpy(), np.cumsum(SAID)[:-1])
        np.testing.assert_allclose(row["velocity_ego"], old["velocity_ego"] + SPEED * velocity, atol=1e-4)
        sight = old["xy_ego"] / np.hypot(*old["xy_ego"])
        xy = old["xy_ego"] + PLACE * (moved[0] * sight + moved[1] * np.array([-sight[1], sight[0]]))
        np.testing.assert_allclose(row["xy_ego"], xy, atol=1e-4)
        straight = row["xy_ego"] + row["velocity_ego"] * PATH_TIMES[:, None]
        np.testing.assert_allclose(row["path_ego"], straight + BEND * bend.reshape(-1, 2), atol=1e-4)
        np.testing.assert_allclose(row["path_sigma"], np.exp(sigma), rtol=1e-4)


def test_reset_forgets() -> None:
    _, values = weights()
    foresight = Foresight(values)
    first = drive(foresight, lambda t: (20.0 - t, 0.0))[2]
    foresight.reset()
    np.testing.assert_array_equal(drive(foresight, lambda t: (20.0 - t, 0.0))[2], first)


def test_no_objects_at_all() -> None:
    _, values = weights()
    events = Foresight(values)(
        Tracker(), np.zeros(0, drive(Foresight(None), lambda t: (9.0, 0.0), frames=1)[1].dtype), 0.0, 0.0, 0.0,
        NO_LIGHT, np.inf, NO_EVENTS, AHEAD,
    )  # fmt: skip
    assert ((events > 0.0) & (events < 1.0)).all()


def made_up(seed: int, frames: int = 60) -> Watched:
    """Drives in which all is twice as fast and a fifth further off than the filter says; near it, something happens."""
    rng = np.random.default_rng(seed)
    features = (0.3 * rng.standard_normal((frames, FEATURES))).astype(np.float32)
    features[:, 6] = 0.0
    features[:, 0] = np.abs(features[:, 0])
    truth = np.full((frames, TRUTH), np.nan, np.float32)
    truth[:, :2] = 2.0 * 5.0 * features[:, 2:4]
    xy = 30.0 * features[:, :2]
    truth[:, 2:4] = 1.2 * xy
    truth[:, 4:] = (1.2 * xy[:, None] + truth[:, None, :2] * PATH_TIMES[:, None]).reshape(frames, -1)
    near = features[:, 0] < 0.2
    events = np.repeat(near[:, None], 5, 1).astype(np.float32)
    scenes = np.zeros((frames, SCENE_FEATURES), np.float32)
    return Watched(np.ones(frames, int), np.zeros(frames, np.int64), features, truth, scenes, events)


@pytest.fixture
def how(tmp_path: Path) -> ForesightTraining:
    for folder, seeds in (("train", range(6)), ("validate", range(10, 12))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            made_up(seed).save(tmp_path / folder / f"{seed:06d}.npz")
    return ForesightTraining(
        tmp_path / "train", tmp_path / "validate", tmp_path, steps=250, batch=4, length=20, places=2, rate=1e-2
    )


def test_it_learns_what_can_be_known(how: ForesightTraining) -> None:
    best = train_foresight(how, say=lambda words: None)
    net = ForesightNet()
    net.layers.load_state_dict({k: torch.from_numpy(v) for k, v in load_foresight(best).items()})
    found = evaluated(net, [made_up(20)])
    assert found["velocity_mae"] < 0.5 * found["velocity_mae_of_the_filter"]
    assert found["path_error_2s"] < 0.5 * found["path_error_2s_constant_velocity_of_the_filter"]
    assert found["place_error"] < 0.5 * found["place_error_of_the_filter"]
    assert found["event_f1"] > 0.8


def test_the_same_training_twice(how: ForesightTraining) -> None:
    short = replace(how, steps=5)
    one, other = (
        train_foresight(replace(short, out=how.out / name), say=lambda words: None) for name in ("one", "other")
    )
    assert file_hash(one) == file_hash(other)


def test_settled_events_are_said_where_f1_is_best() -> None:
    net, drives = ForesightNet(), [made_up(1)]
    with torch.no_grad():
        net.layers["events"].bias.fill_(-2.0)
    before = evaluated(net, drives)["event_f1"]
    settle(net, drives)
    assert evaluated(net, drives)["event_f1"] > max(before, 0.3)


@pytest.mark.parametrize("what", ["nothing", "cut short", "another version"])
def test_a_drive_that_is_none(tmp_path: Path, what: str) -> None:
    path = tmp_path / "000001.npz"
    if what == "another version":
        replace(made_up(0), scenes=np.zeros((60, SCENE_FEATURES + 1), np.float32)).save(path)
    else:
        made_up(0).save(path)
        path.write_bytes(b"" if what == "nothing" else path.read_bytes()[:500])
    with pytest.raises(UserError, match="000001"):
        Watched.load(path)


def test_weights_of_another_shape(tmp_path: Path, how: ForesightTraining) -> None:
    from safetensors.numpy import save_file

    best = train_foresight(replace(how, steps=2), say=lambda words: None)
    values = load_foresight(best)
    values["say.weight"] = values["say.weight"][:, 1:].copy()
    save_file(values, best)
    card = card_path(best)
    old = card.read_text().split('"hash": "')[1][:16]
    card.write_text(card.read_text().replace(old, file_hash(best)))
    with pytest.raises(UserError, match=r"say\.weight"):
        load_foresight(best)


def test_how_long_ago_a_light_changed() -> None:
    watch = LightWatch()
    red, yellow, green, none = np.eye(4)
    assert watch(none, 0.0) == (LONG_AGO, False)
    assert watch(green, 0.1) == (LONG_AGO, False)  # it may always have been
    assert watch(yellow, 0.2) == (0.0, True)
    assert watch(yellow, 1.2) == (pytest.approx(1.0), True)
    assert watch(none, 1.4) == (pytest.approx(1.2), False)
    assert watch(red, 1.6) == (0.0, False)  # missed for a moment only
    assert watch(red, 20.0) == (LONG_AGO, False)
    assert watch(green, 25.0) == (LONG_AGO, False)  # out of sight for too long: another light, perhaps
    watch.reset()
    assert watch(red, 25.1) == (LONG_AGO, False)
