"""Contracts of the tables that pass between stages: columns, types, units, ranges, meaning.

`check_table` guards the places where a table enters a module from outside. Pages and figures use the column names
from here only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neandl_core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """One column: kind (``text``, ``int`` or ``float``), meaning with unit, range, whether blanks are allowed."""

    kind: str
    meaning: str
    low: float | None = None
    high: float | None = None
    blank: bool = False


Table = dict[str, Column]

MISINCORPORATIONS: Table = {
    "end": Column("text", "end of the read the position is counted from: 5p or 3p"),
    "strand": Column("text", "strand of the reference the read was aligned to: + or -"),
    "position": Column("int", "distance from the end in bases, 0 = terminal", 0),
    "ref_base": Column("text", "reference base in the read's orientation: A, C, G, T, or - for an insertion"),
    "read_base": Column("text", "base of the read: A, C, G, T, or - for a deletion"),
    "count": Column("int", "columns observed", 0),
}

DAMAGE_RATES: Table = {
    "end": Column("text", "5p or 3p"),
    "position": Column("int", "distance from the end in bases, 0 = terminal", 0),
    "substitution": Column("text", "reference>read, for example C>T"),
    "n_ref": Column("int", "columns with that reference base and a countable read base", 0),
    "n_observed": Column("int", "of them with that read base", 0),
    "rate": Column("float", "n_observed / n_ref; blank where n_ref is 0", 0, 1, blank=True),
    "low": Column("float", "lower end of the 95% Wilson interval", 0, 1, blank=True),
    "high": Column("float", "upper end of the 95% Wilson interval", 0, 1, blank=True),
}

LENGTHS: Table = {
    "strand": Column("text", "+ or -"),
    "measure": Column("text", "span: aligned reference bases; query: bases of the read"),
    "length": Column("int", "bases", 0),
    "count": Column("int", "reads", 0),
}

_RATE: Table = {name: DAMAGE_RATES[name] for name in ("n_ref", "n_observed", "rate", "low", "high")}

GROUPS: Table = {
    "read_group": Column("text", "id in the header; none for reads without one"),
    "library": Column("text", "LB of the read group; may be empty"),
    "sample": Column("text", "SM of the read group; may be empty"),
    "contigs": Column("text", "nuclear or mitochondrial, by the contig's name"),
    "context": Column("text", "all, CpG or other: whether a C is followed (a G preceded) by the other"),
    "end": Column("text", "5p or 3p"),
    "position": Column("int", "distance from the end in bases, 0 = terminal", 0),
    "substitution": Column("text", "C>T or G>A"),
    **_RATE,
}
"""Only groups and contigs with reads. Context is unknown, and in `all` alone, at a read's edge and beside gaps."""

PMD_SCORES: Table = {
    "score": Column("float", "lower edge of the bin; the first and last hold everything beyond"),
    "count": Column("int", "reads", 0),
}

PMD_DAMAGE: Table = {
    "threshold": Column("float", "reads with at least this PMD score; blank: all that have one", blank=True),
    "reads": Column("int", "how many those are", 0),
    "end": Column("text", "5p or 3p"),
    "position": Column("int", "distance from the end in bases, 0 = terminal", 0),
    "substitution": Column("text", "C>T or G>A"),
    **_RATE,
}

READ_FIGURES: Table = {
    "figure": Column("text", "edit_distance, gc_percent or mapping_quality"),
    "value": Column("int", "its value; edit distances of 100 and more share the last", 0),
    "count": Column("int", "reads", 0),
}

CLIPS: Table = {
    "end": Column("text", "5p or 3p"),
    "strand": Column("text", "+ or -"),
    "position": Column("int", "bases into the soft clip, 0 = next to the alignment", 0),
    "count": Column("int", "reads whose clip reaches so far", 0),
}

COMPOSITION: Table = {
    "end": Column("text", "5p or 3p"),
    "strand": Column("text", "+ or -"),
    "position": Column("int", "in the read's direction, with no 0: 5p -10 to -1 reference before, 1 to 70 read; 3p "
                              "-70 to -1 read, 1 to 10 reference after"),
    **{base: Column("int", f"reads with {base}", 0) for base in "ACGT"},
}

EXAMPLES: Table = {
    "label": Column("int", "1 = introgressed (windows) or ancient (reads), 0 = depleted or modern", 0, 1),
    "split": Column("text", "train, validation or test"),
    "comparison_split": Column("text", "the other way to split, for comparison: train, validation or test"),
    "locus": Column("int", "group that must not be divided between parts: merged locus, or region of the genome", 0),
    "contig": Column("text", "chromosome as the reference names it"),
    "start": Column("int", "first base on the reference, 0-based", 0),
    "gc": Column("float", "share of G and C among A, C, G and T", 0, 1, blank=True),
}
"""Every dataset. Windows also have `interval` (the haplotype), reads also `sample`, `strand` and `length`."""

