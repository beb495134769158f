"""Time of a cohort on a Dask scheduler with one worker and with two, after each other on this machine.

    python benchmarks/cluster.py --samples 12 --reads 20000

Prints seconds, samples per minute, the gain, and the processor's seconds that the whole cohort took with all that
starts and watches it. The gain can be seen only where each worker has a core to itself; what dividing the work costs,
the processor's seconds, can be seen on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from neandl_core.cluster import describe_cluster
from neandl_core.launch import ROOT, launch
from neandl_core.runs import read_state

ENVIRONMENT = os.environ | {"PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--reads", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulated = folder / "simulated"
        subprocess.run(
            [sys.executable, "-m", "neandl_core", "simulate", "--reads", str(chosen.reads), "--chromosomes", "2",
             "--chromosome-length", "500000", "--out", str(simulated), "--quiet"], check=True, env=ENVIRONMENT,
        )
        files = [folder / f"sample{number:03d}.bam" for number in range(chosen.samples)]
        for file in files:
            shutil.copy(simulated / "ancient.bam", file)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {chosen.samples} samples of {chosen.reads:,}")
        first = None
        for workers in chosen.workers:
            seconds, work = cohort_seconds(folder / f"with-{workers}", files, workers)
            first = first or seconds
            print(f"| {workers} | {seconds:.1f} s | {60 * chosen.samples / seconds:.1f} samples/min | "
                  f"{first / seconds:.2f} x | {work:.1f} s of processor | load {os.getloadavg()[0]:.1f} |", flush=True)


def processor_seconds() -> float:
    """Return what all children that have ended took, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cohort_seconds(folder: Path, files: list[Path], workers: int) -> tuple[float, float]:
    folder.mkdir()
    before = processor_seconds()
    dask, where = [sys.executable, "-m", "dask"], folder / "scheduler.json"
    processes = []
    with (folder / "log.txt").open("wb") as log:
        def start(*words: str) -> None:
            processes.append(subprocess.Popen([*dask, *words], stdout=log, stderr=log, env=ENVIRONMENT, cwd=folder))

        try:
            start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(where))
            while not where.exists() or not where.stat().st_size:
                time.sleep(0.2)
            address = json.loads(where.read_text())["address"]
            for _ in range(workers):
                start("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0",
                      "--local-directory", str(folder / "scratch"))
            while describe_cluster(address).workers < workers:
                time.sleep(0.2)
            began = time.monotonic()
            run = launch(folder / "runs", "cohort", list(map(str, files)), "timed", scheduler=address)
            while not read_state(run).ended:
                time.sleep(0.1)
            state = read_state(run)
            assert state.state == "done", state.message
            seconds = time.monotonic() - began
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return seconds, processor_seconds() - before


if __name__ == "__main__":
    main()
