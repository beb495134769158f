"""One gene with all that speaks for or against it: scores, track, exons, maps and deserts, expression, traits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st

from neandl_core.figures.evidence import expression_figure, locus_figure, view_of
from neandl_core.figures.genes import evidence_figure, gene_track_figure
from neandl_core.gene_joins import is_brain, traits_of
from neandl_core.intervals import Locus, bare_contig, format_locus
from pages.shared import cached, show
from pages.shared.gene_beside import Beside
from pages.shared.gene_browser.browser import gene_browser
from pages.shared.gene_sheet import sheet_button
from pages.shared.state import GENE

_REAL_SYMBOL = re.compile(r"^[A-Za-z0-9._-]+$")


def panel(folder: Path, gene: pd.Series, summary: dict[str, Any], more: Beside) -> None:
    """Show one gene: where it is, its score or why there is none, and the evidence."""
    locus = Locus(str(gene["contig"]), int(gene["start"]), int(gene["end"]))
    symbol = str(gene["symbol"])
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(show.safe_label(symbol), anchor=False, width="content")
            st.markdown(f"[Link to this gene](?{GENE}={quote(symbol)})", width="content")
            sheet_button(folder, gene, locus, summary, numbers(gene, summary), model_rows(gene, summary, more))
        strand = f" · {gene['strand']} strand" if isinstance(gene.get("strand"), str) else ""
        rows = f"{gene['rows']} row{'s' if gene['rows'] != 1 else ''} of the gene table"
        st.caption(f"{show.safe_label(format_locus(locus))} · {len(locus):,} bases{strand} · {rows}")
        show.cards(numbers(gene, summary))
        models(gene, summary, more)
        gene_browser(folder, symbol, locus, summary)
        if summary["simulated"] and more.expression is None and more.traits is None and more.own is None:
            tracks(folder, gene, locus, summary)
            return
        left, right = st.columns([3, 2], gap="large")
        with left:
            tracks(folder, gene, locus, summary)
        with right:
            expression(gene, more, summary)
        # The track is tall: without it the left column has room for the traits.
        with right if gene["windows"] > 0 else left:
            traits(symbol, more)
        with right:
            own_table(gene, more)
            links(symbol, locus, summary)


def numbers(gene: pd.Series, summary: dict[str, Any]) -> dict[str, tuple[str, str] | str]:
    """Return the cards: score first, then the evidence."""
    scored = gene["windows"] > 0
    found: dict[str, tuple[str, str] | str] = {
        "P(introgressed)": (f"{gene['probability']:.3f}" if scored else "not scored", str(gene["reason"]) or (
            f"95% interval {gene['low']:.3f} to {gene['high']:.3f}, from {gene['windows']:,} windows"
            if pd.notna(gene["low"]) else "one block of windows only, so no interval"
        )),
        "Called": (str(gene["predicted"]), rule_text(summary)),
    }
    if pd.notna(gene.get("calibrated")):
        found["Calibrated P"] = (
            f"{gene['calibrated']:.2f}",
            f"{gene['calibrated_low']:.2f} to {gene['calibrated_high']:.2f}; corrected on held-out loci, both classes "
            "weighing the same" if pd.notna(gene["calibrated_low"]) else "Corrected on held-out loci",
        )
    if pd.notna(gene.get("q_value")):
        found["q (FDR)"] = (f"{gene['q_value']:.3f}", "Expected share of false calls if all genes up to it are called")
    if summary.get("maps"):
        found["Maps that touch it"] = (
            f"{gene['maps']} of {summary['maps']}", f"{gene['any_map']:.0%} of it lies in at least one map"
        )
        found["Where half the maps agree"] = (f"{gene['half_maps']:.0%}", "Share of the gene's bases")
        if gene["desert"] > 0:
            found["In deserts"] = (f"{gene['desert']:.0%}", "Share in a desert of at least one map; others may differ")
        if pd.notna(gene["nearest_segment"]) and gene["nearest_segment"] > 0:
            found["Nearest segment"] = (f"{gene['nearest_segment'] / 1000:,.1f} kb", "Of any map")
    if scored and pd.notna(gene["trained_on"]) and gene["trained_on"] > 0:
        found["Trained on"] = (
            f"{gene['trained_on']:.0%}", "Share of the gene that was training sequence: there the score is memory"
        )
    return found


def rule_text(summary: dict[str, Any]) -> str:
    """Say by which rule genes are called."""
    if summary.get("fdr"):
        return f"At a false-discovery rate of {summary['fdr']:.0%}"
    return f"P of at least {summary['threshold']}"


def tracks(folder: Path, gene: pd.Series, locus: Locus, summary: dict[str, Any]) -> None:
    symbol, made = str(gene["symbol"]), folder / "summary.json"
    if gene["windows"] > 0:
        own = cached.gene_rows(folder / "track.parquet", symbol)
        line = "the dotted line is the threshold"
        if summary.get("fdr"):
            line = "the gene is called by the false-discovery rate, not by the dotted line"
        show.figure(
            cached.drawn(
                made, gene_track_figure, own, summary["threshold"], summary["window"], locus.contig, also=symbol,
                span=view_of((locus.start, locus.end)),
            ),
            own, f"gene-{symbol}", "track", f"Each dot is a window; {line}.",
            simulated=summary["simulated"],
        )
    else:
        st.info(
            f"There is no score for {show.safe_label(symbol)}: {show.safe_label(gene['reason'], 200)}.",
            icon=":material/info:",
        )
    evidence = cached.gene_rows(folder / "evidence.parquet", symbol)
    if evidence.empty:
        return
    exons = cached.gene_rows(folder / "exons.parquet", symbol)
    segments = cached.gene_rows(folder / "segments.parquet", symbol)
    shown = evidence[(evidence["kind"] == "map") | evidence["map"].str.contains("desert", case=False)]
    order = shown.sort_values(["kind", "map"], ascending=[False, True])[["map", "kind"]]
    lists = list(order.itertuples(index=False, name=None))
    caption = "Exons in green. " if len(exons) else "The gene table has no exons; GTF, GFF3 and refGene have. "
    show.figure(
        cached.drawn(
            made, locus_figure, (locus.start, locus.end), locus.contig, exons, segments, lists, also=symbol,
        ), segments, f"locus-{symbol}", "locus", caption + "Segments of each map in orange, deserts in blue.",
        simulated=summary["simulated"],
    )
    show.folded(
        "How much of the gene each list covers", lambda: show.figure(
            cached.drawn(made, evidence_figure, evidence, symbol, also=symbol), evidence, f"maps-{symbol}", "maps",
            "Share of the gene: for introgression in orange, against it in blue.", simulated=summary["simulated"],
        ), "gene-lists", icon=":material/bar_chart:",
    )


def model_rows(gene: pd.Series, summary: dict[str, Any], more: Beside) -> list[tuple]:
    """Return what each model says, and whether it can be believed: name, P, call, worth."""
    rows = [(
        summary["model"].get("preset") or "this run", gene["probability"], gene["predicted"], worth(summary),
    )]
    if more.other is not None:
        known = gene["symbol"] in more.other.index
        other = more.other.loc[gene["symbol"]] if known else None
        rows.append((
            more.other_summary.get("model", {}).get("preset") or more.other_name,
            other["probability"] if known else None, other["predicted"] if known else "not in its table",
            worth(more.other_summary),
        ))
    if pd.notna(gene.get("published")):
        trained = next((
            row for row in summary.get("agreement", [])
            if row["score"] == "published, all its rows" and row["truth"].startswith("touches")
        ), None)
        said = f"AUC {trained['auc']:.2f} against its own training regions" if trained else "trained on these regions"
        rows.append((
            "published table", gene["published"],
            "introgressed" if gene["published_called"] == 1 else "not introgressed", said,
        ))
    return rows


def models(gene: pd.Series, summary: dict[str, Any], more: Beside) -> None:
    st.markdown("**What the models say**")
    rows = model_rows(gene, summary, more)
    st.dataframe(
        pd.DataFrame(rows, columns=["Model", "P", "Called", "What it is worth"]), hide_index=True, key="gene-models",
        column_config={"P": st.column_config.NumberColumn(format="%.3f")},
    )


def worth(summary: dict[str, Any]) -> str:
    """Say in a few words how far a model's scores can be believed."""
    signal = (summary.get("model", {}).get("verdict") or {}).get("signal")
    test = summary.get("model", {}).get("test") or {}
    auc = f" (held-out AUC {test['auc']:.2f})" if test.get("auc") is not None else ""
    words = {"clear": "a clear signal", "weak": "a weak signal", "none": "no evidence of signal"}
    return words.get(signal, "not known") + auc


