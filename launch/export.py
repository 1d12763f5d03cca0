"""roadcraft export                                    the shipped network as an ONNX graph
roadcraft export --weights runs/X/best.safetensors  your own; `--engine.weights graph.onnx` then runs it
roadcraft export --what policy                      the policy as an ONNX graph

One step of the network: a uint8 frame and the state in, published heads and the next state out. The policy: features
in, action out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roadcraft.launch.config import Export
from roadcraft.launch.runs import Run


def run(asked: Export, run: Run) -> None:
    """The verb. Raises UserError for weights that are missing or do not fit."""
    weights = None if asked.weights is None else Path(asked.weights)
    if asked.what == "policy":
        graph = run.folder / "policy.onnx" if asked.out is None else Path(asked.out)
        about = export_policy(weights, graph)
    else:
        graph = run.folder / "network.onnx" if asked.out is None else Path(asked.out)
        about = export_perception(weights, graph)
    run.result.update(graph=graph, bytes=graph.stat().st_size, **about)


def export_perception(weights: Path | None, graph: Path) -> dict[str, Any]:
    """Writes the network's graph; says whose weights are in it."""
    from roadcraft.perception.export import to_onnx
    from roadcraft.perception.weights_io import load_network

    network, card = load_network(weights)
    to_onnx(network, graph, card)
    return {"weights": card["hash"]}


def export_policy(weights: Path | None, graph: Path) -> dict[str, Any]:
    """Writes the policy's graph; says whose weights are in it and by how much it differs from numpy's answers."""
    from roadcraft.control.export import to_onnx
    from roadcraft.control.policy import Policy

    policy = Policy.load(weights)
    return {"deviation": to_onnx(policy, graph), "weights": policy.card["sha256"][:16]}
