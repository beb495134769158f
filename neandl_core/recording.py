"""The run folder, seen from the worker: claims it, keeps its state, and leaves nothing half-written.

Results are written under `Run.results`, a hidden folder inside the run's own, and moved into place when the work is
done; what fails or is cancelled leaves no result. Live files (metrics, checkpoint, log) go straight into `folder`.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import shutil
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from neandl_core import __version__
from neandl_core.config import Settings
from neandl_core.errors import CancelledError, InputError, NeanDLError, OutputError
from neandl_core.files import describe_file, read_json, write_json, write_text
from neandl_core.interrupts import Interrupts
from neandl_core.methods import methods_paragraph
from neandl_core.resources import fault_sentence
from neandl_core.runs import (
    CHECKPOINTS,
    FORMAT,
    RESERVE,
    RESULTS,
    RunState,
    process_created,
    raw_state,
    read_metrics,
    read_state,
    this_host,
    write_state,
)

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all or 0 if unknown, what is being done)."""

HEARTBEAT_SECONDS = 1.0
RESERVE_BYTES = 1 << 16
BEATS_LOST = 15
"""A run whose state could not be written so many times in a row is ended with the reason."""
_RECORDED_PACKAGES = ("numpy", "pandas", "pysam", "numba", "scikit-learn", "torch", "pyarrow", "umap-learn", "captum")
_command_line: list[str] = []


def set_command_line(words: Sequence[str]) -> None:
    """Say which words started this process's command; they are saved with a run, so that it can be made again."""
    _command_line[:] = words


def command_line() -> list[str]:
    """Return the words that started this process's command."""
    return _command_line or sys.argv[1:]


