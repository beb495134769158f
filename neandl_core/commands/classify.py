"""`classify`: P(ancient) per read, the sample's contamination, and the BAM split in two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import ClassifySettings, ReadSettings
from neandl_core.files import require_file


def classify(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a `train` run on reads.")],
    bam: Annotated[Path, typer.Argument(metavar="BAM", help="BAM, SAM or CRAM file of aligned reads.")],
    out: Out,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Reads go into ancient.bam from this P(ancient) on. The estimate of "
                                                "contamination does not depend on it.")
    ] = 0.5,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="FASTA the reads were aligned to; needed for CRAM, and for "
                                                     "reads without MD tags.")
    ] = None,
    min_mapping_quality: Annotated[int, typer.Option("--min-mapping-quality", help="Leave out reads below it.")] = 0,
    min_length: Annotated[int, typer.Option("--min-length", help="Leave out reads with fewer bases.")] = 0,
    seed: Seed = 1,
    threads: Threads = 2,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Say of every read how likely it is ancient, and how much of the sample is modern.

    Writes ancient.bam and modern.bam with the probability as the tag XP, reads.parquet, scores.tsv and the damage of
    both sides.

    Example: python -m neandl_core classify model sample.bam --out decontaminated
    """
    from neandl_core.classification import SIDES, load_classifier, run_classify
    from neandl_core.io.alignments import open_alignments
    from neandl_core.recording import Run

    settings = ClassifySettings.make(
        threshold=threshold, min_mapping_quality=min_mapping_quality, min_length=min_length, seed=seed, threads=threads
    )
    inputs = [require_file(bam, "BAM, SAM or CRAM file")]
    if reference is not None:
        inputs.append(require_file(reference, "FASTA file"))
    inputs += [run_folder / name for name in ("model.safetensors", "model.json", "calibration.json")]
    with progress_bar(quiet) as bar, Run(out, "classify", settings, inputs, title=title, on_progress=bar) as run:
        run.progress(0, 0, "Loading the model")
        classifier = load_classifier(run_folder, threads, seed)
        with open_alignments(bam, reference, threads) as alignments:
            words = f"neandl_core classify {run_folder.name} {bam.name} --threshold {threshold:g}"
            scored, found, summary = run_classify(alignments, classifier, settings, run, words, reference)
        summary["damage"] = {
            side: _damage(run.results, side, count, reference, threads, run, summary["notes"])
            for side, count in zip(SIDES, scored.sides, strict=True)
        }
        for note in (*summary["warnings"], *summary["notes"]):
            run.log(note)
        run.summarise(summary)
    say(
        f"{found.estimate:.1%} of {summary['reads_scored']:,} reads are modern (95% interval {found.low:.1%} to "
        f"{found.high:.1%}); {summary['reads']['ancient']:,} reads in ancient.bam, {summary['reads']['modern']:,} in "
        f"modern.bam; in {out}", quiet,
    )


def _damage(
    folder: Path, side: str, reads: int, reference: Path | None, threads: int, run: Any, notes: list[str]
) -> dict[str, Any] | None:
    """Count the damage of one side and write its table; None, with a note, where it cannot be counted."""
    from neandl_core.config import SHOWN_POSITIONS
    from neandl_core.damage import count_damage, damage_rate_table
    from neandl_core.errors import InputError
    from neandl_core.io.alignments import open_alignments
    from neandl_core.library import call_library

    if not reads:
        notes.append(f"No read was called {side}.")
        return None
    try:
        with open_alignments(folder / f"{side}.bam", None, threads) as alignments:
            profile = count_damage(alignments, ReadSettings(threads=threads), reference, run.progress)
    except InputError as error:
        notes.append(f"The damage of the {side} reads could not be counted: {error}")
        return None
    rates = damage_rate_table(profile)
    rates.to_csv(folder / f"{side}_damage_rates.tsv", sep="\t", index=False)
    call = call_library(profile)

    def listed(end: str, substitution: str) -> list[float | None]:
        chosen = rates[(rates["end"] == end) & (rates["substitution"] == substitution)].sort_values("position")
        return [None if rate != rate else float(rate) for rate in chosen["rate"].head(SHOWN_POSITIONS)]

    return {
        "reads_used": profile.reads_used, "c_to_t_5p": listed("5p", "C>T"), "g_to_a_3p": listed("3p", "G>A"),
        "c_to_t_3p": listed("3p", "C>T"), "damaged": call.damaged, "library": call.library, "sentence": call.sentence,
    }
