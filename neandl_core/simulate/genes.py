"""Simulated genes: some inside introgressed loci, some inside depleted ones, some elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neandl_core.config import SimulateSettings
from neandl_core.intervals import covered_bases
from neandl_core.simulate.composition import CLASS_NAMES
from neandl_core.simulate.genome import Genome

DEMO_GENE = "DEMO-ANK3"
"""A gene inside an introgressed locus, with several rows as ANK3 has in the published gene list. Not ANK3 itself."""
ABSENT_CHROMOSOME = "chr99"
"""One gene lies on a chromosome that the reference lacks, to be reported as not scored."""

_BASES_PER_GENE = 50_000
_IN_LOCUS_SHARES = (0.3, 0.3)
"""Shares of the genes that lie inside an introgressed and inside a depleted locus."""
_MEDIAN_LENGTH, _LENGTH_SPREAD = 9_000, 0.6
_LENGTH_LIMITS = (1_500, 60_000)
_SHARE_WITH_ISOFORMS = 0.15


def simulate_genes(genome: Genome, settings: SimulateSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lay genes over a genome.

    Returns
    -------
    rows
        contig, start, end (0-based half-open), symbol; several rows for a gene with isoforms.
    truth
        One row per gene: symbol, contig, start, end (its rows merged), rows, introgressed_bases, depleted_bases,
        and truth: introgressed, depleted or background by the class with most of its bases, or absent.
    """
    rng = np.random.default_rng([settings.seed, 2])
    spans: list[tuple[str, int, int]] = []
    first_introgressed = -1
    for contig in genome.chromosomes:
        size = genome.sequences[contig].size
        loci = genome.loci[genome.loci["contig"] == contig]
        count = max(6, size // _BASES_PER_GENE)
        for label, share in zip(CLASS_NAMES[1:], _IN_LOCUS_SHARES, strict=True):
            inside = loci[(loci["label"] == label) & ~loci["holds_gap"]]
            chosen = rng.choice(len(inside), min(len(inside), round(share * count)), replace=False)
            for row in inside.iloc[np.sort(chosen)].itertuples():
                if label == CLASS_NAMES[1] and first_introgressed < 0:
                    first_introgressed = len(spans)
                spans.append((contig, *_inside(row.start, row.end, rng)))
        for _ in range(count - 2 * round(share * count)):
            length = int(np.clip(rng.lognormal(np.log(_MEDIAN_LENGTH), _LENGTH_SPREAD), *_LENGTH_LIMITS))
            start = int(rng.integers(0, size - length))
            spans.append((contig, start, start + length))
    rows = _name_and_split(spans, first_introgressed, rng)
    rows.append((ABSENT_CHROMOSOME, 10_000, 25_000, f"SIM{len(spans)}"))
    table = pd.DataFrame(rows, columns=["contig", "start", "end", "symbol"])
    return table, _truth(table, genome)


def _inside(start: int, end: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return a gene that covers the middle 60-100% of a locus."""
    left, right = (rng.uniform(0, 0.2, 2) * (end - start)).astype(int)
    return start + int(left), end - int(right)


def _name_and_split(
    spans: list[tuple[str, int, int]], demo: int, rng: np.random.Generator
) -> list[tuple[str, int, int, str]]:
    """Name the genes along the genome and give some of them several, shorter rows."""
    by_place = sorted(range(len(spans)), key=lambda index: (int(spans[index][0][3:]), spans[index][1], spans[index][2]))
    rows = []
    number = 0
    for index in by_place:
        contig, start, end = spans[index]
        if index == demo:
            symbol, isoforms = DEMO_GENE, 3
        else:
            number += 1
            symbol = f"SIM{number}"
            isoforms = int(rng.integers(1, 4)) if rng.random() < _SHARE_WITH_ISOFORMS else 0
        rows.append((contig, start, end, symbol))
        for _ in range(isoforms):
            left, right = (rng.uniform(0, 0.4, 2) * (end - start)).astype(int)
            rows.append((contig, start + int(left), end - int(right), symbol))
    return rows


def _truth(rows: pd.DataFrame, genome: Genome) -> pd.DataFrame:
    genes = (
        rows.groupby("symbol", sort=False)
        .agg(contig=("contig", "first"), start=("start", "min"), end=("end", "max"), rows=("start", "size"))
        .reset_index()
    )
    for label in CLASS_NAMES[1:]:
        bases = np.zeros(len(genes), np.int64)
        for contig in genome.chromosomes:
            loci = genome.loci[(genome.loci["contig"] == contig) & (genome.loci["label"] == label)].sort_values("start")
            here = (genes["contig"] == contig).to_numpy()
            bases[here] = covered_bases(
                genes["start"].to_numpy()[here], genes["end"].to_numpy()[here],
                loci["start"].to_numpy(), loci["end"].to_numpy(),
            )
        genes[f"{label}_bases"] = bases
    introgressed, depleted = genes["introgressed_bases"], genes["depleted_bases"]
    background = genes["end"] - genes["start"] - introgressed - depleted
    classes = np.stack([background, introgressed, depleted])
    genes["truth"] = np.array(CLASS_NAMES)[classes.argmax(axis=0)]
    genes.loc[~genes["contig"].isin(genome.chromosomes), "truth"] = "absent"
    return genes
