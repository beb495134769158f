"""The machine's devices, without starting torch: what a page offers, and where a run waits for its turn."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

GPU_COMMANDS = ("train", "controls", "genes", "genes-part", "classify", "interpret")
"""Commands that work on a GPU where there is one."""
_ASK_SECONDS = 10


@dataclass(frozen=True)
class Gpu:
    """A GPU: `index` as the driver counts, memory in bytes and the use of its cores in percent where known."""

    index: int
    name: str
    memory: int
    used: int
    busy: int | None = None

    @property
    def label(self) -> str:
        """Name, memory and what of it is in use."""
        return f"{self.name}, {self.memory / 2**30:.0f} GB, {self.used / 2**30:.1f} GB in use"


def parse_gpus(text: str, visible: str | None = None) -> list[Gpu]:
    """Read what ``nvidia-smi --query-gpu=index,name,memory.total,memory.used,utilization.gpu`` prints as CSV.

    Parameters
    ----------
    text
        Its lines; memory in MiB.
    visible
        CUDA_VISIBLE_DEVICES, as numbers; None for all.
    """
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 5 or not cells[0].isdecimal():
            continue
        numbers = [int(float(cell)) if cell.replace(".", "", 1).isdecimal() else None for cell in cells[2:]]
        found.append(Gpu(int(cells[0]), cells[1], (numbers[0] or 0) << 20, (numbers[1] or 0) << 20, numbers[2]))
    if visible is not None:
        allowed = {part.strip() for part in visible.split(",")}
        found = [gpu for gpu in found if str(gpu.index) in allowed]
    return found


def list_gpus() -> list[Gpu]:
    """Ask the driver for the NVIDIA GPUs that this process may use; empty where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = "--query-gpu=index,name,memory.total,memory.used,utilization.gpu"
    try:
        answer = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_gpus(answer.stdout, os.environ.get("CUDA_VISIBLE_DEVICES")) if answer.returncode == 0 else []


def has_mps() -> bool:
    """Return whether this is a Mac whose GPU torch can use."""
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def device_choices() -> dict[str, str]:
    """Return what can be chosen here, with what each is: ``auto``, ``cpu``, and ``cuda`` or ``mps`` where there."""
    gpus = list_gpus()
    choices = {"auto": "NVIDIA GPU if there is one, else the processor", "cpu": f"Processor, {os.cpu_count()} cores"}
    if gpus:
        choices["cuda"] = "; ".join(gpu.label for gpu in gpus)
    if has_mps():
        choices["mps"] = "This Mac's GPU, which shares the main memory"
    return choices


def torchrun_rank() -> int | None:
    """Return which of the processes of a shared training this is, from 0; None if torchrun has not started it."""
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else None


def wanted_processes(arguments: Sequence[str]) -> int:
    """Return what ``--processes`` says in the words of a command, 1 if nothing."""
    said = _option(arguments, "--processes") or "1"
    return int(said) if said.isdecimal() else 1


def wanted_device(arguments: Sequence[str]) -> str:
    """Return what ``--device`` says in the words of a command, ``auto`` if nothing."""
    return _option(arguments, "--device") or "auto"


def _option(arguments: Sequence[str], name: str) -> str:
    """Return the value of an option in the words of a command, empty if it is not among them."""
    words = list(arguments)
    for place, word in enumerate(words):
        if word == name and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""
