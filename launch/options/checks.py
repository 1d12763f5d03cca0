"""What all options are checked by, and ranges of seeds: what is wrong is told in one line."""

from __future__ import annotations

import re

from roadcraft.sim.errors import UserError


def seed_range(text: str) -> list[int]:
    """The seeds of "A-B" (both included) or "A". Raises UserError for anything else and for an empty range."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if match is None:
        raise UserError(f"seeds {text!r} is not a range such as 9000-9009")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise UserError(f"seeds {text!r} is an empty range: {last} is below {first}")
    return list(range(first, last + 1))


def check(condition: bool, what: str) -> None:
    """Raises UserError with the line that says what is wrong unless the condition holds."""
    if not condition:
        raise UserError(what)
