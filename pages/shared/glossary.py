"""The words of the field in plain sentences: as tooltips where a page first uses them, and all of them in a dialog."""

from __future__ import annotations

import re
from dataclasses import dataclass

import streamlit as st

FIRST = "glossary-first"
"""Key: which part of the page explains a term; the first one that uses it."""
MOST_AT_ONCE = 3
"""Terms that one tooltip explains."""


@dataclass(frozen=True)
class Term:
    """A word, what it means in one or two sentences, how texts write it (regular expressions), and where it is met."""

    name: str
    meaning: str
    written: tuple[str, ...]
    pages: tuple[str, ...]


_MODELS = ("training", "results", "decontaminate")
TERMS: dict[str, Term] = {term.name: term for term in (
    Term("accuracy", "Share of examples that a model names rightly. Compare it with always naming the larger class.",
         ("accuracy",), _MODELS),
    Term("AUC", "How often an example of one class gets a higher score than one of the other. 0.5 is guessing, 1 is "
         "perfect.", ("AUC",), (*_MODELS, "windows")),
    Term("average precision", "Area under the curve of precision against recall. What guessing gives is the share of "
         "the class, not 0.5.", ("average precision", "AP"), ("training",)),
    Term("baseline", "A simple rule that a model must beat to be worth its name: GC content, length, or counts of "
         "5-mers.", ("baselines?",), _MODELS),
    Term("bootstrap", "The data are drawn again many times, whole loci at once, to see how much a number would have "
         "moved with other data.", ("bootstrap", "resampling loci"), ("training", "results")),
    Term("Brier score", "Mean squared error of a probability. 0 is best; always saying 0.5 gives 0.25.", ("Brier",),
         ("training", "results")),
    Term("calibration", "Whether probabilities mean what they say: of reads given 0.9, nine in ten should be ancient. "
         "A correction is learnt on data apart.", ("calibrat\\w+",), ("decontaminate", "genes", "training")),
    Term("confidence interval", "The range in which the true value would lie in 95 of 100 repetitions. Wide means few "
         "or uneven data.", ("95% intervals?", "confidence intervals?"), ("reads", "genes", *_MODELS)),
    Term("contamination", "Modern DNA in a sample, from people who touched it. Here: the share of modern reads, "
         "estimated from all scores, not by counting calls.", ("contamination", "modern reads"), ("decontaminate",)),
    Term("CpG", "A C followed by a G. These C are often methylated, and methylated C becomes T, which UDG treatment "
         "does not mend.", ("CpG",), ("reads",)),
    Term("damage rate", "Share of reference C read as T (or G read as A) at a distance from the read's end. Ancient "
         "DNA rises towards the end.", ("damage rates?", "damage curve", "C>T", "G>A"), ("reads", "decontaminate")),
    Term("deamination", "A C in old DNA loses its amino group and is read as T. It happens most at the ends of "
         "fragments, and marks DNA as ancient.", ("deaminat\\w+",), ("reads",)),
    Term("depleted region", "A stretch of the genome in which nobody studied carries Neanderthal sequence.",
         ("depleted",), ("windows",)),
    Term("desert", "A long stretch, millions of bases, almost free of Neanderthal sequence in people today.",
         ("deserts?",), ("genes",)),
    Term("ECE", "Expected calibration error: how far probabilities lie from the observed shares, on average. 0 is "
         "best.", ("ECE", "calibration error"), ("training", "results")),
    Term("embedding", "A list of numbers that a model learns for each k-mer. K-mers that it treats alike get similar "
         "numbers.", ("embeddings?", "vectors"), ("embeddings",)),
    Term("enriched", "More frequent in one set than in the rest, by more than chance explains.", ("enriched",),
         ("interpretation", "embeddings")),
    Term("epoch", "One pass of the training over all its examples.", ("epochs?",), ("training",)),
    Term("exon", "A part of a gene that stays in its finished message.", ("exons?",), ("genes",)),
    Term("false-discovery rate", "Share of wrong ones among all that are called. At 10%, one call in ten is expected "
         "to be false.", ("false-discovery rate", "FDR"), ("genes",)),
    Term("GC content", "Share of G and C among the bases. Classes that differ in it can be told apart without any "
         "biology.", ("GC", "GC content"), ("windows", "decontaminate", "embeddings")),
    Term("held out", "Kept away from training, so that a test on it says what the model does with new data.",
         ("held[- ]out",), ("windows", "interpretation", "decontaminate", "genes")),
    Term("interval", "A stretch of a chromosome with a start and an end; one line of a BED file.",
         ("(?<!% )(?<!confidence )intervals?", "BED"), ("windows", "overlap", "home")),
    Term("introgression", "Sequence that came from Neanderthals into people through common children, and that some "
         "carry today.", ("introgress\\w+",), ("windows", "genes", "overlap")),
    Term("k-mer", "A word of k neighbouring bases: ACGTA is a 5-mer. Neighbouring k-mers overlap.",
         ("k-mers?", "\\d+-mers?"), ("windows", "interpretation", "embeddings")),
    Term("leakage", "A test example that the model has seen in training: the same place, the same sequence, or a near "
         "copy. It makes scores too good.", ("leak\\w*",), ("training", "results", "windows")),
    Term("library", "DNA made ready for sequencing. Double-stranded ones show C>T at the 5\u2032 and G>A at the "
         "3\u2032 end; single-stranded ones C>T at both.", ("librar(?:y|ies)", "(?:single|double)-stranded"),
         ("reads", "data")),
    Term("locus", "A place in the genome; overlapping intervals of one class are merged into one. Several are loci.",
         ("locus", "loci"), ("windows", *_MODELS)),
    Term("log loss", "Penalty for a probability that was wrong, high where the model was sure. 0 is best, 0.69 is "
         "guessing.", ("log loss",), ("interpretation",)),
    Term("map", "A published list of Neanderthal segments in people today. Maps by different methods agree only in "
         "part.", ("(?:published )?maps that", "published maps?", "half the maps", "maps agree"), ("genes", "windows")),
    Term("mapping quality", "How sure the aligner was that a read belongs where it put it; 30 means one error in "
         "1,000.", ("mapping quality",), ("reads",)),
    Term("misincorporation", "A base of a read that differs from the reference, written reference>read: C>T is a C "
         "read as T. Damage and true variants both count.", ("misincorporations?", "read as another base"), ("reads",)),
    Term("p value", "How often chance alone gives so much or more. Small values speak against chance; they do not say "
         "how strong the effect is.", ("p value", "p,"), ("overlap",)),
    Term("PCA", "Turns many numbers per point into a few axes that hold most of the spread. Quick, and distances stay "
         "right.", ("PCA", "principal components?"), ("embeddings",)),
    Term("permutation importance", "How much worse a model gets when one position is shuffled between windows. Zero "
         "means the position does not matter.", ("permutation importance", "position is shuffled",
         "important positions", "position that matters"), ("interpretation",)),
    Term("PMD score", "How much likelier a read is as damaged ancient DNA than as modern DNA, as a logarithm. 3 is the "
         "usual limit.", ("PMD",), ("reads",)),
    Term("q value", "The smallest false-discovery rate at which a gene would still be called.", ("q", "q values?"),
         ("genes",)),
    Term("reverse complement", "The same DNA read from the other strand: AACG becomes CGTT.", ("reverse complements?",),
         ("windows", "embeddings")),
    Term("rotation", "A test of chance that moves all segments of a chromosome together round a circle, so that their "
         "lengths and distances stay.", ("rotat\\w+", "piles"), ("overlap",)),
    Term("run", "One piece of work that NeanDL does, and its result: a folder with settings, tables, log and methods.",
         ("runs?",), ("runs", "home")),
    Term("saliency", "How much each base adds to a model's answer for one sequence (also: attribution). Positive "
         "speaks for the class.", ("saliency", "attribut\\w+", "integrated gradients"), ("interpretation",)),
    Term("shuffled labels", "The same model trained on classes dealt out at random. What it reaches is what chance "
         "reaches.", ("shuffled labels", "by chance", "shuffled runs"), ("results",)),
    Term("simulated", "Made by NeanDL's own simulation with a known answer; nothing was measured.", ("simulated",),
         ("home",)),
    Term("split", "How examples are divided into those to learn from and those to test on: by chromosome, by locus, "
         "or at random.", ("splits?",), (*_MODELS, "windows")),
    Term("threshold", "The score from which on something is called. A lower one finds more, and more of it is wrong.",
         ("thresholds?",), ("genes", "decontaminate", "training")),
    Term("trustworthiness", "Share of each point's neighbours on a map that are neighbours among the learnt numbers "
         "too. 1 is best.", ("trustworthiness",), ("embeddings",)),
    Term("UDG", "An enzyme that removes deaminated C before sequencing. Half treatment keeps damage at the last "
         "bases; full treatment keeps it only at CpG.", ("UDG",), ("reads", "data")),
    Term("UMAP", "Draws many-number points on a page so that neighbours stay neighbours. Distances between groups mean "
         "little.", ("UMAP",), ("embeddings",)),
    Term("validation part", "Examples set aside to decide when to stop training. They are not the test.",
         ("validation part", "held back from training"), ("training", "results")),
    Term("window", "A stretch of fixed length, 200 bases for example, cut from a longer one: what a model sees at "
         "once.", ("windows?",), ("windows", "interpretation", "genes")),
    Term("word2vec", "Learns numbers for k-mers from which k-mers stand beside each other, without any class.",
         ("word2vec",), ("embeddings",)),
    Term("z score", "How many standard deviations the real value lies from what chance gives. Beyond \u00b12 is "
         "unusual.", ("z", "z scores?"), ("overlap",)),
)}
_CASE_COUNTS = re.compile(r"[A-Z]{2}|^\w,?$")
_WRITTEN = [
    (name, re.compile("|".join(
        rf"(?<![\w-])(?{'' if _CASE_COUNTS.search(one) else 'i'}:{one})(?![\w-])" for one in term.written
    )))
    for name, term in TERMS.items()
]


