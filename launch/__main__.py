"""roadcraft <verb> [preset.yaml] [--a.b value]

The last line on stdout is one JSON object; progress goes to stderr. Exit status: 0 done, 1 the simulator was lost, a
gate was missed or a regression found, 2 something that the person who asked can mend, 130 interrupted.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

from roadcraft.launch.config import VERBS
from roadcraft.sim.errors import UserError, WorldLost

# Which extra brings a package; carla and the base packages have lines of their own.
EXTRAS = {
    "perception": ("torch", "safetensors", "cv2", "openvino", "onnxruntime", "onnx", "onnxscript", "tensorboard"),
    "policy": ("stable_baselines3",),
    "view": ("rerun", "av"),
    "tensorrt": ("tensorrt", "tensorrt_rtx", "cuda"),
}


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends a run as Ctrl-C does."""


def usage() -> str:
    """The verbs, one line each."""
    lines = [
        "roadcraft <verb> [preset.yaml] [--option value ...]; `roadcraft <verb> --help` lists a verb's options",
        "",
    ]
    for verb, kind in VERBS.items():
        kinds = {f"{verb} {what}": k for what, k in kind.items()} if isinstance(kind, dict) else {verb: kind}
        lines += [f"  {name:21s}{(k.__doc__ or '').splitlines()[0]}" for name, k in kinds.items()]
    return "\n".join(lines)


def choose(words: Sequence[str]) -> tuple[str, type, list[str]]:
    """The verb, its configuration's type and the words left for it. Raises UserError for what is no verb."""
    verb, rest = words[0], list(words[1:])
    if verb not in VERBS:
        raise UserError(f"{verb!r} is no verb; there are {', '.join(VERBS)}")
    kind = VERBS[verb]
    if not isinstance(kind, dict):
        return verb, kind, rest
    if not rest or rest[0] not in kind:
        raise UserError(f"{verb} what? roadcraft {verb} {'|'.join(kind)}" + (f", not {rest[0]!r}" if rest else ""))
    return f"{verb} {rest[0]}", kind[rest[0]], rest[1:]


def missing_package(error: ModuleNotFoundError) -> str:
    """What to install, as one line."""
    name = (error.name or "").split(".")[0]
    if name == "carla":
        return (
            "the carla client is not installed (its wheel exists for Linux and Windows on x86-64): --sim.world embedded"
        )
    for extra, packages in EXTRAS.items():
        if name in packages:
            return f'{name} is not installed: pip install "roadcraft[{extra}]"'
    raise error


def run_verb(words: Sequence[str]) -> int:
    """Parses, makes the run's folder, runs the verb, prints its result as the last line."""
    from roadcraft.launch.cli import dump, parse
    from roadcraft.launch.runs import begin, last_line

    verb, kind, rest = choose(words)
    config = parse(verb, kind, rest)
    module = importlib.import_module(f"roadcraft.launch.{verb.split()[0]}")
    run = begin(verb, dump(config))
    try:
        status: Any = module.run(config, run)
    finally:
        sys.stderr.flush()
        if run.result:
            print(last_line(run), flush=True)
    return int(status or 0)


def on_sigterm(number: int, frame: FrameType | None) -> None:
    """A request to stop is an interruption: results are written, the server is stopped."""
    raise Terminated


def main(argv: Sequence[str] | None = None) -> int:
    """The command `roadcraft`; returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] == "--version":
        print(importlib.metadata.version("roadcraft"))
        return 0
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)
    try:
        return run_verb(words)
    except UserError as error:
        return fail(str(error), 2)
    except WorldLost as error:
        return fail(str(error), 1)
    except ModuleNotFoundError as error:
        return fail(missing_package(error), 2)
    except KeyboardInterrupt:
        return fail("interrupted; results so far are kept", 130)


def fail(what: str, status: int) -> int:
    """One line on stderr, ROADCRAFT_TRACE=1 for developers' tracebacks; returns the status."""
    if os.environ.get("ROADCRAFT_TRACE"):
        import traceback

        traceback.print_exc()
    print("roadcraft: " + " ".join(what.split()), file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
