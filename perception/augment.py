"""Making training pictures harder: light and colour, blur, noise, JPEG, hidden patches, a longer lens, left for right.

What concerns the scene is drawn once a clip, what concerns the sensor once a frame. Labels follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.labels import FrameLabels
from roadcraft.perception.projection import lanes_in_view

Rng = np.random.Generator


@dataclass(frozen=True)
class Augmentation:
    """How often each is done, per clip or frame."""

    photometric: float = 0.8
    blur: float = 0.15
    noise: float = 0.3
    jpeg: float = 0.1
    patch: float = 0.15
    zoom: float = 0.25
    flip: float = 0.2
    ruin: float = 0.03  # no street at all: black, white, noise, another part of the picture

    @staticmethod
    def none() -> Augmentation:
        """For validation, and to measure what augmentation is worth."""
        return Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class Sample:
    """A frame on its way into training."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    semantic: NDArray[np.uint8]  # (H, W)
    labels: FrameLabels
    ruined: bool = False


def augment(clip: list[Sample], how: Augmentation, rng: Rng) -> list[Sample]:
    """The clip, made harder. The samples may be changed in place."""
    if rng.random() < how.flip:
        clip = [flipped(s) for s in clip]
    if rng.random() < how.zoom:
        factor = rng.uniform(1.0, 1.3)
        clip = [zoomed(s, factor) for s in clip]
    if rng.random() < how.photometric:
        table = _photometric_table(rng)
        for s in clip:
            s.rgb = _through(table, s.rgb)
    blurred, noisy = rng.random() < how.blur, rng.random() < how.noise
    strength = rng.uniform(2.0, 14.0) if noisy else 0.0
    for s in clip:
        if blurred:
            s.rgb = blur(s.rgb, rng)
        if noisy:
            s.rgb = noise(s.rgb, strength, rng)
        if rng.random() < how.jpeg:
            s.rgb = jpeg(s.rgb, int(rng.integers(15, 60)))
        if rng.random() < how.patch:
            s.rgb = patch(s.rgb, rng)
    if rng.random() < how.ruin:
        clip[-1].rgb, clip[-1].ruined = ruined(clip[-1].rgb, rng), True
    return clip


def _photometric_table(rng: Rng) -> NDArray[np.uint8]:
    """(256, 3) gain, bias, gamma and a tint as one look-up table."""
    x = np.linspace(0.0, 1.0, 256)[:, None]
    gamma = np.exp(rng.normal(0.0, 0.25))
    gain = np.exp(rng.normal(0.0, 0.18)) * np.exp(rng.normal(0.0, 0.06, 3))
    y = gain * x**gamma + rng.normal(0.0, 0.05)
    return np.clip(y * 255.0, 0, 255).astype(np.uint8)


def _through(table: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(rgb, table[None]))


def blur(rgb: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """Out of focus, or shaken sideways."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(rgb, (0, 0), float(rng.uniform(0.6, 2.0))))
    return np.asarray(cv2.blur(rgb, (int(rng.integers(2, 8)), 1)))


def noise(rgb: NDArray[np.uint8], sigma: float, rng: Rng) -> NDArray[np.uint8]:
    """Sensor noise of a standard deviation of `sigma` grey levels."""
    grain = np.empty(rgb.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 30)))
    cv2.randn(grain, (0.0,) * 3 + (0.0,), (sigma,) * 3 + (0.0,))
    return np.asarray(cv2.add(rgb, grain, dtype=cv2.CV_8U))


def jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Compressed and back."""
    _, data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)


