"""Runs on a real Dask scheduler with real worker processes: the same results, cancel, kills, another machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from neandl_core.__main__ import main
from neandl_core.cluster import check_address, describe_cluster, needed_gpus, scheduler_address, set_scheduler
from neandl_core.cohort import COLUMNS, divide
from neandl_core.errors import SettingsError
from neandl_core.files import read_json
from neandl_core.launch import cancel, launch, resume
from neandl_core.runs import RunState, list_runs, raw_state, read_metrics, read_state, this_host, write_state
from tests.engine_helpers import LONG, ROOT, SHORT, command, end_all, group_of, wait_for, wait_until
from tests.sam_files import random_record, write_bam
from tests.test_resume import epochs_of, timeless
from tests.test_training import make_dataset


class Cluster:
    """A scheduler and its workers, each a process of its own, as on machines of a cluster."""

    def __init__(self, folder, workers: int) -> None:
        self.folder, self.address = folder, ""
        self.environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                                     "--scheduler-file", str(folder / "scheduler.json"))
        self.workers: list[psutil.Process] = []
        wait_until((folder / "scheduler.json").exists, 60)
        wait_until(lambda: (folder / "scheduler.json").stat().st_size > 0)
        self.address = json.loads((folder / "scheduler.json").read_text())["address"]
        for _ in range(workers):
            self.add()
        wait_until(lambda: describe_cluster(self.address).workers == workers, 60)

    def _start(self, kind: str, *words: str) -> psutil.Popen:
        """Start a part of the cluster. Its output goes to a file."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / f"{kind}.log").open("ab") as log:
            return psutil.Popen([sys.executable, "-m", "dask", kind, *words], stdout=log, stderr=log,
                                env=self.environment, cwd=self.folder)

    def add(self, *words: str) -> None:
        """Add a worker that does one run at a time. It has no nanny: a killed one stays dead."""
        self.workers.append(self._start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0",
            "--local-directory", str(self.folder / "scratch"), *words,
        ))

    def worker_of(self, folder) -> psutil.Process:
        """The worker that has a run: an ancestor of the run's process."""
        above = {process.pid for process in psutil.Process(raw_state(folder).pid).parents()}
        return next(worker for worker in self.workers if worker.pid in above)

    def kill_busy(self, folder) -> bool:
        """Kill a worker that has one of the runs in a folder. False where all of them are between two runs."""
        for run in folder.glob("*-part-*"):
            if raw_state(run).state == "running":
                try:
                    self.worker_of(run).kill()
                except (psutil.NoSuchProcess, StopIteration):
                    continue  # ended since
                return True
        return False

    def close(self) -> None:
        """End all."""
        for process in (*self.workers, self.scheduler):
            if process.is_running():
                process.kill()
            process.wait()


@contextmanager
def cluster(folder, workers: int = 1):
    folder.mkdir()
    made = Cluster(folder, workers)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    yield folder
    end_all(folder)


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.delenv("NEANDL_SCHEDULER", raising=False)
    assert scheduler_address(tmp_path) == ""
    set_scheduler(tmp_path, " tcp://node-1.lab:8786 ")
    assert scheduler_address(tmp_path) == "tcp://node-1.lab:8786"
    monkeypatch.setenv("NEANDL_SCHEDULER", "tls://[::1]:9")
    assert scheduler_address(tmp_path) == "tls://[::1]:9"
    monkeypatch.setenv("NEANDL_SCHEDULER", "")
    assert scheduler_address(tmp_path) == "", "set to nothing, it means this machine"
    monkeypatch.delenv("NEANDL_SCHEDULER")
    set_scheduler(tmp_path, "")
    assert scheduler_address(tmp_path) == ""
    assert check_address("/shared/scheduler.json") == "/shared/scheduler.json"
    for wrong in ("node1", "http://node1:8786", "tcp://node1", "tcp://a b:1"):
        with pytest.raises(SettingsError, match="tcp://node1:8786"):
            check_address(wrong)


