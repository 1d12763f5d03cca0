"""The second stage: squares are where they say, what is said lands in the heads, and training sharpens boxes."""

from __future__ import annotations

import copy
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import perception_fakes as fake
import pytest
import torch

from roadcraft.perception import roi_train
from roadcraft.perception.augment import Sample
from roadcraft.perception.data import Recipe, Shards, collect
from roadcraft.perception.detection import detections
from roadcraft.perception.engines import load_engine
from roadcraft.perception.heads import FIELDS, GROUPS
from roadcraft.perception.labels import FrameLabels, frame_labels
from roadcraft.perception.network import Architecture, Network, publish
from roadcraft.perception.projection import camera_frame
from roadcraft.perception.roi import (
    SCALES,
    SIDE,
    RoiHead,
    first_boxes,
    heard,
    middles,
    outside,
    pixels_of,
    said_again,
    squares,
    squares_of,
    within,
)
from roadcraft.perception.roi_data import WIDE, Peaks, identity, meant, peaks_of, record
from roadcraft.perception.roi_train import (
    RoiTraining,
    batch_of,
    judged,
    load_peaks,
    losses,
    train_second_stage,
    with_second_stage,
)
from roadcraft.perception.view import REFERENCE_FOCAL, Fitter
from roadcraft.perception.weights_io import load_network, save_weights
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Camera, Episode

BOXES = torch.tensor(
    [[100.0, 80, 103, 95], [10, 20, 40, 60], [0, 0, 90, 70], [300, 100, 640, 360], [638, 350, 646, 366]]
)


def test_a_square_spans_its_box_and_no_more_than_it_must() -> None:
    left, top, scale = squares_of(BOXES)
    assert set(scale.tolist()) <= set(SCALES)
    for box, x, y, s in zip(BOXES.tolist(), left.tolist(), top.tolist(), scale.tolist(), strict=True):
        span = SIDE * s
        longer = max(box[2] - box[0], box[3] - box[1])
        larger = longer * 1.3 + 6 > SIDE * SCALES[-1]  # than any square
        assert larger or (x < box[0] and y < box[1] and x + span > box[2] and y + span > box[3])
        assert s == 1 or longer * 1.3 + 6 > span / 2


def test_squares_show_the_picture_at_their_scale_and_its_edge_beyond() -> None:
    picture = torch.arange(360 * 640 * 3, dtype=torch.float32).reshape(1, 360, 640, 3)
    left, top, scale = (x[None] for x in squares_of(BOXES))
    seen = squares(picture, left, top, scale)
    assert seen.shape == (1, len(BOXES), 3, SIDE, SIDE)
    for k in range(len(BOXES)):
        x, y, s = int(left[0, k]), int(top[0, k]), int(scale[0, k])
        rows = np.clip(y + s * np.arange(SIDE), 0, 359)
        cols = np.clip(x + s * np.arange(SIDE), 0, 639)
        expected = picture[0].numpy()[rows[:, None], cols[None]].transpose(2, 0, 1)
        np.testing.assert_array_equal(seen[0, k].numpy(), expected)
    left, top, scale = left[0], top[0], scale[0]
    wide = pixels_of(left - 3 * scale, top - 3 * scale, scale, 360, 640, WIDE).reshape(-1, WIDE, WIDE)
    inner = wide[:, 3:-3, 3:-3].flatten(1)  # with room around, the same middle
    np.testing.assert_array_equal(inner, pixels_of(left, top, scale, 360, 640))


def test_within_and_outside_are_each_others_inverse() -> None:
    where = squares_of(BOXES)
    inside = within(BOXES, *where)
    torch.testing.assert_close(outside(inside, *where), BOXES)
    middle = torch.stack([where[0], where[1], where[0], where[1]], 1) + SIDE / 2 * where[2][:, None]
    torch.testing.assert_close(within(middle.float(), *where), torch.zeros(len(BOXES), 4))


