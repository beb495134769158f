"""The sample sheet: read from what labs write, matched to files, kept."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from openpyxl import Workbook

from neandl_core.errors import InputError
from neandl_core.sample_sheet import (
    Sample,
    load_samples,
    make_sample,
    match_rows,
    merged,
    read_sheet,
    sample_of,
    save_samples,
)

ROWS = [
    ["File", "Sample", "Library", "ss/ds", "UDG", "Species", "Note"],
    ["a.bam", "Vi 33.19", "L1", "Single-stranded", "half-UDG", "Homo", "bone; left"],
    ["/data/b.bam", "B", "", "ds", "full", "", ""],
    ["", "", "", "", "", "", ""],
]


def workbook() -> bytes:
    book = Workbook()
    for row in ROWS:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def text(separator: str) -> bytes:
    return "\n".join(separator.join(f'"{cell}"' for cell in row) for row in ROWS).encode("utf-8-sig")


@pytest.mark.parametrize(
    "content", [text(","), text("\t"), text(";"), workbook()], ids=["csv", "tsv", "semicolon", "xlsx"]
)
def test_the_same_sheet_from_every_format(content: bytes) -> None:
    rows = read_sheet(content, "sheet")
    assert [row.file for row in rows] == ["a.bam", "/data/b.bam"]
    assert rows[0].sample == Sample("Vi 33.19", "L1", "ss", "half", "Homo", "bone; left")
    assert rows[1].sample == Sample("B", "", "ds", "full", "", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"file,ss/ds\na.bam,triple\n", r"row 2.*triple.*ss or ds"),
        (b"file,udg\na.bam,ds\n\nb.bam,maybe\n", r"row 2.*ds.*none, half or full"),
        (b"name\nx\n", "no column of file names"),
        (b"file,colour\na,b\n", 'column "colour"'),
        (b"file,name,sample\na,b,c\n", "two columns"),
        (b"file,name\na.bam,x\na.bam,y\n", "twice"),
        (b"file,name\n,x\n", "names no file"),
        (b"file,name\n", "no sample"),
        (b"", "no sample"),
        (b"\xff\xfea\0", "neither UTF-8"),
        (b"file\n\0\n", "binary"),
        (b'file,name\n"a,b\n', "cannot be read"),
        (b"PK\x03\x04rubbish", "workbook cannot be read"),
        (b"x" * (1 << 21), "at most"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_sheet(content, "sheet.csv")


def test_rows_find_their_files_by_name_and_the_rest_is_said() -> None:
    rows = read_sheet(text(","), "sheet")
    files = {"a.bam": Path("/up/0123.bam"), "c.bam": Path("/d/c.bam")}
    samples, unmatched = match_rows(rows, files)
    assert samples == {"/up/0123.bam": rows[0].sample}
    assert unmatched == ["/data/b.bam"]


def test_the_sheet_is_kept_and_read_back(tmp_path: Path) -> None:
    bam = tmp_path / "a.bam"
    bam.touch()
    sample = make_sample({"name": " A  1 ", "udg": "No", "strands": "DS"})
    assert sample == Sample("A 1", "", "ds", "none")
    save_samples(tmp_path, {str(bam.resolve()): sample, "/x": Sample()})
    assert load_samples(tmp_path) == {str(bam.resolve()): sample}
    assert sample_of(tmp_path, bam) == sample
    assert sample_of(tmp_path, tmp_path / "b.bam").empty
    (tmp_path / "samples.json").write_text('{"samples": {"/x": {"colour": 1}}}')
    with pytest.raises(InputError, match="damaged"):
        load_samples(tmp_path)
    assert sample_of(tmp_path, bam).empty, "a damaged sheet stops no analysis"
    assert merged(sample, Sample(note="n")) == Sample("A 1", "", "ds", "none", "", "n")
