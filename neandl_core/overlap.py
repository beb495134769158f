"""Do introgressed segments avoid genes? A permutation test whose null model is a choice, as the answer hangs on it.

Published segments are haplotypes of many people, so they lie in piles over far fewer loci. A null model that scatters
them one by one treats a pile as so many independent observations, and finds a difference in anything. Rotating all
segments of a chromosome together keeps the piles (after the circular permutation of GAT and regioneR).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.config import OverlapSettings
from neandl_core.errors import InputError
from neandl_core.intervals import bases_left_of, match_contigs, merge
from neandl_core.io.annotation import place_on_reference, read_bed
from neandl_core.io.gene_tables import read_genes
from neandl_core.io.sizes import read_sizes
from neandl_core.overlap_kernel import BUCKET_BITS, count_placements, out_of_mask
from neandl_core.overlap_words import STATISTICS, describe
from neandl_core.recording import Progress, no_progress

_BATCH_CELLS = 2_000_000
"""Segments placed at once, over all placements of a batch: 16 MB of positions."""


@dataclass(frozen=True)
class OverlapResult:
    """The test and what it rests on.

    Attributes
    ----------
    statistics
        One row per null model and statistic: `null`, `statistic`, `observed`, `expected`, `sd`, `z`, `p_fewer`,
        `p_more`.
    placements
        One row per random placement: `null`, `placement` and the four of `STATISTICS`.
    summary
        Counts, the headline statistic, sentences.
    """

    statistics: pd.DataFrame
    placements: pd.DataFrame
    summary: dict[str, Any]


@dataclass(frozen=True)
class _Layout:
    """Segments and genes of the chromosomes that have both.

    `starts`, `lengths` and `chromosome` of each segment, sorted by chromosome; `sizes` of the chromosomes; `tables`
    are the kernel's arguments that describe the genes; `mask` those that describe where segments may start.
    """

    starts: np.ndarray
    lengths: np.ndarray
    chromosome: np.ndarray
    segment_first: np.ndarray
    sizes: np.ndarray
    tables: tuple[np.ndarray, ...]
    mask: _Mask | None

    def count(self, positions: np.ndarray) -> np.ndarray:
        """Return the kernel's counts of placements, (p, 4)."""
        return count_placements(positions, self.lengths, self.segment_first, self.sizes, *self.tables)

    def place_and_count(self, positions: np.ndarray) -> np.ndarray:
        """Count placements that are given as positions along the mask."""
        if self.mask is not None:
            out_of_mask(positions, self.chromosome, *self.mask.tables)
        return self.count(positions)


@dataclass(frozen=True)
class _Mask:
    """Where segments may start: bases of the mask on each chromosome, segments' starts along it, kernel's tables."""

    sizes: np.ndarray
    starts: np.ndarray
    tables: tuple[np.ndarray, ...]


def overlap_test(
    segments: Path, genes: Path, sizes: Path, settings: OverlapSettings, mask: tuple[Path, ...] = (),
    progress: Progress = no_progress,
) -> OverlapResult:
    """Test whether segments meet fewer genes than random placements of them do.

    Parameters
    ----------
    segments
        BED file.
    genes
        Any gene table.
    sizes
        Chromosome names and lengths.
    mask
        BED files of the places where a segment could have been seen; the segments' own bases are always among them.
        Without one, the whole of each chromosome.

    Raises
    ------
    InputError
        If a file is unusable, or segments and genes share no chromosome, or the null model needs a mask and has none.
    """
    if settings.null == "mask" and not mask:
        raise InputError("the null model \"mask\" needs a mask", path=segments,
                         advice="Give --mask, or choose --null rotation or uniform.")
    lengths = read_sizes(sizes)
    placed = place_on_reference(read_bed(segments), lengths, sizes.name)
    notes = list(placed.notes)
    table = _merged(placed.table) if settings.merged else placed.table
    gene_rows, gene_notes = _genes_on(genes, lengths, settings.merge_genes)
    notes += gene_notes
    contigs = [name for name in lengths if (table["contig"] == name).any()]
    with_genes = gene_rows["contig"].isin(contigs)
    if not with_genes.any():
        raise InputError("none of its genes lies on a chromosome that has segments", path=genes)
    if (~with_genes).any():
        notes.append(f"{(~with_genes).sum():,} genes lie on chromosomes without segments and were left out.")
    used = gene_rows[with_genes]
    on = {name: lengths[name] for name in contigs}
    pieces = None
    if mask and settings.null != "uniform":
        given = [place_on_reference(read_bed(path), lengths, sizes.name).table for path in mask]
        pieces = _merged(pd.concat([*given, placed.table]))
    layout = _lay_out(table, used, on, pieces)
    results = [_run(layout, settings.null, settings, progress, 1)]
    if settings.compare and settings.null != "uniform":
        naive = _lay_out(placed.table, used, on, None)
        results.append(_run(naive, "naive", settings, progress, 2))
    statistics = pd.concat([one[0] for one in results], ignore_index=True)
    loci = _merged(placed.table)
    counts = {
        "segments": len(placed.table), "loci": len(loci), "tested": len(table), "merged": settings.merged,
        "segment_bases": int((placed.table["end"] - placed.table["start"]).sum()),
        "locus_bases": int((loci["end"] - loci["start"]).sum()),
        "genes": len(used), "chromosomes": len(contigs), "null": settings.null, "masked": bool(mask),
        "mask_bases": int((layout.sizes if layout.mask is None else layout.mask.sizes).sum()),
        "permutations": settings.permutations,
    }
    summary = describe(statistics, counts) | {"notes": notes}
    return OverlapResult(statistics, pd.concat([one[1] for one in results], ignore_index=True), summary)