def test_gpus_are_asked_for_where_they_are_wanted():
    assert needed_gpus("train", ["train", "d", "--device", "cuda"], 0) == 1
    assert needed_gpus("train", ["train", "d"], 2) == 1
    assert needed_gpus("train", ["train", "d", "--processes=4"], 2) == 4
    assert needed_gpus("train", ["train", "d"], 0) == 0
    assert needed_gpus("train", ["train", "d", "--device", "cpu"], 2) == 0
    assert needed_gpus("reads", ["reads", "a.bam"], 2) == 0


def test_a_run_on_another_machine_is_judged_by_its_heartbeat(tmp_path):
    """A pid says nothing of a process elsewhere: this one's own would count as alive."""
    folder = tmp_path / "run"
    folder.mkdir()
    now = time.time()
    there = RunState("running", "train", pid=os.getpid(), process_created=1.0, started=now, heartbeat=now,
                     host="elsewhere")
    write_state(folder, there)
    assert read_state(folder).state == "running"
    write_state(folder, RunState(**{**there.__dict__, "pid": os.getpid(), "heartbeat": now - 31}))
    assert read_state(folder).state == "interrupted"
    assert "elsewhere" in read_state(folder).message
    write_state(folder, RunState(**{**there.__dict__, "host": this_host()}))
    assert read_state(folder).state == "interrupted", "here the process counts, and it is another"


def test_no_scheduler_is_a_sentence(runs):
    folder = launch(runs, "simulate", SHORT, "lost", scheduler="tcp://127.0.0.1:9")
    state = wait_for(folder, "failed", seconds=40)
    assert "tcp://127.0.0.1:9 does not answer" in state.message


@pytest.mark.slow
def test_a_killed_worker_s_training_goes_on_elsewhere_from_its_checkpoint(tmp_path, runs):
    """Three workers. Two are killed with the run on them; the third ends it with the numbers of an undisturbed one."""
    dataset = make_dataset(tmp_path / "data", k=8, n=800).folder
    words = [str(dataset), "--preset", "bilstm", "--epochs", "3", "--batch-size", "32", "--threads", "1",
             "--no-controls"]
    with cluster(tmp_path / "cluster", 3) as made:
        folder = launch(runs, "train", words, "moved", scheduler=made.address)
        for epochs in (1, 2):
            wait_until(lambda epochs=epochs: len(epochs_of(folder)) >= epochs and read_state(folder).state == "running"
                       and raw_state(folder).resumed == epochs - 1, 60)
            wait_until(lambda: (folder / "checkpoint.pt").exists())
            orphan = raw_state(folder).pid
            victim = made.worker_of(folder)
            victim.kill()
            wait_until(lambda orphan=orphan: not group_of(orphan), 10)
        # The interpreter of the worker that takes over has to start first.
        state = wait_for(folder, "done", "failed", "cancelled", seconds=90)
    assert (state.state, state.resumed) == ("done", 2), state.message
    assert main(["train", *words, "--out", str(tmp_path / "whole"), "--quiet"]) == 0
    assert epochs_of(folder) == epochs_of(tmp_path / "whole")
    assert timeless(read_json(folder / "summary.json")) == timeless(read_json(tmp_path / "whole" / "summary.json"))
    first = [record["seconds"] for record in read_metrics(folder) if record["kind"] == "epoch"]
    assert len(first) == 3
    log = (folder / "log.txt").read_text()
    assert log.count("Its worker is gone") == 2


