"""The networks that come with the package: where their files are, and whether they are what their cards say.

Beside each `<name>.safetensors` stand its card `<name>.json` and its graph `<name>.onnx`, from which the engines run
without torch.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from roadcraft.sim.cache import cache_dir
from roadcraft.sim.errors import UserError

DEFAULT = "street-small"  # the network that engines take without being told
NETWORKS = "street-*"  # names of networks; `foresight` is none
FOLDER = Path(str(resources.files("roadcraft.perception.weights")))


def shipped(name: str = DEFAULT, ending: str = ".safetensors") -> Path:
    """Path of a network's file in the package. Raises UserError when there is none of that name."""
    path = FOLDER / f"{name}{ending}"
    if not path.is_file():
        have = ", ".join(sorted(p.name for p in FOLDER.glob(f"*{ending}"))) or "none"
        raise UserError(f"no shipped network {path.name} (there are: {have}); `roadcraft train perception` makes one")
    return path


def all_shipped() -> tuple[Path, ...]:
    """Every network in the package, the default first. Raises UserError when that is missing."""
    default = shipped()
    return default, *(path for path in sorted(FOLDER.glob(f"{NETWORKS}.safetensors")) if path != default)


def file_hash(path: Path) -> str:
    """First 16 hex digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def card_path(path: Path) -> Path:
    """Where the card of a weights file is."""
    return path.with_suffix(".json")


def read_card(path: Path) -> dict[str, Any]:
    """The card beside a weights file. Raises UserError when it is missing or the hash does not fit."""
    if not path.is_file():
        raise UserError(f"no weights at {path}")
    try:
        card: dict[str, Any] = json.loads(card_path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"no readable card {card_path(path)} beside the weights: {error}") from None
    if card.get("hash") != file_hash(path):
        raise UserError(f"{path} has hash {file_hash(path)}, its card says {card.get('hash')}: one is not the other's")
    return card


def graph_of(weights: Path, precision: str = "f32") -> Path:
    """The ONNX graph of a weights file in f32, f16 or int8: beside it or in the cache, exported if need be (which takes
    torch). Raises UserError when int8 is wanted and there is none, because that takes drives to look at."""
    card = read_card(weights)
    ending = {"f16": ".f16.onnx", "int8": ".int8.onnx"}.get(precision, ".onnx")
    beside = weights.with_suffix(ending)
    if beside.is_file() and graph_hash(beside) == card["hash"]:
        return beside
    if precision == "int8":
        raise UserError(
            f"no int8 graph of these weights at {beside}: "
            f"`roadcraft export --weights {weights} --out {weights.with_suffix('.onnx')}` makes it"
        )
    path = cache_dir() / f"graph-{card['hash']}{ending}"
    if not path.is_file():
        from roadcraft.perception.export import to_onnx
        from roadcraft.perception.weights_io import load_network

        network, card = load_network(weights)
        to_onnx(network, path, card, half=precision == "f16")
    return path


def graph_hash(graph: Path) -> str:
    """The hash of the weights that a graph was exported from; "" when it does not say."""
    import onnx

    try:
        meta = onnx.load(str(graph), load_external_data=False).metadata_props
    except Exception as error:
        raise UserError(f"{graph} is not an ONNX file: {error}") from None
    return next((entry.value for entry in meta if entry.key == "weights"), "")
