"""The methods paragraph of a run: what was done, with versions, settings, counts and citations, ready to paste.

Everything in it comes from the run's `config.json` and `summary.json`; nothing is said that they do not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

CITATIONS: dict[str, str] = {
    "Benjamini 1995": "Benjamini Y, Hochberg Y (1995) Controlling the false discovery rate: a practical and powerful "
                      "approach to multiple testing. Journal of the Royal Statistical Society B 57:289-300.",
    "Bonfield 2021": "Bonfield JK et al. (2021) HTSlib: C library for reading/writing high-throughput sequencing data. "
                     "GigaScience 10:giab007.",
    "Breiman 2001": "Breiman L (2001) Random forests. Machine Learning 45:5-32.",
    "Briggs 2007": "Briggs AW et al. (2007) Patterns of damage in genomic DNA sequences from a Neandertal. PNAS "
                   "104:14616-14621.",
    "Harris 2020": "Harris CR et al. (2020) Array programming with NumPy. Nature 585:357-362.",
    "Hochreiter 1997": "Hochreiter S, Schmidhuber J (1997) Long short-term memory. Neural Computation 9:1735-1780.",
    "Irber 2022": "Irber L et al. (2022) Lightweight compositional analysis of metagenomes with FracMinHash and "
                  "minimum metagenome covers. bioRxiv 2022.01.11.475838.",
    "Jonsson 2013": "Jonsson H et al. (2013) mapDamage2.0: fast approximate Bayesian estimates of ancient DNA damage "
                    "parameters. Bioinformatics 29:1682-1684.",
    "Lam 2015": "Lam SK, Pitrou A, Seibert S (2015) Numba: a LLVM-based Python JIT compiler. LLVM-HPC 2015.",
    "McInnes 2018": "McInnes L, Healy J, Melville J (2018) UMAP: uniform manifold approximation and projection for "
                    "dimension reduction. arXiv 1802.03426.",
    "Neukamm 2021": "Neukamm J, Peltzer A, Nieselt K (2021) DamageProfiler: fast damage pattern calculation for "
                    "ancient DNA. Bioinformatics 37:3652-3653.",
    "Paszke 2019": "Paszke A et al. (2019) PyTorch: an imperative style, high-performance deep learning library. "
                   "NeurIPS 32.",
    "Pedregosa 2011": "Pedregosa F et al. (2011) Scikit-learn: machine learning in Python. JMLR 12:2825-2830.",
    "Phipson 2010": "Phipson B, Smyth GK (2010) Permutation P-values should never be zero: calculating exact P-values "
                    "when permutations are randomly drawn. Statistical Applications in Genetics and Molecular Biology "
                    "9:39.",
    "Skoglund 2014": "Skoglund P et al. (2014) Separating endogenous ancient DNA from modern day contamination in a "
                     "Siberian Neandertal. PNAS 111:2229-2234.",
    "Sundararajan 2017": "Sundararajan M, Taly A, Yan Q (2017) Axiomatic attribution for deep networks. ICML, PMLR "
                         "70:3319-3328.",
    "Venna 2001": "Venna J, Kaski S (2001) Neighborhood preservation in nonlinear projection methods: an experimental "
                  "study. ICANN, Lecture Notes in Computer Science 2130:485-491.",
}
"""What a paragraph may refer to, by the short name used in the text."""

_SILENT_SETTINGS = ("seed", "threads", "device")
"""Settings that the paragraph names elsewhere."""


def methods_paragraph(config: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return the methods paragraph of a finished run, and under it the references that it names.

    Parameters
    ----------
    config, summary
        The run's `config.json` and `summary.json`.
    """
    command = config["command"]
    what, cited = "", list[str]()
    if command in _WRITERS:
        try:
            what, cited = _WRITERS[command](config, summary)
        except (KeyError, TypeError, ValueError, IndexError):
            # A summary of another version counts other things; settings and versions can still be told.
            what, cited = "", []
    software = config["software"]
    versions = ", ".join(f"{name} {version}" for name, version in software.items() if name != "neandl")
    sentences = [
        f"The step \"{command}\" was made with NeanDL {software['neandl']} ({versions}).", what, _settings(config),
        _inputs(config),
    ]
    # `data setup` names its dataset; a training describes it.
    dataset = summary.get("dataset")
    if summary.get("simulated") or (isinstance(dataset, dict) and dataset.get("simulated")):
        sentences.append("The data are simulated.")
    text = " ".join(sentence for sentence in sentences if sentence)
    references = "\n".join(f"- {CITATIONS[name]}" for name in sorted(set(cited)))
    return f"{text}\n\nReferences\n{references}\n" if references else f"{text}\n"


