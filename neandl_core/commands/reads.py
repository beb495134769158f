"""`reads`: damage, lengths and library type of one alignment file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import SHOWN_POSITIONS, ReadSettings
from neandl_core.errors import SettingsError
from neandl_core.files import write_tsv

if TYPE_CHECKING:
    from neandl_core.damage import DamageProfile
    from neandl_core.io.alignments import Alignments
    from neandl_core.library import LibraryCall
    from neandl_core.read_details import Describer
    from neandl_core.recording import Run

DEFINITIONS = ("alignment-column", "read-base")
FILTERED = "pmd_filtered.bam"
"""The reads with a PMD score from the threshold up, byte for byte as they were."""


def reads(
    bam: Annotated[Path, typer.Argument(metavar="BAM", help="BAM, SAM or CRAM file of aligned reads.")],
    out: Out,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="FASTA the reads were aligned to; needed for CRAM and where MD "
                                                     "tags are missing.")
    ] = None,
    definition: Annotated[
        str, typer.Option("--definition", help="alignment-column (as mapDamage) or read-base (as DamageProfiler and "
                                               "PMDtools).")
    ] = "alignment-column",
    min_mapping_quality: Annotated[int, typer.Option("--min-mapping-quality", help="Leave out reads below it.")] = 0,
    min_length: Annotated[int, typer.Option("--min-length", help="Leave out reads with fewer bases.")] = 0,
    keep_duplicates: Annotated[bool, typer.Option("--keep-duplicates", help="Count flagged duplicates too.")] = False,
    subsample: Annotated[
        int | None, typer.Option("--subsample", help="Use about so many records, drawn over the whole file by their "
                                                     "names; mates stay together.")
    ] = None,
    pmd_threshold: Annotated[
        float | None, typer.Option("--pmd-threshold", help="Also write the reads with at least this PMD score as "
                                                           "pmd_filtered.bam.")
    ] = None,
    pmd_library: Annotated[
        str, typer.Option("--pmd-library", help="PMD score for double-stranded or single-stranded libraries.")
    ] = "double-stranded",
    pmd_udg: Annotated[
        str, typer.Option("--pmd-udg", help="none; half: CpG and terminal bases count; CpG: only CpG counts.")
    ] = "none",
    quick: Annotated[
        bool, typer.Option("--quick", help="Damage profile and lengths alone, in half the time: no PMD scores, groups, "
                                           "CpG, UDG, fit or files for other tools.")
    ] = False,
    seed: Seed = 1,
    threads: Threads = 2,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Damage profile, read lengths and library type of a BAM.

    Example: python -m neandl_core reads sample.bam --out results/sample
    """
    from neandl_core.recording import Run, uncollected

    if definition not in DEFINITIONS:
        raise SettingsError(f"reads: definition = {definition!r} is refused: choose one of {', '.join(DEFINITIONS)}.")
    values: dict[str, Any] = {
        "min_mapping_quality": min_mapping_quality, "min_length": min_length, "threads": threads, "seed": seed,
        "subsample": subsample, "pmd_threshold": pmd_threshold, "pmd_library": pmd_library, "pmd_udg": pmd_udg,
    }
    if quick and pmd_threshold is not None:
        raise SettingsError("reads: --quick leaves out the PMD scores that --pmd-threshold needs; give one of them.")
    if keep_duplicates:
        values["skip_duplicates"] = False
    settings = ReadSettings.for_definition(definition, **values)
    inputs = [bam] if reference is None else [bam, reference]
    with progress_bar(quiet) as bar, Run(out, "reads", settings, inputs, title=title, on_progress=bar) as run:
        run.progress(0, 0, "Opening")
        # After the run began: the inputs' checksums are taken while these load.
        with uncollected():
            from neandl_core.damage import count_damage, damage_rate_columns, length_columns, misincorporation_columns
            from neandl_core.io.alignments import open_alignments
            from neandl_core.library import call_library

        with open_alignments(bam, reference, threads) as alignments:
            describer = None if quick else _describer(run, alignments, settings, reference)
            profile = count_damage(alignments, settings, reference, run.progress, describer)
            facts = _facts(alignments)
        call = call_library(profile)
        _write_tables(run.results, {
            "misincorporation": misincorporation_columns(profile), "damage_rates": damage_rate_columns(profile),
            "lengths": length_columns(profile),
        })
        summary = {**facts, **summary_of(profile), **_verdict(call)}
        if describer is not None:
            run.progress(0, 0, "Writing tables")
            summary |= _write_details(run, describer, profile, call, facts)
        for note in profile.notes:
            run.log(note)
        run.summarise(summary)
    say(f"{call.sentence}\n{profile.reads_used:,} of {profile.reads_total:,} reads used; results in {out}", quiet)


def _write_tables(folder: Path, tables: dict[str, Any]) -> None:
    """Write tables beside each other: most of the time goes into waiting until the disk has them."""
    with ThreadPoolExecutor(len(tables)) as pool:
        list(pool.map(lambda name: write_tsv(folder / f"{name}.tsv", tables[name]), tables))


def _describer(run: Run, alignments: Alignments, settings: ReadSettings, reference: Path | None) -> Describer:
    from neandl_core.read_details import Describer

    filtered = None if settings.pmd_threshold is None else run.results / FILTERED
    return Describer(alignments, settings, with_reference=reference is not None, filtered=filtered)


