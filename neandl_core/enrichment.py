"""Which k-mers stand at some places of windows: by frequency, and tested against how frequent they are anyway.

The published recipe counts the k-mers at important positions and names the most frequent. Those are the most frequent
everywhere: runs of A and T lead any count in the human genome, whatever the model looks at. So each count stands beside
the same k-mer's share at the windows' other places, with Fisher's exact test (one-sided) and the false discovery rate
of Benjamini and Hochberg (1995). Windows that share bases with another are left out, and a k-mer must come from several
loci, as copies of one stretch of sequence are not independent.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from neandl_core.encoding import kmer_codes, kmer_text
from neandl_core.schemas import ENRICHED_KMERS, check_table

RECIPE = (
    "The published recipe names the k-mers most frequent at important positions. K-mers that are frequent everywhere, "
    "runs of A and T above all, lead such a list whatever the model looks at. Fisher's exact test asks instead which "
    "k-mers are more frequent there than at the other positions of the same windows."
)
FEWEST = 5
"""K-mers met fewer times in all are not tested: no such count could be significant, and each test costs power."""
FEWEST_LOCI = 3
FALSE_DISCOVERY = 0.05


def apart(contigs: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """Return the rows, sorted, of a largest set of windows of which no two share a base.

    Parameters
    ----------
    contigs, starts
        (n,) place of each window.
    width
        Bases in a window.
    """
    order = np.lexsort((starts, contigs))
    kept, contig, end = [], None, 0
    for row in order:
        if contigs[row] != contig or starts[row] >= end:
            kept.append(row)
            contig, end = contigs[row], starts[row] + width
    return np.sort(np.array(kept, np.int64))


def kmers_at(
    codes: np.ndarray, labels: np.ndarray, loci: np.ndarray, k: int, places: np.ndarray
) -> pd.DataFrame:
    """Count the k-mers that begin at some places, and test each against its share at all other places.

    Parameters
    ----------
    codes
        (n, width) codes of bases, of windows that share none.
    labels, loci
        (n,) class and locus of each window.
    k
        k-mer length, 1 to 12.
    places
        Places within the windows, 0 to width - k.

    Returns
    -------
    DataFrame
        Table `ENRICHED_KMERS`, one row for each k-mer met at the places at least once and `FEWEST` times in all; the
        most enriched first. `frequency_rank` is the published recipe's order.
    """
    kmers = kmer_codes(codes, k)
    inside = np.zeros(kmers.shape[1], bool)
    inside[places] = True
    chosen, rest = kmers[:, inside], kmers[:, ~inside]
    here, count = np.unique(chosen[chosen < 4**k], return_counts=True)
    elsewhere, other = np.unique(rest[rest < 4**k], return_counts=True)
    total_here, total_rest = int(count.sum()), int(other.sum())
    at = np.searchsorted(elsewhere, here)
    found = np.isin(here, elsewhere)
    background = np.where(found, other[np.minimum(at, max(0, len(other) - 1))] if len(other) else 0, 0)
    kept = count + background >= FEWEST
    here, count, background = here[kept], count[kept], background[kept]
    ones, of_loci = _support(chosen, labels, loci, here)
    p = _fisher(count, background, total_here, total_rest)
    q = false_discovery(p)
    table = pd.DataFrame({
        "kmer": [kmer_text(int(kmer), k) for kmer in here], "count": count, "share": count / max(1, total_here),
        "background_share": background / max(1, total_rest),
        # Half a count more in each cell keeps the ratio finite where the background has none.
        "fold": (count + 0.5) / (total_here + 1) / ((background + 0.5) / (total_rest + 1)),
        "p": p, "q": q, "loci": of_loci, "share_of_ones": ones / np.maximum(count, 1),
        "enriched": (q < FALSE_DISCOVERY) & (of_loci >= FEWEST_LOCI),
    })
    rank = np.empty(len(table), np.int64)
    rank[np.lexsort((here, -count))] = np.arange(1, len(table) + 1)
    table.insert(1, "frequency_rank", rank)
    order = np.lexsort((-table["fold"].to_numpy(), table["p"].to_numpy(), ~table["enriched"].to_numpy()))
    return check_table(table.iloc[order].reset_index(drop=True), ENRICHED_KMERS, "k-mers")


def _support(
    chosen: np.ndarray, labels: np.ndarray, loci: np.ndarray, kmers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return in how many occurrences each k-mer's window is of label 1, and in how many loci it occurs."""
    index = np.minimum(np.searchsorted(kmers, chosen), max(0, len(kmers) - 1))
    known = kmers[index] == chosen if len(kmers) else np.zeros(chosen.shape, bool)
    rows = np.nonzero(known)[0]
    found = index[known]
    ones = np.bincount(found, labels[rows], len(kmers)).astype(np.int64)
    groups = np.unique(loci, return_inverse=True)[1]
    pairs = np.unique(found.astype(np.int64) * (int(groups.max(initial=0)) + 1) + groups[rows])
    return ones, np.bincount(pairs // (int(groups.max(initial=0)) + 1), minlength=len(kmers))


def _fisher(count: np.ndarray, background: np.ndarray, total_here: int, total_rest: int) -> np.ndarray:
    """Return P(at least `count` of a k-mer's occurrences fall on the places, if all places are alike)."""
    from scipy.stats import hypergeom

    return np.clip(hypergeom.sf(count - 1, total_here + total_rest, count + background, total_here), 0, 1)


def false_discovery(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted by Benjamini and Hochberg's step-up procedure."""
    order = np.argsort(p, kind="stable")
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1)
    return q
