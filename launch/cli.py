"""From the words of a command line to a typed configuration: preset first, then `--a.b value`. Errors are one line."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from argparse import ArgumentError
from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, set_parsing_settings

from roadcraft.sim.errors import UserError


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Every field of a configuration by its dotted name."""
    found: dict[str, Any] = {}
    for name, value in vars(config).items():
        found |= flat(value, f"{prefix}{name}.") if dataclasses.is_dataclass(value) else {prefix + name: value}
    return found


def preset_path(name: str, verb: str) -> Path:
    """The file of a preset: a path, or the name of one that ships. Raises UserError when there is none."""
    if Path(name).is_file():
        return Path(name)
    shipped = {item.name.removesuffix(".yaml"): item for item in files("roadcraft.configs").iterdir()}
    if name in shipped and shipped[name].name.endswith(".yaml"):
        return Path(str(shipped[name]))
    if name.endswith((".yaml", ".yml")):
        raise UserError(f"there is no preset file {name}")
    fitting = sorted(n for n in shipped if n.startswith(verb.split()[0]))
    raise UserError(f"there is no preset {name!r} for {verb}; shipped: {', '.join(fitting) or 'none'}")


def parser_of(verb: str, kind: type) -> ArgumentParser:
    """The parser of one verb, its help made of the docstrings."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog=f"roadcraft {verb}",
        usage=f"roadcraft {verb} [PRESET | FILE.yaml] [--option value ...]",
        description=kind.__doc__,
        exit_on_error=False,
    )
    parser.add_class_arguments(kind, help="options")
    parser.add_argument("--preset", action="config", help="a YAML file of options; may stand first without its name")
    return parser


def words_for_parser(verb: str, kind: type, words: Sequence[str]) -> list[str]:
    """The command line as the parser takes it: the preset by its path, `--a-b` as `--a_b`, a bare flag as true, several
    words of one option as a list."""
    given = [re.sub(r"^--[\w.-]+", lambda name: "--" + name[0][2:].replace("-", "_"), word) for word in words]
    switches = {"--" + name for name, value in flat(kind()).items() if isinstance(value, bool)}
    if given and not given[0].startswith("-") and "path" in flat(kind()) and not given[0].endswith((".yaml", ".yml")):
        given[:1] = ["--path", given[0]]
    elif given and not given[0].startswith("-"):
        given[:1] = ["--preset", str(preset_path(given[0], verb))]
    given = in_lists(given, {"--" + name for name, value in flat(kind()).items() if isinstance(value, tuple)})
    ready: list[str] = []
    for word, following in pairwise([*given, "--"]):
        ready.append(f"{word}=true" if word in switches and following.startswith("--") else word)
    return ready


def in_lists(words: Sequence[str], options: set[str]) -> list[str]:
    """`--onnx a.onnx b.onnx` as `--onnx '["a.onnx", "b.onnx"]'`, for options that take several values."""
    ready: list[str] = []
    values: list[str] | None = None  # of the option that is being read
    for word in [*words, "--"]:
        if values is not None and not word.startswith("--"):
            values.append(word)
            continue
        if values:
            whole = len(values) == 1 and values[0].startswith("[")
            ready.append(values[0] if whole else f"[{', '.join(map(quoted, values))}]")
        ready.append(word)
        values = [] if word in options else None
    return ready[:-1]


def quoted(word: str) -> str:
    """A word as an element of a YAML list: numbers as they are."""
    return word if re.fullmatch(r"-?\d+(\.\d*)?", word) else json.dumps(word)


def parse(verb: str, kind: type, words: Sequence[str]) -> Any:
    """The configuration that the words ask for. Raises UserError with the one line that says what is wrong."""
    parser = parser_of(verb, kind)
    try:
        space = parser.parse_args(words_for_parser(verb, kind, words))
        values = {field.name: parser.instantiate(space)[field.name] for field in dataclasses.fields(kind)}
    except (ArgumentError, yaml.YAMLError, TypeError, ValueError) as error:
        told = [w for w in words if w.endswith((".yaml", ".yml"))]
        raise UserError("".join(f"{file}: " for file in told) + explain(str(error), verb, kind)) from None
    return kind(**values)


def explain(message: str, verb: str, kind: type) -> str:
    """The parser's message as one line of plain words."""
    text = " ".join(message.split())
    unknown = re.search(
        r"[Uu]nrecognized arguments: (\S+)|does not accept option '([^']+)'|Option '([^']+)' is not", text
    )
    if unknown:
        name = str(unknown[unknown.lastindex or 1]).lstrip("-").split("=")[0]
        known = list(flat(kind()))
        near = difflib.get_close_matches(name, known + [k.split(".")[-1] for k in known], n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{verb} has no option {name!r}{hint} (roadcraft {verb} --help lists them)"
    wrong = re.search(r"[Pp]arser key \"([^\"]+)\": (.*)", text)
    if wrong:
        expected = re.findall(r"Expected an? (?:<class ')?([\w.]+(?:\[[^\]]*\])?)", wrong[2])
        names = " or ".join(e.removeprefix("typing.").replace("NoneType", "null") for e in expected)
        return (
            f"{wrong[1]}: expected {names}, got {wrong[2].split('value: ')[-1]!r}"
            if expected
            else f"{wrong[1]}: {wrong[2]}"
        )
    return text


def dump(config: Any) -> str:
    """The configuration as YAML that `parse` reads back to an equal one."""
    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False)