def found_in(*texts: str) -> list[str]:
    """Return the names of the terms that texts use, in the order in which they come."""
    whole = "\n".join(texts)
    places = {name: hit.start() for name, written in _WRITTEN if (hit := written.search(whole))}
    return sorted(places, key=places.__getitem__)


def begin_page() -> None:
    """Forget what the page has explained so far."""
    st.session_state[FIRST] = {}


def tooltip(place: str, *texts: str, own: str | None = None) -> str | None:
    """Explain the terms of a part of the page that no earlier part explains.

    Parameters
    ----------
    place
        Name of the part, unique on the page: drawn again by itself, it explains the same terms again.
    *texts
        What the part says.
    own
        An explanation of its own, which comes first.

    Returns
    -------
    str or None
        Markdown for ``help=``.
    """
    first = st.session_state.setdefault(FIRST, {})
    taken = [name for name, where in first.items() if where == place]
    fresh = [name for name in found_in(*texts) if first.get(name, place) == place]
    shown = list(dict.fromkeys([*taken, *fresh]))[:MOST_AT_ONCE]
    first |= dict.fromkeys(shown, place)
    parts = [own] if own else []
    return "\n\n".join([*parts, *(f"**{capital(name)}**: {TERMS[name].meaning}" for name in shown)]) or None


