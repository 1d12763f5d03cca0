"""Weights on disk: a safetensors file and beside it a JSON card that says what they are and where they came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from roadcraft.perception.network import Architecture, Network
from roadcraft.perception.shipped import card_path, file_hash, read_card, shipped
from roadcraft.sim.errors import UserError


def save_weights(path: Path, network: Network, card: dict[str, Any]) -> None:
    """Writes the weights and their card, which gains the architecture and the file's hash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    tensors = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    save_file(tensors, path)
    full = card | {"architecture": network.architecture.as_dict(), "hash": file_hash(path)}
    card_path(path).write_text(json.dumps(full, indent=2) + "\n")


def load_network(path: Path | None = None) -> tuple[Network, dict[str, Any]]:
    """The network (in evaluation mode) and the card. Raises UserError when hash, names or shapes do not fit."""
    path = path or shipped()
    card = read_card(path)
    network = Network(Architecture.from_dict(card["architecture"]))
    fill(network, path)
    return network.eval(), card


def fill(network: Network, path: Path, partly: bool = False) -> list[str]:
    """Loads weights into a network. Raises UserError for the first tensor that does not fit; `partly` leaves such as
    they are and returns their names."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is not a safetensors file: {error}") from None
    own = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    misfits = [name for name in own if name not in tensors or own[name].shape != tensors[name].shape]
    for name in () if partly else sorted(own.keys() | tensors.keys()):
        if name not in tensors or name not in own:
            raise UserError(f"{path}: tensor {name} is {'missing' if name in own else 'unknown'} in this architecture")
        if own[name].shape != tensors[name].shape:
            raise UserError(f"{path}: {name} has shape {tuple(tensors[name].shape)}, wanted {tuple(own[name].shape)}")
    with torch.no_grad():
        for name, value in own.items():
            if name not in misfits:
                value.copy_(tensors[name])
    return misfits