@pytest.mark.slow
def test_cancel_resume_and_the_loss_of_client_and_scheduler(tmp_path, runs):
    with cluster(tmp_path / "cluster") as made:
        first = launch(runs, "simulate", LONG, "first", scheduler=made.address)
        # Only then the second: clients of two runs reach the scheduler in no order.
        pid = wait_for(first, "running").pid
        waiting = launch(runs, "simulate", SHORT, "second", scheduler=made.address)
        wait_until(lambda: read_json(waiting / "worker.json").get("submitted"), 60)
        assert read_state(waiting).state == "queued"
        cancel(waiting)
        assert wait_for(waiting, "cancelled", seconds=5).message == "Cancelled"
        cancel(first)
        wait_for(first, "cancelled", seconds=8)
        wait_until(lambda: not group_of(pid), 5)
        assert not list(first.glob("*.bam"))
        # What was cancelled is taken up again there, and the client that asked for it may die.
        resume(waiting, scheduler=made.address)
        wait_until(lambda: read_json(waiting / "worker.json").get("submitted"), 60)
        os.kill(read_json(waiting / "worker.json")["pid"], signal.SIGKILL)
        assert wait_for(waiting, "done", "failed", "interrupted", seconds=40).state == "done"
        last = launch(runs, "simulate", LONG, "last", scheduler=made.address)
        wait_for(last, "running")
        pid = raw_state(last).pid
        made.close()
        state = wait_for(last, "interrupted", seconds=60)
        wait_until(lambda: not group_of(pid), 10)
    wait_until(lambda: raw_state(last).state == "interrupted", 90)
    assert "is gone" in raw_state(last).message, (state, raw_state(last))


@pytest.mark.slow
def test_a_cohort_of_a_hundred_files_with_a_worker_killed(tmp_path, runs):
    """Every sample is there once, and equal to that of one machine alone."""
    import numpy as np

    rng = np.random.default_rng(5)
    genome = "".join(rng.choice(list("ACGT"), 1000))
    bams = []
    for number in range(100):
        lines = [random_record(rng, f"r{number}-{read}", genome)[0] for read in range(int(rng.integers(5, 40)))]
        bams.append(str(write_bam(tmp_path / f"s{number:03d}.bam", lines)))
    broken = tmp_path / "broken.bam"
    broken.write_bytes((tmp_path / "s000.bam").read_bytes()[:100])
    files = [*bams, str(broken)]
    with cluster(tmp_path / "cluster", 3) as made:
        folder = launch(runs, "cohort", [*files, "--quick"], "all", scheduler=made.address)
        wait_until(lambda: raw_state(folder).step >= 8, 120)
        wait_until(lambda: made.kill_busy(folder / ".parts"), 60)
        state = wait_for(folder, "done", "failed", seconds=200)
        assert state.state == "done", state.message
    for path in bams:
        assert main(["reads", path, "--quick", "--threads", "1", "--quiet",
                     "--out", str(tmp_path / "alone" / Path(path).stem)]) == 0
    header, *rows = (line.split("\t") for line in (folder / "samples.tsv").read_text().splitlines())
    assert tuple(header) == COLUMNS
    assert [row[0] for row in rows] == [f"s{number:03d}" for number in range(100)] + ["broken"]
    assert [row[2] for row in rows] == ["done"] * 100 + ["failed"]
    assert "broken.bam" in rows[-1][-1]
    for row in rows[:-1]:
        for name in ("misincorporation.tsv", "damage_rates.tsv", "lengths.tsv"):
            ours, theirs = (base / row[0] / name for base in (folder, tmp_path / "alone"))
            assert ours.read_bytes() == theirs.read_bytes()
        summary = read_json(tmp_path / "alone" / row[0] / "summary.json")
        assert row[3:5] == [str(summary["reads_total"]), str(summary["reads_used"])]
        assert row[5] == str("" if summary["c_to_t_5p"][0] is None else summary["c_to_t_5p"][0])
    assert not (folder / ".parts").exists()
    inner = {path.name for path, state in list_runs(runs, "reads", "done")}
    assert inner == {row[0] for row in rows[:-1]}, "samples are runs that pages can open"
    # A sample alone, by the command that its folder remembers, is the same again.
    said = command("rerun", folder / "s007", "--out", tmp_path / "again", "--quiet")
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "again" / "lengths.tsv").read_bytes() == (folder / "s007" / "lengths.tsv").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="needs a host name of its own")
def test_a_machine_that_is_gone_is_noticed_by_another(tmp_path, runs):
    """A worker under another host name is stopped with all it started, as a machine is that loses its power."""
    with cluster(tmp_path / "cluster", 0) as made:
        words = [sys.executable, "-m", "dask", "worker", made.address, "--nthreads", "1", "--no-nanny",
                 "--no-dashboard", "--memory-limit", "0", "--local-directory", str(tmp_path / "far")]
        script = 'hostname far-away && exec "$@"'
        with (tmp_path / "far.log").open("wb") as log:
            far = psutil.Popen(["unshare", "--uts", "sh", "-c", script, "sh", *words], env=made.environment,
                               stdout=log, stderr=log, cwd=tmp_path)
        made.workers.append(far)
        folder = launch(runs, "simulate", SHORT, "moved", scheduler=made.address)
        wait_for(folder, "running")
        assert raw_state(folder).host == "far-away"
        members = [far, *far.children(recursive=True)]
        for process in members:
            process.send_signal(signal.SIGSTOP)
        assert read_state(folder).state == "running", "by its last heartbeat"
        for process in members:
            process.kill()
        made.add()
        state = wait_for(folder, "done", seconds=90)
    assert (state.host, state.resumed) == (this_host(), 1)


