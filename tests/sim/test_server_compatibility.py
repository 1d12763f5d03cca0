"""The compatibility page: the same as the tables that the server works by."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadcraft.sim.embedded.server.calls import CALLS, Status
from roadcraft.sim.embedded.server.compatibility import EXAMPLE, calls_table, page

DOCS = Path(__file__).parents[2] / "docs" / "carla.md"


def test_the_page_is_that_of_the_table() -> None:
    if not DOCS.exists():
        pytest.skip("docs/carla.md is in the repository only")
    shown = DOCS.read_text(encoding="utf-8")
    assert shown == page(), "run: python -m roadcraft.sim.embedded.server.compatibility > docs/carla.md"
    assert EXAMPLE in shown


def test_every_call_is_told_and_what_is_not_done_is_explained() -> None:
    rows = calls_table().splitlines()
    assert len(rows) == len(CALLS) > 100
    unexplained = [call.name for call in CALLS.values() if call.status is not Status.DONE and not call.note]
    assert not unexplained


def test_a_new_call_changes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    before = page()
    monkeypatch.delitem(CALLS, "version")
    assert page() != before