def test_what_is_said_again_stands_at_its_cells_and_all_else_stays() -> None:
    rng = np.random.default_rng(0)
    peaks = torch.from_numpy(rng.uniform(0, 0.1, (1, GROUPS, 45, 80)).astype(np.float32))
    objects = torch.from_numpy(rng.normal(0, 0.1, (1, sum(FIELDS.values()), 45, 80)).astype(np.float32))
    cells = torch.tensor([[12 * 80 + 30, 20 * 80 + 70]])
    box = torch.tensor([[[29.0, 10.0, 31.5, 14.0], [69.5, 19.0, 73.0, 22.0]]])  # [cells] of the picture
    box = box - torch.tensor([[[30.5, 12.5, 30.5, 12.5], [70.5, 20.5, 70.5, 20.5]]])
    classes = torch.log(torch.tensor([[[0.7, 0.1, 0.1, 0.1], [0.02, 0.03, 0.9, 0.05]]]))
    further = torch.tensor([[[0.2, -0.5], [-0.1, 0.3]]])
    heads = {"roi_cells": cells, "roi_box": box, "roi_classes": classes, "roi_depth": further}
    heads["roi_heard"] = torch.tensor([[True, True]])
    now, said = said_again(heads, peaks, objects)
    torch.testing.assert_close(now[0, :, 12, 30], torch.tensor([0.7, 0.1, 0.1]))
    torch.testing.assert_close(now[0, :, 20, 70], torch.tensor([0.02, 0.03, 0.9]))
    changed = (now != peaks).any(1) | (said != objects).any(1)
    assert changed[0].flatten().nonzero()[:, 0].tolist() == cells[0].tolist()
    torch.testing.assert_close(said[:, 6:], objects[:, 6:])
    more = (said - objects)[0, 4:6].flatten(1)[:, cells[0]]
    assert list(FIELDS)[2:4] == ["log_depth", "log_depth_sigma"]
    torch.testing.assert_close(more.T, further[0])
    heads = {"peaks": now[0].numpy(), "objects": said[0].numpy()}
    found = detections(heads, Camera(), Fitter(640, 360), 0.5)
    assert found["group"].tolist() == [2, 0]
    np.testing.assert_allclose(found["box"], [[556, 152, 584, 176], [232, 80, 252, 112]], atol=1e-3)


def test_the_first_stage_is_believed_where_no_square_is_large_enough_and_where_it_believes_nothing() -> None:
    boxes = torch.tensor([[0.0, 0, 40, 190], [0, 0, 250, 60], [0, 0, 20, 20], [0, 0, 500, 300]])
    assert heard(boxes, torch.tensor([0.9, 0.9, 0.01, 0.9])).tolist() == [True, False, False, False]
    peaks, objects = torch.full((1, GROUPS, 4, 5), 0.01), torch.zeros(1, sum(FIELDS.values()), 4, 5)
    peaks[0, 0, 1, 2], objects[0, 2:4, 1, 2] = 0.8, torch.log(torch.tensor([60.0, 40.0]))
    heads = {
        "roi_cells": torch.tensor([[7]]),
        "roi_box": torch.tensor([[[-10.0, -10, 10, 10]]]),
        "roi_classes": torch.zeros(1, 1, GROUPS + 1),
        "roi_depth": torch.ones(1, 1, 2),
        "roi_heard": torch.tensor([[False]]),
    }
    now, said = said_again(heads, peaks, objects)
    torch.testing.assert_close(now, peaks)
    torch.testing.assert_close(said, objects)


def test_in_bfloat16_a_box_moves_with_its_size_not_with_its_place() -> None:
    said = torch.tensor([[0.3, -0.2, -1.0, 0.6], [0.1, 0.4, 2.5, 1.5]]).bfloat16()
    exact = first_boxes(said)
    where = squares_of(exact.bfloat16())
    inside = within(exact.bfloat16(), *where)
    assert inside.dtype == torch.bfloat16
    off = (outside(inside.float(), *where) - exact).abs().amax(1)
    assert (off < torch.tensor([0.13, 1.0])).all()  # [pixels] of boxes 8 and 97 pixels long
    middle = middles(torch.tensor([44 * 80 + 79]), 80)
    assert middle.tolist() == [[636, 356]]


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    first = Network(Architecture.named("tiny")).eval()
    assert first.heat.bias is not None
    torch.nn.init.constant_(first.heat.bias, -1.0)  # untrained, but it believes in something
    return with_second_stage(first, 6, 0)