def expression(gene: pd.Series, more: Beside, summary: dict[str, Any]) -> None:
    if more.expression is None:
        return
    own = more.expression[more.expression["symbol"] == gene["symbol"]]
    if own.empty:
        st.caption("This gene is not in the expression table.")
        return
    values = own.iloc[0][more.tissues].dropna().astype(float).to_dict()
    brain = [name for name in more.tissues if is_brain(name)]
    enriched = bool(more.columns.loc[own.index[0], "brain_enriched"])
    table = pd.DataFrame({"tissue": list(values), "tpm": list(values.values())})
    show.figure(
        expression_figure(values, brain, str(gene["symbol"])), table, f"expression-{gene['symbol']}", "expression",
        "Brain-enriched: four times every other tissue." if enriched else "Not brain-enriched by the fourfold rule.",
        simulated=summary["simulated"],
    )


def traits(symbol: str, more: Beside) -> None:
    if more.traits is None:
        return
    found = traits_of(symbol, more.traits)
    st.markdown(f"**Traits** · {len(found)}" if found else "**Traits** · none listed")
    if found:
        with st.container(height=min(180, 40 + 28 * len(found)), border=False):
            st.markdown("\n".join(f"- {show.safe_label(name, 160)}" for name in found))


def own_table(gene: pd.Series, more: Beside) -> None:
    if more.own is None:
        return
    row = more.own[more.own["symbol"] == gene["symbol"]]
    st.markdown("**Your table**" if len(row) else "**Your table** · this gene is not in it")
    if len(row):
        values = row.iloc[0].drop("symbol").dropna()
        st.dataframe(
            pd.DataFrame({"Column": values.index, "Value": values.astype(str)}), hide_index=True, key="gene-own",
            height=min(36 * (len(values) + 1) + 3, 220),
        )


def links(symbol: str, locus: Locus, summary: dict[str, Any]) -> None:
    """Offer the gene's pages elsewhere. Nothing is asked of them until a link is followed."""
    if summary["simulated"] or not _REAL_SYMBOL.match(symbol):
        return
    place = quote(f"chr{bare_contig(locus.contig)}:{locus.start + 1}-{locus.end}")
    name = quote(symbol)
    addresses = {
        "Ensembl (GRCh37)": f"https://grch37.ensembl.org/Homo_sapiens/Gene/Summary?g={name}",
        "UCSC (hg19)": f"https://genome.ucsc.edu/cgi-bin/hgTracks?db=hg19&position={place}",
        "GTEx": f"https://gtexportal.org/home/gene/{name}",
        "GWAS Catalog": f"https://www.ebi.ac.uk/gwas/genes/{name}",
    }
    st.markdown("**Elsewhere** · " + " · ".join(f"[{label}]({address})" for label, address in addresses.items()))
