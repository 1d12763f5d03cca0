"""What a figure was measured on: processor, its features and clocks, memory, GPU, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "asimd", "i8mm", "bf16")
PACKAGES = (
    *("numpy", "numba", "torch", "openvino", "onnxruntime", "carla"),
    *("tensorrt", "tensorrt-rtx", "tensorrt-rtx-cu12-bindings", "tensorrt-rtx-cu13-bindings"),
)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """The machine in words that a benchmark's reader needs."""
    info = cpu_info()
    return {
        "cpu": info.get("model name", platform.processor() or platform.machine()),
        "cores": cores(),
        "features": [name for name in FEATURES if name in info.get("flags", info.get("Features", "")).split()],
        "governor": first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "mhz": clocks(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "gpu": gpu(),
        "power_mode": power_mode(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": versions(),
        "roadcraft": importlib.metadata.version("roadcraft"),
    }


def cpu_info() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = [line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line]
    return {name.strip(): value.strip() for name, value in pairs}


def clocks() -> list[float]:
    """What each core runs at just now [MHz]; empty where that is not told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]


def first_line(path: Path) -> str | None:
    """A file's first line; None where there is none."""
    try:
        return path.read_text().splitlines()[0]
    except (OSError, IndexError):
        return None


def gpu() -> str | None:
    """The NVIDIA GPU's name and driver; None without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,driver_version,power.limit", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def power_mode() -> str | None:
    """A Jetson's power mode; None elsewhere."""
    tool = shutil.which("nvpmodel")
    if tool is None:
        return None
    done = subprocess.run([tool, "-q"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()) or None


def versions() -> dict[str, str]:
    """Versions of the packages that matter, of those installed."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
