"""Options that several verbs have: what runs the network, the simulator, who else is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from roadcraft.launch.options.checks import check


@dataclass(frozen=True)
class Engine:
    """What runs the perception network."""

    name: str = "auto"
    """auto (the fastest here), openvino, onnxruntime, torch or tensorrt."""
    precision: str = "auto"
    """auto, f32, bf16, f16 or int8."""
    weights: str | None = None
    """A checkpoint (.safetensors); the shipped one when not given."""
    threads: int = 0
    """That compute; 0: one for each core, and where a run has several processes, their share of it."""

    def __post_init__(self) -> None:
        check(self.threads >= 0, f"engine.threads {self.threads} is below 0")


@dataclass(frozen=True)
class Sim:
    """The simulator."""

    world: Literal["server", "embedded"] = "server"
    """server: through CARLA's protocol; embedded: in this process, without sockets, unless host or port is given."""
    host: str | None = None
    """Host of a running CARLA or `roadcraft serve`; one is started when neither host nor port is given."""
    port: int | None = None
    """Its port."""

    def __post_init__(self) -> None:
        check(self.port is None or 0 < self.port < 65534, f"sim.port {self.port} is outside 1 to 65533")

    @property
    def runs_already(self) -> bool:
        """Whether a server is named, which only one drive at a time can use."""
        return self.host is not None or self.port is not None

    @property
    def in_process(self) -> bool:
        """Whether there is no server at all."""
        return self.world == "embedded" and not self.runs_already


@dataclass(frozen=True)
class Traffic:
    """Who else is there."""

    vehicles: int = 30
    """Other vehicles."""
    walkers: int = 20
    """Pedestrians."""
    scenarios: bool = True
    """Events along the route: a braking lead, a cut-in, a pedestrian stepping out."""

    def __post_init__(self) -> None:
        check(0 <= self.vehicles <= 1000, f"traffic.vehicles {self.vehicles} is outside 0 to 1000")
        check(0 <= self.walkers <= 1000, f"traffic.walkers {self.walkers} is outside 0 to 1000")
