"""Ceilings and import order (part of `make lint`)."""

import ast
import graphlib
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINES = {".py": 300, ".smk": 120}
FUNCTION_LINES = 60
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "misc"}
# From top to bottom: a module imports only from floors below its own, or from its own folder.
# Registry words are found by name while a job runs, which is no import.
FLOORS = (
    "__main__",
    "site",
    "lineage",
    "stages monitor audits",
    "report",
    "methods heads importers",
    "adaptation",
    "engine openmmlab scoring",
    "datasets tasks protocols",
    "grid",
    "encoders preparation phantom",
    "text losses metrics",
    "runs",
    "tables",
    "metadata registry",
    "files",
    "errors",
)


def listed(*patterns: str) -> list[Path]:
    """Return the project's files, committed or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in out.split("\0") if name and (ROOT / name).is_file()]


PYTHON = listed("*.py")
MODULES = [path for path in PYTHON if path.is_relative_to(ROOT / "sista")]


def imported(file: Path) -> set[str]:
    """Return the modules of the package that a file imports, without the leading `sista.`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            module = node.module or ""
            is_package = (ROOT / module.replace(".", "/")).is_dir()
            found |= {f"{module}.{a.name}" for a in node.names} if is_package else {module}
    return {name.removeprefix("sista.") for name in found if name.startswith("sista.")}


def floor(module: str) -> int:
    """Return how deep a module lies, 0 at the top."""
    folder = module.partition(".")[0]
    for depth, folders in enumerate(FLOORS):
        if folder in folders.split():
            return depth
    raise AssertionError(f"sista.{module}: its folder stands on no floor (FLOORS)")


def test_no_file_and_no_function_is_too_long():
    long = []
    for path in [*PYTHON, *listed("*.smk", "Snakefile")]:
        lines = path.read_text().splitlines()
        if len(lines) > LINES.get(path.suffix, 120):
            long.append(f"{path.relative_to(ROOT)}: {len(lines)} lines")
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length}")
    assert long == []


def test_files_are_named_after_what_they_hold():
    assert [path for path in listed() if path.stem.lower() in FORBIDDEN] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_down(path):
    module = ".".join(path.relative_to(ROOT / "sista").with_suffix("").parts)
    folder = module.partition(".")[0]
    upwards = [
        name
        for name in imported(path)
        if name.partition(".")[0] != folder
        and name != "__version__"
        and floor(name) <= floor(module)
    ]
    assert path.name == "__init__.py" or upwards == []


def test_no_circle_of_imports():
    """Inside a folder too, where the floors say nothing."""
    modules = {".".join(p.relative_to(ROOT / "sista").with_suffix("").parts): p for p in MODULES}
    graph = {name: imported(path) & set(modules) for name, path in modules.items()}
    graphlib.TopologicalSorter(graph).prepare()


def test_the_root_of_the_package_is_a_short_list():
    root = [path.name for path in MODULES if path.parent == ROOT / "sista"]
    assert len(root) <= 7, root


def test_half_of_the_files_have_less_than_100_lines():
    assert statistics.median(len(path.read_text().splitlines()) for path in MODULES) < 100


def test_packages_only_re_export():
    for path in MODULES:
        if path.name == "__init__.py":
            for node in ast.parse(path.read_text()).body:
                plain = isinstance(node, ast.Assign) and node.targets[0].id in (
                    "__all__",
                    "__version__",
                )
                docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                assert isinstance(node, ast.ImportFrom) or plain or docstring, path


def test_the_post_deploy_script_carries_the_checksum_of_the_lock():
    import hashlib

    lock = hashlib.sha256((ROOT / "envs" / "requirements.lock").read_bytes()).hexdigest()
    script = (ROOT / "envs" / "sista.post-deploy.sh").read_text()
    assert f"lock_sha256={lock}\n" in script, "run: make lock"


def test_no_lock_names_an_index():
    for name in ("requirements.lock", "uv.lock.txt"):
        text = (ROOT / "envs" / name).read_text()
        assert "--index" not in text
        assert "://" not in text
        assert "--hash=sha256:" in text