@contextmanager
def uncollected() -> Iterator[None]:
    """Import in here what a command needs: it stays, and looking through it for garbage is a sixth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def no_progress(done: int, total: int, message: str) -> None:
    """Ignore progress: the default of every core function that takes a `Progress`."""


class Run:
    """One command at work on its run folder; use it as a context.

    Parameters
    ----------
    folder
        A folder that does not exist, is empty, or was queued by `launch.py` for this command.
    command
        The command's name.
    settings
        Saved in `config.json`.
    inputs
        Files and folders read; files are saved with size and SHA-256.
    title
        What to call the run in lists; the folder's name if empty.
    on_progress
        Also told of every progress, for a bar on the terminal.

    Raises
    ------
    OutputError
        If the folder holds something else or cannot be written.
    """

    def __init__(
        self,
        folder: str | Path,
        command: str,
        settings: Settings,
        inputs: Iterable[str | Path] = (),
        *,
        title: str = "",
        on_progress: Progress = no_progress,
    ) -> None:
        self.folder = Path(folder)
        self.command = command
        self.settings = settings
        self._inputs = [Path(path) for path in inputs]
        self._title = title
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._described: list[dict[str, Any]] | None = None
        self._fault: OSError | None = None
        self._cancelled = False
        self._signals = Interrupts()
        self._displaced = False
        self._unwritten: OutputError | None = None
        self.results = self.folder / RESULTS

    def __enter__(self) -> Self:
        self._signals.take_over()
        try:
            self._begin()
        except BaseException:
            self._signals.give_back()
            raise
        # From here to the caller's block no signal is answered any more, so none is answered outside of it.
        self._signals.held = False
        return self

    def _begin(self) -> None:
        """Claim the folder, say that the run is at work, and start its heart."""
        self._claim()
        created = process_created(os.getpid())
        now = time.time()
        self._state = replace(
            self._state, state="running", pid=os.getpid(), process_created=created, started=now, heartbeat=now,
            message="Starting", host=this_host(),
        )
        write_state(self.folder, self._state)
        try:
            self.results.mkdir()
            (self.folder / RESERVE).write_bytes(bytes(RESERVE_BYTES))
            write_json(self.folder / "config.json", self._config())
        except BaseException as error:
            sentence = fault_sentence(error, self.folder) if isinstance(error, (OSError, OutputError)) else None
            self._finish("failed", sentence or str(error))
            if sentence is not None:
                raise OutputError(sentence) from None
            raise
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()
        self._describer = threading.Thread(target=self._describe, daemon=True)
        self._describer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> bool:
        # Nothing interrupts how a run ends, only the wait for its inputs' checksums.
        self._signals.held = error is not None
        try:
            return self._close(error)
        finally:
            self._signals.give_back()

    def _close(self, error: BaseException | None) -> bool:
        late: BaseException | None = None
        if error is None:
            try:
                self._complete()
            except (NeanDLError, OSError, MemoryError, KeyboardInterrupt) as fault:
                error = late = fault
        self._signals.held = True
        self._stop.set()
        self._heart.join()
        self._describer.join()
        if error is None:
            try:
                self._publish()
            except OSError as fault:
                error = late = fault
        if error is None:
            self._finish("done", "Done")
            return False
        if self._unwritten is not None and isinstance(error, KeyboardInterrupt):
            error = late = self._unwritten
        if self._cancelled or isinstance(error, (KeyboardInterrupt, CancelledError)):
            self._finish(*self._how_stopped())
            raise CancelledError(f"{self.command} was cancelled; no result was kept.") from None
        # An error of writing may come as a sentence already, without what was needed and what there was.
        plain = isinstance(error, NeanDLError) and not isinstance(error, OutputError)
        sentence = None if plain else fault_sentence(error, self.folder)
        if sentence is not None:
            late = OutputError(sentence)
        message = str(late or error) if isinstance(late or error, NeanDLError) else f"{type(error).__name__}: {error}"
        self._finish("failed", message)
        if late is not None:
            raise late from None
        return False

    def _how_stopped(self) -> tuple[str, str]:
        """Return state and message of a run that was stopped from outside."""
        if self._signals.told_to_end and not (self.folder / "CANCEL").exists():
            return "interrupted", "The worker was told to end, as when a machine shuts down."
        return "cancelled", "Cancelled"

    def progress(self, done: int, total: int, message: str) -> None:
        """Record progress. Cheap: it is written with the next heartbeat."""
        with self._lock:
            share = done / total if total else 0.0
            elapsed = time.time() - (self._state.started or time.time())
            eta = elapsed * (1 - share) / share if share > 0.02 else None
            self._state = replace(self._state, step=done, total=total, message=message, eta_seconds=eta)
        self._on_progress(done, total, message)

    def metric(self, **values: Any) -> None:
        """Append a record to `metrics.jsonl`."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(values) + "\n")

    def rewind(self, name: str, epoch: int) -> None:
        """Take back the records of a training after an epoch, which are made again when a run is taken up."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        kept = [
            record for record in read_metrics(self.folder)
            if record.get("run") != name or (epoch and record.get("epoch", 1) <= epoch)
        ]
        write_text(path, "".join(json.dumps(record) + "\n" for record in kept))

    def log(self, text: str) -> None:
        """Append a line to `log.txt`."""
        stamp = time.strftime("%H:%M:%S")
        with (self.folder / "log.txt").open("a", encoding="utf-8") as handle:
            handle.write(f"{stamp} {text}\n")

    def summarise(self, summary: dict[str, Any]) -> None:
        """Write `summary.json` among the results."""
        write_json(self.results / "summary.json", {"command": self.command, **summary})

    def _claim(self) -> None:
        """Take the folder, or say why it cannot be had."""
        self._made = False
        state_file = self.folder / "state.json"
        try:
            if not self.folder.exists():
                self.folder.mkdir(parents=True)
                self._made = True
        except OSError as error:
            raise OutputError(
                f"The output folder {self.folder} cannot be made ({error.strerror}). Choose another with --out."
            ) from None
        if not self.folder.is_dir():
            raise OutputError(f"The output {self.folder} is a file, not a folder. Choose another with --out.")
        if state_file.exists():
            state = raw_state(self.folder)
            if state.state != "queued" or state.command != self.command:
                raise OutputError(
                    f"The output folder {self.folder} holds another run ({state.command}, {state.state}). "
                    "Choose another with --out."
                )
            self._state = state
            return
        if any(self.folder.iterdir()):
            raise OutputError(f"The output folder {self.folder} is not empty. Choose another with --out.")
        if not os.access(self.folder, os.W_OK):
            raise OutputError(f"The output folder {self.folder} is read-only. Choose another with --out.")
        self._state = RunState(
            "queued", self.command, title=self._title or self.folder.name, queued=time.time()
        )

    def _config(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "command": self.command,
            "arguments": command_line(),
            "folder": str(Path.cwd()),
            "out": str(self.folder.resolve()),
            "settings": self.settings.model_dump(),
            "seed": getattr(self.settings, "seed", None),
            "inputs": self._described or [_sized(path) for path in self._inputs],
            "software": software_versions(),
            "threads": getattr(self.settings, "threads", None),
        }

    def _describe(self) -> None:
        """Take size and checksum of the inputs while the work goes on."""
        try:
            self._described = [
                describe_file(path, self._stop.is_set) if _is_file(path) else _sized(path)
                for path in self._inputs
            ]
        except OSError as error:
            self._fault = error

    def _complete(self) -> None:
        """Add the inputs' checksums to `config.json`, and write the methods paragraph."""
        self._describer.join()
        if self._fault is not None:
            raise InputError(
                f"this input cannot be read any more ({self._fault.strerror})", path=self._fault.filename
            )
        config = self._config()
        write_json(self.folder / "config.json", config)
        summary = self.results / "summary.json"
        if summary.exists():
            write_text(self.results / "methods.txt", methods_paragraph(config, read_json(summary)))

    def _beat(self) -> None:
        """Write the state once a second, and stop the work when CANCEL appears."""
        lost = 0
        while not self._stop.wait(HEARTBEAT_SECONDS):
            self._signals.resend()
            with self._lock:
                self._state = replace(self._state, heartbeat=time.time())
                state = self._state
            if not self.folder.is_dir():
                # Somebody has removed the run: nobody wants its result.
                self._signals.interrupt()
                return
            if self._taken_over():
                self._displaced = True
                self._signals.interrupt()
                return
            try:
                write_state(self.folder, state)
                lost = 0
            except OutputError as error:
                # The work itself usually meets the same fault and reports it; a passing one does no harm.
                lost += 1
                if lost == BEATS_LOST:
                    self._unwritten = OutputError(f"The run was ended, as its state could not be kept: {error}")
                    self._signals.interrupt()
            if (self.folder / "CANCEL").exists() and not self._cancelled:
                self._cancelled = True
                self._signals.interrupt()

    def _taken_over(self) -> bool:
        """Return whether another worker has the folder, as after this one's machine was out of reach for a while."""
        try:
            there = raw_state(self.folder)
        except (NeanDLError, OSError):
            return False
        return there.resumed > self._state.resumed

    def _publish(self) -> None:
        """Move the finished results into place; `summary.json` goes last, as its presence says that all is there."""
        entries: Sequence[Path] = sorted(self.results.iterdir(), key=lambda path: path.name == "summary.json")
        for entry in entries:
            os.replace(entry, self.folder / entry.name)
        self.results.rmdir()

    def _finish(self, state: str, message: str) -> None:
        if self._displaced:
            return  # What lies there is another worker's.
        shutil.rmtree(self.results, ignore_errors=True)
        with suppress(OSError):
            (self.folder / RESERVE).unlink(missing_ok=True)
        keep = any((self.folder / name).exists() for name in ("worker.json", *CHECKPOINTS))
        # Finished samples of a cohort, and steps of a demo, are results of their own.
        keep = keep or any(self.folder.glob("*/summary.json"))
        if state != "done" and not keep:
            # Started by hand: the message is on the terminal, and a folder without a result helps nobody. One with a
            # checkpoint is worth keeping, and one that a page started is where the page looks for the message.
            self._discard()
            return
        finished = time.time()
        eta = 0.0 if state == "done" else None
        self._state = replace(self._state, state=state, message=message, finished=finished, eta_seconds=eta)
        try:
            write_state(self.folder, self._state)
        except OutputError:
            # Nothing of a finished run is missing: whoever looks sees its summary. Of others the fault is on its way
            # to the terminal or the log, and a supervisor writes the state once there is room.
            return
        if state == "done":
            # Of the trainings only the main one's last state is kept.
            for name in CHECKPOINTS[1:]:
                (self.folder / name).unlink(missing_ok=True)

    def _discard(self) -> None:
        if not self.folder.is_dir():
            return
        for entry in list(self.folder.iterdir()):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                with suppress(OSError):
                    entry.unlink(missing_ok=True)
        if self._made:
            with suppress(OSError):
                self.folder.rmdir()


