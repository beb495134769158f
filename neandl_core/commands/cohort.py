"""`cohort`: `reads` on many alignment files, through the slots of this machine or on a scheduler."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.commands.reads import reads
from neandl_core.config import CohortSettings
from neandl_core.errors import CancelledError, NeanDLError
from neandl_core.files import write_json, write_tsv
from neandl_core.recording import Run, set_command_line
from neandl_core.runs import RunState, this_host, write_state


def cohort(
    bams: Annotated[list[Path], typer.Argument(metavar="BAM...", help="BAM, SAM or CRAM files of aligned reads.")],
    out: Out,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="FASTA the reads were aligned to, for all of them.")
    ] = None,
    definition: Annotated[str, typer.Option("--definition", help="As of `reads`.")] = "alignment-column",
    min_mapping_quality: Annotated[int, typer.Option("--min-mapping-quality", help="As of `reads`.")] = 0,
    min_length: Annotated[int, typer.Option("--min-length", help="As of `reads`.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Damage profile and lengths alone.")] = False,
    seed: Seed = 1,
    threads: Threads = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Damage, lengths and library type of many samples: a folder for each and one table of all.

    Samples are done side by side, as many as there are slots (NEANDL_CPU_SLOTS); with NEANDL_SCHEDULER, or `submit
    --scheduler`, on the machines of a cluster. A file that cannot be read is named in the table and stops no other.

    Example: python -m neandl_core cohort samples/*.bam --out cohort
    """
    from neandl_core.cohort import TABLE, columns_of, name_samples, run_cohort

    settings = CohortSettings.make(
        definition=definition, min_mapping_quality=min_mapping_quality, min_length=min_length, quick=quick,
        seed=seed, threads=threads,
    )
    samples = name_samples(bams)
    options = {
        "reference": None if reference is None else str(reference.resolve()),
        **settings.model_dump(include={"definition", "min_mapping_quality", "min_length", "quick", "seed", "threads"}),
    }
    inputs = [] if reference is None else [reference]
    with progress_bar(quiet) as bar, Run(out, "cohort", settings, inputs, title=title, on_progress=bar) as run:
        rows = run_cohort(run.folder, samples, options, threads, run.progress)
        write_tsv(run.results / TABLE, columns_of(rows))
        refused = [one for one in rows if one["state"] != "done"]
        for one in refused:
            run.log(f"{one['sample']}: {one['message']}")
        damaged = sum(one["damaged"] == "damaged" for one in rows)
        run.summarise({
            "samples": len(rows), "done": len(rows) - len(refused), "damaged": damaged,
            "refused": [{"sample": one["sample"], "message": one["message"]} for one in refused],
            "reads_used": sum(one["reads_used"] or 0 for one in rows),
        })
    said = f" {len(refused)} could not be read; {TABLE} says why." if refused else ""
    say(f"{len(rows) - len(refused):,} samples, {damaged:,} with ancient damage.{said} Results in {out}", quiet)


def cohort_part(
    folder: Annotated[Path, typer.Argument(metavar="COHORT", help="Folder of the cohort.")],
    number: Annotated[int, typer.Argument(metavar="PART", help="Which part, from 0.")],
    out: Out,
    seed: Seed = 1,
    threads: Threads = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """One part of a cohort; `cohort` starts them.

    Example: python -m neandl_core cohort-part cohort 0 --out part
    """
    from neandl_core.cohort import each_to_do, samples_of
    from neandl_core.parts import planned

    part = planned(folder, number)
    options, samples = part["options"], samples_of(part)
    settings = CohortSettings.make(seed=seed, threads=threads)
    with progress_bar(quiet) as bar, Run(out, "cohort-part", settings, [], title=title, on_progress=bar) as run:
        for sample in each_to_do(folder, samples, lambda done, name: run.progress(done, len(samples), name)):
            sample_folder = folder / sample.name
            words = _words(sample.bam, options)
            # The sample's own folder says how to make it again by itself, and keeps the reason if it is refused.
            set_command_line(["reads", *words, "--out", str(sample_folder), "--title", sample.name, "--quiet"])
            sample_folder.mkdir()
            write_state(sample_folder, RunState("queued", "reads", title=sample.name, queued=time.time()))
            write_json(sample_folder / "worker.json", {
                "arguments": [sys.executable, "-m", "neandl_core", "reads", *words], "command": "reads",
                "folder": str(Path.cwd()), "host": this_host(),
            })
            try:
                reads(
                    bam=sample.bam, out=sample_folder, title=sample.name, quiet=True,
                    **{**options, "reference": options["reference"] and Path(options["reference"])},
                )
            except CancelledError:
                raise
            except NeanDLError as error:
                run.log(f"{sample.name}: {error}")
        run.summarise({"samples": [sample.name for sample in samples]})


def _words(bam: Path, options: dict[str, Any]) -> list[str]:
    words = [str(bam)]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words
