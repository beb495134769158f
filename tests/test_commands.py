"""The command line as a user types it: words in, exit status and one sentence out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from neandl_core.__main__ import COMMANDS, main
from neandl_core.files import read_json


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert name in said
    assert "Example" in said


@pytest.mark.parametrize("words", [["no-such-command"], ["reads"], ["reads", "x.bam", "--nope"], ["windows", "--k"]])
def test_a_wrong_command_line_ends_with_2(words, capsys):
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project") / "sim"
    words = ["simulate", "--reads", "2000", "--chromosomes", "3", "--chromosome-length", "300000"]
    assert main([*words, "--out", str(folder), "--quiet"]) == 0
    return folder


def one_sentence(capsys):
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert "Traceback" not in said.err
    return said.err


def windows_words(project, **replaced):
    files = {
        "reference": project / "reference.fa", "introgressed": project / "introgressed.bed",
        "depleted": project / "depleted.bed",
    } | replaced
    return ["windows", *(word for name, path in files.items() for word in (f"--{name}", str(path)))]


def test_bad_inputs_of_windows_are_one_sentence_and_leave_no_folder(project, tmp_path, capsys):
    (tmp_path / "empty.fa").write_text("")
    (tmp_path / "bad.bed").write_text("chr1\t5\t900\nchr1\tfive\t900\n")
    (tmp_path / "other.bed").write_text("chrZ\t5\t900\n")
    cases = [
        ({"reference": tmp_path / "none.fa"}, "none.fa"),
        ({"reference": tmp_path / "empty.fa"}, "empty"),
        ({"reference": project / "ancient.bam"}, "ancient.bam"),
        ({"introgressed": tmp_path / "bad.bed"}, 'line 2: expected whole numbers from 0 as start and end; the line is'),
        ({"introgressed": tmp_path / "other.bed"}, "none of its chromosomes"),
        ({"depleted": tmp_path}, "folder"),
    ]
    for replaced, expected in cases:
        assert main([*windows_words(project, **replaced), "--out", str(tmp_path / "out")]) == 1
        assert expected in one_sentence(capsys)
        assert not (tmp_path / "out").exists()


def test_impossible_settings_are_one_sentence(project, tmp_path, capsys):
    for words, expected in [
        (["--k", "13"], "k = 13 is refused"), (["--window", "5"], "window = 5 is refused"),
        (["--split", "lucky"], "lucky"), (["--test-chromosomes", "chr1,chr2,chr3"], "nothing is left to train on"),
        (["--test-chromosomes", "chr77"], "chr77"),
    ]:
        assert main([*windows_words(project), *words, "--out", str(tmp_path / "out")]) == 1
        assert expected in one_sentence(capsys)
        assert not (tmp_path / "out").exists()


def test_an_unwritable_output_is_one_sentence(project, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "sub", "/proc/neandl"):
        assert main([*windows_words(project), "--out", str(out)]) == 1
        assert "output" in one_sentence(capsys)


def test_a_line_from_windows_to_genes(project, tmp_path, capsys):
    data, model, genes = (str(tmp_path / name) for name in ("data", "model", "genes"))
    assert main([*windows_words(project), "--k", "5", "--out", data, "--quiet"]) == 0
    assert main(["train", data, "--preset", "logistic", "--out", model, "--quiet"]) == 0
    words = ["--genes", str(project / "genes.tsv"), "--reference", str(project / "reference.fa")]
    assert main(["genes", model, *words, "--out", genes, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["genes", data, *words, "--out", str(tmp_path / "again")]) == 1
    assert "expected the --out folder of `train`, got one of `windows`" in one_sentence(capsys)
    assert main(["train", str(project), "--preset", "logistic", "--out", str(tmp_path / "again")]) == 1
    assert "no dataset" in one_sentence(capsys)


def test_what_is_typed_wins_over_a_settings_file(project, tmp_path):
    """Also where it is the default's value: what counts is that it was typed."""
    file = tmp_path / "settings.json"
    file.write_text('{"k": 6, "step": 250, "window": 150}')
    words = [*windows_words(project), "--settings", str(file), "--k", "5", "--window", "200", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "data")]) == 0
    settings = read_json(tmp_path / "data" / "config.json")["settings"]
    assert (settings["k"], settings["window"], settings["step"]) == (5, 200, 250)


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "neandl_core", "reads"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Missing" in done.stderr


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"serve", "doctor", "resume", "rerun", "index", "submit"}))
def test_commands_share_their_options(name, capsys):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    for option in ("--out", "--threads", "--quiet", "--title"):
        assert option in said
    # What draws nothing at random has no seed.
    assert name in ("check", "export", "reads") or "--seed" in said