@cache
def _package_versions() -> dict[str, str]:
    """Return the versions of the packages that results may depend on."""
    versions = {}
    for package in _RECORDED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def software_versions() -> dict[str, str]:
    """Return the versions of NeanDL, Python and the packages that results may depend on."""
    return {"neandl": __version__, "python": platform.python_version(), **_package_versions()}


def _is_file(path: Path) -> bool:
    with suppress(OSError):  # no file can have a name of 300 letters
        return path.is_file()
    return False


def _sized(path: Path) -> dict[str, Any]:
    """Return path and size of an input whose checksum is not taken yet; of a folder the path."""
    described: dict[str, Any] = {"path": str(path.resolve())}
    if _is_file(path):
        described["size"] = path.stat().st_size
    return described


def require_run(folder: str | Path, command: str) -> Path:
    """Return a run folder after making sure that it holds the finished result of `command`.

    Raises
    ------
    InputError
        If it is missing, is something else, or is not done.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no such folder; expected the --out folder of `{command}`", path=folder)
    if not (folder / "state.json").exists():
        raise InputError(f"this folder is not the --out folder of `{command}`", path=folder)
    state = read_state(folder)
    if state.command != command:
        raise InputError(f"expected the --out folder of `{command}`, got one of `{state.command}`", path=folder)
    if state.state != "done":
        raise InputError(f"this run of `{command}` is {state.state}, not done", path=folder)
    return folder
