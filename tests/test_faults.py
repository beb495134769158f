"""Full disks, read-only folders, too little memory: a sentence with numbers, nothing half-made, works when mended."""

from __future__ import annotations

import resource
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from neandl_core.config import DemoSettings, TrainSettings
from neandl_core.errors import OutputError
from neandl_core.launch import launch, resume
from neandl_core.recording import Run
from neandl_core.resources import KEPT_FREE, free_disk, free_memory, require_room, size_text
from neandl_core.runs import read_log, read_metrics, read_state, supervisor_alive
from neandl_core.training import train_network
from tests.engine_helpers import SHORT, command, wait_for, wait_until
from tests.test_training import make_dataset


@pytest.fixture
def disk(tmp_path):
    """A real disk of 8 MB; `resize` changes it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs administrator's rights")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def resize(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_full_disk_is_said_with_numbers_and_the_run_goes_on_when_there_is_room(disk):
    fill = disk / "fill"
    fill.write_bytes(bytes(free_disk(disk) - 500_000))
    folder = launch(disk / "runs", "simulate", SHORT, "small")
    state = wait_for(folder, "failed", "done")
    assert state.state == "failed"
    assert "The disk of" in state.message
    assert "is full" in state.message
    assert "available" in state.message
    wait_until(lambda: not supervisor_alive(folder))
    assert kept(folder) <= {"state.json", "config.json", "log.txt", "worker.json"}
    assert "Traceback" not in read_log(folder)
    fill.unlink()
    resume(folder)
    assert wait_for(folder, "done", "failed").state == "done"


def test_a_checkpoint_that_does_not_fit_leaves_the_last_one(disk):
    resize(disk, "size=200m")
    dataset = make_dataset(disk / "data", k=8, n=400).folder
    words = [str(dataset), "--preset", "bilstm", "--epochs", "40", "--batch-size", "64", "--threads", "1",
             "--no-controls"]
    folder = launch(disk / "runs", "train", words, "network")
    wait_until((folder / "checkpoint.pt").exists, seconds=60)
    with suppress(OSError), (disk / "fill").open("wb") as fill:
        while True:
            fill.write(bytes(100_000))
    state = wait_for(folder, "failed", "done")
    assert state.state == "failed"
    assert "is full" in state.message
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["epoch"] >= 1
    assert not (folder / "checkpoint.tmp").exists()
    wait_until(lambda: not supervisor_alive(folder))
    (disk / "fill").unlink()
    resume(folder)
    assert wait_for(folder, "done", "failed").state == "done"
    epochs = [record["epoch"] for record in read_metrics(folder) if record["kind"] == "epoch"]
    assert epochs == list(range(1, 41))


def test_a_dataset_never_outgrows_its_disk(disk):
    """A mapped file that grows beyond the disk would kill the process."""
    free = free_disk(disk)
    with pytest.raises(OSError, match="No space left"):
        make_dataset(disk / "data", n=free // 60 // 100 * 100 + 20_000, kind="reads")
    assert free_disk(disk) <= free


def test_a_disk_that_turns_read_only_is_said(disk):
    def work():
        with Run(disk / "run", "demo", DemoSettings()) as run:
            resize(disk, "ro")
            (run.results / "table.tsv").write_text("x")

    with pytest.raises(OutputError, match="has become read-only"):
        work()
    resize(disk, "rw")
    assert read_state(disk / "run").state == "interrupted" or not (disk / "run" / "summary.json").exists()


def test_a_file_size_limit_counts_as_a_full_disk(tmp_path):
    said = command(
        "simulate", *SHORT, "--out", tmp_path / "run",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert said.returncode == 1
    assert "is full" in said.stderr
    assert "100.0 kB were available" in said.stderr
    assert "Traceback" not in said.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ask", [
    lambda: np.empty(1 << 50, np.uint8), lambda: torch.empty(1 << 50, dtype=torch.uint8),
], ids=["numpy", "torch"])
def test_memory_that_is_not_there_is_said_with_numbers(tmp_path, ask):
    def work():
        with Run(tmp_path / "run", "demo", DemoSettings()) as run:
            (run.results / "half.tsv").write_text("x")
            ask()

    with pytest.raises(OutputError, match=r"not enough memory.*A step needed 1.*available"):
        work()
    assert not (tmp_path / "run").exists()


def test_what_cannot_fit_is_refused_before_it_starts(tmp_path):
    dataset = make_dataset(tmp_path / "data", k=12, width=60, n=400).folder
    limit = 5_000_000_000
    said = command(
        "train", dataset, "--preset", "bilstm", "--out", tmp_path / "run", "--threads", "1",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert said.returncode == 1
    assert "Training bilstm on 400 windows needs about 3.7 GB of memory" in said.stderr, said.stderr
    assert "are available" in said.stderr
    assert not (tmp_path / "run").exists()


def test_room_is_measured(tmp_path):
    assert size_text(999) == "999 bytes"
    assert size_text(12_345_678) == "12.3 MB"
    require_room(tmp_path, "This", disk=1, memory=1)
    with pytest.raises(OutputError, match=r"This needs about .* TB of disk in .*, and .* are available"):
        require_room(tmp_path, "This", disk=free_disk(tmp_path) + 10**15)
    with pytest.raises(OutputError, match=r"This needs about .* of memory, and .* are available"):
        require_room(tmp_path, "This", memory=free_memory() + 10**12)
    with pytest.raises(OutputError, match="left free"):
        require_room(tmp_path, "This", disk=free_disk(tmp_path / "not" / "there") - KEPT_FREE // 2)


def test_a_device_without_memory_halves_the_batch_once_and_says_so(tmp_path):
    """The loss is asked for more than the device has, as a batch too large does: torch raises its own error."""
    dataset = make_dataset(tmp_path / "data", kind="reads", k=0, n=400)
    settings = TrainSettings.preset_of("cnn-shallow", epochs=1, batch_size=128)

    def trained(largest: int):
        seen = []

        def hold(module, inputs):
            seen.append(len(inputs[0]))
            if len(inputs[0]) > largest:
                raise torch.OutOfMemoryError(f"Tried to allocate for {len(inputs[0])} examples")

        handle = torch.nn.modules.module.register_module_forward_pre_hook(
            lambda module, inputs: hold(module, inputs) if type(module).__name__ == "ShallowCNN" else None
        )
        try:
            return train_network(
                dataset, dataset.part("train"), dataset.part("validation")[:60], settings, torch.device("cpu"),
                labels=dataset.labels, name="main", record=lambda **values: None, advance=lambda *values: None,
                prediction_cost=0.1, checkpoint=tmp_path / "checkpoint.pt",
            ), seen
        finally:
            handle.remove()

    result, seen = trained(largest=64)
    assert seen[:2] == [128, 64]
    assert any("with batches of 64" in note and "did not hold 128" in note for note in result.notes)
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(OutputError, match="even with batches of 64"):
        trained(largest=32)
