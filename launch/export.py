"""roadcraft export                                    the shipped network as an ONNX graph
roadcraft export --weights runs/X/best.safetensors  your own; `--engine.weights graph.onnx` then runs it

One step of the network: a uint8 frame and the state in, published heads and the next state out.
"""

from __future__ import annotations

from pathlib import Path

from roadcraft.launch.config import Export
from roadcraft.launch.runs import Run


def run(asked: Export, run: Run) -> None:
    """The verb. Raises UserError for weights that are missing or do not fit."""
    from roadcraft.perception.export import to_onnx
    from roadcraft.perception.weights_io import load_network

    network, card = load_network(None if asked.weights is None else Path(asked.weights))
    graph = to_onnx(network, run.folder / "network.onnx" if asked.out is None else Path(asked.out), card)
    run.result.update(graph=graph, bytes=graph.stat().st_size, weights=card["hash"])