def test_a_cohort_here_is_taken_up_where_it_was_killed(tmp_path, monkeypatch):
    """Through the slots of this machine. What is done is not done again, and names that come twice stay apart."""
    import numpy as np

    monkeypatch.setenv("NEANDL_CPU_SLOTS", "1")
    rng = np.random.default_rng(6)
    genome = "".join(rng.choice(list("ACGT"), 1000))
    bams = []
    for number in range(6):
        (tmp_path / str(number)).mkdir()
        lines = [random_record(rng, f"r{read}", genome)[0] for read in range(10 + number)]
        bams.append(str(write_bam(tmp_path / str(number) / "same.bam", lines)))
    folder = launch(tmp_path / "runs", "cohort", [*bams, "--quick"], "killed")
    try:
        wait_until(lambda: list(folder.glob("*/summary.json")), 60)
        os.kill(raw_state(folder).pid, signal.SIGKILL)
        parts = [raw_state(path.parent).pid for path in folder.glob(".parts/*-part-*/state.json")]
        wait_for(folder, "interrupted")
        kept = {path: path.stat().st_mtime_ns for path in folder.glob("same*/summary.json")}
        resume(folder)
        assert not [part for part in parts if part and group_of(part)], "no part of the killed one is in the way"
        state = wait_for(folder, "done", "failed", seconds=90)
    finally:
        end_all(tmp_path / "runs")
    assert state.state == "done", state.message
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    rows = [line.split("\t") for line in (folder / "samples.tsv").read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == ["same", *(f"same-{number}" for number in range(2, 7))]
    assert [int(row[3]) for row in rows] == [10 + number for number in range(6)]


def test_samples_are_divided_among_the_slots():
    assert [len(part) for part in divide(100, 3)] == [12] * 8 + [4]
    assert [len(part) for part in divide(2, 40)] == [1, 1]
    assert max(len(part) for part in divide(1000, 1)) == 25
    assert sorted(place for part in divide(333, 7) for place in part) == list(range(333))


def test_submit_starts_a_run_and_comes_back(tmp_path):
    said = command("submit", "--workspace", tmp_path / "space", "--title", "by hand", "simulate", *SHORT)
    assert said.returncode == 0, said.stderr
    folder = Path(said.stdout.strip())
    assert wait_for(folder, "done", "failed").state == "done"
    assert read_state(folder).title == "by hand"
    wrong = command("submit", "--scheduler", "here", "simulate")
    assert wrong.returncode == 1
    assert "tcp://node1:8786" in wrong.stderr
