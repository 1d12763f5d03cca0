"""Every verb and what it can be told: one small dataclass a verb, its defaults being the run that a newcomer wants.

A preset (YAML) or `--a.b value` on the command line changes a field; `cli.py` reads them. Neither this module nor
`options/` imports anything heavy, so `--help` answers at once.
"""

from __future__ import annotations

from roadcraft.launch.options.bench import BenchEnv, BenchLoop, BenchParity, BenchPerception, BenchSim, BenchTraining
from roadcraft.launch.options.evaluation import EvaluateLatency, EvaluatePerception, EvaluatePolicy, Perceive
from roadcraft.launch.options.simulator import Collect, Drive, Serve, Show
from roadcraft.launch.options.training import Export, TrainForesight, TrainPerception, TrainPolicy, TrainRoi

VERBS: dict[str, type | dict[str, type]] = {
    "serve": Serve,
    "drive": Drive,
    "show": Show,
    "collect": Collect,
    "train": {"perception": TrainPerception, "roi": TrainRoi, "foresight": TrainForesight, "policy": TrainPolicy},
    "perceive": Perceive,
    "export": Export,
    "evaluate": {"perception": EvaluatePerception, "policy": EvaluatePolicy, "latency": EvaluateLatency},
    "bench": {
        "perception": BenchPerception,
        "sim": BenchSim,
        "env": BenchEnv,
        "loop": BenchLoop,
        "parity": BenchParity,
        "training": BenchTraining,
    },
}
