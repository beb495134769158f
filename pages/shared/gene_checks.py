"""Whether a gene table can be believed: the model's verdict, agreement with the maps, genes that maps support."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.figures.evidence import agreement_figure
from pages.shared import show


def believe(summary: dict[str, Any]) -> None:
    """Say first whether the model behind the table can be believed."""
    verdict = summary["model"].get("verdict") or {}
    if not verdict:
        return
    text = f"The model behind this table: {show.safe_label(verdict['sentence'], 500)}"
    if verdict["signal"] == "clear":
        st.success(text, icon=":material/check_circle:")
    elif verdict["signal"] == "weak":
        st.warning(f"{text} Read the probabilities below with that in mind.", icon=":material/help:")
    else:
        st.error(f"{text} So the probabilities below are no evidence; the maps are.", icon=":material/block:")


def against_maps(summary: dict[str, Any]) -> None:
    """Show how scores agree with the maps, and what is said of genes that the maps support or exclude."""
    rows = [row for row in summary.get("agreement", []) if row["auc"] is not None]
    if not rows:
        return
    with st.container(border=True):
        show.heading("Do the scores agree with the maps?")
        beside = bool(summary.get("panel") or summary.get("noise"))
        left, right = st.columns([3, 2], gap="large") if beside else (st.container(), st.container())
        with left:
            st.markdown(show.safe_label(agreement_sentence(rows), 600))
            table = pd.DataFrame(rows)
            show.figure(
                agreement_figure(rows), table, "agreement", "agreement",
                "Genes between the two groups are left out. Bars: 95%, whole chromosomes or 10-Mb blocks resampled.",
                simulated=summary["simulated"],
            )
        with right:
            well_supported(summary)
            for one in summary.get("noise", []):
                st.caption(
                    f"{one['share']:.0%} of the depleted regions in {show.safe_label(one['list'])} lie where "
                    f"{one['maps']} maps or more found introgression, so a model that learns from them is taught "
                    "partly wrong. Labels can be made from the maps instead: on the page Windows, under Labels from."
                )


def agreement_sentence(rows: list[dict[str, Any]]) -> str:
    """Say what the model's AUC against the maps means, and the published table's beside it."""
    own = next((row for row in rows if row["score"] == "this model"), None)
    said = []
    if own is not None:
        reading = (
            "no better than chance" if own["low"] <= 0.5 else "better than chance, and little" if own["auc"] < 0.7
            else "clearly better than chance"
        )
        said.append(
            f"This model's scores rank {own['positives']:,} genes inside mapped regions against "
            f"{own['genes'] - own['positives']:,} outside: AUC {own['auc']:.2f} ({own['low']:.2f} to "
            f"{own['high']:.2f}), {reading}."
        )
    published = [row for row in rows if row["score"] == "published, all its rows"]
    trained = next((row for row in published if row["truth"].startswith("touches")), None)
    if trained is not None:
        said.append(
            f"The published table reaches {trained['auc']:.2f} against the regions that it was trained on."
        )
    return " ".join(said)


def well_supported(summary: dict[str, Any]) -> None:
    """Count and list what maps, the published table and this model say of genes that are known well."""
    panel = pd.DataFrame(summary.get("panel", []))
    if panel.empty:
        return
    supported = panel[panel["expected"] == "introgressed"]
    free = panel[panel["expected"] == "free"]
    st.markdown(
        f"How many of **{len(supported)} well-supported genes** are called introgressed, and how many of {len(free)} "
        "that lie in known gaps"
    )
    scored = supported[supported["scored"]]
    asked = {"Look-up in the maps": (supported["in_half"], free["in_half"])}
    asked["This model"] = (scored["called"], free[free["scored"]]["called"])
    known = panel[panel["published_called"].notna()].astype({"published_called": bool})
    if len(known):
        asked["Published table"] = tuple(
            known.loc[known["expected"] == name, "published_called"] for name in ("introgressed", "free")
        )
    st.dataframe(
        pd.DataFrame(
            [(name, *(f"{calls.sum()} of {len(calls)}" if len(calls) else "none scored" for calls in both))
             for name, both in asked.items()],
            columns=["Asked", "Supported", "In gaps"],
        ),
        hide_index=True, key="gene-panel-counts",
    )
    show.folded("Gene by gene", lambda: _gene_by_gene(panel), "gene-panel-genes")


def _gene_by_gene(panel: pd.DataFrame) -> None:
    st.dataframe(
        pd.DataFrame({
            "Gene": panel["symbol"], "Expected": panel["expected"], "Maps": panel["maps"],
            "This model": [_call(row.called, row.probability) for row in panel.itertuples()],
            "Published": [_call(row.published_called, row.published) for row in panel.itertuples()],
        }),
        hide_index=True, key="gene-panel-table", height=300,
    )


def _call(called: bool | None, probability: float | None) -> str:
    if probability is None or pd.isna(probability):
        return "not scored"
    return f"{'yes' if called else 'no'} ({probability:.2f})"
