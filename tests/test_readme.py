"""The README is true: its example runs, its tree is the tree on disk, its picture is there."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PACKAGES = ("sim", "perception", "control", "launch")


def named_files() -> dict[str, set[str]]:
    """By folder the .py files, or patterns of them, that the tree names."""
    block = README.split("## The tree")[1].split("```")[1]
    folders: list[tuple[int, str]] = []
    files: dict[str, set[str]] = {}
    for line in filter(str.strip, block.splitlines()):
        indent, first = len(line) - len(line.lstrip()), line.split()[0]
        while folders and folders[-1][0] >= indent:
            folders.pop()
        if first.endswith("/"):
            folders.append((indent, first))
        here = "".join(name for _, name in folders)
        files.setdefault(here, set()).update(re.findall(r"(?<![\w./])[\w*]+\.py\b", line))
    return files


def test_the_tree_is_the_tree_on_disk() -> None:
    """Every file is in the tree, and everything in the tree is a file."""
    named = named_files()
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            if file.name != "__init__.py":
                found.setdefault(file.parent.relative_to(ROOT).as_posix() + "/", set()).add(file.name)
    for folder, files in found.items():
        patterns = named.get(folder, set())
        assert {f for f in files if not any(fnmatch(f, p) for p in patterns)} == set(), f"{folder}: not in the README"
        assert {p for p in patterns if not any(fnmatch(f, p) for f in files)} == set(), f"{folder}: not on disk"


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


@pytest.mark.slow
def test_the_example_drives(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.splitlines()) <= 12
    exec(compile(example, "README.md", "exec"), {})
    status, score = capsys.readouterr().out.rsplit(maxsplit=1)
    assert status
    assert 0 <= float(score) <= 100