PREDICTIONS: Table = {
    "example": Column("int", "row of the dataset", 0),
    "label": Column("int", "true class", 0, 1),
    "locus": Column("int", "as in the dataset", 0),
    "contig": Column("text", "as in the dataset"),
    "probability": Column("float", "P(label = 1)", 0, 1),
}

CONTROLS: Table = {
    "name": Column("text", "what was scored, in words"),
    "kind": Column("text", "model, leaking split, shuffled, shuffled leaking (both on shuffled labels) or baseline"),
    "split": Column("text", "how the examples were divided"),
    "auc": Column("float", "AUC on the test part", 0, 1, blank=True),
    "low": Column("float", "lower end of its 95% interval by resampling loci", 0, 1, blank=True),
    "high": Column("float", "upper end of that interval", 0, 1, blank=True),
    "accuracy": Column("float", "share of right calls at 0.5", 0, 1, blank=True),
    "examples": Column("int", "test examples", 1),
    "loci": Column("int", "loci they come from", 1),
    "trained": Column("text", "here, or in the run that is checked"),
}

CHROMOSOMES: Table = {
    "contig": Column("text", "chromosome of the held-out part"),
    "examples": Column("int", "test examples on it", 1),
    "ones": Column("int", "of them with label 1", 0),
    "loci": Column("int", "loci", 1),
    "auc": Column("float", "AUC of the model; blank if one class only", 0, 1, blank=True),
    "low": Column("float", "lower end of its 95% interval by resampling loci", 0, 1, blank=True),
    "high": Column("float", "upper end of that interval", 0, 1, blank=True),
    "accuracy": Column("float", "share of right calls at 0.5", 0, 1),
    "baseline_auc": Column("float", "AUC of the best baseline", 0, 1, blank=True),
}

IMPORTANCES: Table = {
    "kmer": Column("text", "the k-mer"),
    "importance": Column("float", "share of all impurity that questions about it remove, mean over trees", 0, 1),
    "spread": Column("float", "standard deviation of that share over trees", 0, 1),
    "gc": Column("float", "share of G and C among its bases", 0, 1),
}

READ_SCORES: Table = {
    "name": Column("text", "read name"),
    "contig": Column("text", "reference sequence"),
    "start": Column("int", "first aligned base, 0-based", 0),
    "length": Column("int", "bases of the read", 1),
    "probability": Column("float", "P(ancient) at even odds", 0, 1),
    "called": Column("text", "ancient or modern"),
}

VIEWED_READS: Table = {
    "number": Column("int", "row of the figure, from the top", 1),
    "name": Column("text", "read name"),
    "score": Column("float", "PMD score, or P(ancient)"),
    "length": Column("int", "bases of the read", 1),
    "columns": Column("int", "columns of its alignment, with clipped bases", 1),
    "contig": Column("text", "reference sequence"),
    "start": Column("int", "first aligned base, 0-based", 0),
    "strand": Column("text", "+ or -"),
    "mapping_quality": Column("int", "how sure the aligner was of the place", 0, 255),
    "changes": Column("text", "reference>read at columns from the 5' end"),
    "reference": Column("text", "reference from the read's 5' end; - insertion, blank clipped, ? not known"),
    "dots": Column("text", "the read, with a dot for each match"),
    "read": Column("text", "the read from its 5' end; - deletion, small letters clipped"),
}

VIEWED_BASES: Table = {
    "number": Column("int", "read, as in the table of reads", 1),
    "from_5p": Column("int", "column from the 5' end, 1 = terminal", 1),
    "from_3p": Column("int", "column from the 3' end, 1 = terminal", 1),
    "reference": Column("text", "reference base in the read's orientation"),
    "base": Column("text", "base of the read"),
    "kind": Column("text", "one of read_view.KINDS"),
    "quality": Column("float", "Phred quality; blank in deletions and where there is none", 0, 254, blank=True),
}
"""Only columns that are no match."""

SCORES: Table = {
    "low": Column("float", "lower edge of a bin of P(ancient)", 0, 1),
    "high": Column("float", "its upper edge", 0, 1),
    "reads": Column("int", "reads of the sample", 0),
    "fitted_modern": Column("float", "modern reads that the fit expects", 0),
    "fitted_ancient": Column("float", "ancient reads that the fit expects", 0),
}