def _settings(config: Mapping[str, Any]) -> str:
    named = [
        f"{name.replace('_', '-')} {_value(value)}" for name, value in config["settings"].items()
        if name not in _SILENT_SETTINGS and value not in (None, (), [])
    ]
    text = f"Settings: {', '.join(named)}." if named else ""
    seed = config.get("seed")
    return text if seed is None else f"{text} Random choices follow from seed {seed}.".strip()


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "/".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _inputs(config: Mapping[str, Any]) -> str:
    named = [
        f"{entry['path'].rsplit('/', 1)[-1]} (SHA-256 {entry['sha256'][:12]})" for entry in config["inputs"]
        if entry.get("sha256")
    ]
    return f"Inputs: {', '.join(named)}." if named else ""


def _reads(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in summary["dropped"].items() if count) or "none"
    tool = {
        "alignment-column": "mapDamage (Jonsson 2013)", "read-base": "DamageProfiler (Neukamm 2021)",
    }[summary["definition"]]
    text = (
        f"Misincorporations of {summary['reads_used']:,} of {summary['reads_total']:,} reads of {summary['file']} were "
        f"counted as {tool} does (left out: {dropped}), and read lengths (mean {summary['length']['mean']:.1f} bases). "
        f"C>T at the first base of 5' ends was {_percent(summary['c_to_t_5p'])} (n = {summary['n_5p'][0]:,}), G>A at "
        f"the last base of 3' ends {_percent(summary['g_to_a_3p'])} (n = {summary['n_3p'][0]:,}); intervals are Wilson "
        "intervals. Alignments were read with htslib (Bonfield 2021) and compiled loops (Lam 2015)."
    )
    cited = ["Bonfield 2021", "Lam 2015", "Jonsson 2013" if "mapDamage" in tool else "Neukamm 2021"]
    if "briggs" in summary:
        text += " Reads were scored for post-mortem damage (Skoglund 2014)"
        cited.append("Skoglund 2014")
        if summary["briggs"]:
            text += " and the damage model (Briggs 2007) was fitted to the profile"
            cited.append("Briggs 2007")
        text += "."
    return text, cited


def _percent(rates: list[float | None]) -> str:
    return "not counted" if not rates or rates[0] is None else f"{rates[0]:.2%}"


def _windows(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    windows, audit = summary["windows"], summary["audit"]
    classes = " and ".join(f"{count:,} {name}" for name, count in windows["by_class"].items())
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in summary["dropped"].items() if count) or "none"
    held = ""
    if summary["test_chromosomes"] and audit["split"] == "chromosome":
        held = f" (test: {', '.join(summary['test_chromosomes'])})"
    text = (
        f"{windows['total']:,} windows of {summary['window']} bases ({classes}; left out: {dropped}) were cut from the "
        f"genome and split by {audit['split']}{held}. {audit['overlap_150']:.1%} of the {audit['test_windows']:,} test "
        f"windows share at least 150 bases with training, {audit['identical']:.1%} are identical to a training window, "
        f"{audit['near_identical']:.1%} have a near copy (sketches of 31-mers, Irber 2022)."
    )
    return text, ["Irber 2022", "Lam 2015"]


