"""The loop and its subscribers, on fakes: order, files that open again, what is kept when it ends early."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeDriver, FakeWorld

from roadcraft.control.decision import Decision
from roadcraft.launch.faults import FaultyCamera
from roadcraft.launch.log import Figures, Log, Progress
from roadcraft.launch.loop import Moment, drive_episode
from roadcraft.launch.runs import plain
from roadcraft.sim.messages import Control, Episode, Tick
from roadcraft.sim.referee import Referee

EPISODE = Episode("grid-20", seed=2000)


class Notes:
    """A subscriber that keeps everything."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.begun = self.closed = 0

    def begin(self, episode: Episode, tick: Tick) -> None:
        self.begun += 1

    def __call__(self, moment: Moment) -> None:
        self.moments.append(moment)

    def close(self) -> None:
        self.closed += 1


def test_the_loop_ends_with_the_verdict_and_tells_everything_in_order() -> None:
    notes, driver = Notes(), FakeDriver()
    verdict = drive_episode(FakeWorld(30.0), driver, EPISODE, Referee(), [notes])
    assert verdict.status == "Completed"
    assert verdict.route_completion == 100
    frames = [moment.tick.observation.frame for moment in notes.moments]
    assert frames == list(range(len(frames))) == driver.seen
    assert notes.begun == 1
    assert notes.moments[-1].verdict is verdict
    assert all(
        m.decision.percept is not None and m.decision.percept.frame == f
        for m, f in zip(notes.moments, frames, strict=True)
    )


def test_max_ticks() -> None:
    notes = Notes()
    verdict = drive_episode(FakeWorld(), FakeDriver(), EPISODE, Referee(), [notes], max_ticks=5)
    assert len(notes.moments) == 5
    assert verdict.status == "Running"


def test_a_driver_may_answer_with_a_control_alone() -> None:
    notes = Notes()
    drive_episode(FakeWorld(), lambda tick: Control(throttle=1.0), EPISODE, Referee(), [notes], max_ticks=2)  # type: ignore[arg-type, return-value]
    assert notes.moments[0].decision.control == Control(throttle=1.0)


def test_the_log_has_a_line_a_tick_with_every_veto(tmp_path: Path) -> None:
    log, notes = Log(tmp_path / "log.jsonl"), Notes()
    drive_episode(FakeWorld(), FakeDriver(), EPISODE, Referee(), [log, notes])
    log.close()
    first, *lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert first == {"town": "grid-20", "seed": 2000, "route_length": 30.0}
    assert [line["veto"] for line in lines] == [m.decision.veto for m in notes.moments]
    assert lines[0]["seen"]["light"] == "green"


def test_figures_count_vetoes_as_shares_of_ticks() -> None:
    figures = Figures()
    drive_episode(FakeWorld(), FakeDriver(), EPISODE, Referee(), [figures], max_ticks=8)
    summary = figures.summary()
    assert summary["ticks"] == 8
    assert summary["vetoes"] == {"obstacle": 0.25}
    assert summary["perception"] == {"p50_ms": pytest.approx(6.0), "p99_ms": pytest.approx(6.0)}
    assert 0 < summary["loop"]["p50_ms"] <= summary["loop"]["p99_ms"]
    assert Figures().summary()["vetoes"] == {}


