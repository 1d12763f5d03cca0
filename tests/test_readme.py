"""The README is true: its example runs, its tree is the tree on disk, its picture is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PACKAGES = ("sim", "perception", "control", "launch")


def named_files() -> set[str]:
    """Every .py file that the tree names, as a path; folders stand on lines of their own, files indented below."""
    block = README.split("## The tree")[1].split("```")[1]
    folders: list[tuple[int, str]] = []
    files: set[str] = set()
    for line in filter(str.strip, block.splitlines()):
        indent, first = len(line) - len(line.lstrip()), line.split()[0]
        while folders and folders[-1][0] >= indent:
            folders.pop()
        if first.endswith("/"):
            folders.append((indent, first))
        files |= {"".join(f for _, f in folders) + name for name in re.findall(r"(?<![\w./])\w+\.py\b", line)}
    return files


def test_the_tree_is_the_tree_on_disk() -> None:
    found = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if file.name != "__init__.py"
    }
    assert named_files() == found


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
