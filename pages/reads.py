"""Reads & damage: is the sample ancient, from which kind of library, and how long are its reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import FEW_READS, ReadSettings
from neandl_core.figures.damage import damage_figure, length_figure
from neandl_core.runs import read_summary
from neandl_core.sample_sheet import READS_LIBRARY, READS_UDG, sample_of
from neandl_core.schemas import DAMAGE_RATES, LENGTHS
from neandl_core.uploads import shown_name
from pages.shared import cached, cohort_view, read_details, runs_view, samples, show
from pages.shared.picker import pick
from pages.shared.state import workspace

DEFINITIONS = {
    "alignment-column": "alignment columns, as mapDamage",
    "read-base": "bases of the read, as DamageProfiler and PMDtools",
}


def main() -> None:
    show.title("Reads & damage", "Is my sample ancient?")
    at_work = runs_view.active("reads")
    shown = samples.view()
    if shown == samples.MANY:
        samples.all_samples()
        return
    if shown == samples.BATCH:
        cohort_view.cohorts(DEFINITIONS)
        return
    folder = runs_view.run_picker("reads", "Sample", "reads-run")
    wanted = folder is None and not at_work
    show.folded("Analyse a sample", form, "reads-form", icon=":material/add:", expanded=wanted)
    if folder is not None:
        result(folder, read_summary(folder) or {})


@st.fragment
def form() -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        sample = pick("alignment", "Sample", "reads-file", help_text="Read where it lies, of any size.")
        if sample is None:
            return
        genomes = workspace().files("genome")
        genome = pick(
            "genome", "Reference", "reads-genome", optional=True,
            help_text="Only needed for CRAM files and for reads without MD tags.",
        ) if genomes else None
    with right:
        definition = st.selectbox(
            "Positions are counted in", list(DEFINITIONS), format_func=DEFINITIONS.__getitem__, key="reads-definition",
            help="The tools of the field count from different ends and keep different reads; choose whose numbers "
            "you want to compare with.",
        )
        one, two = st.columns(2)
        quality = one.number_input("Mapping quality from", 0, 254, 0, key="reads-quality",
                                   help="0 keeps every aligned read.")
        length = two.number_input("Length from (bases)", 0, 1000, 0, key="reads-length")
    with st.expander("More options", icon=":material/tune:"):
        first, second, third = st.columns(3)
        subsample = first.number_input(
            "Records to use", 0, None, 0, 100_000, key="reads-subsample",
            help="0 uses all. Else about so many, drawn over the whole file; 10,000 are enough for a damage curve.",
        )
        known = sample_of(workspace().folder, sample)
        libraries, treatments = ["double-stranded", "single-stranded"], ["none", "half", "CpG"]
        library = second.selectbox(
            "PMD score for", libraries, libraries.index(READS_LIBRARY.get(known.strands, libraries[0])),
            key=f"reads-pmd-library-{sample}-{known.strands}",
            help="The library's type changes which bases count for the score. The sample sheet fills it in.",
        )
        udg = third.selectbox(
            "UDG treatment for the PMD score", treatments, treatments.index(READS_UDG.get(known.udg, treatments[0])),
            key=f"reads-pmd-udg-{sample}-{known.udg}",
            help="half: only C followed by G and the terminal bases count. CpG: only C followed by G.",
        )
        keep = st.toggle("Write a BAM of the reads with at least a PMD score", key="reads-pmd-write")
        threshold = st.number_input(
            "PMD score from", -5.0, 20.0, 3.0, 0.5, key="reads-pmd-threshold", disabled=not keep,
            help="3 is the usual choice: few modern reads reach it.",
        )
    title = st.text_input("Name", known.name or shown_name(sample), key=f"reads-title-{sample}-{known.name}")
    if st.button("Analyse", type="primary", icon=":material/play_arrow:"):
        with show.plain_errors():
            settings = ReadSettings.for_definition(
                definition, min_mapping_quality=int(quality), min_length=int(length), pmd_library=library, pmd_udg=udg,
                subsample=int(subsample) or None,
            )
            arguments = [
                str(sample), "--definition", definition, "--min-mapping-quality", str(settings.min_mapping_quality),
                "--min-length", str(settings.min_length), "--pmd-library", library, "--pmd-udg", udg,
            ]
            if settings.subsample:
                arguments += ["--subsample", str(settings.subsample)]
            if keep:
                arguments += ["--pmd-threshold", str(threshold)]
            if genome is not None:
                arguments += ["--reference", str(genome)]
            runs_view.start("reads", arguments, title)


def result(folder: Path, summary: dict[str, Any]) -> None:
    if summary["simulated"]:
        show.simulated_badge()
    sentence = show.safe_label(summary["sentence"], 600)
    if summary["damaged"] == "damaged":
        st.success(sentence, icon=":material/hourglass_bottom:")
    elif summary["damaged"] == "not damaged":
        st.info(sentence, icon=":material/schedule:")
    else:
        st.warning(sentence, icon=":material/help:")
    for warning in summary["warnings"]:
        st.warning(show.safe_label(warning, 400), icon=":material/warning:")
    used, total, made = summary["reads_used"], summary["reads_total"], folder / "summary.json"
    show.cards({
        "Reads used": (f"{used:,}", f"of {total:,} in the file; see what was left out below"),
        "C>T at the 5′ end": (percent(summary["c_to_t_5p"][0]), "Deamination reads as C>T at the first base"),
        "G>A at the 3′ end": (percent(summary["g_to_a_3p"][0]), "In double-stranded libraries"),
        "C>T at the 3′ end": (percent(summary["c_to_t_3p"][0]), "In single-stranded libraries"),
        "Median length": (f"{summary['length']['median']:.0f} bases", f"mean {summary['length']['mean']:.1f}"),
    })
    rates = cached.contract_table(folder / "damage_rates.tsv", DAMAGE_RATES, "damage rates")
    fixed = st.toggle(
        "Same scale for every sample", True, key="reads-fixed",
        help="The axis reaches 30%, or more if this sample needs it. Off: fitted to this sample.",
    )
    shown = rates[rates["position"] < 25]
    top = None if fixed else max(0.005, float(shown["rate"].max()) * 1.15)
    drawn = f" A subsample: about {summary['subsample']:,} records." if summary.get("subsample") else ""
    few = f" Fewer than {FEW_READS} reads: the curve is not to be trusted." if used < FEW_READS else ""
    show.figure(
        cached.drawn(made, damage_figure, rates, used, y_max=top, drawn=bool(drawn), also=fixed),
        rates, f"damage-{folder.name}", "damage",
        "Share of reference bases read as another base, by distance from either end; bands are 95% intervals."
        f"{drawn}{few}",
        simulated=summary["simulated"],
    )
    lengths = cached.contract_table(folder / "lengths.tsv", LENGTHS, "lengths")
    show.figure(
        cached.drawn(made, length_figure, lengths, used), lengths, f"lengths-{folder.name}", "lengths",
        "Bases of the reference that each read spans.", simulated=summary["simulated"],
    )
    if "pmd" in summary:
        show.folded(
            "Read by read: PMD scores, single reads, UDG and damage model, groups, quality",
            lambda: read_details.details(folder, summary), "reads-by-read", icon=":material/manage_search:",
        )
    show.folded(
        f"What became of the {total:,} reads, and how they were counted", lambda: counted(summary), "reads-counted",
    )


def counted(summary: dict[str, Any]) -> None:
    """Show what became of every record of the file, the rows adding up to it, and by which rules."""
    fates = {"used": summary["reads_used"], **summary["dropped"]}
    table = pd.DataFrame([(fate, count) for fate, count in fates.items() if count], columns=["reads", "count"])
    table["share"] = table["count"] / max(1, summary["reads_total"])
    st.dataframe(table, hide_index=True, key="left-out", column_config={
        "reads": "What became of them", "count": st.column_config.NumberColumn("Reads", format="localized"),
        "share": st.column_config.ProgressColumn("Share", min_value=0, max_value=1, format="percent"),
    })
    show.table_downloads(table, "reads-used-and-left-out", "left-out-files")
    st.markdown(show.safe_label(summary["filters"], 500))
    st.markdown(show.safe_label(summary["rule"], 900))
    for note in summary["notes"]:
        st.markdown(f"- {show.safe_label(note, 400)}")


def percent(rate: float | None) -> str:
    return "none seen" if rate is None else f"{rate:.1%}"


main()