def _write_details(
    run: Run, describer: Describer, profile: DamageProfile, call: LibraryCall, facts: dict[str, Any]
) -> dict[str, Any]:
    """Write what is known read by read, and return its part of the summary."""
    from dataclasses import asdict

    from neandl_core import read_tables as tables
    from neandl_core.briggs import METHOD, fit_briggs
    from neandl_core.library import UDG_RULE, call_udg
    from neandl_core.read_sample import FILE as SAMPLE
    from neandl_core.tool_files import write_tool_files

    details = describer.details()
    columns = {
        "groups": tables.group_columns, "pmd_scores": tables.score_columns, "pmd_damage": tables.score_damage_columns,
        "read_figures": tables.figure_columns, "clips": tables.clip_columns,
    }
    if describer.every_contig:
        columns["composition"] = tables.composition_columns
    _write_tables(run.results, {name: table(details) for name, table in columns.items()})
    describer.sampler.save(run.results / SAMPLE)
    write_tool_files(run.results / "compat", profile, details, facts["file"], composition=describer.every_contig)
    fit = fit_briggs(profile, call.library) if call.damaged == "damaged" else None
    udg = call_udg(details, call)
    return {
        **tables.details_summary(details),
        "udg": {**asdict(udg), "rule": UDG_RULE},
        "briggs": None if fit is None else {**asdict(fit), "method": METHOD},
        "filtered": describer.finish(profile.in_order),
    }


def _facts(alignments: Alignments) -> dict[str, Any]:
    """Return what the header says."""
    samples = sorted({group["SM"] for group in alignments.read_groups.values() if "SM" in group})
    return {
        "file": alignments.path.name, "format": alignments.kind, "samples": samples,
        "read_groups": len(alignments.read_groups), "sort_order": alignments.sort_order,
        "contigs": len(alignments.contigs), "simulated": alignments.simulated,
    }


def _verdict(call: Any) -> dict[str, Any]:
    from neandl_core.library import RULE

    evidence = [
        {"end": rise.end, "substitution": rise.substitution, "rate": rise.rate, "low": rise.low, "high": rise.high,
         "interior": rise.interior, "rises": rise.rises}
        for rise in call.rises
    ]
    return {
        "library": call.library, "damaged": call.damaged, "sentence": call.sentence, "warnings": list(call.warnings),
        "evidence": evidence, "rule": RULE,
    }


def summary_of(profile: DamageProfile) -> dict[str, Any]:
    """Return the part of `summary.json` that describes a profile.

    Rates are lists over the first `SHOWN_POSITIONS` positions from the end, null where nothing was counted.
    """
    import numpy as np

    def rates(end: str, substitution: str) -> list[float | None]:
        observed, n = (values[:SHOWN_POSITIONS] for values in profile.tally(end, substitution))
        return [float(k / total) if total else None for k, total in zip(observed, n, strict=True)]

    def of_lengths(measure: int) -> dict[str, Any]:
        counts = profile.lengths[measure].sum(axis=0)
        present = np.flatnonzero(counts)
        cumulative = np.cumsum(counts[present])
        half = cumulative[-1]
        lower, upper = (present[np.searchsorted(cumulative, rank)] for rank in ((half + 1) // 2, half // 2 + 1))
        return {
            "mean": float((present * counts[present]).sum() / half), "median": float(lower + upper) / 2,
            "histogram": {int(length): int(counts[length]) for length in present},
        }

    span, query = of_lengths(0), of_lengths(1)
    return {
        "reads_total": profile.reads_total,
        "reads_used": profile.reads_used,
        "subsample": profile.settings.subsample,
        "dropped": profile.dropped,
        "definition": profile.settings.definition,
        "filters": filters_in_words(profile.settings),
        "c_to_t_5p": rates("5p", "C>T"),
        "g_to_a_3p": rates("3p", "G>A"),
        "c_to_t_3p": rates("3p", "C>T"),
        "n_5p": profile.tally("5p", "C>T")[1][:SHOWN_POSITIONS],
        "n_3p": profile.tally("3p", "G>A")[1][:SHOWN_POSITIONS],
        "length": {
            **span, "query_mean": query["mean"], "query_median": query["median"], "query_histogram": query["histogram"],
        },
        "notes": list(profile.notes),
    }


def filters_in_words(settings: ReadSettings) -> str:
    """Say which records were left out and how positions were counted."""
    skipped = ["unmapped"]
    for name, chosen in (
        ("secondary", settings.skip_secondary), ("supplementary", settings.skip_supplementary),
        ("duplicate", settings.skip_duplicates), ("quality-failed", settings.skip_qc_fail),
    ):
        skipped += [name] if chosen else []
    text = f"Left out: {', '.join(skipped)} records"
    if settings.min_mapping_quality:
        text += f", mapping quality below {settings.min_mapping_quality}"
    if settings.subsample:
        text += f", all but about {settings.subsample:,} records drawn over the whole file (seed {settings.seed})"
    if settings.min_length:
        text += f", fewer than {settings.min_length} bases"
    counted = {
        "alignment-column": "positions are columns of the alignment (soft clips cut off), as in mapDamage",
        "read-base": "positions are bases of the read (soft clips counted), as in DamageProfiler and PMDtools",
    }
    return f"{text}; {counted[settings.definition]}."
