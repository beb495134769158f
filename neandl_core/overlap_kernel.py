"""Compiled counting for the overlap test: one placement of all segments against all genes.

A chromosome is cut at every gene's start and end. Between two cuts nothing changes, so two look-ups per segment give
the genes it meets and its genic bases, and a mark on the stretches it covers gives the distinct genes in the end.
"""

from __future__ import annotations

import numpy as np

from neandl_core.numba_start import numba

BUCKET_BITS = 14
"""Cuts are looked up by stretches of 16,384 bases, which hold none or one of them as a rule."""


@numba.njit(cache=True, nogil=True)
def _cuts_up_to(position, inclusive, cuts, first, last, buckets, bucket):
    """Return the number of cuts left of a position, with one at the position if `inclusive`."""
    index = buckets[bucket + (position >> BUCKET_BITS)]
    while index < last and (cuts[index] < position or (inclusive and cuts[index] == position)):
        index += 1
    return index - first


@numba.njit(cache=True, nogil=True)
def out_of_mask(positions, chromosome, piece_start, piece_before, piece_first, buckets, bucket_first):
    """Turn positions along a chromosome's mask, all pieces end to end, into positions on the chromosome, in place.

    Parameters
    ----------
    positions : (p, n) int64
        Below the mask's size.
    chromosome : (n,) int64
        Of each segment.
    piece_start, piece_before : (m,) int64
        Where each piece of the mask starts, and bases of the mask left of it on its chromosome.
    piece_first : (c + 1,) int64
        First piece of each chromosome.
    buckets, bucket_first : int64 arrays
        As in `count_placements`, over `piece_before`.
    """
    for row in range(positions.shape[0]):
        for segment in range(positions.shape[1]):
            of = chromosome[segment]
            position = positions[row, segment]
            first = piece_first[of]
            piece = first - 1 + _cuts_up_to(
                position, True, piece_before, first, piece_first[of + 1], buckets, bucket_first[of]
            )
            positions[row, segment] = piece_start[piece] + position - piece_before[piece]


@numba.njit(cache=True, nogil=True)
def count_placements(
    positions, lengths, segment_first, sizes, cuts, cut_first, starts_before, ends_before, genic_before, in_gene,
    buckets, bucket_first, gene_low, gene_high, gene_first,
):
    """Count what placements of segments meet. A segment that runs past its chromosome's end goes on at its start.

    Parameters
    ----------
    positions : (p, n) int64
        Start of each segment in each placement, below its chromosome's size; segments sorted by chromosome.
    lengths : (n,) int64
    segment_first : (c + 1,) int64
        First segment of each chromosome.
    sizes : (c,) int64
    cuts : (m,) int64, cut_first : (c + 1,) int64
        Sorted distinct starts and ends of genes, chromosome by chromosome.
    starts_before, ends_before, genic_before : (m,) int64
        Of the chromosome's genes, how many start, and how many end, at or left of each cut; genic bases left of it.
    in_gene : (m,) int64
        1 if the stretch right of the cut is genic.
    buckets : (b,) int64, bucket_first : (c,) int64
        First cut in or after each stretch of ``2**BUCKET_BITS`` bases.
    gene_low, gene_high : (g,) int64, gene_first : (c + 1,) int64
        Stretches that each gene spans, as indexes of cuts.

    Returns
    -------
    (p, 4) int64 array: pairs, distinct genes, segments that meet a gene, genic bases summed over segments.
    """
    found = np.zeros((positions.shape[0], 4), np.int64)
    depth = np.empty(len(cuts) + 1, np.int32)
    for row in range(positions.shape[0]):
        depth[:] = 0
        for chromosome in range(len(sizes)):
            size = sizes[chromosome]
            first, last = cut_first[chromosome], cut_first[chromosome + 1]
            bucket = bucket_first[chromosome]
            for segment in range(segment_first[chromosome], segment_first[chromosome + 1]):
                start = positions[row, segment]
                end = start + lengths[segment]
                met = 0
                wraps = end > size
                low, high = start, min(end, size)
                for _ in range(2 if wraps else 1):
                    at_low = _cuts_up_to(low, True, cuts, first, last, buckets, bucket)
                    at_high = _cuts_up_to(high, False, cuts, first, last, buckets, bucket)
                    here = 0
                    if at_high > 0:
                        here = starts_before[first + at_high - 1]
                        k = first + at_high - 1
                        found[row, 3] += genic_before[k] + in_gene[k] * (high - cuts[k])
                    if at_low > 0:
                        k = first + at_low - 1
                        here -= ends_before[k]
                        found[row, 3] -= genic_before[k] + in_gene[k] * (low - cuts[k])
                    met += here
                    depth[first + max(at_low - 1, 0)] += 1
                    depth[first + at_high] -= 1
                    low, high = 0, end - size
                if wraps and met > 1:
                    # A gene that reaches from the wrapped part to the other was met twice.
                    for gene in range(gene_first[chromosome], gene_first[chromosome + 1]):
                        if cuts[gene_low[gene]] < end - size and cuts[gene_high[gene]] > start:
                            met -= 1
                found[row, 0] += met
                found[row, 2] += met > 0
            running = 0
            covered = 0
            for k in range(first, last):
                running += depth[k]
                depth[k] = covered
                covered += running > 0
            for gene in range(gene_first[chromosome], gene_first[chromosome + 1]):
                high_covered = depth[gene_high[gene]]
                found[row, 1] += high_covered > depth[gene_low[gene]]
            # What was left open at the end of this chromosome must not run into the next.
            depth[last] = 0
    return found
