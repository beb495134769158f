"""The parts of the Reads page that look at reads one by one: PMD scores, groups and CpG, edit distance, composition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.figures.damage import Curve, composition_figure, figures_figure, overlay_figure, pmd_figure
from neandl_core.files import require_file
from neandl_core.runs import read_config, read_state
from neandl_core.schemas import COMPOSITION, GROUPS, PMD_DAMAGE, PMD_SCORES, READ_FIGURES
from pages.shared import cached, runs_view, show
from pages.shared.read_drill import drill
from pages.shared.state import workspace

_LARGEST_DOWNLOAD = 500_000_000
"""Bytes of the largest BAM that the page hands out; larger ones are fetched from the run's folder."""
SCORES, SINGLE, MODEL, GROUPED = "PMD scores", "Single reads", "Treatment and model", "Groups and CpG"
FIGURES, AROUND = "Distance, GC, quality", "Bases around reads"
_PARAMETERS = {
    "termination": "λ, chance that an overhang ends at each next base",
    "delta_s": "δs, deamination in single-stranded overhangs",
    "delta_d": "δd, deamination in the double-stranded part",
}


def details(folder: Path, summary: dict[str, Any]) -> None:
    """Show what the reads tell one by one, in tabs of which only the open one is worked out; call it in a fragment."""
    names = [SCORES, SINGLE, MODEL, GROUPED, FIGURES]
    if (folder / "composition.tsv").exists():
        names.append(AROUND)
    show.tabs({
        SCORES: lambda: _scores(folder, summary),
        SINGLE: lambda: drill(
            folder, "PMD score", (3.0, 20.0), "pmd-reads", single_stranded=summary["library"] == "single-stranded",
            simulated=summary["simulated"],
        ),
        MODEL: lambda: _model(summary),
        GROUPED: lambda: _groups(folder),
        FIGURES: lambda: _figures(folder, summary),
        AROUND: lambda: _around(folder, summary),
    }, names, key="reads-details")


def _figures(folder: Path, summary: dict[str, Any]) -> None:
    figures = cached.contract_table(folder / "read_figures.tsv", READ_FIGURES, "read figures")
    show.figure(
        cached.drawn(folder / "summary.json", figures_figure, figures),
        figures, f"reads-{folder.name}", "read-figures",
        "Mismatches, inserted and deleted bases of each read; GC of its bases; how sure the aligner was.",
        simulated=summary["simulated"],
    )


def _around(folder: Path, summary: dict[str, Any]) -> None:
    composition = cached.contract_table(folder / "composition.tsv", COMPOSITION, "composition")
    show.figure(
        cached.drawn(folder / "summary.json", composition_figure, composition),
        composition, f"composition-{folder.name}", "composition",
        "Bases in the reads and, beyond the dotted line, on the reference beside them. Old DNA tends to break "
        "next to a purine (A, G), which shows just before the 5′ end.",
        simulated=summary["simulated"],
    )


@st.fragment
def _scores(folder: Path, summary: dict[str, Any]) -> None:
    pmd = summary["pmd"]
    scores = cached.contract_table(folder / "pmd_scores.tsv", PMD_SCORES, "PMD scores")
    damage = cached.contract_table(folder / "pmd_damage.tsv", PMD_DAMAGE, "damage by PMD score")
    steps = sorted(damage["threshold"].dropna().unique().tolist())
    threshold = st.select_slider("Keep reads with a PMD score of at least", steps, value=3.0, key="pmd-threshold")
    st.caption(
        "The PMD score asks of each read: is it likelier as an ancient, deaminated molecule (above 0) or as a modern "
        "one (below)? Few modern reads reach 3 (about 2 of 100 of a modern human genome), but many ancient reads score "
        "lower."
    )
    at = damage[damage["threshold"] == threshold]
    kept, scored = int(at["reads"].iloc[0]), pmd["reads_scored"]
    share = f"{kept / scored:.1%} of the {scored:,} reads with a score" if scored else "no read has a score"
    show.cards({
        "Reads kept": (f"{kept:,}", share),
        "Their C>T at the 5′ end": _terminal(at, "5p", "C>T"),
        "Their G>A at the 3′ end": _terminal(at, "3p", "G>A"),
        "Their C>T at the 3′ end": _terminal(at, "3p", "C>T"),
    })
    show.figure(
        cached.drawn(folder / "summary.json", pmd_figure, scores, threshold, also=threshold),
        scores, f"pmd-{folder.name}", "pmd",
        f"Model: {pmd['library']}, UDG {pmd['udg']}. Reads without a score: {pmd['reads_without_score']:,}.",
        simulated=summary["simulated"],
    )
    everything = damage[damage["threshold"].isna()]
    curves = [_curve("all reads", everything, summary), _curve("reads kept", at, summary)]
    show.figure(
        cached.drawn(folder / "summary.json", overlay_figure, curves, y_max=1.0, also=threshold),
        at, f"pmd-damage-{folder.name}", "pmd-damage",
        "Damage of the reads kept. It is high by choice: damaged reads are what the threshold selects.",
        simulated=summary["simulated"],
    )
    filtered = summary.get("filtered")
    if kept and not (filtered and filtered["threshold"] == threshold):
        _write_button(folder, threshold, kept)
    if filtered:
        st.success(
            f"{filtered['reads_kept']:,} reads with a score from {filtered['threshold']:g} are in "
            f"{show.safe_label(filtered['file'])}; {filtered['reads_below']:,} are below, and "
            f"{filtered['reads_without_score']:,} have no score.", icon=":material/filter_alt:",
        )
        path = folder / filtered["file"]
        if path.exists() and path.stat().st_size <= _LARGEST_DOWNLOAD:
            st.download_button(
                "BAM of the reads kept", path.read_bytes, file_name=f"{folder.name}.pmd.bam",
                mime="application/octet-stream", on_click="ignore", icon=":material/download:", key="pmd-bam",
            )