def _genes_on(path: Path, lengths: dict[str, int], merge_rows: bool) -> tuple[pd.DataFrame, list[str]]:
    """Return the genes (or their distinct rows as listed) on the chromosomes of the sizes file."""
    listed = read_genes(path)
    rows = listed.table if merge_rows else listed.listed
    rows = rows[["contig", "start", "end"]].drop_duplicates()
    notes = list(listed.notes)
    if not merge_rows and len(rows) != len(listed.table):
        notes.append(
            f"{path.name}: {len(rows):,} distinct rows were tested as they are listed, so a gene with several isoforms "
            "counts once for each place given."
        )
    match = match_contigs(rows["contig"].unique(), list(lengths))
    rows = rows.assign(contig=rows["contig"].map(match.to_reference))
    rows = rows[rows["contig"].notna()]
    past = rows["end"] > rows["contig"].map(lengths)
    if past.any():
        notes.append(f"{path.name}: {past.sum():,} genes end past the end of their chromosome and were left out.")
    if len(rows) == past.sum():
        raise InputError("none of its genes lies on a chromosome of the sizes file", path=path)
    return rows[~past], notes


def _merged(table: pd.DataFrame) -> pd.DataFrame:
    pieces = []
    for contig, rows in table.groupby("contig", sort=True):
        starts, ends, _ = merge(rows["start"].to_numpy(), rows["end"].to_numpy())
        pieces.append(pd.DataFrame({"contig": contig, "start": starts, "end": ends}))
    return pd.concat(pieces, ignore_index=True)


def _lay_out(
    segments: pd.DataFrame, genes: pd.DataFrame, sizes: dict[str, int], pieces: pd.DataFrame | None
) -> _Layout:
    """Sort segments by chromosome and tabulate the genes at their cuts; `pieces` are those of the mask."""
    segments = segments.assign(chromosome=segments["contig"].map({name: place for place, name in enumerate(sizes)}))
    segments = segments.sort_values(["chromosome", "start", "end"], kind="stable")
    chromosome = segments["chromosome"].to_numpy(np.int64)
    cuts, before_start, before_end, genic, inside, low, high = ([] for _ in range(7))
    cut_first, gene_first = [0], [0]
    by_gene = dict(list(genes.groupby("contig")))
    for contig, size in sizes.items():
        here = by_gene.get(contig, genes.iloc[:0])
        first, last = here["start"].to_numpy(), here["end"].to_numpy()
        own_cuts = np.unique(np.concatenate([first, last]))
        cuts.append(own_cuts)
        before_start.append(np.searchsorted(np.sort(first), own_cuts, "right"))
        before_end.append(np.searchsorted(np.sort(last), own_cuts, "right"))
        inside.append((before_start[-1] > before_end[-1]).astype(np.int64))
        stretch = np.diff(own_cuts, append=size) * inside[-1]
        genic.append(np.cumsum(stretch) - stretch)
        low.append(cut_first[-1] + np.searchsorted(own_cuts, first))
        high.append(cut_first[-1] + np.searchsorted(own_cuts, last))
        cut_first.append(cut_first[-1] + len(own_cuts))
        gene_first.append(gene_first[-1] + len(first))
    lengths = np.array(list(sizes.values()))
    tables = (
        _joined(cuts), np.array(cut_first), _joined(before_start), _joined(before_end), _joined(genic),
        _joined(inside), *_buckets(cuts, cut_first, lengths), _joined(low), _joined(high), np.array(gene_first),
    )
    return _Layout(
        segments["start"].to_numpy(np.int64), (segments["end"] - segments["start"]).to_numpy(np.int64), chromosome,
        np.searchsorted(chromosome, np.arange(len(sizes) + 1)), lengths, tables,
        None if pieces is None else _mask_of(pieces, segments, list(sizes)),
    )


