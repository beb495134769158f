"""igv.js on the gene page: windows, genes, maps, deserts and the reads of a sample, its place tied to the page's."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import streamlit as st

from neandl_core.errors import InputError
from neandl_core.figures.style import BLUE, GREEN, VERMILION
from neandl_core.intervals import Locus, format_locus, parse_locus
from neandl_core.runs import read_config
from pages.shared import runs_view, show
from pages.shared.browser_parts import IGV, has, part
from pages.shared.gene_browser.tracks import index_of
from pages.shared.state import GENE, file_labels, workspace

LOCUS = "locus"
"""Query parameter: the place that the browser shows."""
AROUND = 0.4
"""Share of a gene's length that is shown on each side of it."""
_SHOWN = "gene-browser-shown"


def gene_browser(folder: Path, symbol: str, locus: Locus, summary: dict[str, Any]) -> None:
    """Show the browser at a gene, or say what it lacks."""
    if not has(IGV):
        st.caption("A genome browser needs igv.js, which is not installed here: run `make setup` with a network.")
        return
    at_work = runs_view.active("index")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reads = sample_of(summary)
        genome = reference_of(folder)
        known = index_of(genome) if genome else None
        if not at_work:
            prepare(genome, known is None, "Show the bases", "gene-index-genome",
                    "Indexes the genome once, so that the browser can read stretches of it.")
            if reads is not None and index_of(str(reads)) is None:
                prepare(str(reads), True, f"Prepare {reads.name}", "gene-index-reads",
                        "Indexes the reads once; minutes for a large file.")
    embedded(folder, symbol, format_locus(widened(locus)), known, None if reads is None else index_of(str(reads)),
             summary)


def sample_of(summary: dict[str, Any]) -> Path | None:
    """Offer the BAM files; none at first."""
    offered = [path for path in workspace().files("alignment") if path.name.lower().endswith(".bam")]
    labels = file_labels(offered, set())
    return st.selectbox(
        "Reads of a sample", [None, *offered], key="gene-reads", width=360,
        format_func=lambda path: "none" if path is None else labels[path],
        help="A BAM file, sorted by place and mapped to the same genome.",
    )


def prepare(path: str, wanted: bool, label: str, key: str, text: str) -> None:
    """Offer to index a file."""
    if path and wanted and st.button(label, key=key, help=text, icon=":material/bolt:"):
        runs_view.start("index", [path], f"index of {Path(path).name}")


def reference_of(folder: Path) -> str:
    """Return the genome that a gene run was made with, if it is still offered; else an empty text."""
    inputs = [one["path"] for one in read_config(folder)["inputs"]]
    endings = (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz", ".2bit")
    for path in inputs:
        if path.lower().endswith(endings) and Path(path).is_file():
            try:
                return str(workspace().check_offered(path))
            except InputError:
                return ""
    return ""


def widened(locus: Locus) -> Locus:
    """Return a gene with some of what lies around it."""
    margin = max(500, int(AROUND * len(locus)))
    return Locus(locus.contig, max(0, locus.start - margin), locus.end + margin)


@st.fragment
def embedded(
    folder: Path, symbol: str, home: str, genome: tuple[str, dict[str, Any]] | None,
    reads: tuple[str, dict[str, Any]] | None, summary: dict[str, Any],
) -> None:
    """Draw the browser; its moves rerun nothing else."""
    run = runs_view.run_id(folder)
    place = place_of(symbol, home)
    key = "gene-browser"

    def moved() -> None:
        locus = st.session_state[key].get("locus")
        if locus:
            st.query_params[LOCUS] = locus

    def clicked() -> None:
        name = st.session_state[key].get("gene")
        if name:
            st.query_params[GENE] = str(name)
            st.query_params.pop(LOCUS, None)

    made = part("gene_browser")(
        key=key, on_locus_change=moved, on_gene_change=clicked,
        data={
            "key": f"{run} {genome and genome[0]} {reads and reads[0]}", "turn": f"{symbol} {run}",
            "options": options(run, place, genome, reads, summary),
        },
    )
    if made.gene:
        st.rerun()
    st.caption("Bars: probability of each window, dotted at the threshold. Genes and windows called introgressed are "
               "orange. A click on a gene opens it.")


def place_of(symbol: str, home: str) -> str:
    """Return the place of the page's address, where the page was opened with one or the gene is the same as before."""
    asked = st.query_params.get(LOCUS)
    before = st.session_state.get(_SHOWN)
    st.session_state[_SHOWN] = symbol
    if asked and before in (None, symbol):
        try:
            return format_locus(parse_locus(asked))
        except InputError:
            st.caption(f"{show.safe_label(asked)} is no place; the gene is shown.")
    if before not in (None, symbol):
        st.query_params.pop(LOCUS, None)
    return home


def options(
    run: str, place: str, genome: tuple[str, dict[str, Any]] | None, reads: tuple[str, dict[str, Any]] | None,
    summary: dict[str, Any],
) -> dict[str, Any]:
    """Return what igv.js is told; addresses are of this server."""
    base = f"/gene-run/{quote(run)}"
    tracks = [track(base, "probability", "P(introgressed)", type="wig", color=VERMILION, min=0, max=1, height=90,
                    autoscale=False, guideLines=[{"color": "#17212B", "dotted": True, "y": summary["threshold"]}])]
    tracks.append(track(base, "windows", "Windows", displayMode="SQUISHED", height=40, visibilityWindow=500_000))
    tracks.append(track(base, "genes", "Genes", displayMode="EXPANDED", height=70, visibilityWindow=50_000_000))
    if summary.get("maps"):
        tracks.append(track(base, "maps", "Maps", displayMode="EXPANDED", color=GREEN, height=90,
                            visibilityWindow=50_000_000))
        tracks.append(track(base, "deserts", "Deserts", displayMode="EXPANDED", color=BLUE, height=40,
                            visibilityWindow=50_000_000))
    if reads is not None:
        files = f"/indexed/{quote(reads[0])}"
        tracks.append({
            "id": "reads", "name": Path(reads[1]["file"]).name, "type": "alignment", "format": "bam",
            "url": f"{files}/data", "indexURL": f"{files}/index", "height": 260, "showSoftClips": True,
        })
    return {
        "loadDefaultGenomes": False, "reference": reference(base, genome), "locus": place, "tracks": tracks,
        "search": {"url": f"{base}/gene?name=$FEATURE$"}, "showSVGButton": True,
    }


def track(base: str, name: str, label: str, **more: Any) -> dict[str, Any]:
    """Describe a track that is read stretch by stretch."""
    source = {
        "url": f"{base}/track/{name}?chr=$CHR&start=$START&end=$END", "contentType": "application/json",
        "queryable": True,
    }
    return {"id": name, "name": label, "type": "annotation", "sourceType": "custom", "source": source} | more


def reference(base: str, genome: tuple[str, dict[str, Any]] | None) -> dict[str, Any]:
    """Describe the genome: its bases where it is indexed, else the names of its chromosomes."""
    shared: dict[str, Any] = {"id": "neandl", "name": "genome", "wholeGenomeView": False}
    if genome is None:
        return shared | {"format": "chromsizes", "fastaURL": f"{base}/sizes"}
    files, kind = f"/indexed/{quote(genome[0])}", genome[1]["kind"]
    if kind == "2bit":
        return shared | {"twoBitURL": f"{files}/data"}
    found = shared | {"fastaURL": f"{files}/data", "indexURL": f"{files}/index"}
    return found | ({"compressedIndexURL": f"{files}/blocks"} if kind == "fasta-bgzip" else {})