READ_POSITIONS: Table = {
    "end": Column("text", "5p or 3p: the end that the position is counted from; a base counts at its nearer end"),
    "position": Column("int", "distance from the end in bases, 0 = terminal", 0),
    "class": Column("text", "true class of the reads: ancient, modern or all"),
    "n": Column("int", "reads with a base there", 1),
    "mean": Column("float", "mean absolute attribution, in natural log-odds", 0),
    "low": Column("float", "lower end of its 95% interval, by reads"),
    "high": Column("float", "upper end of its 95% interval, by reads"),
    "quarter": Column("float", "a quarter of the reads have no more", 0),
    "three_quarters": Column("float", "three quarters of the reads have no more", 0),
    "mean_signed": Column("float", "mean attribution with its sign, + towards ancient"),
}

READ_ATTRIBUTIONS: Table = {
    "read": Column("int", "row of the dataset", 0),
    "label": Column("int", "true class: 1 = ancient", 0, 1),
    "probability": Column("float", "P(ancient) of the whole read, calibrated", 0, 1),
    "length": Column("int", "bases of the read", 1),
    "position": Column("int", "distance from the 5' end in bases, 0 = terminal", 0),
    "base": Column("text", "A, C, G, T or N"),
    "reference": Column("text", "reference base in the read's orientation; empty where none is known"),
    "attribution": Column("float", "share of the base in the answer, in natural log-odds, + towards ancient"),
}

GENES: Table = {
    "symbol": Column("text", "gene symbol as listed"),
    "contig": Column("text", "chromosome as listed"),
    "start": Column("int", "first base, 0-based", 0),
    "end": Column("int", "one past the last base", 0),
    "rows": Column("int", "rows of the gene list merged into this gene", 1),
    "windows": Column("int", "windows scored over the gene", 0),
    "probability": Column("float", "mean P(introgressed) of its windows; blank if not scored", 0, 1, blank=True),
    "low": Column("float", "lower end of the 95% interval of that mean", 0, 1, blank=True),
    "high": Column("float", "upper end of the 95% interval of that mean", 0, 1, blank=True),
    "predicted": Column("text", "introgressed, not introgressed or not scored"),
    "reason": Column("text", "why it was not scored; empty if it was"),
}

_LOST = "lost when the part is shuffled between windows, mean over repeats; negative if nothing was"
POSITION_IMPORTANCE: Table = {
    "unit": Column("text", "what is shuffled: k-mer (one, its neighbours stay) or bases (a stretch)"),
    "start": Column("int", "first base of the part within the window, 0-based", 0),
    "end": Column("int", "one past its last base", 1),
    "accuracy_lost": Column("float", f"share of right answers {_LOST}", -1, 1),
    "accuracy_spread": Column("float", "standard deviation over repeats; blank if there was one", 0, 1, blank=True),
    "accuracy_low": Column("float", "lower end of its 95% interval over loci; blank for one", -1, 1, blank=True),
    "accuracy_high": Column("float", "upper end of that interval", -1, 1, blank=True),
    "auc_lost": Column("float", f"AUC {_LOST}; blank if only one class is there", -1, 1, blank=True),
    "auc_spread": Column("float", "standard deviation over repeats", 0, 1, blank=True),
    "log_loss_lost": Column("float", "rise of the mean negative log-likelihood, in nats, mean over repeats"),
    "log_loss_spread": Column("float", "standard deviation over repeats", 0, blank=True),
    "log_loss_low": Column("float", "lower end of its 95% interval over loci", blank=True),
    "log_loss_high": Column("float", "upper end of that interval", blank=True),
}

ENRICHED_KMERS: Table = {
    "kmer": Column("text", "bases"),
    "frequency_rank": Column("int", "place in the published recipe's order, by count alone", 1),
    "count": Column("int", "occurrences at the important places", 0),
    "share": Column("float", "of all k-mers at those places", 0, 1),
    "background_share": Column("float", "the same at the windows' other places", 0, 1),
    "fold": Column("float", "share over background share, half a count added to each", 0),
    "p": Column("float", "Fisher's exact test, one-sided: more frequent there than elsewhere", 0, 1),
    "q": Column("float", "p adjusted by Benjamini and Hochberg over the k-mers tested", 0, 1),
    "loci": Column("int", "loci with the k-mer at those places", 0),
    "share_of_ones": Column("float", "share of the occurrences in windows of label 1", 0, 1),
    "enriched": Column("int", "1 if q < 0.05 and at least 3 loci", 0, 1),
}

KMER_WEIGHTS: Table = {
    "kmer": Column("text", "bases"),
    "importance": Column("float", "trees: share of what its questions remove; linear models: log-odds per deviation"),
    "spread": Column("float", "standard deviation over trees; blank for other models", 0, blank=True),
    "low": Column("float", "lower end of the mean's 95% interval", blank=True),
    "high": Column("float", "upper end", blank=True),
}

