"""Training of the network: clips in, weights out. Resumes exactly; stops at the first number that is not finite.

Everything random in step n is drawn from (seed, n, process), so that a run that was broken off and resumed sees the
same clips. Under `torchrun` each process draws clips of its own and gradients are averaged; the first one saves and
validates.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from roadcraft.perception.augment import Augmentation
from roadcraft.perception.averaging import follow
from roadcraft.perception.data import Clip, Shards, draw_clip
from roadcraft.perception.devices import Seat
from roadcraft.perception.draw import drawn
from roadcraft.perception.losses import TASKS, Balance, score
from roadcraft.perception.network import Architecture, Network, publish
from roadcraft.perception.objective import Objective, heads_of, losses_of, tensors
from roadcraft.perception.prune import pruned
from roadcraft.perception.shipped import file_hash, read_card
from roadcraft.perception.weights_io import fill, load_network, save_weights
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Camera

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """A training run."""

    data: Path  # folder of shards; new ones are noticed while training
    out: Path
    size: str = "small"  # of the network, see Architecture.named
    memory: str = "gru"
    steps: int = 4000
    batch: int = 6  # clips a step and process
    length: int = 4  # frames a clip
    rate: float = 2e-3  # highest learning rate
    warm_up: int = 100  # steps
    decay: float = 0.02  # of the weights, per unit of learning rate
    average: float = 0.998  # per step, of the averaged weights that are validated and shipped
    seed: int = 0
    bf16: bool = True  # autocast where the hardware has it; f32 elsewhere
    threads: int = 1
    loaders: int = 1  # threads that read and augment clips
    save_every: int = 100
    validate_every: int = 400
    validation: Path | None = None  # folder of shards
    init: Path | None = None  # weights to start from; what does not fit begins anew
    prune: bool = False  # `init` is of a larger size: its least blocks and channels are left out
    teacher: Path | None = None  # weights of a network to learn from beside the labels
    frozen: bool = False  # the encoder stays as it is: long clips for the memory cost a third
    tasks: tuple[str, ...] = TASKS
    augmentation: Augmentation = field(default_factory=Augmentation)


class NotFinite(UserError):
    """A loss or a gradient became NaN or infinite."""


def train(how: Training, command: str = "", progress: bool = True, say: Callable[[str], None] = log.info) -> Path:
    """Trains, or goes on with what lies in `how.out`; returns the path of the best weights. `say` is told where."""
    torch.set_num_threads(how.threads)
    run = Run(how, command)
    run.resume()
    quiet = not (progress and run.seat.first)
    if run.seat.first:
        say(f"training on {run.seat}" + (": no bf16 in this hardware" if how.bf16 and not run.seat.bf16 else ""))
        if how.prune:
            say(f"left out of {how.init}: {', '.join(run.pruned) or 'nothing'}")
    with (
        closing(run.log),
        tqdm(total=how.steps, initial=run.step, unit="step", disable=quiet, mininterval=5.0) as bar,
    ):
        for clips in run.batches():
            losses = run.train_step(clips)
            bar.update(1)
            bar.set_postfix_str(" ".join(f"{k} {losses[k]:.3f}" for k in ("heat", "lanes", "light") if k in losses))
            if not run.seat.first:
                continue
            if run.step % how.save_every == 0 or run.step == how.steps:
                run.save()
            if run.step % how.validate_every == 0 or run.step == how.steps:
                run.validate()
    return run.best


class Run:
    """The state of a training run, and what one step does to it."""

    def __init__(self, how: Training, command: str = "") -> None:
        self.how, self.command = how, command
        self.seat = Seat.here(how.bf16)
        self.best = how.out / "best.safetensors"
        torch.manual_seed(how.seed)
        network, self.pruned = _begun(how)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = (self.network.encoder, self.network.lateral3, self.network.lateral4, self.network.fuse3)
        for module in self.frozen if how.frozen else ():
            module.requires_grad_(False)
        self.network.to(self.seat.device)
        self.balance = Balance(how.tasks).to(self.seat.device)
        self.teacher = None if how.teacher is None else _teacher(how.teacher, self.network.architecture)
        self.hashes = {
            k: None if v is None else file_hash(v) for k, v in (("init", how.init), ("teacher", how.teacher))
        }
        if self.teacher is not None:
            self.teacher.to(self.seat.device)
        self.objective: nn.Module = Objective(self.network, self.balance, self.seat, self.teacher)
        if self.seat.world > 1:
            self.objective = DistributedDataParallel(self.objective, find_unused_parameters=how.tasks != TASKS)
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            _groups(self.network, self.balance, how.decay), lr=how.rate, betas=(0.9, 0.98)
        )
        self.step, self.best_score, self.seconds = 0, math.inf, 0.0
        self.shards = Shards(how.data)
        if not self.shards.refresh():
            raise UserError(f"no shards in {how.data}: `roadcraft collect` records some")
        how.out.mkdir(parents=True, exist_ok=True)
        self.log = SummaryWriter(str(how.out / "tensorboard" / ("" if self.seat.first else f"{self.seat.rank}")))

    def batches(self) -> Iterator[list[Clip]]:
        """The clips of each step that is left, read ahead by threads."""
        how = self.how
        size = (self.network.architecture.height, self.network.architecture.width)
        lock = threading.Lock()

        def load(step: int) -> list[Clip]:
            rng = np.random.default_rng((how.seed, step, self.seat.rank))  # rank 0: the same as (seed, step)
            if step % 50 == 0:
                with lock:
                    self.shards.refresh()
            return [draw_clip(self.shards, how.length, size, how.augmentation, rng) for _ in range(how.batch)]

        with ThreadPoolExecutor(how.loaders) as pool:
            ahead = [pool.submit(load, self.step + k) for k in range(min(how.loaders + 1, how.steps - self.step))]
            for step in range(self.step, how.steps):
                clips = ahead.pop(0).result()
                if step + how.loaders + 1 < how.steps:
                    ahead.append(pool.submit(load, step + how.loaders + 1))
                yield clips

    def rate(self) -> float:
        """Learning rate of the coming step: linear warm-up, then a cosine down to a fiftieth."""
        how = self.how
        if self.step < how.warm_up:
            return how.rate * (self.step + 1) / how.warm_up
        share = (self.step - how.warm_up) / max(how.steps - how.warm_up, 1)
        return how.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))

    def train_step(self, clips: list[Clip]) -> dict[str, float]:
        """One step of the optimiser. Raises NotFinite, before any weight is changed, naming step, task and clips."""
        began = time.monotonic()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.network.train()
        for module in self.frozen if self.how.frozen else ():
            module.eval()
        total, losses = self.objective(*tensors(clips))
        values = self.seat.mean({name: float(loss) for name, loss in losses.items()})
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise self._not_finite(f"the loss of {', '.join(bad)}", clips)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        if not torch.isfinite(norm):
            raise self._not_finite("the gradient", clips)
        self.optimizer.step()
        follow(self.averaged, self.network, min(self.how.average, (1 + self.step) / (10 + self.step)))
        self.step += 1
        self.seconds += time.monotonic() - began
        if self.step % 10 == 0 and self.seat.first:
            for name, value in values.items():
                self.log.add_scalar(f"loss/{name}", value, self.step)
            self.log.add_scalar("rate", self.rate(), self.step)
            self.log.add_scalar("gradient", float(norm), self.step)
        return values

    def _not_finite(self, what: str, clips: list[Clip]) -> NotFinite:
        saved = self.how.out / "state.safetensors"
        last = f"the last good checkpoint is {saved}" if saved.is_file() else "no checkpoint was saved before"
        return NotFinite(
            f"{what} is not finite in step {self.step} (seed {self.how.seed}), "
            f"clips {', '.join(clip.name for clip in clips)}; {last}"
        )

    def validate(self) -> None:
        """Losses of the averaged weights on the same clips each time; the best are kept as
        `best.safetensors`. The score
        is the sum of the losses' logarithms, by priority: what the balance of the tasks comes to."""
        if self.how.validation is None:
            self._keep_best(-float(self.step))
            return
        shards = Shards(self.how.validation)
        shards.refresh()
        size = (self.network.architecture.height, self.network.architecture.width)
        rng = np.random.default_rng(0)
        totals = dict.fromkeys(self.how.tasks, 0.0)
        rounds = 12
        with torch.no_grad():
            for _ in range(rounds):
                clips = [draw_clip(shards, 4, size, Augmentation.none(), rng) for _ in range(4)]
                frames, motion, targets = tensors(clips)
                heads = heads_of(self.averaged, self.seat, frames, motion)
                for name, loss in losses_of(heads, self.seat, self.how.tasks, targets).items():
                    totals[name] += float(loss) / rounds
        for name, value in totals.items():
            self.log.add_scalar(f"validation/{name}", value, self.step)
        total = score(totals)
        self.log.add_scalar("validation/score", total, self.step)
        self._picture(clips[0])
        with (self.how.out / "validation.jsonl").open("a") as file:
            print(json.dumps({"step": self.step, "score": total, **totals}), file=file)
        self._keep_best(total)

    def _picture(self, clip: Clip) -> None:
        """What the averaged weights see in the last frame of a clip, for TensorBoard."""
        with torch.no_grad():
            frames, motion = torch.from_numpy(clip.frames)[None], torch.from_numpy(clip.motion)[None]
            heads, _ = self.averaged(frames.to(self.seat.device), motion.to(self.seat.device))
        published = publish({name: value[:, -1] for name, value in heads.items()})
        seen = drawn(clip.frames[-1], {k: v[0].cpu().numpy() for k, v in published.items()}, Camera())
        self.log.add_image("validation/seen", seen, self.step, dataformats="HWC")

    def _keep_best(self, total: float) -> None:
        if total < self.best_score:
            self.best_score = total
            save_weights(self.best, self.averaged, self.card())

    def card(self) -> dict[str, Any]:
        """What is known of these weights so far."""
        how = asdict(self.how)
        return {
            "command": self.command,
            "training": json.loads(json.dumps(how, default=str)),
            **{f"{name}_hash": value for name, value in self.hashes.items()},
            "pruned": self.pruned,
            "trained_on": str(self.seat),
            "step": self.step,
            "hours": round(self.seconds / 3600, 3),
            "frames": sum(map(len, self.shards.clips)),
            "shards_skipped": self.shards.skipped,
            "validation_score": None if math.isinf(self.best_score) else self.best_score,
            "licence": "MIT",
        }

    def save(self) -> None:
        """All that is needed to go on, in one safetensors file, written whole or not at all."""
        tensors: dict[str, Tensor] = {}
        for name, module in (("network", self.network), ("averaged", self.averaged), ("balance", self.balance)):
            tensors |= {f"{name}/{k}": v.contiguous() for k, v in module.state_dict().items()}
        for i, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{i}/{k}": torch.as_tensor(v).contiguous() for k, v in values.items()}
        meta = {
            "step": str(self.step),
            "best": repr(self.best_score),
            "seconds": repr(self.seconds),
            "architecture": json.dumps(self.network.architecture.as_dict()),
            "teacher": str(self.hashes["teacher"]),
        }
        path = self.how.out / "state.safetensors"
        save_file({k: v.clone() for k, v in tensors.items()}, path.with_suffix(".tmp"), meta)
        os.replace(path.with_suffix(".tmp"), path)

    def resume(self) -> None:
        """Goes on where `save` left off, if it did. Raises UserError for a checkpoint of another architecture or that
        had another teacher."""
        path = self.how.out / "state.safetensors"
        if not path.is_file():
            return
        with safe_open(path, "pt") as file:
            meta = file.metadata()
        if json.loads(meta["architecture"]) != self.network.architecture.as_dict():
            raise UserError(f"{path} is of another architecture: {meta['architecture']}")
        if (had := meta.get("teacher", "None")) != str(self.hashes["teacher"]):
            raise UserError(f"{path} had another teacher: its hash is {had}, that of {self.how.teacher} is not")
        tensors = load_file(path)
        for name, module in (("network", self.network), ("averaged", self.averaged), ("balance", self.balance)):
            module.load_state_dict({k.split("/", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{name}/")})
        state = self.optimizer.state_dict()
        for key, value in tensors.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                state["state"].setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(state)
        self.step, self.best_score, self.seconds = int(meta["step"]), float(meta["best"]), float(meta["seconds"])


def _begun(how: Training) -> tuple[Network, list[str]]:
    """The network at step 0, and what was left out of `how.init`. Raises UserError when that cannot be pruned."""
    architecture = replace(Architecture.named(how.size), memory=how.memory)
    if how.prune:
        if how.init is None:
            raise UserError("prune needs init: the weights of a larger network")
        network, left_out = pruned(load_network(how.init)[0], architecture)
        return network.train(), left_out
    network = Network(architecture)
    if how.init is not None and (misfits := fill(network, how.init, partly=True)):
        log.warning("not in %s, or of another shape: %s", how.init, ", ".join(misfits))
    if how.init is not None and read_card(how.init)["architecture"].get("roi"):
        log.warning("the second stage of %s is left out: `roadcraft train roi` trains another", how.init)
    return network, []


def _teacher(path: Path, student: Architecture) -> Network:
    """A frozen network. Raises UserError when it sees frames of another size than its student."""
    network, _ = load_network(path)
    mine = network.architecture
    if (mine.width, mine.height) != (student.width, student.height):
        sizes = f"{mine.width}x{mine.height}, its student {student.width}x{student.height}"
        raise UserError(f"teacher {path} sees frames of {sizes}")
    return network.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _groups(network: Network, balance: Balance, decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases, norms and task weights do not."""
    learning = [p for p in network.parameters() if p.requires_grad]
    matrices = [p for p in learning if p.ndim > 1]
    others = [p for p in learning if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
        {"params": list(balance.parameters()), "weight_decay": 0.0},
    ]