def _mask_of(pieces: pd.DataFrame, segments: pd.DataFrame, contigs: list[str]) -> _Mask:
    starts, before, first, sizes, along = [], [], [0], [], []
    by_contig = dict(list(pieces.groupby("contig")))
    by_segment = dict(list(segments.groupby("contig")))
    for contig in contigs:
        low, high = (by_contig[contig][name].to_numpy() for name in ("start", "end"))
        starts.append(low)
        before.append(np.cumsum(high - low) - (high - low))
        sizes.append(int((high - low).sum()))
        first.append(first[-1] + len(low))
        along.append(bases_left_of(by_segment[contig]["start"].to_numpy(), low, high))
    lengths = np.array(sizes)
    return _Mask(
        lengths, _joined(along),
        (_joined(starts), _joined(before), np.array(first), *_buckets(before, first, lengths)),
    )


def _buckets(cuts: list[np.ndarray], first: list[int], sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel's look-up of cuts by stretches of each chromosome, and where each chromosome's begins."""
    parts = [
        first[place] + np.searchsorted(own, np.arange((size >> BUCKET_BITS) + 1) << BUCKET_BITS, "left")
        for place, (own, size) in enumerate(zip(cuts, sizes, strict=True))
    ]
    return _joined(parts), np.cumsum([0, *map(len, parts[:-1])])


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.int64)


def _place(layout: _Layout, null: str, placements: int, rng: np.random.Generator) -> np.ndarray:
    """Return (placements, n) random starts along the mask, or the chromosome: singly, or a chromosome's together."""
    sizes = layout.sizes if layout.mask is None else layout.mask.sizes
    if null == "rotation":
        starts = layout.starts if layout.mask is None else layout.mask.starts
        shift = rng.integers(0, sizes, (placements, len(sizes)))[:, layout.chromosome]
        return (starts + shift) % sizes[layout.chromosome]
    room = sizes[layout.chromosome] - (layout.lengths - 1 if layout.mask is None else 0)
    return (rng.random((placements, len(room))) * room).astype(np.int64)


def _run(
    layout: _Layout, null: str, settings: OverlapSettings, progress: Progress, purpose: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the statistics and the placements of one null model."""
    rng = np.random.default_rng([settings.seed, purpose])
    observed = _as_statistics(layout.count(layout.starts[None, :]), layout)[0]
    size = max(1, min(settings.permutations, _BATCH_CELLS // len(layout.starts) // settings.threads))
    done, counts = 0, []
    with ThreadPoolExecutor(settings.threads) as pool:
        while done < settings.permutations:
            batches = []
            for _ in range(settings.threads):
                number = min(size, settings.permutations - done)
                done += number
                if number:
                    batches.append(_place(layout, null, number, rng))
            counts.extend(pool.map(layout.place_and_count, batches))
            progress(done, settings.permutations, f"Placing segments ({null})")
    random = _as_statistics(np.concatenate(counts), layout)
    placements = pd.DataFrame(random, columns=list(STATISTICS))
    placements.insert(0, "placement", np.arange(len(placements)))
    placements.insert(0, "null", null)
    mean, sd = random.mean(axis=0), random.std(axis=0, ddof=1)
    return pd.DataFrame({
        "null": null, "statistic": list(STATISTICS), "observed": observed, "expected": mean, "sd": sd,
        "z": np.divide(observed - mean, sd, out=np.full(len(mean), np.nan), where=sd > 0),
        "p_fewer": (1 + (random <= observed).sum(axis=0)) / (len(random) + 1),
        "p_more": (1 + (random >= observed).sum(axis=0)) / (len(random) + 1),
    }), placements


def _as_statistics(counts: np.ndarray, layout: _Layout) -> np.ndarray:
    """Return pairs, genes, share of segments that meet a gene, genic share of bases."""
    values = counts.astype(float)
    values[:, 2] /= len(layout.lengths)
    values[:, 3] /= layout.lengths.sum()
    return values


