"""Where training runs: the device that is chosen, its precision, and two processes under torchrun as one run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import perception_fakes as fake
import pytest
import torch
from safetensors.torch import load_file
from torchrun_worker import tiny

from roadcraft.perception import engines
from roadcraft.perception.data import Recipe, collect
from roadcraft.perception.devices import Seat, agreed, device_for, team
from roadcraft.perception.losses import task_losses
from roadcraft.perception.objective import tensors
from roadcraft.perception.train import Run
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Episode

RECIPE = Recipe(frames=5, clips=1, warm_up=2, jitter=0.0, swerve=0.0)
WORKER = Path(__file__).with_name("torchrun_worker.py")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    collect(fake.DrawnWorld(), [Episode("grid", seed) for seed in (1, 2)], fake.coasting, folder, RECIPE)
    return folder


def torchrun(*words: str | Path, cwd: Path) -> str:
    """Two processes on this machine's CPU; what they printed on stdout."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launcher, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_process_has_a_gpu_of_its_own_and_the_cpu_where_there_is_none() -> None:
    assert device_for(0, gpus=0) == device_for(3, gpus=0) == torch.device("cpu")
    assert [device_for(rank, gpus=2) for rank in (0, 1)] == [torch.device("cuda", 0), torch.device("cuda", 1)]
    with pytest.raises(UserError, match="process 3 of torchrun has no GPU: this machine has 2"):
        device_for(2, gpus=2)


def test_without_torchrun_training_is_alone_where_torch_finds_a_gpu_or_on_the_cpu() -> None:
    with team():
        seat = Seat.here(bf16=True)
        assert agreed("mine") == "mine"
    assert seat.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert (seat.rank, seat.world, seat.first) == (0, 1, True)
    assert seat.mean({"loss": 0.1}) == {"loss": 0.1}


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is said is that of the CPU")
@pytest.mark.parametrize("wanted", [True, False])
def test_bf16_only_where_it_is_wanted_and_the_cpu_has_it(shards: Path, tmp_path: Path, wanted: bool) -> None:
    run = Run(replace(tiny(shards, tmp_path), bf16=wanted))
    seen: list[torch.dtype] = []
    run.network.heat.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    run.train_step(next(run.batches()))
    run.log.close()
    used = wanted and engines.has_bf16()
    assert seen == [torch.bfloat16 if used else torch.float32]
    assert str(run.seat) == ("CPU, bf16 autocast" if used else "CPU, f32")


@pytest.mark.parametrize("memory", ["gru", "attention", "none"])
def test_nothing_of_a_step_is_left_on_another_device(shards: Path, tmp_path: Path, memory: str) -> None:
    """The device `meta` computes nothing and refuses, as a GPU does, what lies elsewhere."""
    run = Run(replace(tiny(shards, tmp_path), memory=memory))
    run.log.close()
    network, balance = run.network.to("meta"), run.balance.to("meta")
    frames, motion, targets = batch_of(run)
    heads, _ = network(frames.to("meta"), motion.to("meta"))
    total = balance(task_losses(heads, {name: value.to("meta") for name, value in targets.items()}))
    total.backward()
    assert {p.grad.device.type for p in network.parameters() if p.grad is not None} == {"meta"}


def test_the_first_of_many_draws_what_one_alone_draws_and_the_second_does_not() -> None:
    first, second, alone = (np.random.default_rng(seed).random(8) for seed in ((3, 70, 0), (3, 70, 1), (3, 70)))
    np.testing.assert_array_equal(first, alone)
    assert not np.isin(second, alone).any()


@pytest.mark.slow
def test_two_processes_average_their_gradients_and_resume_exactly(shards: Path, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    torchrun(WORKER, shards, halves, "1", cwd=tmp_path)
    after_one = load_file(halves / "state.safetensors")
    run = Run(tiny(shards, tmp_path / "alone"))
    batches = []
    for rank in (0, 1):
        run.seat = replace(run.seat, rank=rank)
        batches.append(batch_of(run))
        total, _ = run.objective(*batches[-1])
        (total / 2).backward()
    assert not torch.equal(batches[0][0], batches[1][0])  # each draws its own
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 10.0)
    run.optimizer.step()
    run.log.close()
    for i, values in run.optimizer.state_dict()["state"].items():
        # The first step's running mean is a tenth of the gradient (betas[0] is 0.9).
        torch.testing.assert_close(after_one[f"optimizer/{i}/exp_avg"], values["exp_avg"], rtol=1e-3, atol=1e-6)
    torchrun(WORKER, shards, halves, "3", cwd=tmp_path)
    torchrun(WORKER, shards, whole, "4", cwd=tmp_path)
    a, b = load_file(whole / "state.safetensors"), load_file(halves / "state.safetensors")
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def batch_of(run: Run) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """The tensors of the coming step."""
    return tensors(next(run.batches()))


@pytest.mark.slow
def test_the_verb_under_torchrun_is_one_run(shards: Path, tmp_path: Path) -> None:
    said = torchrun(
        "-m", "roadcraft.launch", "train", "perception", "train-perception-tiny",
        "--data", shards, "--validation", shards, cwd=tmp_path,
    )  # fmt: skip
    result = json.loads(said)  # one line, of the first process
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == [Path(result["run"]).name]
    card = json.loads((tmp_path / result["weights"]).with_suffix(".json").read_text())
    assert card["trained_on"].startswith("2 processes")
    assert card["command"].startswith("torchrun --nproc-per-node 2 -m roadcraft.launch train perception")
    assert card["step"] == 4