def test_progress_goes_to_stderr_alone(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("seed 2000")
    drive_episode(FakeWorld(), FakeDriver(), EPISODE, Referee(), [progress])
    progress.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert "seed 2000: 100%" in err


class Camera3:
    """A driver that keeps what its camera shows."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, tick: Tick) -> Decision:
        assert tick.observation.rgb is not None
        self.seen.append(int(tick.observation.rgb.flat[0]))
        return Decision(None, np.zeros((0, 2)), Control(), Control())


@pytest.mark.parametrize(
    ("fault", "shown"),
    [("black", [0] * 100), ("frozen", [0] * 100), ("late", [0] * 60 + list(range(40))), ("other_town", [255] * 100)],
)
def test_faulty_cameras(fault: str, shown: list[int]) -> None:
    tick = FakeWorld().reset(EPISODE)
    driver = Camera3()
    faulty = FaultyCamera(driver, fault, iter([np.full((2, 2, 3), 255, np.uint8)] * 100))
    for number in range(100):
        rgb = np.full((2, 2, 3), number, np.uint8)
        faulty(replace(tick, observation=replace(tick.observation, rgb=rgb)))
        rgb[:] = 99  # a world may draw the next frame into the same array
    assert driver.seen == shown


def test_plain_is_json_whatever_is_in_it() -> None:
    odd = {"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": (np.inf, np.int64(3)), 5: Path("x")}
    assert json.loads(json.dumps(plain(odd))) == {"a": 0.5, "b": [0, 1], "c": None, "d": [None, 3], "5": "x"}


def test_the_dashboard_shows_percept_plan_and_veto() -> None:
    """Each thing drawn changes the picture where it belongs."""
    from roadcraft.launch.dashboard import Dashboard

    notes = Notes()
    drive_episode(FakeWorld(60.0), FakeDriver(), EPISODE, Referee(), [notes], max_ticks=4)
    moment = notes.moments[2]
    full = Dashboard("x")(moment).copy()
    assert full.shape == (720, 1280, 3)

    def changed(decision: Decision) -> np.ndarray:
        other = Dashboard("x")(replace(moment, decision=decision))
        return np.argwhere((other != full).any(-1))

    assert len(changed(moment.decision)) == 0
    blind = changed(replace(moment.decision, percept=None))
    assert (blind[:, 1] < 960).any()
    assert (blind[:, 1] > 960).any()
    planless = changed(replace(moment.decision, plan_ego=np.zeros((0, 2))))
    assert len(planless) > 1000
    assert len(changed(replace(moment.decision, veto="red_light"))) > 1000
    braking = changed(replace(moment.decision, control=Control(brake=1.0)))
    assert braking[:, 0].min() > 540


def test_a_drive_without_camera_can_be_shown() -> None:
    from roadcraft.launch.dashboard import Dashboard

    notes = Notes()
    drive_episode(FakeWorld(), FakeDriver(), replace(EPISODE, camera=None), Referee(), [notes], max_ticks=1)
    assert Dashboard("x")(notes.moments[0]).any()


def test_video_and_recording_open_again(tmp_path: Path) -> None:
    """Closed in mid-drive, both files are whole: as many frames as ticks, and Rerun's own reader finds the drive."""
    import subprocess
    import sysconfig

    import av

    from roadcraft.launch.recording import Recording
    from roadcraft.launch.video import Video

    video, recording = Video(tmp_path / "drive.mp4", "x"), Recording(tmp_path / "drive.rrd")
    drive_episode(FakeWorld(), FakeDriver(), EPISODE, Referee(), [video, recording], max_ticks=11)
    for subscriber in (video, recording, video, recording):
        subscriber.close()
    with av.open(str(tmp_path / "drive.mp4")) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 20
        images = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
    assert len(images) == 11
    assert np.abs(images[-1].astype(int) - video.dashboard.image).mean() < 4
    rerun = Path(sysconfig.get_path("scripts")) / "rerun"
    told = subprocess.run(
        [rerun, "rrd", "print", tmp_path / "drive.rrd"], capture_output=True, text=True, check=True
    ).stdout
    for entity in ("/camera/image", "/masks/network", "/above/plan", "/plots/speed", "/log"):
        assert entity in told


def test_a_recording_stays_below_its_size_however_long_the_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roadcraft.launch import recording

    monkeypatch.setattr(recording, "CAMERA_BYTES", 100_000)
    stream = recording.Recording(None)
    tick = FakeWorld().reset(EPISODE)
    noise = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    for _ in range(4000):
        stream.image(replace(tick, observation=replace(tick.observation, rgb=noise)))
    assert 0 < stream.bytes < 120_000