def patch(rgb: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """A patch of one colour hides up to a tenth of the picture: dirt, a wiper, a sticker."""
    height, width = rgb.shape[:2]
    h, w = int(height * rng.uniform(0.05, 0.3)), int(width * rng.uniform(0.05, 0.3))
    r, c = int(rng.integers(height - h)), int(rng.integers(width - w))
    rgb = rgb.copy()
    rgb[r : r + h, c : c + w] = rng.integers(0, 256, 3)
    return rgb


def ruined(rgb: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """A picture that shows no street: nothing may be concluded from it."""
    kind = int(rng.integers(4))
    if kind == 0:
        return np.full_like(rgb, rng.integers(0, 12))
    if kind == 1:
        return np.full_like(rgb, rng.integers(256, size=3))
    if kind == 2:
        return rng.integers(0, 256, rgb.shape, np.uint8)
    height, width = rgb.shape[:2]
    small = rgb[: height // 8, : width // 8]  # a bit of sky or wall, enlarged
    return np.asarray(cv2.resize(small, (width, height)))


def flipped(s: Sample) -> Sample:
    """Left for right, in the picture and in all labels."""
    frame, objects = s.labels.frame.copy(), s.labels.objects.copy()
    width = s.rgb.shape[1]
    frame["lanes_ego"] = -frame["lanes_ego"][::-1]
    frame["lane_marks"] = frame["lane_marks"][::-1]
    frame["yaw_rate"] *= -1
    frame["camera"][2] *= -1
    frame["pose"][1:] *= -1
    for boxes in (frame["light_box"], frame["stop_box"]):
        boxes[[0, 2]] = width - boxes[[2, 0]]
    seen = objects["pixels"] > 0
    objects["box"][seen] = np.stack(
        [
            width - objects["box"][seen, 2],
            objects["box"][seen, 1],
            width - objects["box"][seen, 0],
            objects["box"][seen, 3],
        ],
        -1,
    )
    objects["xyz_ego"][:, 1] *= -1
    objects["yaw_ego"] *= -1
    objects["velocity_ego"][:, 1] *= -1
    objects["path_ego"][..., 1] *= -1
    rgb, semantic = np.ascontiguousarray(s.rgb[:, ::-1]), np.ascontiguousarray(s.semantic[:, ::-1])
    return Sample(rgb, semantic, FrameLabels(frame, objects), s.ruined)


def zoomed(s: Sample, factor: float) -> Sample:
    """The middle of the picture, enlarged: a longer lens on the same camera."""
    height, width = s.semantic.shape
    matrix = np.array([[factor, 0, width / 2 * (1 - factor)], [0, factor, height / 2 * (1 - factor)]])
    rgb = np.asarray(cv2.warpAffine(s.rgb, matrix, (width, height), flags=cv2.INTER_LINEAR))
    semantic = np.asarray(cv2.warpAffine(s.semantic, matrix, (width, height), flags=cv2.INTER_NEAREST))
    frame, objects = s.labels.frame.copy(), s.labels.objects.copy()
    frame["camera"][0] = 2 * np.arctan(np.tan(frame["camera"][0] / 2) / factor)
    shift, size = np.array([width, height] * 2) / 2, np.array([width, height] * 2)
    old = objects["box"].copy()
    box = (old - shift) * factor + shift
    clipped = np.clip(box, 0, size)
    area = np.maximum((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]), 1e-6)
    share = np.clip((clipped[:, 2] - clipped[:, 0]) * (clipped[:, 3] - clipped[:, 1]) / area, 0.0, 1.0)
    seen = (objects["pixels"] > 0) & (share > 0.02)
    objects["pixels"] = np.where(seen, objects["pixels"] * factor**2 * share, 0)
    objects["box"] = np.where(seen[:, None], clipped, 0.0)
    for name in ("light", "stop"):
        frame[f"{name}_box"] = (frame[f"{name}_box"] - shift) * factor + shift
        middle = (frame[f"{name}_box"][:2] + frame[f"{name}_box"][2:]) / 2
        frame[f"{name}_visible"] &= bool((middle >= 0).all() and (middle < size[:2]).all())
    labels = FrameLabels(frame, objects)
    frame["lanes_ego"] = lanes_in_view(labels.camera, frame["lanes_ego"].astype(float))
    return Sample(rgb, semantic, labels, s.ruined)