def capital(name: str) -> str:
    return name if name[:2] in ("k-", "q ", "p ", "z ") else name[:1].upper() + name[1:]


def meaning(text: str) -> str | None:
    """Return what the first term of a text means, for the heading of a table's column."""
    return next((TERMS[name].meaning for name in found_in(text)), None)


def search(text: str) -> list[Term]:
    """Return the terms that have a text in their name or meaning, those that begin with it first."""
    wanted = text.strip().lower()
    hits = [
        term for term in TERMS.values()
        if wanted in term.name.lower() or wanted in term.meaning.lower() or (wanted and term.name in found_in(text))
    ]
    return sorted(hits, key=lambda term: (
        term.name not in found_in(text), not term.name.lower().startswith(wanted), term.name.lower()
    ))


@st.fragment
def button(page: str) -> None:
    """Offer the glossary; a press draws nothing of the page again."""
    if st.button("Glossary", key="glossary-open", icon=":material/menu_book:", type="tertiary"):
        dialog(page)


@st.dialog("Glossary", width="medium", icon=":material/menu_book:")
def dialog(page: str) -> None:
    wanted = st.text_input(
        "Search the glossary", key="glossary-search", type="search", live=True, placeholder="deamination, AUC, split",
    )
    shown = search(wanted)
    if not shown:
        st.info("No such word here.", icon=":material/search_off:")
        return
    own = [term for term in shown if page in term.pages]
    rest = [term for term in shown if page not in term.pages]
    parts = {"": shown} if wanted or not own else {"On this page": own, "On other pages": rest}
    with st.container(height=420, border=False):
        for heading, terms in parts.items():
            if heading:
                st.caption(heading)
            st.markdown("\n\n".join(f"**{capital(term.name)}**  \n{term.meaning}" for term in terms))
