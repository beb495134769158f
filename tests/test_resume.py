"""Runs that are killed and taken up again, and runs that are made again: real processes, real kills, equal numbers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from safetensors.numpy import load_file

from neandl_core.__main__ import main
from neandl_core.errors import InputError
from neandl_core.files import read_json
from neandl_core.launch import launch, rerun, resume
from neandl_core.repeating import how_to_repeat, plain_arguments, prepare_resume
from neandl_core.runs import list_runs, raw_state, read_metrics, read_state, read_summary, supervisor_alive
from tests.engine_helpers import LONG, ROOT, SHORT, command, wait_for, wait_until
from tests.test_training import make_dataset

CLOCK = {"seconds", "samples_per_second", "seconds_per_epoch", "reads_per_second"}
"""What a clock measures differs from run to run."""


def timeless(value):
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in CLOCK}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def epochs_of(folder) -> list[dict]:
    return [timeless(record) for record in read_metrics(folder) if record["kind"] == "epoch"]


def kill_worker(folder) -> None:
    os.kill(raw_state(folder).pid, signal.SIGKILL)
    wait_for(folder, "interrupted")
    wait_until(lambda: not supervisor_alive(folder))


def spin_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end


def test_a_training_killed_three_times_ends_as_one_that_was_not(tmp_path):
    dataset = make_dataset(tmp_path / "data", k=8, n=800).folder
    words = [str(dataset), "--preset", "bilstm", "--epochs", "3", "--batch-size", "64", "--threads", "1"]
    assert main(["train", *words, "--out", str(tmp_path / "whole"), "--quiet"]) == 0
    folder = launch(tmp_path / "runs", "train", words, "killed")
    spin_until(lambda: any(record["kind"] == "batch" for record in read_metrics(folder)))
    kill_worker(folder)
    assert not (folder / "summary.json").exists()
    resume(folder)
    # In the middle of writing a checkpoint.
    spin_until((folder / "checkpoint.tmp").exists)
    kill_worker(folder)
    resume(folder)
    spin_until((folder / "checkpoint-control.pt").exists)
    kill_worker(folder)
    finished = [record for record in read_metrics(folder) if record["kind"] == "epoch" and record["run"] == "main"]
    assert len(finished) == 3
    resume(folder)
    state = wait_for(folder, "done", "failed")
    assert (state.state, state.resumed) == ("done", 3), state.message
    assert epochs_of(folder) == epochs_of(tmp_path / "whole")
    for name in ("summary.json", "evaluation.json"):
        assert timeless(read_json(folder / name)) == timeless(read_json(tmp_path / "whole" / name))
    ours, theirs = load_file(folder / "model.safetensors"), load_file(tmp_path / "whole" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    # What was finished was not trained again: its times are those of the first time.
    again = [record for record in read_metrics(folder) if record["kind"] == "epoch" and record["run"] == "main"]
    assert again == finished
    left = {path.name for path in folder.iterdir()}
    assert not {name for name in left if name.startswith(".") or name.endswith(".tmp") or "control" in name}


def test_a_killed_run_of_another_command_begins_again(tmp_path):
    folder = launch(tmp_path / "runs", "simulate", [*SHORT, "--seed", "3"], "mine")
    wait_for(folder, "running")
    kill_worker(folder)
    assert {path.name for path in folder.iterdir()} <= {"state.json", "config.json", "log.txt", "worker.json"}
    resume(folder)
    assert wait_for(folder, "done", "failed").state == "done"
    assert main(["simulate", *SHORT, "--seed", "3", "--out", str(tmp_path / "whole"), "--quiet"]) == 0
    assert (folder / "truth.tsv").read_bytes() == (tmp_path / "whole" / "truth.tsv").read_bytes()
    with pytest.raises(InputError, match="nothing to go on with"):
        prepare_resume(folder)


def test_a_run_started_by_hand_is_resumed_by_hand(tmp_path):
    words = [sys.executable, "-m", "neandl_core", "simulate", *LONG, "--out", "here", "--title", "by hand"]
    with subprocess.Popen(words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        spin_until((tmp_path / "here" / "config.json").exists)
        said = command("resume", tmp_path / "here")
        assert said.returncode == 1
        assert "it can be resumed once it has ended" in said.stderr
        process.kill()
    assert read_state(tmp_path / "here").state == "interrupted"
    assert how_to_repeat(tmp_path / "here").arguments == LONG
    # Nobody has minutes for the long one: the same by hand with fewer reads.
    config = read_json(tmp_path / "here" / "config.json")
    config["arguments"] = ["simulate", *SHORT, "--out=here", "--quiet"]
    (tmp_path / "here" / "config.json").write_text(json.dumps(config))
    said = command("resume", "here", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    state = read_state(tmp_path / "here")
    assert (state.state, state.title, state.resumed) == ("done", "by hand", 1)


def test_words_that_belong_to_one_run_are_left_out():
    words = ["a.bam", "--out", "x", "--title=my own", "--quiet", "--seed", "3", "--title", "b", "--out=y"]
    assert plain_arguments(words) == ("a.bam", "--seed", "3")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    size = ("--reads", "1000", "--chromosomes", "4", "--chromosome-length", "200000")
    assert main(["simulate", *size, "--out", str(folder / "sim"), "--quiet"]) == 0
    return folder


def made_again(project, name: str, words: list[str]) -> tuple[dict, dict]:
    first, second = project / name, project / f"{name}-again"
    assert main([*words, "--out", str(first), "--quiet"]) == 0
    said = command("rerun", first, "--out", second)
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""
    ours, theirs = read_summary(first), read_summary(second)
    assert read_json(first / "config.json")["inputs"] == read_json(second / "config.json")["inputs"]
    assert (second / "methods.txt").read_text().startswith(f'The step "{words[0]}" was made with NeanDL')
    return timeless(ours), timeless(theirs)


def test_reads_made_again_have_the_same_numbers(project):
    ours, theirs = made_again(project, "reads", ["reads", str(project / "sim" / "mixed.bam"), "--subsample", "600"])
    assert ours == theirs
    text = (project / "reads" / "methods.txt").read_text()
    assert f"{ours['reads_used']:,} of {ours['reads_total']:,} reads" in text
    assert "mapDamage2.0" in text
    assert read_json(project / "reads" / "config.json")["inputs"][0]["sha256"][:12] in text


def test_windows_and_a_model_made_again_have_the_same_numbers(project):
    sim = project / "sim"
    words = ["windows", "--reference", str(sim / "reference.fa"), "--introgressed", str(sim / "introgressed.bed"),
             "--depleted", str(sim / "depleted.bed"), "--k", "5", "--max-windows", "600"]
    ours, theirs = made_again(project, "windows", words)
    assert ours == theirs
    for name in ("bases.npy", "loci.tsv"):
        assert (project / "windows" / name).read_bytes() == (project / "windows-again" / name).read_bytes()
    ours, theirs = made_again(project, "logistic", ["train", str(project / "windows"), "--preset", "logistic"])
    assert ours == theirs
    assert "split by chromosome and reached an AUC of" in (project / "logistic" / "methods.txt").read_text()


def test_a_network_with_dropout_made_again_has_the_same_numbers(tmp_path):
    """Dropout draws from torch's own generator, which a run must seed."""
    dataset = make_dataset(tmp_path / "data", kind="reads", k=0, ragged=True, n=600).folder
    words = ["train", str(dataset), "--preset", "ends", "--epochs", "2", "--threads", "1", "--no-controls"]
    ours, theirs = made_again(tmp_path, "ends", words)
    assert ours == theirs
    assert epochs_of(tmp_path / "ends") == epochs_of(tmp_path / "ends-again")


def test_inputs_that_changed_are_named(project, tmp_path):
    bam = shutil.copy(project / "sim" / "mixed.bam", tmp_path / "mine.bam")
    assert main(["reads", str(bam), "--quick", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    shutil.copy(project / "sim" / "modern.bam", bam)
    (changed,) = how_to_repeat(tmp_path / "run").changed
    assert changed.startswith("mine.bam has ")
    folder, changed = rerun(tmp_path / "run", tmp_path / "runs")
    assert changed[0].startswith("mine.bam has ")
    wait_for(folder, "done")
    assert [state.title for _, state in list_runs(tmp_path / "runs")] == ["run (again)"]
    bam.unlink()
    assert how_to_repeat(tmp_path / "run").changed[0].startswith("mine.bam is gone")
