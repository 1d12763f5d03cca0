"""Recording, reading back, and training: two steps and a resume equal four; a resume is exact."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import perception_fakes as fake
import pytest
import torch
from safetensors.torch import load_file

from roadcraft.perception.augment import Augmentation
from roadcraft.perception.data import Recipe, Shards, _npy, collect, liking
from roadcraft.perception.distill import distances
from roadcraft.perception.labels import frame_labels
from roadcraft.perception.losses import collate
from roadcraft.perception.network import Architecture, Network
from roadcraft.perception.objective import tensors
from roadcraft.perception.shipped import file_hash, read_card
from roadcraft.perception.targets import POSITIVE
from roadcraft.perception.train import NotFinite, Run, Training, train
from roadcraft.perception.weights_io import load_network, save_weights
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Episode, LightState

RECIPE = Recipe(frames=5, clips=1, warm_up=2, jitter=0.0, swerve=0.0)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    episodes = [Episode("grid", seed) for seed in (1, 2)]
    assert collect(fake.DrawnWorld(), episodes, fake.coasting, folder, RECIPE) == 10
    return folder


def tiny(shards: Path, out: Path, **changes: object) -> Training:
    values = {"size": "tiny", "steps": 4, "batch": 1, "length": 2, "save_every": 2, "validate_every": 4, "warm_up": 1}
    return Training(data=shards, out=out, **(values | changes))  # type: ignore[arg-type]


def test_shards_give_back_what_was_recorded(shards: Path) -> None:
    read = Shards(shards)
    assert read.refresh() == 10
    assert [len(clip) for clip in read.clips] == [5, 5]
    sample = read.read(read.clips[0][3])
    tick = fake.DrawnWorld()
    tick.reset(Episode("grid"))
    for _ in range(2 + 3 * 2):
        now = tick.step(fake.Control())
    assert abs(sample.rgb.astype(int) - now.observation.rgb).mean() < 3.0  # a JPEG
    np.testing.assert_array_equal(sample.semantic, now.labels.semantic)
    car = sample.labels.objects[0]
    assert car["pixels"] == now.facts.actors["visible_px"][0] > 0
    np.testing.assert_allclose(car["xyz_ego"][:2], now.facts.actors["xyz"][0, :2])
    later = sample.labels.objects["path_ego"][0]
    assert np.isnan(later).all()  # the clip ends before
    first = read.read(read.clips[0][0]).labels.objects["path_ego"]
    assert np.isnan(first[:, 0]).all()  # 0.5 s are no multiple of 0.1 s that a clip of 0.5 s has


def test_a_shard_cut_short_is_named_and_skipped(shards: Path, tmp_path: Path) -> None:
    for path in shards.glob("*.tar"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = sorted(tmp_path.glob("*.tar"))[0]
    broken.write_bytes(broken.read_bytes()[:-40000])
    read = Shards(tmp_path)
    assert read.refresh() == 5
    assert read.skipped == [broken.name]


def damaged(shards: Path, folder: Path, ending: str, damage: Callable[[bytes], bytes]) -> str:
    """A copy of a shard in `folder` whose third frame's file is damaged; returns the shard's name."""
    source = sorted(shards.glob("*.tar"))[0]
    with tarfile.open(source) as old, tarfile.open(folder / source.name, "w") as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            data = file.read()
            if member.name.endswith(f"-0002.{ending}"):
                data = damage(data)
                member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return source.name


def record_with(name: str, value: Any) -> Callable[[bytes], bytes]:
    """Sets a field of a frame's labels, or of its first object's."""

    def damage(data: bytes) -> bytes:
        labels = np.load(io.BytesIO(data))
        row = labels[()] if labels.ndim == 0 else labels[0]
        row[name] = value
        out = io.BytesIO()
        np.save(out, row if labels.ndim == 0 else labels)
        return out.getvalue()

    return damage


def tagged(data: bytes) -> bytes:
    """A semantic image with a tag that CARLA does not have."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    image[5, 7] = 250
    return bytes(cv2.imencode(".png", image)[1])


def nothing(data: bytes) -> bytes:
    return b"nothing"


