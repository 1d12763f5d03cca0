"""Pictures and videos of all shapes: read in order, fitted undistorted, or refused in one line that names them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadcraft.launch import build
from roadcraft.launch.__main__ import main
from roadcraft.launch.options.evaluation import Perceive
from roadcraft.launch.perceive import SIZE, fitted, open_frames, read_picture
from roadcraft.perception.percept import EVENTS
from roadcraft.sim.errors import UserError


def picture(path: Path, shade: int, width: int = 64, height: int = 36) -> None:
    """A picture of one grey."""
    assert cv2.imwrite(str(path), np.full((height, width, 3), shade, np.uint8))


def clip(path: Path, frames: int = 7, width: int = 320, height: int = 180) -> Path:
    """A video whose frames grow lighter."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (width, height))
    for k in range(frames):
        writer.write(np.full((height, width, 3), 6 * k, np.uint8))
    writer.release()
    return path


def test_pictures_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 100, 1):
        picture(tmp_path / f"frame{number}.{'jpg' if number % 2 else 'png'}", number)
    (tmp_path / "._frame2.png").write_bytes(b"what an archiver left")
    (tmp_path / "notes.txt").write_text("no picture")
    frames, count, rate = open_frames(Perceive(str(tmp_path), rate=5.0))
    assert [int(frame.mean().round()) for frame in frames] == [1, 9, 10, 100]
    assert (count, rate) == (4, 5.0)


def test_every_third_frame_of_a_video(tmp_path: Path) -> None:
    frames, count, rate = open_frames(Perceive(str(clip(tmp_path / "a.mp4")), every=3))
    shades = [frame.mean() for frame in frames]
    np.testing.assert_allclose(shades, [0, 18, 36], atol=4)
    assert (count, rate) == (3, 25.0)


def test_grey_transparent_and_deep_pictures_are_read_as_rgb(tmp_path: Path) -> None:
    made = {
        "grey.png": np.full((20, 30), 90, np.uint8),
        "alpha.png": np.full((20, 30, 4), 90, np.uint8),
        "deep.png": np.full((20, 30, 3), 90 * 257, np.uint16),
    }
    for name, data in made.items():
        assert cv2.imwrite(str(tmp_path / name), data)
        rgb = read_picture(tmp_path / name)
        assert (rgb.shape, rgb.dtype) == ((20, 30, 3), np.uint8)
        np.testing.assert_allclose(rgb, 90, atol=1)


@pytest.mark.parametrize(
    ("width", "height"), [(640, 360), (960, 540), (333, 777), (1, 1), (1, 1000), (3000, 7), (641, 361), (1000, 563)]
)
def test_a_picture_of_any_shape_fits_and_its_middle_stays(width: int, height: int) -> None:
    rgb = np.full((height, width, 3), 50, np.uint8)
    rgb[: (height + 1) // 2, :, 0] = 200  # red above the optical axis
    rgb[:, : (width + 1) // 2, 2] = 200  # blue to its left
    out = fitted(rgb)
    assert out.shape == (SIZE[1], SIZE[0], 3)
    if min(width, height) >= 7:
        grid = out[SIZE[1] // 2 + np.array([-20, 20])][:, SIZE[0] // 2 + np.array([-20, 20])]
        if height * SIZE[0] > width * 60:  # else there is less picture than 20 rows around the middle
            assert (grid[:, 0, 2] > 150).all()
            assert (grid[:, 1, 2] < 100).all()
            assert (grid[0, :, 0] > 150).all()
            assert (grid[1, :, 0] < 100).all()


def test_a_square_stays_a_square() -> None:
    rgb = np.zeros((900, 700, 3), np.uint8)
    rgb[400:500, 300:400] = 255
    ys, xs = np.nonzero(fitted(rgb)[..., 0] > 127)
    assert abs(np.ptp(ys) - np.ptp(xs)) <= 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.mp4", None, "there is no such file or folder"),
        ("empty.mp4", b"", "not a video that can be read"),
        ("text.mp4", b"no video at all\n" * 100, "not a video that can be read"),
        ("empty", "folder", "no pictures in it"),
        ("broken/a.png", b"\x89PNG but no more", "a.png: not a picture that can be read"),
        ("hollow/a.jpg", b"", "a.jpg: not a picture that can be read"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(
    runs: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes | str | None, words: str
) -> None:
    path = runs.parent / name
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    asked = path.parent if "/" in name else path
    assert main(["perceive", str(asked)]) == 2
    out, err = capfd.readouterr()
    said = [line for line in err.splitlines() if line.startswith("roadcraft:")]
    assert len(said) == 1
    assert words in said[0]
    assert path.name in said[0]
    assert out == ""


def test_a_video_cut_short_is_refused_or_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mp4", frames=40).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # an MP4's table stands at its end
    with pytest.raises(UserError, match=r"cut\.mp4: not a video that can be read"):
        open_frames(Perceive(str(tmp_path / "cut.mp4")))
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (320, 180))
    for k in range(40):
        writer.write(np.full((180, 320, 3), 5 * k, np.uint8))
    writer.release()
    whole = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    frames, _, _ = open_frames(Perceive(str(tmp_path / "cut.avi")))
    assert 5 < len(list(frames)) < 40


def test_a_bad_picture_ends_the_run_and_what_was_seen_is_kept(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = runs.parent / "pictures"
    folder.mkdir()
    for number, (width, height) in enumerate([(400, 300), (37, 91), (1920, 500)]):
        picture(folder / f"{number}.png", 100, width, height)
    (folder / "3.png").write_bytes(b"torn")
    build.tell_choice.cache_clear()  # what other tests were told
    assert main(["perceive", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert "3.png: not a picture that can be read" in err.splitlines()[-1]
    found = json.loads(out.splitlines()[-1])
    assert found["frames"] == 3
    lines = (Path(found["run"]) / "percepts.jsonl").read_text().splitlines()
    assert len(lines) == 3
    told = json.loads(lines[0])
    assert set(told["lane_marks"]) == set(told["lanes_ego"])
    assert set(told["lane_marks"].values()) <= {"none", "solid", "broken"}
    assert set(told["events"]) == set(EVENTS)
    assert all(0 <= probability <= 1 for probability in told["events"].values())
    assert told["stop_distance"] is None or told["stop_distance"] >= 0  # null: none
    choice = next(line for line in err.splitlines() if line.startswith("perception: "))
    assert choice == f"perception: {found['engine']} {found['precision']}, {found['why']}"
    assert "fastest" in found["why"]
    shown = cv2.VideoCapture(str(Path(found["run"]) / "overlay.mp4"))
    assert sum(1 for _ in iter(lambda: shown.grab(), False)) == 3
    assert found["not_found"]
