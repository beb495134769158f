"""The files in the layouts of mapDamage and DamageProfiler: what MultiQC looks for in them, and MultiQC itself.

MultiQC runs where it is installed, on the PATH or where the environment variable MULTIQC says; version 1.35 was used.
"""

from __future__ import annotations

import csv
import fnmatch
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from neandl_core.__main__ import main
from tests.test_tool_files import stored

MULTIQC = os.environ.get("MULTIQC") or shutil.which("multiqc")
PATTERNS = ("*dmgprof.json", "3p*_freq.txt", "5p*_freq.txt", "lgdistribution.txt")
"""Names under which MultiQC's modules damageprofiler and mapdamage look for files."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two samples, each with its own run."""
    folder = tmp_path_factory.mktemp("multiqc")
    lines = stored("reads.sam").splitlines(keepends=True)
    for name, kept in (("Altai.L1", lines), ("Vindija", lines[: 2 * len(lines) // 3])):
        (folder / f"{name}.sam").write_text("".join(kept))
        assert main(["reads", str(folder / f"{name}.sam"), "--out", str(folder / "runs" / name), "--quiet"]) == 0
    return folder / "runs"


def rates(run: Path) -> dict[str, list[float]]:
    summary = json.loads((run / "summary.json").read_text())
    return {"3 Prime": summary["g_to_a_3p"], "5 Prime": summary["c_to_t_5p"]}


def test_every_file_that_multiqc_looks_for_is_there_once(runs: Path) -> None:
    for run in runs.iterdir():
        names = [path.name for path in run.rglob("*") if path.is_file()]
        assert [sum(fnmatch.fnmatch(name, pattern) for name in names) for pattern in PATTERNS] == [1, 1, 1, 1]
        assert (run / "compat" / f"results_{run.name}" / "lgdistribution.txt").exists()


def test_the_json_has_the_keys_and_types_that_multiqc_reads(runs: Path) -> None:
    content = json.loads((runs / "Vindija" / "compat" / "dmgprof.json").read_text())
    assert content["metadata"]["sample_name"] == "Vindija"
    assert {"tool_name", "version"} <= content["metadata"].keys()
    assert content["dmg_5p"][:5] == pytest.approx(rates(runs / "Vindija")["5 Prime"][:5])
    assert content["dmg_3p"][:5] == pytest.approx(rates(runs / "Vindija")["3 Prime"][:5])
    assert {"mean_readlength", "median", "std"} == content["summary_stats"].keys()
    for strand in ("lendist_fw", "lendist_rv"):
        assert all(length.isdigit() and isinstance(reads, int) for length, reads in content[strand].items())


@pytest.mark.parametrize(("name", "end"), [("5pCtoT_freq.txt", "5p"), ("3pGtoA_freq.txt", "3p")])
def test_the_rates_are_two_columns_under_a_head_that_names_the_end(runs: Path, name: str, end: str) -> None:
    lines = (runs / "Altai.L1" / "compat" / "results_Altai.L1" / name).read_text().splitlines()
    head, *rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert head[0] == "pos"
    assert head[1].startswith(end)
    assert [row[0] for row in rows] == [str(position) for position in range(1, 26)]
    assert all(0 <= float(row[1]) <= 1 for row in rows)


@pytest.mark.skipif(MULTIQC is None, reason="MultiQC is not installed (PATH, or the environment variable MULTIQC)")
def test_multiqc_itself_shows_our_numbers(runs: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [MULTIQC, "--quiet", "--force", "--outdir", str(tmp_path), "--module", "mapdamage", "--module",
         "damageprofiler", str(runs)], capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    data = tmp_path / "multiqc_data"
    lines = (data / "multiqc_general_stats.txt").read_text().splitlines()
    table = {row["Sample"]: row for row in csv.DictReader(lines, delimiter="\t")}
    assert table.keys() == {"Altai.L1", "Vindija"}
    for name, row in table.items():
        for end, values in rates(runs / name).items():
            kind = "G_A" if end == "3 Prime" else "C_T"
            for tool in ("mapdamage", "damageprofiler"):
                for place, word in enumerate(("1st", "2nd")):
                    shown = float(row[f"{tool}-misinc_stats_{word}_{end.replace(' ', '_')}_{kind}"])
                    assert shown == pytest.approx(100 * values[place], abs=1e-9)
    sources = (data / "multiqc_sources.txt").read_text()
    assert all(tool in sources for tool in ("mapDamage", "DamageProfiler"))
    report = (tmp_path / "multiqc_report.html").read_text(encoding="utf-8")
    for section in ("3P misincorporation plot", "Forward read length distribution"):
        assert section in report
