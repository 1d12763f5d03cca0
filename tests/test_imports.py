"""The tree is the architecture: imports go one way, sim <- perception <- control <- launch."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ("sim", "perception", "control", "launch")


def imported_layers(file: Path) -> set[str]:
    """The roadcraft packages that a file imports, wherever in it, also under TYPE_CHECKING."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("roadcraft.")}


@pytest.mark.parametrize("layer", ORDER)
def test_a_layer_imports_only_the_layers_below(layer: str) -> None:
    allowed = set(ORDER[: ORDER.index(layer) + 1])
    for file in (ROOT / layer).rglob("*.py"):
        assert imported_layers(file) <= allowed, f"{file.relative_to(ROOT)} imports upwards"
