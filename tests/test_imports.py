"""What may import what, and what a light command may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cvtk

SOURCE = Path(cvtk.__file__).parent

HEAVY = (
    "torch",
    "torchvision",
    "mmcv",
    "mmdet",
    "mmengine",
    "mim",
    "pandas",
    "matplotlib",
    "scipy",
    "skimage",
)

# Lowest first: a module imports from lines above its own, or from its own package.
LAYERS = (
    {"errors"},
    {"declare", "io", "log", "ops", "pose2seg", "tables", "words"},
    {"extras", "options", "visual"},
    {"data"},
    {"zoo", "metrics", "results"},
    {"analysis", "exported", "measure", "recipe"},
    {"engine", "scripts"},
    {"model", "demo", "doctor", "serve", "ymir"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imported(path):
    """The parts of cvtk that a file imports, at its top or inside a function."""
    here = ("cvtk", *path.relative_to(SOURCE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = (
                [f"cvtk.{alias.name}" for alias in node.names]
                if module == "cvtk"
                else [module]
            )
        else:
            continue
        for name in names:
            if name.startswith("cvtk."):
                yield name.split(".")[1]


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_imports_run_one_way(path):
    part = path.relative_to(SOURCE).with_suffix("").parts[0]
    if part == "__init__":
        assert not list(imported(path)), "the public names are lazy"
        return
    assert part in RANK, f"{part} has no layer yet; give it one above"
    for name in set(imported(path)) - {part, "__version__"}:
        assert name in RANK, f"{path} imports cvtk.{name}, which has no layer"
        assert RANK[name] < RANK[part], (
            f"{path} imports cvtk.{name}, which is not below it"
        )


def graph(package):
    """Module -> the modules of its package that it imports, at its top or inside a function.

    What is imported only for types (`if TYPE_CHECKING:`) does not count.
    """
    modules = {}
    for path in sorted((SOURCE / package).rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        modules[".".join(("cvtk", *parts)).removesuffix(".__init__")] = path
    found = {}
    for name, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
        names = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    names.add(inner if inner in modules else node.module)
        found[name] = sorted((names & modules.keys()) - {name})
    return found


def circle(graph):
    """The modules of a circle of imports, or None."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        path.append(name)
        for other in graph[name]:
            if found := visit(other):
                return found
        path.pop()
        done.add(name)
        return None

    return next((found for name in graph if (found := visit(name))), None)


PACKAGES = sorted(p.parent.name for p in SOURCE.glob("*/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_in_a_circle(package):
    assert circle(graph(package)) is None


def test_a_circle_is_found():
    assert circle({"a": ["b"], "b": ["c"], "c": []}) is None
    assert circle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]


def test_the_operators_know_nothing_of_cvtk_but_its_errors():
    for path in (SOURCE / "ops").rglob("*.py"):
        assert set(imported(path)) <= {"ops", "errors"}, path


def test_what_is_copied_beside_scripts_knows_nothing_of_cvtk():
    for path in (SOURCE / "pose2seg").rglob("*.py"):
        assert set(imported(path)) <= {"pose2seg"}, path
        assert "from cvtk" not in path.read_text(encoding="utf-8"), path


REPORT = f"""
import sys
code = 0
try:
    {{code}}
except SystemExit as end:
    code = end.code or 0
loaded = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(f"loaded {{{{loaded}}}}" if loaded else code)
"""


def run(code, *args):
    """Runs code in a fresh process that fails when something heavy was loaded."""
    script = REPORT.format(code=code)
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "code",
    [
        "import cvtk",
        "import cvtk; dir(cvtk)",
        "from cvtk.demo import make_demo",
        "import cvtk.results",
        "import cvtk.engine.exported",
    ],
)
def test_light_imports(code):
    done = run(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("--help",),
        ("--version",),
        ("create", "--help"),
        ("demo", "--help"),
        ("data", "--help"),
        ("models", "--help"),
        ("models", "mask"),
        ("doctor", "--help"),
        ("create", "--task", "segm", "--script", "{folder}/segm.py"),
        ("create", "--task", "det", "--vanilla", "--script", "{folder}/det.py"),
        ("data", "check", "--help"),
        ("measure", "--help"),
        ("compare", "--help"),
        ("export", "--help"),
        ("serve", "--help"),
    ],
    ids=" ".join,
)
def test_light_commands(args, tmp_path):
    done = run(
        "from cvtk.cli import main; main()",
        *(arg.format(folder=tmp_path) for arg in args),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_public_name_is_there():
    missing = [name for name in cvtk.__all__ if not hasattr(cvtk, name)]
    assert missing == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cvtk.nonsense