def _write_button(folder: Path, threshold: float, kept: int) -> None:
    """Offer to run the analysis again and write the reads kept as a BAM file."""
    config = read_config(folder)
    if st.button(
        f"Write a BAM of these {kept:,} reads", icon=":material/filter_alt:", key="pmd-write",
        help="Runs the analysis again with the same settings; the file is offered with its result.",
    ):
        with show.plain_errors():
            for entry in config["inputs"]:
                workspace().check_offered(require_file(entry["path"], "file that was analysed"))
            arguments = [*again(config), "--pmd-threshold", f"{threshold:g}"]
            title = read_state(folder).title or folder.name
            runs_view.start("reads", arguments, f"{title}, PMD score from {threshold:g}")


def again(config: dict[str, Any]) -> list[str]:
    """Return the arguments of `reads` that repeat a run, from its `config.json`, without output and PMD threshold."""
    settings, (sample, *reference) = config["settings"], [entry["path"] for entry in config["inputs"]]
    words = [
        sample, "--definition", settings["definition"], "--min-mapping-quality", settings["min_mapping_quality"],
        "--min-length", settings["min_length"], "--pmd-library", settings["pmd_library"], "--pmd-udg",
        settings["pmd_udg"], "--seed", settings["seed"],
    ]
    if settings["definition"] == "alignment-column" and not settings["skip_duplicates"]:
        words.append("--keep-duplicates")
    if settings["subsample"]:
        words += ["--subsample", settings["subsample"]]
    if reference:
        words += ["--reference", reference[0]]
    return [str(word) for word in words]


def _curve(name: str, rows: pd.DataFrame, summary: dict[str, Any]) -> Curve:
    third = "C>T" if summary["library"] == "single-stranded" else "G>A"

    def rates(end: str, substitution: str) -> list[float]:
        here = rows[(rows["end"] == end) & (rows["substitution"] == substitution)]
        return here.sort_values("position")["rate"].tolist()

    return Curve(name, int(rows["reads"].iloc[0]), rates("5p", "C>T"), rates("3p", third), third)


def _terminal(rows: pd.DataFrame, end: str, substitution: str) -> tuple[str, str]:
    first = rows[(rows["end"] == end) & (rows["substitution"] == substitution) & (rows["position"] == 0)].iloc[0]
    if first["n_ref"] == 0:
        return "none seen", "No such base at this end"
    return f"{first['rate']:.1%}", f"{first['n_observed']:,} of {first['n_ref']:,}"


def _model(summary: dict[str, Any]) -> None:
    udg, fit = summary["udg"], summary["briggs"]
    st.markdown(f"**UDG treatment: {udg['treatment']}.** {show.safe_label(udg['sentence'], 400)}")
    st.caption(show.safe_label(udg["rule"], 900))
    if fit is None:
        st.markdown("No model is fitted, as there is no damage to fit.")
        return
    table = pd.DataFrame([
        (meaning, fit["values"][name], *fit["intervals"][name]) for name, meaning in _PARAMETERS.items()
    ], columns=["parameter of the damage model", "value", "low", "high"])
    st.dataframe(table, hide_index=True, key="briggs", column_config={
        name: st.column_config.NumberColumn(format="%.4f") for name in ("value", "low", "high")
    })
    text = f"Model of Briggs et al. 2007. {fit['method']} Error rate taken off: {fit['error']:.5f}."
    st.caption(show.safe_label(text, 500))
    show.table_downloads(table, "damage-model", "briggs-files")


def _groups(folder: Path) -> None:
    groups = cached.contract_table(folder / "groups.tsv", GROUPS, "groups")
    st.caption(
        "C>T and G>A at the terminal base by read group, by mitochondrial against nuclear contigs, and by whether the "
        "C stands before a G (CpG). A contaminated library, or one treated with UDG, shows here."
    )
    first = groups[groups["position"] == 0].copy()
    first["what"] = first["end"].str[0] + "′ " + first["substitution"]
    keys = ["sample", "library", "read_group", "contigs", "context"]
    table = first.pivot_table(index=keys, columns="what", values="rate", dropna=False, observed=True, sort=False)
    table = table.dropna(how="all").reset_index()
    n = first[first["end"] == "5p"].groupby(keys, sort=False)["n_ref"].first().rename("C at the 5′ end").reset_index()
    table = table.merge(n, on=keys)
    st.dataframe(table, hide_index=True, key="groups", column_config={
        **{name: st.column_config.NumberColumn(format="percent") for name in first["what"].unique()},
        "C at the 5′ end": st.column_config.NumberColumn(format="localized"),
        **{name: name.replace("_", " ").capitalize() for name in keys},
    })
    show.table_downloads(groups, f"groups-{folder.name}", "groups-files")
