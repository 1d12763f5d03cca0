"""A checkpoint as ONNX: one step of the network, uint8 frame in, published heads out, the state explicit in and out.

Inputs: `frame` (1, H, W, 3) uint8, `motion` (1, 7), each state tensor under its name. Outputs: `heads.OUTPUTS`, then
each state tensor as `<name>_next`. Shapes are fixed. Metadata carries the architecture and the weights' hash.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadcraft.perception.heads import MOTION, OUTPUTS
from roadcraft.perception.network import Network, publish

OPSET = 18


class Step(nn.Module):
    """What is deployed: `Network.step` and `publish`, as flat tuples."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: Tensor, motion: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Published heads in the order of OUTPUTS, then the next state."""
        heads, after = self.network.step(state, frame, motion.to(self.network.place_row.dtype))
        published = publish(heads)
        return (*(published[name] for name in OUTPUTS), *(s.float() for s in after))


def example(network: Network, batch: int = 1) -> tuple[Tensor, ...]:
    """Inputs of the right shapes and types."""
    a = network.architecture
    frame = torch.randint(0, 256, (batch, a.height, a.width, 3), dtype=torch.uint8)
    return frame, torch.zeros(batch, MOTION), *network.initial(batch)


def resized(network: Network, height: int, width: int) -> Network:
    """The same weights for another input size; what is learned of a cell's place is stretched. Good for measuring
    speed; for accuracy, train on from it."""
    a = network.architecture
    other = Network(replace(a, height=height, width=width)).eval()
    values = network.state_dict()
    for name in ("place_row", "place_column"):
        size = other.state_dict()[name].shape[-2:]
        values[name] = functional.interpolate(values[name], size, mode="bilinear", align_corners=False)
    other.load_state_dict(values)
    return other


def input_names(network: Network) -> list[str]:
    """Names of the graph's inputs, in order."""
    return ["frame", "motion", *network.state_names]


def output_names(network: Network) -> list[str]:
    """Names of the graph's outputs, in order."""
    return [*OUTPUTS, *(f"{name}_next" for name in network.state_names)]


def to_onnx(
    network: Network, path: Path, card: dict[str, Any] | None = None, batch: int = 1, half: bool = False
) -> Path:
    """Writes the checked graph for a fixed batch; returns the path. `half`: float16 inside, float32 outside."""
    network = copy.deepcopy(network).eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    inputs = example(network, batch)
    network = network.half() if half else network
    about = {"architecture": json.dumps(network.architecture.as_dict()), "weights": str((card or {}).get("hash", ""))}
    return write_graph(Step(network), inputs, path, input_names(network), output_names(network), about)


def write_graph(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    input_names: list[str],
    output_names: list[str],
    about: dict[str, str] | None = None,
) -> Path:
    """Any module as a checked graph with `about` in its metadata, whole or not at all; returns the path."""
    import onnx

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.part")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            module,
            inputs,
            str(draft),
            input_names=input_names,
            output_names=output_names,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
            optimize=True,
        )
    model = onnx.load(str(draft))
    for key, value in (about or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(draft))
    draft.replace(path)
    return path