DAMAGES = {
    "kind": ("objects.npy", record_with("kind", 200), "kind is 200"),
    "place": ("objects.npy", record_with("xyz_ego", np.nan), "xyz_ego is not finite"),
    "box": ("objects.npy", record_with("box", (0, 0, 9999, 9)), "box"),
    "path": ("objects.npy", record_with("path_ego", np.inf), "path_ego is infinite"),
    "light": ("frame.npy", record_with("light", 77), "light is 77"),
    "unknown distance": ("frame.npy", record_with("light_distance", np.nan), "light_distance is nan"),
    "marks": ("frame.npy", record_with("lane_marks", 99), "lane_marks is 99"),
    "lanes": ("frame.npy", record_with("lanes_ego", np.inf), "lanes_ego is infinite"),
    "speed": ("frame.npy", record_with("speed", np.nan), "speed is not finite"),
    "sign": ("frame.npy", record_with("stop_visible", True), "stop_box is not finite"),
    "size": ("frame.npy", record_with("size", (64, 36)), "64x36|in the picture"),
    "tag": ("semantic.png", tagged, "semantic tag 250"),
    "picture": ("jpg", nothing, "pictures cannot be read"),
    "labels": ("frame.npy", nothing, "labels cannot be read"),
    "version": ("frame.npy", lambda _: _npy(np.zeros(3)), "not of this version"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_wrong_label_or_picture_is_named_with_its_frame(name: str, shards: Path, tmp_path: Path) -> None:
    ending, damage, said = DAMAGES[name]
    shard = damaged(shards, tmp_path, ending, damage)
    read = Shards(tmp_path)
    assert read.refresh() == 5
    clip = read.clips[0]
    read.read(clip[1])
    with pytest.raises(UserError, match=said) as raised:
        read.read(clip[2])
    assert shard in str(raised.value)
    assert clip[2].key in str(raised.value)


def test_four_steps_equal_two_and_a_resume(shards: Path, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(tiny(shards, whole, validation=shards), progress=False)
    run = Run(tiny(shards, halves))
    for clips, _ in zip(run.batches(), range(2), strict=False):
        run.train_step(clips)
    run.save()
    run.log.close()
    train(tiny(shards, halves), progress=False)
    a, b = load_file(whole / "state.safetensors"), load_file(halves / "state.safetensors")
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def weights(path: Path, seed: int = 0, **changes: Any) -> Path:
    """A network that could be a tiny one's teacher, and be pruned to it."""
    torch.manual_seed(seed)
    large = replace(Architecture.named("tiny"), **({"widths": (8, 12, 16, 24), "depths": (1, 2, 1, 1)} | changes))
    save_weights(path, Network(large), {})
    return path


def test_a_pruned_and_taught_network_resumes_exactly_and_its_card_says_so(shards: Path, tmp_path: Path) -> None:
    large = weights(tmp_path / "large.safetensors")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    how = tiny(shards, whole, init=large, prune=True, teacher=large, save_every=1)
    train(how, progress=False)
    run = Run(replace(how, out=halves))
    for clips, _ in zip(run.batches(), range(2), strict=False):
        losses = run.train_step(clips)
    assert losses["heat/taught"] > 0
    run.save()
    run.log.close()
    other = weights(tmp_path / "other.safetensors", seed=1)
    for teacher in (other, None):
        with pytest.raises(UserError, match="another teacher"):
            train(replace(how, out=halves, teacher=teacher), progress=False)
    train(replace(how, out=halves), progress=False)
    a, b = load_file(whole / "state.safetensors"), load_file(halves / "state.safetensors")
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    card = read_card(whole / "best.safetensors")
    assert card["init_hash"] == card["teacher_hash"] == file_hash(large)
    assert "4 of 12 channels of stride 8" in card["pruned"]
    assert any(line.startswith("block encoder.stages.1.") for line in card["pruned"])


def test_a_teacher_pulls_and_does_not_learn(shards: Path, tmp_path: Path) -> None:
    teacher = weights(tmp_path / "teacher.safetensors", memory="attention")
    how = tiny(shards, tmp_path, augmentation=Augmentation.none(), bf16=False, steps=25, rate=1e-2)
    apart = []
    for taught in (None, teacher):
        run = Run(replace(how, teacher=taught))
        clips = next(run.batches())
        for _ in range(12):
            run.train_step(clips)
        run.log.close()
        with torch.no_grad():
            frames, motion, targets = tensors(clips)
            heads = [of(frames, motion)[0] for of in (run.network, load_network(teacher)[0])]
            apart.append(sum(map(float, distances(heads[0], heads[1], targets["valid"]).values())))
    assert apart[1] < 0.8 * apart[0]
    assert run.teacher is not None
    before = load_file(teacher)
    for name, value in run.teacher.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(value, before[name]), name


def test_a_teacher_that_sees_other_frames_is_refused(shards: Path, tmp_path: Path) -> None:
    teacher = weights(tmp_path / "teacher.safetensors", height=180, width=320)
    with pytest.raises(UserError, match="320x180, its student 640x360"):
        Run(tiny(shards, tmp_path, teacher=teacher))


def test_training_learns_the_one_picture_it_sees(shards: Path, tmp_path: Path) -> None:
    run = Run(tiny(shards, tmp_path, steps=25, rate=1e-2, augmentation=Augmentation.none(), bf16=False))
    clips = next(run.batches())
    first = run.train_step(clips)
    for _ in range(20):
        last = run.train_step(clips)
    run.log.close()
    for task in ("drivable", "heat", "lanes", "light", "shape"):
        assert last[task] < 0.8 * first[task], task


def test_a_frozen_encoder_stays_and_the_rest_learns(shards: Path, tmp_path: Path) -> None:
    run = Run(tiny(shards, tmp_path, frozen=True))
    before = {k: v.clone() for k, v in run.network.state_dict().items()}
    run.train_step(next(run.batches()))
    run.log.close()
    for name, value in run.network.state_dict().items():
        if name.startswith(("encoder.", "fuse3.")):
            assert torch.equal(value, before[name]), name
    assert not torch.equal(run.network.state_dict()["memory.enter.weight"], before["memory.enter.weight"])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_batch_may_have_nothing_or_a_single_object_to_find(shards: Path, tmp_path: Path, count: int) -> None:
    run = Run(tiny(shards, tmp_path))
    run.log.close()
    targets = next(run.batches())[0].targets[:1]
    positives = np.ones(count, POSITIVE)
    batch = collate([[replace(target, positives=positives) for target in targets]])
    assert len(batch["at_kind"]) == len(batch["frame"]) == count
    assert batch["at_box"].shape == (count, 4)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_nan_stops_names_its_clips_and_keeps_the_checkpoint(what: str, shards: Path, tmp_path: Path) -> None:
    run = Run(tiny(shards, tmp_path, batch=2))
    clips = next(run.batches())
    run.train_step(clips)
    run.save()
    before = load_file(tmp_path / "state.safetensors")
    if what == "loss":
        clips[0].motion[:] = np.nan
    else:
        next(p for p in run.network.parameters() if p.ndim > 1).register_hook(lambda gradient: gradient * np.nan)
    with pytest.raises(NotFinite, match=f"{what}.* step 1 ") as raised:
        run.train_step(clips)
    run.log.close()
    for clip in clips:
        shard, _, key = clip.name.partition(":")
        assert (shards / shard).is_file()
        assert key.count("-") == 2
        assert clip.name in str(raised.value)
    assert str(tmp_path / "state.safetensors") in str(raised.value)
    again = Run(tiny(shards, tmp_path, batch=2))
    again.resume()
    again.log.close()
    assert again.step == 1
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, before[f"network/{name}"]), name


def test_a_checkpoint_of_another_architecture_is_refused(shards: Path, tmp_path: Path) -> None:
    run = Run(tiny(shards, tmp_path))
    run.save()
    run.log.close()
    with pytest.raises(UserError, match="another architecture"):
        train(tiny(shards, tmp_path, memory="attention"), progress=False)


def test_no_shards_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="collect"):
        Run(replace(tiny(tmp_path, tmp_path / "out"), data=tmp_path))


def test_rare_sights_are_liked_better() -> None:
    def seen(**changes: Any) -> float:
        labels = frame_labels(fake.drawn_tick(0), np.zeros(5, bool))
        for name, value in changes.items():
            labels.frame[name] = value
        return liking(labels)

    yellow = seen(light=LightState.YELLOW, light_visible=True)
    assert yellow > seen(events=np.eye(5, dtype=bool)[0]) > seen()
    assert yellow > seen(light=LightState.YELLOW, light_visible=False)
