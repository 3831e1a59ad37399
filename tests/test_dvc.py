"""DVC with real git and remotes: versions of raw data, scores, what is pushed and what never is."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import s3fs
import yaml

from sista import registry
from tests.conftest import BIN, ROOT, Project
from tests.test_workflow import GRID, jobs, stages

# Real raw data: the words of data sets without an origin.
RAW_GRID = """
budget: tiny
corpus: chexpert
encoders: [resnet_tiny]
variants: {clip: {}, sista: {}}
draws: [0]
fractions: [10, 100]
adapt:
  - {protocol: quick_v1, dataset: chexpert, task: classification}
  - {protocol: quick_v1, dataset: rsna_pneumonia, task: segmentation}
"""
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "NO_PROXY": "127.0.0.1"}
UP_TO_DATE = "Data and pipelines are up to date."


class Clone(Project):
    """A clean clone of a project, with its remotes."""

    def __init__(self, origin: Project, folder: Path):
        self.folder = folder
        origin.run("git", "clone", "--quiet", ".", str(folder))
        shutil.copy(origin.folder / ".dvc" / "config", folder / ".dvc" / "config")


def under_git(project: Project, grid: str) -> Project:
    """Choose a grid of the copy for DVC and put the copy under git."""
    pipeline = project.folder / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("grid: phantom", f"grid: {grid}"))
    project.run("git", "init", "--quiet", ".")
    project.run("git", "config", "user.name", "Test")
    project.run("git", "config", "user.email", "test@example.org")
    commit(project, "start")
    return project


def with_stubs(project: Project, text: str) -> Project:
    """Replace the stages of the copy by stubs, with this grid."""
    shutil.copy(ROOT / "tests" / "stub_stages.py", project.folder / "sista" / "__main__.py")
    (project.folder / "benchmarks" / "stub.yaml").write_text(text)
    return under_git(project, "stub")


def commit(project: Project, tag: str) -> None:
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", tag)
    project.run("git", "tag", tag)


def repro(project: Project, *command: str) -> list[str]:
    """Run `dvc repro` or another command; return the jobs that Snakemake ran."""
    data = str(project.folder / "data")
    return jobs(project.run("dvc", *(command or ("repro",)), SISTA_DATA=data))


def shown(project: Project, *command: str) -> dict:
    """Return what a command of DVC prints as JSON."""
    return json.loads(project.run("dvc", *command, "--json").splitlines()[-1])


def as_committed(project: Project) -> None:
    """Bring the last commit back."""
    project.run("git", "checkout", "--quiet", "--", ".")
    project.run("dvc", "checkout", "--force")


def scores(project: Project) -> bytes:
    return (project.folder / "results" / "score" / "stub.parquet").read_bytes()


def test_repro_runs_the_stages_once(project):
    with_stubs(project, GRID)
    first = project.run("dvc", "repro")
    assert (project.folder / "results" / "score" / "stub.parquet").is_file()
    assert "prepare" in first
    assert UP_TO_DATE in project.run("dvc", "repro")
    assert "Job stats" not in project.snakemake("benchmarks/stub.yaml", "--", "score_all")


def raw(project: Project, *words: str) -> None:
    """Make up raw data: two small files of each data set."""
    for word in words:
        folder = project.folder / "data" / word
        folder.mkdir()
        for name in ("a", "b"):
            (folder / f"{name}.png").write_text(f"{word} {name}")


def refuses(project: Project, word: str) -> bool:
    """Add a raw data set with DVC; return whether it is refused, by name, and leaves no trace."""
    told = project.run("dvc", "add", f"data/{word}", check=False)
    # Printed in lines of the terminal's width.
    reason = f"data/{word}' is ignored by .dvcignore" in " ".join(told.split())
    return reason and not (project.folder / "data" / f"{word}.dvc").exists()


def held(folder: Path) -> list[bytes]:
    """Return the contents of all files of a cache or a remote."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_credentialed_raw_data_are_refused_and_come_into_no_cache_and_no_remote(tmp_path):
    words = registry.names("datasets")
    credentialed = {word for word in words if registry.find("datasets", word).credentialed}
    assert "mimic_cxr" in credentialed
    project = Project(tmp_path / "project")
    raw(project, "chexpert", *credentialed)
    under_git(project, "smoke")
    remote(project, "folder", str(tmp_path / "store"))
    assert [word for word in credentialed if not refuses(project, word)] == []
    project.run("dvc", "add", "data/chexpert")
    project.run("dvc", "push", "--recursive", "data")
    for folder in (project.folder / ".dvc" / "cache", tmp_path / "store"):
        assert b"chexpert a" in held(folder)
        assert [text for text in held(folder) for word in credentialed if word in str(text)] == []


def test_only_credentialed_raw_data_are_ignored():
    words = registry.names("datasets")
    credentialed = {word for word in words if registry.find("datasets", word).credentialed}
    ignored = (ROOT / ".dvcignore").read_text().splitlines()
    assert {line.removeprefix("data/") for line in ignored if line.startswith("data/")} == (
        credentialed
    )


def test_of_the_results_scores_alone_are_pushed():
    described = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    outs = {
        path: flags for stage in described for out in stage["outs"] for path, flags in out.items()
    }
    # `cache: false`: never even in the cache that is pushed.
    shared = [p for p, flags in outs.items() if flags.get("push", flags.get("cache", True))]
    assert shared == ["results/score"]


@pytest.fixture(scope="module")
def versions(tmp_path_factory) -> Project:
    """Return a project with raw data under DVC, run, committed and tagged `first`."""
    project = Project(tmp_path_factory.mktemp("versions"))
    raw(project, "chexpert", "rsna_pneumonia", "mimic_cxr")
    with_stubs(project, RAW_GRID)
    project.run("dvc", "add", "data/chexpert", "data/rsna_pneumonia")
    assert len(repro(project)) == 2 + 2 + 2 + 4 + 1
    commit(project, "first")
    return project


