"""Every command in the blocks of README and documentation runs, on a small phantom.

A block is one script, run in a copy of the project whose grids are small. What needs a cluster, a
remote, two processes or a fresh environment is run by the test that ELSEWHERE names.
"""

import re
import shutil
from itertools import chain

import pytest
import torch
import yaml
from safetensors.torch import save_file

from sista import tables
from tests.conftest import ROOT, Project
from tests.importers.made_up import of_resnet

pytestmark = pytest.mark.slow
PAGES = ROOT / "sista/site/pages"
# In the order of a reader, who runs the suite first.
TEXTS = ("quick_start.md", "how_to/method.md", "how_to/tables.md", "how_to/split.md")
TEXTS += ("how_to/weights.md", "how_to/data_set.md", "how_to/real_data.md", "how_to/submit.md")
TEXTS += ("how_to/gpu.md", "how_to/gpus.md", "sista.md")
GRID = """
title: As documented
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants: [random_init, clip, sista]
draws: [0, 1]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}
"""
MINE = "base: phantom.yaml\nvariants: [random_init, clip]\nseeds: [0]\n"
# Grids of real films are small ones of the phantom here; so are their names in commands.
GRIDS = ("phantom", "open", "paper", "ablation")
WRITTEN = {
    "chexpert@phantom": "chexpert@phantom_tiny",
    "--cores all": "--cores 2",
    "GRID.yaml": "benchmarks/mine.yaml",
    "MANIFEST": "results/prepare/chexpert@phantom_tiny/manifest.parquet",
    "WORD": "rsna_pneumonia",
    "/path/to/data": "raw",
    "mgca FILE": "mgca mgca.pth",
    "timm FILE": "timm resnet.safetensors",
    "A.parquet": "results/score/phantom.parquet",
    "B.parquet": "results/score/mine.parquet",
    # `make run` is this after the environment, which `.ci/run` makes.
    "make run GRID=": "snakemake --cores 2 --config grid=",
    "-m sista pretrain ...": "-m sista pretrain --method clip --encoder resnet_tiny --budget tiny "
    "--corpus mimic_cxr@phantom_tiny --out two/encoder.safetensors "
    "--manifest results/prepare/mimic_cxr@phantom_tiny/manifest.parquet "
    "--split results/prepare/mimic_cxr@phantom_tiny/manifest.split.parquet",
}
FIRST = "snakemake --cores 2"
# Beginning of a command: the test that runs it, and words of it that stand there.
ELSEWHERE = {
    "make test": (".ci/run", "make"),
    "snakemake --workflow-profile workflow/profiles/slurm": (
        "tests/test_slurm.py",
        "profiles/slurm",
    ),
    "snakemake --workflow-profile workflow/profiles/generic": ("tests/test_profiles.py", "generic"),
    "snakemake --cores all --use-conda": ("tests/test_conda.py", "--use-conda"),
    "tensorboard": ("tests/report/test_event_files.py", "tensorboard"),
    "python -m benchmarks.examples": ("tests/test_examples.py", "score_encoder"),
    "dvc": ("tests/test_dvc.py", "repro"),
    "export SISTA_DATA=$PWD/data": ("tests/test_dvc.py", "SISTA_DATA"),
}
COMMAND = re.compile(r"(sista|snakemake|dvc|make|torchrun|tensorboard|python -m|export)\s")


def blocks(text: str) -> list[list[str]]:
    """Return the commands of each block that holds any."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.M | re.S)
    plain = (block for language, block in found if not language)
    lines = ([line for line in block.splitlines() if COMMAND.match(line)] for block in plain)
    return [block for block in lines if block]


def elsewhere(command: str) -> tuple[str, str] | None:
    """Return the test that runs a command, None where this one does."""
    return next((place for start, place in ELSEWHERE.items() if command.startswith(start)), None)


def test_what_runs_elsewhere_is_run_there():
    used = set()
    for text in (ROOT / "README.md", *PAGES.rglob("*.md")):
        for command in chain.from_iterable(blocks(text.read_text())):
            if place := elsewhere(command):
                used.add(place)
                assert place[1] in (ROOT / place[0]).read_text(), command
    assert used == set(ELSEWHERE.values())


def test_no_page_with_commands_is_left_out():
    for page in PAGES.rglob("*.md"):
        here = [c for c in chain.from_iterable(blocks(page.read_text())) if elsewhere(c) is None]
        name = page.relative_to(PAGES).as_posix()
        assert not here or name in TEXTS or name == "how_to/dvc.md", name


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with small grids, a download, lists, weights and released scores."""
    made = Project(tmp_path_factory.mktemp("documented"))
    for name in GRIDS:
        (made.folder / f"benchmarks/{name}.yaml").write_text(GRID)
    (made.folder / "benchmarks/mine.yaml").write_text(MINE)
    released = ROOT / "results/released/phantom"
    shutil.copytree(released, made.folder / "results/released/phantom")
    release = of_resnet("mgca", "resnet50", "img_encoder_q.model.", small=False)
    torch.save({"state_dict": release.tensors}, made.folder / "mgca.pth")
    timm = of_resnet("timm", "resnet50", "", small=False)
    save_file(timm.tensors, made.folder / "resnet.safetensors")
    return made


def with_a_download(project: Project) -> None:
    """Put the phantom's films where real ones would lie, and lists of a peer beside them."""
    raw = project.folder / "results/fetch/rsna_pneumonia@phantom_tiny/raw"
    if not raw.is_dir():
        project.run(
            "sista",
            "fetch",
            "rsna_pneumonia@phantom_tiny",
            "--out",
            f"{raw.parent}/inventory.parquet",
        )
    shutil.copytree(raw, project.folder / "raw/rsna_pneumonia")
    split = project.folder / "results/prepare/chexpert@phantom_tiny/manifest.split.parquet"
    frame = tables.read(split, "split")[0]
    for subset in ("train", "val", "test"):
        names = frame.loc[frame["subset"] == subset, "image_id"].drop_duplicates()
        (project.folder / f"{subset}.txt").write_text("".join(f"{name}\n" for name in names))


def with_a_submission(project: Project) -> None:
    """Hand in what the suite has made."""
    folder = project.folder / "submissions/my_method"
    shutil.copytree(project.folder / "results/adapt", folder / "results/adapt")
    for record in [*folder.rglob("*.json"), *folder.rglob("log.txt")]:
        record.unlink()
    facts = {"title": "Mine", "authors": ["A. Author"], "licence": "CC-BY-4.0"}
    (folder / "submission.yaml").write_text(yaml.safe_dump(facts))


BEFORE = {"how_to/split.md": with_a_download, "how_to/submit.md": with_a_submission}


def run(project: Project, commands: list[str]) -> str:
    here = [command for command in commands if elsewhere(command) is None]
    # The suite as the first page has it; `.ci/run` makes its environment.
    script = "\n".join(FIRST if c.startswith("make run ") and "GRID" not in c else c for c in here)
    for written, here in WRITTEN.items():
        script = script.replace(written, here)
    return project.run("bash", "-exc", script) if script else ""


@pytest.mark.parametrize("name", TEXTS)
def test_commands_run(project, name):
    if name in BEFORE:
        BEFORE[name](project)
    for commands in blocks((PAGES / name).read_text()):
        run(project, commands)


def test_commands_of_the_readme_run(project):
    for commands in blocks((ROOT / "README.md").read_text()):
        run(project, commands)