def _read_set(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    each, sizes = summary["examples"] // 2, " or ".join(f"{size:,}" for size in summary["locus_bases"])
    text = (
        f"{each:,} reads of each class ({' and '.join(summary['classes'])}) of equal length distribution (median "
        f"{summary['length']['median']:.0f} bases) were drawn from alignments read with htslib (Bonfield 2021), and "
        f"split by {summary['split']}: {summary['loci']:,} stretches of {sizes} bases."
    )
    return text, ["Bonfield 2021"]


def _train(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    test, dataset = summary["test"], summary["dataset"]
    low, high = test.get("auc_ci") or (None, None)
    interval = "" if low is None else f" (95% interval {low:.3f} to {high:.3f}, bootstrap over loci)"
    controls = "".join(
        f" The same model under the {name} split reached {_auc(control['test'])}."
        for name, control in summary["controls"].items()
    )
    baselines = ", ".join(f"{name} {_auc(scores)}" for name, scores in summary["baselines"].items())
    text = (
        f"The model {summary['preset']} ({summary['parameters']:,} parameters; {summary['optimiser']}; "
        f"{summary['epochs']} epochs; on {summary['device']}) was trained on {dataset['kind']} split by "
        f"{dataset['split']} and reached an AUC of {_auc(test)}{interval} on {test['n']:,} test examples.{controls} "
        f"Baselines: {baselines}. {summary['verdict']['sentence']}"
    )
    cited = ["Harris 2020", "Pedregosa 2011"]
    if summary["preset"] == "bilstm":
        cited += ["Hochreiter 1997", "Paszke 2019", "Lam 2015"]
        text += " The network is a bidirectional LSTM (Hochreiter 1997) in PyTorch (Paszke 2019)."
    elif summary["engine"] == "torch":
        cited.append("Paszke 2019")
        text += " The network runs in PyTorch (Paszke 2019)."
    return text + " Baselines were fitted with scikit-learn (Pedregosa 2011) on NumPy (Harris 2020).", cited


def _auc(scores: Mapping[str, Any]) -> str:
    return "undefined" if scores.get("auc") is None else f"{scores['auc']:.3f}"


def _classify(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    found = summary["contamination"]
    text = (
        f"{summary['reads_scored']:,} of {summary['reads_total']:,} reads of {summary['file']} were scored with the "
        f"model {summary['model']['preset']} (AUC {summary['model']['auc']:.3f} on reads it had not seen), calibrated "
        f"on others. Contamination was estimated as {found['estimate']:.1%} (95% interval {found['ci'][0]:.1%} "
        f"to {found['ci'][1]:.1%}) as the share of a mixture of the classes' score distributions."
    )
    return text, ["Bonfield 2021", "Paszke 2019"]


def _genes(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    skipped = sum(summary["skipped"].values())
    text = (
        f"{summary['scored']:,} of {summary['genes']:,} genes ({skipped:,} not scored) were scored with the model "
        f"{summary['model']['preset']} over {summary['windows']:,} windows: {summary['combination']}. "
        f"{summary['predicted']:,} had at least {summary['threshold']:g}. {summary['merge_rule']}"
    )
    return text, ["Paszke 2019"] if summary["model"]["preset"] != "logistic" else ["Pedregosa 2011"]


def _controls(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    test, shuffled, leaking, baseline = (summary[name] for name in ("test", "shuffled", "leaking", "baseline"))
    text = (
        f"The model {summary['model']['preset']} was held against its controls on {test['examples']:,} examples of "
        f"{test['loci']:,} loci of its {summary['split']} split. It reached an AUC of {test['auc']:.3f} (95% interval "
        f"{test['low']:.3f} to {test['high']:.3f}, bootstrap over loci, {config['settings']['bootstrap_samples']:,} "
        f"draws); trained on labels shuffled by locus, {shuffled['runs']} times, {shuffled['mean']:.3f} on average "
        f"(range {shuffled['range'][0]:.3f} to {shuffled['range'][1]:.3f})"
    )
    if leaking:
        text += f"; under the {leaking['split']} split {leaking['auc']:.3f}"
        if leaking.get("shuffled_auc") is not None:
            text += f", and {leaking['shuffled_auc']:.3f} there on shuffled labels"
    text += "."
    if baseline:
        low, high = baseline["difference_ci"]
        text += (
            f" Its AUC less that of the best baseline ({baseline['name'].replace('_', ' ')}) is "
            f"{baseline['difference']:+.3f} (95% interval {low:+.3f} to {high:+.3f})."
        )
    text += " Models and baselines were fitted with PyTorch (Paszke 2019) and scikit-learn (Pedregosa 2011)."
    return text, ["Paszke 2019", "Pedregosa 2011"]


def _interpret(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    model = f"the model {summary['model']['preset']} (test AUC {summary['model']['test_auc']:.3f})"
    if summary["kind"] == "reads":
        counts = " and ".join(f"{count:,} {name}" for name, count in summary["classes"].items())
        return (
            f"What {model} goes by was asked of {summary['reads']:,} held-out reads ({counts}). "
            f"{summary['method']} The {summary['outer_bases']} outer bases of either end carry "
            f"{summary['outer_share']:.1%} of the attributions' sum; {summary['outer_share_even']:.1%} if all bases "
            f"counted alike.", ["Sundararajan 2017", "Paszke 2019"],
        )
    windows, important, kmers = summary["windows"], summary["important"], summary["kmers"]
    text = (
        f"What {model} goes by was asked of {windows['shuffled']:,} of {windows['test']:,} windows that it never saw, "
        f"by permutation importance (Breiman 2001): at each place the {important['unit']} was exchanged among windows, "
        f"{summary['repeats']} times, and so were stretches of {summary['block']} bases. {important['count']:,} places "
        f"count as important, by the rule: {important['rule']}."
    )
    cited = ["Breiman 2001"]
    if kmers["tested"]:
        text += (
            f" {kmers['enriched']:,} of {kmers['tested']:,} {summary['k']}-mers are enriched there (Fisher's exact "
            "test, false-discovery rate 5%, Benjamini 1995)."
        )
        cited.append("Benjamini 1995")
    attribution = summary["attribution"]
    if attribution:
        text += (
            f" Integrated gradients (Sundararajan 2017; {attribution['steps']} steps) were taken of "
            f"{attribution['windows']:,} windows."
        )
        cited += ["Sundararajan 2017", "Paszke 2019"]
    return text, cited


def _embed(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    settings = config["settings"]
    text = (
        f"{summary['points']:,} {summary['k']}-mers ({summary['seen']:,} of them seen in training; "
        f"{summary['vectors']}, {summary['dimensions_before']} numbers each) were laid out in "
        f"{summary['dimensions']} dimensions by "
    )
    if summary["method"] == "umap":
        text += f"UMAP (McInnes 2018; {settings['neighbours']} neighbours, least distance {settings['min_dist']:g})"
        cited = ["McInnes 2018", "Venna 2001", "Pedregosa 2011"]
    else:
        held = sum(share for share in summary["explained_variance"] if share is not None)
        text += f"principal component analysis ({held:.1%} of the variance; scikit-learn, Pedregosa 2011)"
        cited = ["Pedregosa 2011", "Venna 2001"]
    text += f", fitted to {summary['fitted_to']}. Trustworthiness (Venna 2001) is {summary['trustworthiness']:.3f}."
    return f"{text} Groups: {summary['clusters']}." if summary["clusters"] else text, cited


def _overlap(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    merged = "merged into loci" if summary["merged"] else "as listed"
    text = (
        f"{summary['tested']:,} segments ({merged}; {summary['loci']:,} separate loci) were tested against "
        f"{summary['genes']:,} genes on {summary['chromosomes']:,} chromosomes: {summary['observed']:,.0f} "
        f"overlaps ({summary['statistic']}), against {summary['expected']:,.1f} (standard deviation "
        f"{summary['sd']:,.1f}) in {summary['permutations']:,} random placements with {summary['null_text']} "
        f"(z {summary['z']:+.2f}; one-sided p of fewer {summary['p']:.3g}, as by Phipson 2010)."
    )
    if summary["masked"]:
        text += f" Placements stayed inside a mask of {summary['mask_bases']:,} bases."
    if summary["naive"]:
        text += f" {summary['naive_sentence']}"
    return text, ["Phipson 2010", "Harris 2020", "Lam 2015"]


def _cohort(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    tool, source = {
        "alignment-column": ("mapDamage", "Jonsson 2013"), "read-base": ("DamageProfiler", "Neukamm 2021"),
    }[config["settings"]["definition"]]
    text = (
        f"Misincorporations and lengths of {summary['reads_used']:,} reads of {summary['done']:,} samples were counted "
        f"as {tool} ({source}) does; {summary['damaged']:,} samples show ancient damage; of the files "
        f"{len(summary['refused']):,} could not be read. "
        "Alignments were read with htslib (Bonfield 2021) and compiled loops (Lam 2015)."
    )
    return text, [source, "Bonfield 2021", "Lam 2015"]


_WRITERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[str, list[str]]]] = {
    "reads": _reads, "windows": _windows, "read-set": _read_set, "train": _train, "classify": _classify,
    "genes": _genes, "controls": _controls, "interpret": _interpret, "embed": _embed, "overlap": _overlap,
    "cohort": _cohort,
}
