"""What a client chose of a blueprint's attributes, checked."""

from __future__ import annotations

from typing import Any

from roadcraft.sim.embedded.server.wire import WireError


def chosen_attributes(definition: list[Any], given: list[list[Any]]) -> list[list[Any]]:
    """[id, type, value] of all attributes of a definition, with what a client chose for those that may be chosen."""
    wanted = {}
    for item in given:
        if not isinstance(item, (list, tuple)) or len(item) < 3 or not isinstance(item[2], str):
            raise WireError(f"expected an attribute, got {item!r:.60}")
        wanted[item[0]] = item[2]
    chosen = []
    for name, kind, value, recommended, modifiable, restricted in definition[3]:
        text = wanted.get(name, value) if modifiable else value
        _check(definition[1], name, kind, text, recommended if restricted else ())
        chosen.append([name, kind, text])
    return chosen


def understood(kind: int, text: str) -> str:
    """A checked text as the server reads it: of a whole number the part before the point, as CARLA does."""
    return str(_whole(text)) if kind == 2 else text


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def _check(blueprint: str, name: str, kind: int, text: str, allowed: Any) -> None:
    try:
        if kind == 2 and abs(_whole(text)) < 2**62:
            return
        if kind == 3 and abs(float(text)) < 1e12:
            return
        if kind == 1 and text.lower() in ("true", "false", "0", "1"):
            return
        if kind == 5 and len([int(part) for part in text.split(",")]) == 3:
            return
        if kind == 4 and len(text) < 4096 and (not allowed or text in allowed):
            return
    except (ValueError, OverflowError):
        pass
    raise WireError(f"{blueprint}: attribute {name} cannot be '{text:.60}'")