MEAN_ATTRIBUTIONS: Table = {
    "start": Column("int", "first base within the window, 0-based", 0),
    "end": Column("int", "one past the last base", 1),
    "label": Column("int", "class of the windows averaged", 0, 1),
    "windows": Column("int", "how many", 1),
    "mean": Column("float", "mean integrated gradient: log-odds of label 1 that the place adds"),
    "low": Column("float", "lower end of its 95% interval over windows", blank=True),
    "high": Column("float", "upper end", blank=True),
    "mean_absolute": Column("float", "mean of the absolute values", 0),
}

ATTRIBUTIONS: Table = {
    "example": Column("int", "row of the dataset", 0),
    "start": Column("int", "first base within the window, 0-based", 0),
    "attribution": Column("float", "integrated gradient, in log-odds of label 1"),
}

KMER_ATTRIBUTIONS: Table = {
    "kmer": Column("text", "bases"),
    "occurrences": Column("int", "in the windows attributed", 1),
    "mean": Column("float", "mean integrated gradient of an occurrence"),
    "mean_absolute": Column("float", "mean of the absolute values", 0),
}

MUTATIONS: Table = {
    "example": Column("int", "row of the dataset", 0),
    "position": Column("int", "base within the window, 0-based", 0),
    "ref": Column("text", "the base that is there"),
    "alt": Column("text", "the base put in its place"),
    "change": Column("float", "change of P(label = 1)", -1, 1),
    "log_odds_change": Column("float", "change of the log-odds of label 1"),
}

KMER_POINTS: Table = {
    "kmer": Column("text", "bases"),
    "x": Column("float", "first coordinate"),
    "y": Column("float", "second coordinate"),
    "gc": Column("float", "share of G and C", 0, 1),
    "cpg": Column("int", "CpG sites within the k-mer", 0),
    "frequency": Column("int", "occurrences in the training windows", 0),
    "seen": Column("int", "1 if it occurs there; the vector of others is still its random start", 0, 1),
    "cluster": Column("int", "k-means over the vectors; -1 for k-mers never seen", -1),
    "palindrome": Column("int", "1 if it is its own reverse complement", 0, 1),
    "fitted": Column("int", "1 if the map was fitted to it, 0 if it was placed afterwards", 0, 1),
}
"""3-D maps also have `z`; with an interpret run also `importance`, blank where a k-mer was not attributed."""


def check_table(table: pd.DataFrame, contract: Table, name: str) -> pd.DataFrame:
    """Return `table` unchanged after checking it against its contract; further columns are allowed.

    Raises
    ------
    InputError
        Naming the column and how many rows break the contract.
    """
    import pandas as pd  # here, as commands that write tables without it start twice as fast

    missing = [column for column in contract if column not in table.columns]
    if missing:
        raise InputError(f"the {name} table lacks the column {missing[0]}")
    for column_name, column in contract.items():
        values = table[column_name]
        blank = values.isna()
        if blank.any() and not column.blank:
            raise InputError(f"column {column_name} of the {name} table is blank in {int(blank.sum()):,} rows")
        if column.kind == "text" or values.empty:
            continue
        if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
            raise InputError(f"column {column_name} of the {name} table should hold numbers")
        wrong = pd.Series(False, index=values.index)
        if column.low is not None:
            wrong |= values < column.low
        if column.high is not None:
            wrong |= values > column.high
        if wrong.any():
            raise InputError(f"column {column_name} of the {name} table is out of range in {int(wrong.sum()):,} rows")
    return table


def read_table(path: str | Path, contract: Table, name: str) -> pd.DataFrame:
    """Read a tab-separated table that a run wrote and check it.

    Text columns stay text, so that a gene called NA is a gene; only empty cells of number columns are blank.

    Raises
    ------
    InputError
        If the file is missing, cannot be read, or breaks the contract.
    """
    import pandas as pd

    path = Path(path)
    try:
        columns = pd.read_csv(path, sep="\t", nrows=0).columns
        text = {column: str for column in columns if column in contract and contract[column].kind == "text"}
        blanks = {column: [""] for column in columns if column not in text}
        table = pd.read_csv(path, sep="\t", dtype=text, keep_default_na=False, na_values=blanks)
    except FileNotFoundError:
        raise InputError(f"the {name} table is missing", path=path, advice="Run the step again.") from None
    except (ValueError, OSError) as error:
        raise InputError(f"the {name} table cannot be read ({type(error).__name__})", path=path) from None
    return check_table(table, contract, name)
