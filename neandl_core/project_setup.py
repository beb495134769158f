"""The Neanderthal project in one go: published data fetched, and the dataset of windows built from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neandl_core.catalogue import INTROGRESSION, choose
from neandl_core.config import DataSettings
from neandl_core.demo import Step, run_step
from neandl_core.errors import InputError
from neandl_core.fetching import Fetched, fetch
from neandl_core.files import require_file
from neandl_core.recording import Progress, no_progress
from neandl_core.runs import read_summary

GENOME = "hg19"
"""The genome that is fetched if a user has none."""
DATASET = "windows"
"""Folder of the dataset within the run's own: a run of `windows`, which every page finds."""


def set_up(
    folder: Path, settings: DataSettings, progress: Progress = no_progress
) -> tuple[list[Fetched], dict[str, Any]]:
    """Fetch what the introgression side needs and build the dataset with held-out chromosomes.

    Parameters
    ----------
    folder
        The run's folder; the dataset comes to lie in it.
    settings
        Where the data go and come from; the genome, if the user has it already.

    Returns
    -------
    fetched : list of Fetched
        The files.
    made : dict
        `dataset`, `windows`, `test_chromosomes` and a `sentence`.

    Raises
    ------
    NeanDLError
        If something cannot be fetched, or the dataset cannot be built.
    """
    if settings.genome is not None:
        require_file(settings.genome, "genome (FASTA or 2bit file)")
    sets = choose((*INTROGRESSION, *(() if settings.genome else (GENOME,))))
    fetched = fetch(
        sets, Path(settings.to), accept_licence=settings.accept_licence, mirror=settings.mirror,
        offline=settings.offline, progress=progress,
    )
    paths = {one.name: one.path for one in fetched}
    genome = settings.genome or str(paths[sets[-1].files[0].name])
    try:
        introgressed, depleted = (paths[f"Akey_{name}_coords.bed"] for name in ("intr", "depl"))
    except KeyError as missing:
        raise InputError(f"the catalogue does not have {missing}") from None
    words = [
        "--reference", genome, "--introgressed", str(introgressed), "--depleted", str(depleted),
        "--split", "chromosome", "--seed", str(settings.seed),
    ]
    words += ["--piece", str(settings.piece)] if settings.piece else []
    words += ["--test-chromosomes", ",".join(settings.test_chromosomes)] if settings.test_chromosomes else []
    progress(0, 0, "Cutting windows")
    run_step(folder, Step(DATASET, "windows", tuple(words), "Neanderthal project"), settings.threads)
    summary = read_summary(folder / DATASET) or {}
    held_out = ", ".join(summary["test_chromosomes"])
    return fetched, {
        "dataset": str(folder / DATASET), "windows": summary["windows"]["total"],
        "test_chromosomes": summary["test_chromosomes"],
        "sentence": f"{summary['windows']['total']:,} windows, tested on {held_out}. {summary['audit']['sentence']}",
    }
