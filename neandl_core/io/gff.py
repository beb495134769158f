"""GTF and GFF3, streamed: genes, and the exons of all their isoforms. Converts from 1-based with the end included."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from neandl_core.errors import InputError, shorten
from neandl_core.io.annotation import text_lines
from neandl_core.io.symbols import ensembl_key

_GTF = re.compile(r'(\w+) "([^"]*)"')
_NAME_KEYS = ("gene_name", "Name", "gene", "gene_id", "ID")
_SKIPPED = {
    "CDS", "start_codon", "stop_codon", "UTR", "five_prime_UTR", "three_prime_UTR", "five_prime_utr",
    "three_prime_utr", "Selenocysteine", "intron", "region", "chromosome", "scaffold", "biological_region",
}

GeneRow = tuple[str, str, int, int, str, str]
ExonRow = tuple[str, str, int, int]


def read_gff(path: Path) -> tuple[list[GeneRow], list[ExonRow], int]:
    """Read the genes and exons of a GTF or GFF3 file, plain or gzip.

    A gene without a line of its own is the span of its transcripts; a transcript without one, the span of its exons.

    Returns
    -------
    genes
        symbol, chromosome, start, end (0-based half-open), Ensembl id without version or "", strand.
    exons
        symbol, chromosome, start, end; each once.
    blank
        Genes without name and id, left out.

    Raises
    ------
    InputError
        At the first line without nine columns or with impossible positions.
    """
    reader = _Reader(path)
    for number, line in text_lines(path, "gene table"):
        if line.startswith("##FASTA"):
            break
        if line.strip() and not line.startswith(("#", "track", "browser")):
            reader.take(number, line)
    return reader.genes(), list(reader.exons), reader.blank


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.gene_rows: list[GeneRow] = []
        self.spans: dict[tuple[str, str, str], tuple[int, int, str, str]] = {}
        self.exons: dict[ExonRow, None] = {}
        self.names: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.blank = 0

    def take(self, number: int, line: str) -> None:
        fields = line.split("\t")
        if len(fields) < 9:
            self._bad(number, line, f"expected nine columns, got {len(fields)}")
        kind = fields[2]
        if kind in _SKIPPED:
            return
        if not (fields[3].isdecimal() and fields[4].isdecimal()):
            self._bad(number, line, "expected whole numbers as start and end")
        start, end = int(fields[3]) - 1, int(fields[4])
        if start < 0 or end <= start or end > 2**31 - 1:
            self._bad(number, line, "positions count from 1 and the end may not lie before the start")
        told = _attributes(fields[8])
        symbol, identifier = self._resolve(told)
        is_gene = kind in {"gene", "pseudogene"} or kind.endswith("_gene")
        if not symbol:
            self.blank += is_gene
            return
        own = told.get("ID")
        if own:
            self.names[own], self.ids[own] = symbol, identifier
        contig, strand = fields[0], fields[6]
        if is_gene and "Parent" not in told:
            self.gene_rows.append((symbol, contig, start, end, identifier, strand))
            return
        if kind == "exon":
            self.exons[(symbol, contig, start, end)] = None
        transcript = told.get("transcript_id") or (told.get("Parent") if kind == "exon" else own) or symbol
        key = (symbol, contig, transcript)
        low, high, _, _ = self.spans.get(key, (start, end, "", ""))
        self.spans[key] = (min(low, start), max(high, end), identifier, strand)

    def genes(self) -> list[GeneRow]:
        """Return gene rows, and the transcripts of genes that have none."""
        having = {row[0] for row in self.gene_rows}
        spans = [
            (symbol, contig, *span) for (symbol, contig, _), span in self.spans.items() if symbol not in having
        ]
        return self.gene_rows + spans

    def _resolve(self, told: dict[str, str]) -> tuple[str, str]:
        """Return symbol and Ensembl id of a line: its own, or in GFF3 those of what it belongs to."""
        parent = told.get("Parent", "").split(",")[0]
        identifier = ensembl_key(told.get("gene_id", told.get("ID", "")).removeprefix("gene:")) or ""
        if parent and "gene_name" not in told and parent in self.names:
            return self.names[parent], self.ids[parent]
        keys = _NAME_KEYS if not parent else ("gene_name", "gene")
        symbol = next((told[key] for key in keys if told.get(key)), "")
        return symbol.removeprefix("gene:").strip(), identifier

    def _bad(self, number: int, line: str, problem: str) -> None:
        raise InputError(f'{problem}; the line is "{shorten(line)}"', path=self.path, place=f"line {number:,}")


def _attributes(text: str) -> dict[str, str]:
    """Return the ninth column as a mapping, of GTF (``key "value";``) or GFF3 (``key=value;``)."""
    if "=" in text and '"' not in text.split("=", 1)[0]:
        pairs = (part.partition("=") for part in text.strip().split(";") if "=" in part)
        return {key.strip(): unquote(value) for key, _, value in pairs}
    return dict(_GTF.findall(text))