@pytest.fixture(scope="module")
def s3(tmp_path_factory) -> str:
    """Start an S3 server on loopback; return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("s3") / "log.txt"
    command = [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def remote(project: Project, name: str, url: str, endpoint: str = "") -> None:
    """Make a remote the default one."""
    project.run("dvc", "remote", "add", "--force", "--default", name, url)
    if endpoint:
        project.run("dvc", "remote", "modify", name, "endpointurl", endpoint)


@pytest.mark.slow
def test_a_changed_raw_file_reruns_what_depends_on_it_and_the_old_version_comes_back(versions):
    first = scores(versions)
    lock = (versions.folder / "dvc.lock").read_bytes()
    file = versions.folder / "data" / "rsna_pneumonia" / "a.png"
    file.write_text("another film")
    ran = repro(versions)
    assert [job for job in ran if "rsna" not in job] == ["score stub"]
    assert sorted(set(stages("\n".join(f"Job 1: {job}" for job in ran)))) == [
        "adapt",
        "fetch",
        "prepare",
        "score",
    ]
    assert scores(versions) != first
    assert list(shown(versions, "metrics", "diff")["results/score/stub.metrics.json"])
    commit(versions, "other_film")
    # The corpus too: encoders are as large as real ones, so their times of change count.
    (versions.folder / "data" / "chexpert" / "a.png").write_text("another film")
    ran = repro(versions)
    assert len([job for job in ran if job.startswith("pretrain")]) == 2
    assert len([job for job in ran if job.startswith("adapt")]) == 4
    assert not [job for job in ran if job.startswith(("fetch rsna", "prepare rsna"))]
    commit(versions, "other_corpus")
    versions.run("git", "checkout", "--quiet", "first")
    versions.run("dvc", "checkout")
    assert scores(versions) == first
    assert {job.split()[0] for job in repro(versions)} == {"fetch", "prepare"}
    assert scores(versions) == first
    assert (versions.folder / "dvc.lock").read_bytes() == lock
    assert UP_TO_DATE in versions.run("dvc", "repro")


@pytest.mark.slow
def test_an_experiment_reruns_what_its_setting_needs(versions):
    as_committed(versions)
    # What comes back from the cache has new times, see results/README.md.
    versions.snakemake("benchmarks/stub.yaml", "--touch", "--", "score_all")
    setting = "benchmarks/stub.yaml:+variants.sista.w_sta=0.5"
    ran = repro(versions, "exp", "run", "--name", "half", "-S", setting)
    assert [job.split()[0] for job in ran] == ["adapt", "adapt", "pretrain", "score"]
    assert not [job for job in ran if "clip" in job]
    changed = shown(versions, "params", "diff")["benchmarks/stub.yaml"]
    assert changed["variants.sista.w_sta"]["new"] == 0.5
    assert list(shown(versions, "metrics", "diff")["results/score/stub.metrics.json"])
    assert "half" in versions.run("dvc", "exp", "list", "--name-only")
    page = versions.run("dvc", "plots", "show").strip().splitlines()[-1]
    assert "clip 10 %" in Path(page.removeprefix("file://")).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_what_is_pushed_comes_back_and_holds_scores_and_open_raw_data_only(
    versions, tmp_path, kind, request, monkeypatch
):
    as_committed(versions)
    assert refuses(versions, "mimic_cxr")
    if kind == "s3":
        address = request.getfixturevalue("s3")
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        store = s3fs.S3FileSystem(endpoint_url=address, key="test", secret="test")
        store.mkdir("store")
        remote(versions, "s3", "s3://store/sista", address)
        versions.run("dvc", "push")
        pushed = [store.cat(path) for path in store.find("store/sista")]
    else:
        remote(versions, "folder", str(tmp_path / "store"))
        versions.run("dvc", "push")
        pushed = held(tmp_path / "store")
    assert [text for text in pushed if text.startswith((b'["pretrain', b'["adapt'))] == []
    assert [text for text in pushed if b"mimic_cxr" in text] == []
    assert scores(versions) in pushed
    assert b"chexpert b" in pushed
    clone = Clone(versions, tmp_path / "clone")
    clone.run("dvc", "pull", "data/chexpert", "data/rsna_pneumonia", "results/score")
    assert (clone.folder / "data" / "chexpert" / "b.png").read_text() == "chexpert b"
    assert not (clone.folder / "data" / "mimic_cxr").exists()
    tables = ("--allowed-rules", "report", "--", "report_all")
    assert stages(clone.snakemake("benchmarks/stub.yaml", *tables)) == ["report"]


@pytest.mark.slow
def test_a_clean_clone_remakes_the_tables_without_training(smoke, tmp_path):
    under_git(smoke, "smoke")
    assert repro(smoke) == []
    commit(smoke, "done")
    remote(smoke, "folder", str(tmp_path / "store"))
    smoke.run("dvc", "push")
    clone = Clone(smoke, tmp_path / "clone")
    clone.run("dvc", "pull", "results/score")
    tables = ("--allowed-rules", "report", "--", "report_all")
    started = time.monotonic()
    assert stages(clone.snakemake("benchmarks/smoke.yaml", *tables)) == ["report"]
    assert time.monotonic() - started < 60
    assert not (clone.folder / "results" / "pretrain").exists()
    for table in (smoke.folder / "results" / "report" / "smoke").glob("*.csv"):
        again = clone.folder / table.relative_to(smoke.folder)
        assert again.read_bytes() == table.read_bytes()
