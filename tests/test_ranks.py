"""One training by two processes: the same parameters as by one, one folder, cancel, kill and resume."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from neandl_core.__main__ import main
from neandl_core.config import TrainSettings
from neandl_core.errors import SettingsError
from neandl_core.files import read_json
from neandl_core.launch import cancel, launch, resume
from neandl_core.ranks import Share, share_of
from neandl_core.runs import raw_state, read_metrics, read_state
from tests.engine_helpers import ROOT, end_all, wait_for, wait_until
from tests.test_training import make_dataset

PRESETS = ("bilstm", "cnn-shallow", "bag-of-kmers-mlp")

TRAINING = """
import sys
from pathlib import Path
import numpy as np, torch
from safetensors.torch import save_file
from neandl_core.config import TrainSettings
from neandl_core.dataset import load_dataset
from neandl_core.prediction import torch_threads
from neandl_core.models.networks import build
from neandl_core.ranks import add_up, is_first, joined_group, process_count, share_of, working_on
from neandl_core.training import train_network

dataset, out = load_dataset(Path(sys.argv[1])), Path(sys.argv[2])
device = torch.device(sys.argv[3])
with torch_threads(1), joined_group(device):
    assert process_count() == int(sys.argv[4])
    for preset in sys.argv[5:]:
        rows = np.arange(67)
        settings = TrainSettings.preset_of(preset, epochs=2, batch_size=33, device=device.type)
        epochs = []
        trained = train_network(
            dataset, rows, np.arange(70, 120), settings, device, labels=dataset.labels, name="main",
            record=lambda **values: None, advance=lambda *_: None, prediction_cost=0.1, checkpoint=None,
        )
        if is_first():
            weights = {name: value.cpu().contiguous() for name, value in trained.network.state_dict().items()}
            weights["loss"] = torch.tensor([epoch["train_loss"] for epoch in trained.epochs])
            weights["right"] = torch.tensor([epoch["train_accuracy"] for epoch in trained.epochs])
            save_file(weights, out / f"{preset}.safetensors")
    if device.type == "cuda":
        sys.exit()
    # Batch normalisation of few rows enlarges rounding a thousandfold within ten steps, so that in double precision.
    torch.set_default_dtype(torch.float64)
    draw = np.random.default_rng(0)
    codes = torch.from_numpy(draw.integers(0, 4, (140, 60), np.uint8))
    labels = torch.from_numpy(draw.random(140).round())
    network = build("cnn-deep", 60, 0, 1, {}).double().train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    torch.manual_seed(3)
    for start in [*range(0, 140, 33)] * 2:
        share = share_of(min(33, 140 - start))
        mine = slice(start + share.start, start + share.stop)
        with working_on(share):
            logits = network(codes[mine])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[mine])
        optimiser.zero_grad()
        (loss * share.weight).backward()
        add_up(network, share, loss.item(), 0)
        optimiser.step()
    if is_first():
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out / "deep.safetensors")
"""


def test_shares_cover_a_batch_once():
    assert share_of(7) == Share(0, 7, 7)
    assert Share(0, 3, 7).weight + Share(3, 7, 7).weight == pytest.approx(1)
    assert 2 * Share(0, 1, 1, alike=2).weight == 1


def test_what_is_not_trained_by_steps_is_refused():
    with pytest.raises(SettingsError, match="fitted outright"):
        TrainSettings.preset_of("logistic", processes=2)


def train_by(count: int, dataset, out, device: str = "cpu", presets=PRESETS) -> None:
    """Train presets by so many processes; the parameters go to `out`."""
    out.mkdir()
    script = out / "training.py"
    script.write_text(TRAINING)
    starter = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
    done = subprocess.run(
        [sys.executable, *starter, str(script), str(dataset), str(out), device, str(count), *presets],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    """With dropout and batch normalisation, uneven shares and a last batch of one row; 6 to 10 steps."""
    dataset = make_dataset(tmp_path / "data", k=4, n=200).folder
    train_by(1, dataset, tmp_path / "one")
    train_by(2, dataset, tmp_path / "two")
    for preset in (*PRESETS, "deep"):
        one, two = (load_file(tmp_path / name / f"{preset}.safetensors") for name in ("one", "two"))
        assert one.keys() == two.keys()
        for name in one:
            np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-5, err_msg=f"{preset} {name}")


def processes_of_run(folder):
    """The launcher of a run at work and its two processes; never a process of these tests."""
    pid = raw_state(folder).pid
    assert pid is not None
    launcher = psutil.Process(pid).parent()
    assert launcher.pid not in (os.getpid(), os.getppid())
    ranks = [child for child in launcher.children() if child.environ().get("RANK")]
    assert sorted(rank.environ()["RANK"] for rank in ranks) == ["0", "1"]
    return launcher, ranks


def is_gone(process):
    """Whether a process has ended; nobody may have asked yet how."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_shared_run_has_one_folder_and_can_be_cancelled_killed_and_resumed(tmp_path):
    dataset = make_dataset(tmp_path / "data", k=8, n=800).folder
    words = [str(dataset), "--preset", "bilstm", "--epochs", "12", "--batch-size", "32", "--threads", "1",
             "--no-controls"]
    folder = launch(tmp_path / "runs", "train", [*words, "--processes", "2"], "shared")
    try:
        wait_until(lambda: any(record["kind"] == "batch" for record in read_metrics(folder)), 90)
        _, ranks = processes_of_run(folder)
        cancel(folder)
        wait_for(folder, "cancelled", seconds=8)
        wait_until(lambda: not any(rank.is_running() for rank in ranks), 5)
        resume(folder)
        wait_until(lambda: raw_state(folder).state == "running" and (folder / "checkpoint.pt").exists(), 90)
        launcher, ranks = processes_of_run(folder)
        # The launcher alone is killed: its processes must not go on without it.
        launcher.kill()
        wait_until(lambda: all(is_gone(rank) for rank in ranks), 10)
        wait_for(folder, "interrupted", "failed")
        assert (folder / "checkpoint.pt").exists()
        resume(folder)
        state = wait_for(folder, "done", "failed", "interrupted", seconds=90)
        assert (state.state, state.resumed) == ("done", 2), state.message
    finally:
        end_all(tmp_path / "runs")
    assert main(["train", *words, "--out", str(tmp_path / "alone"), "--quiet"]) == 0
    shared, alone = (
        [record["train_loss"] for record in read_metrics(path) if record["kind"] == "epoch"]
        for path in (folder, tmp_path / "alone")
    )
    assert len(shared) == len(alone) == 12
    # Once the loss is near zero, the step is the quotient of two numbers of rounding's size.
    np.testing.assert_allclose(shared[:9], alone[:9], rtol=1e-4)
    summary = read_json(folder / "summary.json")
    assert summary["processes"] == 2
    auc = read_json(tmp_path / "alone" / "summary.json")["test"]["auc"]
    assert summary["test"]["auc"] == pytest.approx(auc, abs=0.02)
    assert read_state(folder).state == "done"


