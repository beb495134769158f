"""The structure of the sources: layers, cycles, sizes, documentation, and what must not be used at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = "neandl_core"
LONGEST = 500

# A module may import those of lower layers, and those further left in its own. A package stands for all it holds.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__", "numba_start", "errors", "files", "intervals", "schemas", "presets", "config", "settings_file",
     "workspace", "catalogue", "transfer", "sample_sheet", "resources", "devices"),
    ("runs", "run_notes", "slots", "stopping", "cluster", "supervisor", "methods", "interrupts", "recording",
     "repeating", "launch", "parts", "fetching", "upgrades", "packed_bases", "dataset", "metrics", "curves",
     "calibration", "contamination", "headlines", "comparison", "figure_notes", "figures", "presentation"),
    ("io", "uploads"),
    ("read_sample", "read_view", "damage_kernel", "damage", "read_kernel", "kmer_kernel", "encoding", "pmd",
     "read_details", "briggs", "library", "read_tables", "tool_files", "read_rows", "enrichment", "kmer_space",
     "kmer_selection", "kmer_cloud"),
    ("windows", "splits", "audit_kernel", "audit", "background", "maps", "window_dataset", "read_draw",
     "read_set", "classify_kernel", "overlap_kernel", "overlap_words", "overlap", "ranks", "models"),
    ("prediction", "checkpoints", "training", "baselines", "evaluation", "fitting", "experiment",
     "control_verdict", "controls", "classification", "importance", "attribution", "interpretation",
     "embedding", "read_importance"),
    ("gene_calls", "gene_evidence", "gene_agreement", "gene_joins", "gene_scores", "genes", "checking", "simulate"),
    ("export", "demo", "cohort", "project_setup", "checkup", "commands", "__main__"),
)
RANK = {name: (layer, place) for layer, names in enumerate(LAYERS) for place, name in enumerate(names)}

FORBIDDEN_IN_CORE = {"streamlit"}
FORBIDDEN_IN_PAGES = {"torch", "pysam", "sklearn", "numba"}
FORBIDDEN_TEXT = (
    "unsafe_allow_html", "pickle.load", "joblib.load", "get_reference_sequence", "with_seq=True",
    "weights_only=False", "ignore_truncation=True", "except Exception",
)


def core_files() -> list[Path]:
    return sorted((ROOT / CORE).rglob("*.py"))


def page_files() -> list[Path]:
    return [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]


def dotted(path: Path) -> str:
    """``neandl_core/io/bgzf.py`` -> ``neandl_core.io.bgzf``; a package is named without ``__init__``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str) -> Iterator[str]:
    """Dotted names that a source imports anywhere, inside functions too; ``from a import b`` yields ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit(name: str) -> str:
    """The entry of LAYERS that a dotted name of the core belongs to."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANK else "__init__"


def module_of(name: str, modules: set[str]) -> str | None:
    """The module that an imported name comes from: itself, or the one that holds it."""
    if name in modules:
        return name
    holder = name.rpartition(".")[0]
    return holder if holder in modules else None


def top_level(source: str) -> set[str]:
    return {name.split(".")[0] for name in imported(source)}


def test_every_module_of_the_core_has_a_layer() -> None:
    names = {dotted(path).split(".")[1] for path in core_files() if dotted(path) != CORE}
    assert names - set(RANK) == set(), "enter the module in LAYERS"


@pytest.mark.parametrize("path", core_files(), ids=dotted)
def test_imports_go_down_only(path: Path) -> None:
    own = unit(dotted(path))
    for name in imported(path.read_text(encoding="utf-8")):
        if name.split(".")[0] != CORE:
            continue
        other = unit(name)
        assert other == own or RANK[other] < RANK[own], f"{dotted(path)} imports {name} from a later layer"


def test_there_are_no_cycles() -> None:
    modules = {dotted(path) for path in core_files()}
    graph = {
        dotted(path): {module_of(name, modules) for name in imported(path.read_text(encoding="utf-8"))} - {None}
        for path in core_files()
    }
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in finished:
            return
        for other in sorted(graph[module]):
            visit(other, (*trail, module))
        finished.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", core_files(), ids=dotted)
def test_the_core_knows_no_streamlit(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert top_level(source) & FORBIDDEN_IN_CORE == set()
    assert "pages" not in top_level(source)


@pytest.mark.parametrize("path", core_files(), ids=dotted)
def test_what_is_compiled_takes_numba_as_it_starts_quickly(path: Path) -> None:
    assert dotted(path) == f"{CORE}.numba_start" or "numba" not in top_level(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", page_files(), ids=dotted)
def test_pages_import_nothing_heavy(path: Path) -> None:
    assert top_level(path.read_text(encoding="utf-8")) & FORBIDDEN_IN_PAGES == set()


@pytest.mark.parametrize("path", [*core_files(), *page_files()], ids=dotted)
def test_modules_are_short_and_free_of_what_is_forbidden(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LONGEST
    assert [text for text in FORBIDDEN_TEXT if text in source] == []


@pytest.mark.parametrize("path", core_files(), ids=dotted)
def test_public_functions_are_documented_and_typed(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module says what it is for"
    public = [
        node for holder in (tree, *(node for node in tree.body if _is_public_class(node)))
        for node in holder.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    for node in public:
        assert ast.get_docstring(node), f"{node.name} has no docstring"
        if isinstance(node, ast.FunctionDef) and not _is_compiled(node):
            assert node.returns is not None, f"{node.name} does not say what it returns"
            bare = [
                argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)
                if argument.annotation is None and argument.arg not in ("self", "cls")
            ]
            assert bare == [], f"{node.name}: arguments without a type"


def _is_public_class(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and not node.name.startswith("_")


def _is_compiled(node: ast.FunctionDef) -> bool:
    """Whether numba compiles the function, which derives the types itself."""
    return any("jit" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_the_checks_see_imports_inside_functions() -> None:
    source = "def f():\n    import torch.nn\n    from neandl_core.io import bgzf\n"
    assert top_level(source) == {"torch", CORE}
    assert unit("neandl_core.io.bgzf") == "io"
    assert unit("neandl_core.__version__") == "__init__"