def test_a_new_second_stage_leaves_the_network_as_it_was_and_boxes_about_where_they_were(network: Network) -> None:
    first = Network(Architecture.named("tiny")).eval()
    first.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("roi.")})
    frame = torch.randint(0, 256, (2, 360, 640, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        heads, _ = network.step(network.initial(2), frame, torch.zeros(2, 7))
        plain, _ = first.step(first.initial(2), frame, torch.zeros(2, 7))
    for name, value in plain.items():
        torch.testing.assert_close(heads[name], value)
    assert heads["roi_cells"].shape == (2, 6)
    before, after = publish(plain), publish(heads)
    torch.testing.assert_close(before["masks"], after["masks"])
    at = heads["roi_cells"][0]
    old, new = (p["objects"][0, :4].flatten(1)[:, at].T for p in (before, after))
    span = torch.exp(old[:, 2:]).amax(1) * 8 * 1.3 + 6
    apart = (old[:, :2] - new[:, :2]).abs().amax(1) * 8  # [pixels]
    assert (apart <= 0.15 * span).all()


def busy(seed: int) -> torch.Tensor:
    """A frame (1, H, W, 3) of noise, whose every pixel is another."""
    return torch.randint(0, 256, (1, 360, 640, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_each_frame_of_a_batch_is_looked_at_for_itself(network: Network) -> None:
    frames, still = torch.cat([busy(5), busy(6)]), torch.zeros(2, 7)
    with torch.no_grad():
        together, _ = network.step(network.initial(2), frames, still)
        alone = [network.step(network.initial(1), frames[k : k + 1], still[:1])[0] for k in range(2)]
    assert together["roi_cells"][0].tolist() != together["roi_cells"][1].tolist()
    published = publish(together)
    for k, heads in enumerate(alone):
        assert together["roi_cells"][k].tolist() == heads["roi_cells"][0].tolist()
        for name in ("roi_box", "roi_classes"):
            torch.testing.assert_close(together[name][k], heads[name][0], atol=1e-3, rtol=1e-3)
        for name in ("peaks", "objects"):
            torch.testing.assert_close(published[name][k], publish(heads)[name][0], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_engine_says_what_torch_says_with_a_second_stage(network: Network, engine: str, tmp_path: Path) -> None:
    save_weights(tmp_path / "mine.safetensors", network, {"command": "a test"})
    with torch.no_grad():
        heads, _ = network.step(network.initial(1), busy(3), torch.zeros(1, 7))
    said = {name: value[0].numpy() for name, value in publish(heads).items()}
    first = publish({name: value for name, value in heads.items() if name[:4] != "roi_"})
    again = (said["objects"] != first["objects"][0].numpy()).any(0) | (said["peaks"] != first["peaks"][0].numpy()).any(
        0
    )
    assert set(np.flatnonzero(again)) == set(heads["roi_cells"][0].tolist())
    found = load_engine(engine, "f32", tmp_path / "mine.safetensors")
    told = found._stepper.step(busy(3).numpy(), np.zeros((1, 7), np.float32))
    for name in ("peaks", "objects"):
        np.testing.assert_allclose(told[name], said[name], atol=2e-3, err_msg=name)


@pytest.mark.parametrize(("pixels", "scale"), [(8, 1), (36, 2), (120, 8)])
def test_peaks_are_recorded_as_they_are_looked_at(network: Network, pixels: int, scale: int) -> None:
    """The head is fed the same in training, with nothing spoiled, as when it runs."""
    world, frame, network = fake.DrawnWorld(), busy(4), copy.deepcopy(network)
    tick = world.reset(Episode("grid"))
    fed: list[torch.Tensor] = []
    assert network.roi is not None
    network.roi.register_forward_pre_hook(lambda _, given: fed.extend(given))
    with torch.no_grad():
        assert network.objects.bias is not None
        network.objects.bias[2:4] = math.log(pixels / 8)
        heads, _ = network.step(network.initial(1), frame, torch.zeros(1, 7))
    assert tick.labels is not None
    sample = Sample(frame[0].numpy(), tick.labels.semantic, frame_labels(tick, np.zeros(5, bool)))
    recorded = peaks_of(heads, frame[0].numpy(), sample)
    assert scale in recorded.squares[:6, 2]
    batch = batch_of(recorded, np.arange(6), None)
    torch.testing.assert_close(batch["pixels"], fed[0], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(batch["inside"], fed[1], atol=1e-4, rtol=0.0)
    torch.testing.assert_close(batch["known"], fed[2], atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(batch["place"], fed[3], atol=1e-4, rtol=0.0)
    said = heads["objects"].flatten(2)[0][:, heads["roi_cells"][0]]
    torch.testing.assert_close(batch["said"], said[4:6].T)


def test_a_second_stage_for_more_peaks_than_cells_is_refused() -> None:
    assert replace(Architecture.named("tiny"), height=12, width=17, roi=6).roi == 6
    for wrong in (-1, 7):
        with pytest.raises(UserError, match=f"roi {wrong} is not between 0 and 6"):
            replace(Architecture.named("tiny"), height=12, width=17, roi=wrong)


RECIPE = Recipe(frames=5, clips=1, warm_up=2, jitter=0.0, swerve=0.0)


@pytest.fixture(scope="module")
def recorded(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("roi")
    collect(fake.DrawnWorld(), [Episode("grid", 1)], fake.coasting, folder / "shards", RECIPE)
    shards = Shards(folder / "shards")
    shards.refresh()
    assert len(list(record(network, shards, folder / "peaks"))) == 1
    return folder / "peaks"


def test_recorded_peaks_show_the_pixels_around_them(recorded: Path) -> None:
    peaks = Peaks.load(next(recorded.glob("*.npz")))
    n = len(peaks.group)
    assert n == len(peaks.boxes) == len(peaks.pixels) == len(peaks.judged) > 0
    assert (np.isnan(peaks.truth).all(1) == (peaks.group == GROUPS)).all()
    batch = batch_of(peaks, np.arange(n), None)
    expected = (peaks.pixels[:, 3:-3, 3:-3].astype(np.float32) - 110) / 60
    np.testing.assert_allclose(batch["pixels"].permute(0, 2, 3, 1), expected, atol=1e-6)


def test_other_shards_have_another_folder_of_peaks(recorded: Path, tmp_path: Path) -> None:
    shards = recorded.parent / "shards"
    name = next(shards.glob("*.tar")).name

    def of(folder: Path, weights: str = "a") -> str:
        found = Shards(folder)
        found.refresh()
        return identity(weights, found)

    before = of(shards)
    assert before == of(shards)
    assert before != of(shards, "b")
    (tmp_path / name).write_bytes((shards / name).read_bytes())
    elsewhere = of(tmp_path)
    assert elsewhere != before
    about = (tmp_path / name).stat()
    os.utime(tmp_path / name, ns=(about.st_atime_ns, about.st_mtime_ns + 1_000_000_000))
    assert of(tmp_path) not in (before, elsewhere)
    (tmp_path / f"another-{name}").write_bytes((shards / name).read_bytes())
    assert of(tmp_path) not in (before, elsewhere)


def test_other_files_and_folders_without_peaks_are_refused(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"a\.npz is no record of peaks"):
        Peaks.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").unlink()
    with pytest.raises(UserError, match="no recorded peaks"):
        load_peaks(tmp_path)
    none = bricks(3, 0)
    none.group[:] = GROUPS
    none.save(tmp_path / "a.npz")
    with pytest.raises(UserError, match="found no object"):
        load_peaks(tmp_path)
    for name in ("main", "judged"):
        none = bricks(3, 0)
        getattr(none, name)[:] = False
        none.save(tmp_path / "a.npz")
        with pytest.raises(UserError, match="could be judged by"):
            load_peaks(tmp_path)


def test_a_box_is_meant_for_the_object_it_overlaps_most_and_judged_where_that_can_be_told() -> None:
    tick = fake.DrawnWorld()
    tick.reset(Episode("grid"))
    now = tick.step(fake.Control())
    labels = frame_labels(now, np.zeros(5, bool))
    car = labels.objects[labels.objects["pixels"] > 0][0]
    assert now.labels is not None
    semantic = now.labels.semantic.copy()
    semantic[:60, :60] = 0  # nobody labelled this corner
    boxes = np.stack([car["box"] + (1, 1, 1, 1), [0, 0, 40, 40], [500, 100, 540, 140]]).astype(np.float32)
    boxes = np.concatenate([boxes, boxes[:1] + 1])
    truth, depth, group, main, judged = meant(boxes, np.zeros(4, int), labels, semantic)
    np.testing.assert_array_equal(truth[[0, 3]], [car["box"], car["box"]])
    far = camera_frame(labels.camera, car["xyz_ego"].astype(float))[0] * REFERENCE_FOCAL / labels.camera.focal
    np.testing.assert_allclose(depth, np.log([far, np.nan, np.nan, far]), rtol=1e-6)
    assert group.tolist() == [0, GROUPS, GROUPS, 0]
    assert main.tolist() == [True, False, False, False]
    assert judged.tolist() == [True, False, True, True]
    hidden = FrameLabels(labels.frame, labels.objects.copy())
    hidden.objects["fraction"] = 0.01
    assert meant(boxes[:1], np.zeros(1, int), hidden, semantic)[4].tolist() == [False]
    near = FrameLabels(labels.frame, labels.objects.copy())
    near.objects["xyz_ego"][:, 0] = 0.0  # beside the camera: how deep it is cannot be seen
    assert np.isnan(meant(boxes[:1], np.zeros(1, int), near, semantic)[1]).all()


SIZE = np.array([360, 640], np.int32)


def bricks(n: int, seed: int) -> Peaks:
    """Bright bricks on a dark ground, whose first boxes are off by up to a third of their size, and as deep as they are
    low, of which the first stage knows nothing."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(20, 60, (n, WIDE, WIDE, 3)).astype(np.uint8)
    boxes, truth = np.zeros((n, 4), np.float32), np.zeros((n, 4), np.float32)
    for k in range(n):
        wide, high = rng.integers(4, 15, 2)
        left, top = rng.integers(12, 24 - wide // 2), rng.integers(12, 24 - high // 2)
        pixels[k, top : top + high, left : left + wide] = rng.integers(140, 255, 3)
        truth[k] = left - 3, top - 3, left - 3 + wide, top - 3 + high
        off = rng.uniform(-0.35, 0.35, 4) * (wide, high, wide, high)
        boxes[k] = truth[k] + off
    squares = np.tile(np.array([0, 0, 1], np.int32), (n, 1))
    known, said = np.zeros((n, 16 + GROUPS), np.float16), np.tile(np.array([3.0, -1.0], np.float32), (n, 1))
    depth, all_of_them = 5.0 - np.log(truth[:, 3] - truth[:, 1]), np.ones(n, bool)
    group = np.zeros(n, np.int8)
    return Peaks(pixels, known, boxes, squares, said, truth, depth, group, all_of_them, all_of_them.copy(), SIZE)


def test_training_sharpens_boxes_of_what_was_not_trained_on_and_is_the_same_each_time(
    network: Network, tmp_path: Path
) -> None:
    for name, seed in (("train", 1), ("validate", 2)):
        (tmp_path / name).mkdir()
        bricks(400, seed).save(tmp_path / name / "a.npz")
    card = {"command": "", "figures": {"vehicle_ap50": 0.5}}
    how = RoiTraining(tmp_path / "train", tmp_path / "validate", tmp_path, steps=160, batch=48)
    said: list[str] = []
    best = train_second_stage(how, copy.deepcopy(network), card, said.append)
    rows, held = np.arange(400), bricks(400, 3)
    trained, written = load_network(best)
    assert isinstance(trained.roi, RoiHead)
    with torch.no_grad():
        batch = batch_of(held, rows, None)
        found = losses(trained.roi, batch)
        depth = batch["said"] + trained.roi(batch["pixels"], batch["inside"], batch["known"], batch["place"])[2]
    assert float(found["after"]) / 400 > 0.95 > float(found["before"]) / 400 + 0.1
    off, before = ((d[:, 0] - batch["depth"]).abs().median() for d in (depth, batch["said"]))
    assert off < before / 2
    assert written["second_stage"]["step"] == 160
    assert "figures" not in written  # they are another network's
    assert "before" not in written["second_stage"]
    further = train_second_stage(replace(how, steps=2, go_on=True), trained, written, said.append)
    assert load_network(further)[1]["second_stage"]["before"] == written["second_stage"]
    for name, value in network.state_dict().items():
        if not name.startswith("roi."):
            torch.testing.assert_close(trained.state_dict()[name], value)
    few = [
        train_second_stage(replace(how, steps=4), copy.deepcopy(network), card, said.append).read_bytes()
        for _ in range(2)
    ]
    assert few[0] == few[1]


def test_what_the_first_stage_knows_moves_edges_when_that_is_trained(network: Network) -> None:
    head, batch = copy.deepcopy(network.roi), batch_of(bricks(3, 1), np.arange(3), None)
    assert isinstance(head, RoiHead)
    other = batch["known"] + 1.0

    def boxes(known: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            box: torch.Tensor = head(batch["pixels"], batch["inside"], known, batch["place"])[0]
        return box

    torch.testing.assert_close(boxes(batch["known"]), boxes(other))
    with torch.no_grad():
        torch.nn.init.normal_(head.hint.weight, 0.0, 2.0, generator=torch.Generator().manual_seed(0))
    assert (boxes(batch["known"]) - boxes(other)).abs().amax(0).min() > 1e-5


def test_depths_that_nobody_knows_are_not_learned_from(network: Network) -> None:
    assert isinstance(network.roi, RoiHead)
    peaks = bricks(6, 5)
    peaks.depth[:2] = np.nan
    peaks.main[2] = False
    found = losses(network.roi, batch_of(peaks, np.arange(6), None))
    assert found["placed"] == 3
    expected = np.abs(3.0 - peaks.depth[3:]).sum() * math.e - 3.0  # of a scale whose log is -1, with nothing added yet
    assert float(found["depths"].detach()) == pytest.approx(expected, rel=1e-4)


def test_a_second_stage_can_be_gone_on_with(network: Network) -> None:
    more = with_second_stage(network, 9, 5, go_on=True)
    assert more.architecture.roi == 9
    for name, value in network.state_dict().items():
        torch.testing.assert_close(more.state_dict()[name], value)
    anew = with_second_stage(network, 9, 5)
    assert any((anew.state_dict()[k] != v).any() for k, v in network.state_dict().items() if k[:4] == "roi.")
    with pytest.raises(UserError, match="no second stage to go on with"):
        with_second_stage(Network(Architecture.named("tiny")), 9, 5, go_on=True)


def test_each_object_is_judged_and_counts_the_same_whatever_the_batch(network: Network) -> None:
    """Where there are few; that only one can be told is no reason to divide by zero."""
    assert isinstance(network.roi, RoiHead)
    peaks = bricks(7, 5)
    peaks.judged[:3] = False
    whole = judged(network.roi, peaks, 7)
    assert whole["objects"] == 4
    assert judged(network.roi, peaks, 3) == pytest.approx(whole, abs=1e-4)
    peaks.main[:] = peaks.judged[:] = np.arange(7) == 1
    assert judged(network.roi, peaks, 2)["objects"] == 1
    peaks.main[:] = False
    assert judged(network.roi, peaks, 2)["after"] == 0


def test_the_best_by_validation_is_kept(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bricks(60, 1).save(tmp_path / "a.npz")
    how = RoiTraining(tmp_path, tmp_path, tmp_path, recorded="a.tar", steps=4, batch=8)
    seen: list[dict[str, Any]] = []

    def scripted(*told: float) -> None:
        lost = iter(told)
        seen.clear()

        def judge(head: RoiHead, peaks: Peaks, batch: int) -> dict[str, float]:
            seen.append({name: value.clone() for name, value in head.state_dict().items()})
            return {"loss": next(lost)}

        monkeypatch.setattr(roi_train, "judged", judge)

    monkeypatch.setattr(roi_train, "EVERY", 1)
    scripted(0.7, 0.4, 0.6, 0.5)
    trained, written = load_network(train_second_stage(how, copy.deepcopy(network), {}))
    about = written["second_stage"]
    assert (about["step"], about["validation"], about["recorded"]) == (2, {"loss": 0.4}, "a.tar")
    assert (about["peaks"], about["validation_peaks"]) == (60, 60)
    for name, value in trained.state_dict().items():
        if name[:4] == "roi." and not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(value, seen[1][name[4:]])
    scripted(0.7, float("nan"))
    with pytest.raises(UserError, match=r"not finite after step 1; .*best\.safetensors is the best so far"):
        train_second_stage(how, copy.deepcopy(network), {})
    scripted(float("nan"))
    with pytest.raises(UserError, match=r"not finite after step 0$"):
        train_second_stage(how, copy.deepcopy(network), {})


class Steady:
    """In place of a random generator: squares stay, the first of two is mirrored."""

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Any:
        return np.zeros(shape, int)

    def random(self, n: int) -> Any:
        return np.array([0.0, 0.9])


def test_a_mirrored_square_is_mirrored_in_all_that_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roi_train, "spoiled", lambda pixels, rng: pixels)
    peaks = bricks(2, 1)
    peaks.pixels[:] = np.arange(WIDE)[:, None] + 100 * (np.arange(WIDE) >= 20)[:, None, None]
    peaks.features[:] = 1.0
    peaks.boxes[:], peaks.truth[:] = (4, 6, 10, 20), (3, 5, 12, 21)
    steady: Any = Steady()
    batch = batch_of(peaks, np.arange(2), steady)
    told = {name: batch[name].tolist() for name in ("inside", "truth", "edge")}
    assert told["inside"] == [[0.375, -0.625, 0.75, 0.25], [-0.75, -0.625, -0.375, 0.25]]
    assert told["truth"] == [[0.25, -0.6875, 0.8125, 0.3125], [-0.8125, -0.6875, -0.25, 0.3125]]
    assert told["edge"] == [[-39.0, -1.0, 1.0, 21.5], [-1.0, -1.0, 39.0, 21.5]]
    assert batch["place"][:, 2].tolist() == pytest.approx([626 / 640, -626 / 640])
    torch.testing.assert_close(batch["place"][0, [0, 1, 3, 4]], batch["place"][1, [0, 1, 3, 4]])
    seen = batch["pixels"] * 60 + 110
    assert seen[1, 0, [0, 16, 17], 0].round().tolist() == [3, 3, 103]
    assert seen[1, 0, 0, [0, 16, 31]].round().tolist() == [3, 19, 34]
    assert seen[0, 0, [0, 16, 17], 31].round().tolist() == [3, 3, 103]
    assert seen[0, 0, 0, [31, 15, 0]].round().tolist() == [3, 19, 34]
    assert batch["known"].amax(1).tolist() == [0.0, 1.0]


def test_a_loss_that_is_not_finite_stops_the_training(network: Network, tmp_path: Path) -> None:
    bad = bricks(60, 1)
    bad.features[:] = np.nan
    bad.save(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"not finite in step 0 \(seed 0\)$"):
        train_second_stage(RoiTraining(tmp_path, tmp_path, tmp_path, steps=2, batch=30), copy.deepcopy(network), {})
