"""Does a gene score agree with published maps? An AUC over all genes, and a panel of well-supported genes.

This is the honest test of a gene table: the maps come from variants of many people, not from the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.errors import InputError, shorten
from neandl_core.gene_evidence import Evidence
from neandl_core.intervals import bare_contig, parse_locus
from neandl_core.io.annotation import text_lines
from neandl_core.maps import share_in
from neandl_core.metrics import auc, locus_bootstrap

SUPPORTED = (
    "OAS1", "OAS2", "OAS3", "TLR10", "TLR6", "LZTFL1", "CCR9", "KRT71", "KRT8", "POU2F3", "ASB1", "SELP", "SPRED2",
    "CHORDC1", "STAT2",
)
"""Genes that lie wholly in regions of at least six of twelve maps; most are named in papers on introgression."""
FREE = ("FOXP2", "ROBO1", "ROBO2", "CRHBP")
"""Genes in regions known to lack introgression."""
_MOST = 0.5
_BLOCK = 10_000_000
_MANY_CHROMOSOMES = 10
_SAMPLES = 500


def read_published(path: Path) -> pd.DataFrame:
    """Read a table of published predictions: a locus, the symbol, the call (0 or 1), P(0) and P(1).

    Converts loci from 1-based with the end included. One header line is allowed.

    Returns
    -------
    DataFrame
        `symbol`, `contig`, `start`, `end`, `probability`, `called` (0 or 1), one row per distinct locus.

    Raises
    ------
    InputError
        At the first line of another shape.
    """
    rows = []
    for number, line in text_lines(path, "table of published predictions"):
        fields = line.split("\t")
        if not line.strip() or (number == 1 and ":" not in fields[0]):
            continue
        try:
            locus = parse_locus(fields[0])
            called, probability = float(fields[2]), float(fields[4])
        except (InputError, ValueError, IndexError):
            raise InputError(
                f'expected a locus, a symbol, a call and two probabilities; the line is "{shorten(line)}"', path=path,
                place=f"line {number:,}",
            ) from None
        if called not in (0, 1) or not 0 <= probability <= 1:
            raise InputError("expected a call of 0 or 1 and a probability", path=path, place=f"line {number:,}")
        rows.append((fields[1].strip(), locus.contig, locus.start, locus.end, probability, int(called)))
    if not rows:
        raise InputError("there is no prediction in this table", path=path)
    table = pd.DataFrame(rows, columns=["symbol", "contig", "start", "end", "probability", "called"])
    return table.drop_duplicates(["contig", "start", "end"]).reset_index(drop=True)


def join_published(genes: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return `published` and `published_called` of each gene: the row of its symbol that overlaps its place most."""
    keyed = genes.reset_index()[["index", "symbol", "contig", "start", "end"]]
    pairs = keyed.merge(published, on="symbol", suffixes=("", "_row"))
    same = pairs["contig"].map(bare_contig) == pairs["contig_row"].map(bare_contig)
    shared = np.minimum(pairs["end"], pairs["end_row"]) - np.maximum(pairs["start"], pairs["start_row"])
    pairs = pairs.assign(shared=shared)[same & (shared > 0)].sort_values("shared", kind="stable")
    best = pairs.drop_duplicates("index", keep="last").set_index("index")
    return pd.DataFrame({
        "published": best["probability"].reindex(genes.index), "published_called": best["called"].reindex(genes.index),
    })


def agreement(
    genes: pd.DataFrame, published: pd.DataFrame | None, evidence: Evidence, seed: int
) -> list[dict[str, Any]]:
    """Return how well gene scores rank what maps found above what they did not.

    Parameters
    ----------
    genes
        `contig`, `start`, `end`, `probability`, and the columns of `Evidence.of`; `published` if joined.
    published
        Every row of the published table.

    Returns
    -------
    list of dict
        `score` (this model, published on the same genes, published on all its rows), `truth`, `genes`, `positives`,
        `auc`, `low`, `high` (95%, resampling chromosomes, or blocks of 10 Mb where there are fewer than ten),
        `units`. Genes that a truth leaves open are not counted.
    """
    scored = genes[genes["probability"].notna()]
    tables = [("this model", scored, "probability")]
    if published is not None:
        tables.append(("published, same genes", scored[scored["published"].notna()], "published"))
        rows = published[published["contig"].map(bare_contig).isin([str(number) for number in range(1, 23)])]
        tables.append(("published, all its rows", rows.join(evidence.of(rows)), "probability"))
    found = []
    for name, table, column in tables:
        for truth, labels in _truths(table, evidence):
            known = ~np.isnan(labels)
            found.append({
                "score": name, "truth": truth,
                **_auc_of(table[known], labels[known].astype(int), table[column].to_numpy(float)[known], seed),
            })
    return found


def _truths(table: pd.DataFrame, evidence: Evidence) -> Iterable[tuple[str, np.ndarray]]:
    """Yield what counts as true: 1, 0, or NaN for genes in between."""
    inside, outside = table["half_maps"] >= _MOST, table["any_map"] == 0
    yield (
        f"mostly inside regions of at least {evidence.half} map{'s' * (evidence.half > 1)}, against outside all maps",
        np.where(inside, 1.0, np.where(outside, 0.0, np.nan)),
    )
    for one in evidence.lists:
        if one.kind == "other":
            yield f"touches {one.name}, against not", (share_in(table, one.regions) > 0).astype(float)


def _auc_of(table: pd.DataFrame, labels: np.ndarray, scores: np.ndarray, seed: int) -> dict[str, Any]:
    result = {"genes": len(labels), "positives": int(labels.sum())}
    if len(np.unique(labels)) < 2:
        return result | {"auc": None, "low": None, "high": None, "units": ""}
    contigs = table["contig"].map(bare_contig)
    few = contigs.nunique() < _MANY_CHROMOSOMES
    units = contigs + ":" + (table["start"] // _BLOCK).astype(str) if few else contigs
    spread = locus_bootstrap(labels, scores, units.to_numpy(str), _SAMPLES, np.random.default_rng([seed, 32]))
    low, high = spread.intervals["auc"]
    return result | {
        "auc": auc(labels, scores), "low": low, "high": high,
        "units": f"{spread.loci} {'blocks of 10 Mb' if few else 'chromosomes'}",
    }


def panel(genes: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the genes of `SUPPORTED` and `FREE` that are listed, with what maps, model and published table say.

    Returns
    -------
    list of dict
        `symbol`, `expected` (introgressed or free), `maps`, `in_half` (whether most of it lies where half of the maps
        agree), `scored`, `probability`, `called`, `published`, `published_called` (None if unknown).
    """
    by_symbol = genes.drop_duplicates("symbol").set_index("symbol")
    rows = []
    for symbol in (*SUPPORTED, *FREE):
        if symbol not in by_symbol.index:
            continue
        gene = by_symbol.loc[symbol]
        called = gene.get("published_called")
        rows.append({
            "symbol": symbol, "expected": "introgressed" if symbol in SUPPORTED else "free",
            "maps": int(gene["maps"]), "in_half": bool(gene["half_maps"] >= _MOST),
            "scored": bool(gene["windows"] > 0),
            "probability": None if pd.isna(gene["probability"]) else float(gene["probability"]),
            "called": bool(gene["predicted"] == "introgressed"),
            "published": None if pd.isna(gene.get("published")) else float(gene["published"]),
            "published_called": None if called is None or pd.isna(called) else bool(called),
        })
    return rows