@pytest.mark.slow
def test_one_process_that_dies_ends_all(tmp_path):
    dataset = make_dataset(tmp_path / "data", k=8, n=800).folder
    folder = launch(tmp_path / "runs", "train", [
        str(dataset), "--preset", "bilstm", "--epochs", "200", "--batch-size", "32", "--threads", "1", "--no-controls",
        "--processes", "2",
    ], "dying")
    try:
        wait_until(lambda: any(record["kind"] == "batch" for record in read_metrics(folder)), 90)
        launcher, ranks = processes_of_run(folder)
        next(rank for rank in ranks if rank.environ()["RANK"] == "1").kill()
        state = wait_for(folder, "failed", "interrupted", seconds=60)
        wait_until(lambda: all(is_gone(process) for process in (launcher, *ranks)), 30)
        assert state.message
        assert not (folder / "summary.json").exists()
    finally:
        end_all(tmp_path / "runs")


@pytest.mark.gpu
def test_two_gpus_learn_what_one_does(tmp_path):
    import torch

    if torch.cuda.device_count() < 2:
        pytest.skip("there are not two GPUs")
    dataset = make_dataset(tmp_path / "data", k=4, n=200).folder
    # Dropout is drawn in another order there, so only presets without it agree.
    presets = ("bilstm", "cnn-shallow", "bag-of-kmers-mlp")
    train_by(1, dataset, tmp_path / "one", "cuda", presets)
    train_by(2, dataset, tmp_path / "two", "cuda", presets)
    for preset in presets:
        one, two = (load_file(tmp_path / name / f"{preset}.safetensors") for name in ("one", "two"))
        for name in one:
            np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-4, err_msg=f"{preset} {name}")


def test_a_process_that_is_done_leaves_well_whatever_its_end_would_bring():
    code = "import atexit, os; from neandl_core.ranks import leave; atexit.register(os.abort); print('done'); leave()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "done\n")
