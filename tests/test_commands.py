"""Every command in the project's texts exists, with its verbs, options, targets and files.

Commands stand in code blocks, backticks, comments of profiles and strings of the package. Nothing
is run for real: parsers are asked, `make` and Snakemake only plan.
"""

import argparse
import ast
import functools
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dvc.cli.parser
import snakemake.cli
from cyclopts.exceptions import CoercionError, CycloptsError, MissingArgumentError

from sista.__main__ import app
from tests.conftest import ROOT

TEXTS = ("README.md", "CONTRIBUTING.md", "results/README.md", "data/README.md")
TEXTS += ("benchmarks/README.md",)
COMMAND = re.compile(r"(sista|snakemake|dvc|make|torchrun|python -m)\s+\S")
PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*|\.\.\.|.*[{<*$].*")
# Options of Snakemake's plugins that the environment does not hold.
PLUGINS = ("--cluster-generic-",)
# A plan needs scores, conda, a plugin or a lock that is not there.
NOT_PLANNED = {"--allowed-rules", "--use-conda", "--executor", "--touch", "--unlock"}
# Snakemake's options whose values begin with rules: `pretrain:gpu=4`, `adapt=heads`.
OF_RULES = {"--allowed-rules", "--set-resources", "--groups", "--"}
MADE_UP = """
Say `sista fetsh chexpert`, `sista fetch chexpert --nope 1`, `sista audit a --nope`, or
`sista list nopes`, `python -m benchmarks.nope`, `python -m benchmarks.ablation.explain --nope`,
`torchrun --nope 2 -m sista pretrain`, `torchrun --nproc-per-node
2 -m sista pretrian`.
```
sista import mgca                                   # --out is missing
snakemake --coress 1                                # no such option
snakemake --cores 1 -- report_al
snakemake --cores 1 --allowed-rules raport -- report_all
snakemake --cores 1 --set-resources pretraining:gpu=1
snakemake --cores 1 --config grid=benchmarks/absent.yaml
SISTA_DATA=/path make rnu && make run GIRD=benchmarks/smoke.yaml
dvc rpero
dvc push --nope
```
"""


def in_markdown(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the commands of a text, and whether each is whole (in a code block)."""
    for number, part in enumerate(re.split(r"^```.*\n", text, flags=re.M)):
        found = part.splitlines() if number % 2 else re.findall(r"`([^`]+)`", part)
        for words in found:
            # What stands behind a # is no command, but may name one.
            for line in re.split(r"\s(?:&&|\|\||\||;)\s", re.sub(r"\s#\s.*", "", words)):
                yield " ".join(line.split()), bool(number % 2)


def in_python(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the commands in backticks of a module's strings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [v.value if isinstance(v, ast.Constant) else "X" for v in node.values]
            yield from in_markdown("".join(parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from in_markdown(node.value)


def in_comments(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the commands and the options in a profile's comments."""
    for line in re.findall(r"^#\s*(.*)", path.read_text(), flags=re.M):
        yield from in_markdown(line)
        yield re.sub(r"\s+#\s.*", "", line), False
        options = re.findall(r"--[a-z-]+(?: \S*[:=][^\s`]*)*", line)
        yield from ((f"snakemake {option}", False) for option in options)


def in_makefile(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield what each target calls, and the target with the variables that its help names."""
    text = path.read_text()
    for target, told in re.findall(r"^([a-z-]+):.*## (.*)", text, flags=re.M):
        yield f"make {target} {' '.join(re.findall(r'[A-Z]+=', told))}", True
    for line in re.findall(r"^\t@?(.*)", text, flags=re.M):
        parts = re.split(r"&&|\|\|", line.replace(" $(ARGS)", ""))
        yield from ((part.strip(), False) for part in parts)


def named() -> dict[tuple[str, str], bool]:
    """Return (file, command) for all commands in the project's texts, and whether it is whole."""
    places = {
        path: in_markdown(path.read_text()) for name in TEXTS if (path := ROOT / name).exists()
    }
    places |= {path: in_python(path) for path in (ROOT / "sista").rglob("*.py")}
    places |= {path: in_comments(path) for path in ROOT.glob("workflow/profiles/*/config.yaml")}
    places |= {ROOT / "Snakefile": in_comments(ROOT / "Snakefile")}
    places |= {ROOT / "Makefile": in_makefile(ROOT / "Makefile")}
    places |= {
        path: in_markdown(path.read_text()) for path in (ROOT / "sista/site/pages").rglob("*.md")
    }
    for path in (ROOT / "sista").rglob("*.j2"):
        told = re.sub(r"</?code>", "`", path.read_text().replace("`", ""))
        places[path] = in_markdown(told)
    found: dict[tuple[str, str], bool] = {}
    for path, commands in places.items():
        for command, whole in commands:
            if COMMAND.match(re.sub(r"^([A-Z_]+=\S* )+", "", command)):
                place = (path.relative_to(ROOT).as_posix(), command)
                found[place] = found.get(place, False) or whole
    return found


def complaints(command: str, whole: bool = False) -> list[str]:
    """Return what does not exist of a command."""
    words = [word for word in shlex.split(command) if word != "..."]
    while re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    program, *rest = words
    lost = [
        f"no file {path}"
        for path in re.findall(r"(?:^|[\s=])((?:benchmarks|workflow|envs|tests)/\S+)", command)
        if not PLACEHOLDER.fullmatch(path) and ":" not in path and not (ROOT / path).exists()
    ]
    return lost + {
        "sista": of_sista,
        "snakemake": of_snakemake,
        "dvc": lambda words, _: of_parser(dvc.cli.parser.get_main_parser(), words),
        "make": of_make,
        "torchrun": of_torchrun,
        "python": lambda words, whole: of_module(words[1:], whole),
    }[program](rest, whole)


def options(words: list[str]) -> list[str]:
    """Return the names of the options among words."""
    return [word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)]


def of_sista(words: list[str], whole: bool) -> list[str]:
    asked = [word for word in words if word not in ("--help", "--version")]
    verbs, apps, rest = app.parse_commands(asked)
    if rest and not apps[-1].default_command and not re.match(r"-|[A-Z]+$", rest[0]):
        return [f"no verb {rest[0]}"]
    known = set()
    if apps[-1].default_command:
        for argument in apps[-1].assemble_argument_collection(parse_docstring=True):
            known |= set(argument.names)
    lost = [f"no option {name}" for name in options(rest) if name not in known]
    if lost or not verbs or asked != words:
        return lost
    try:
        app.parse_args(words, exit_on_error=False, print_error=False)
    except MissingArgumentError as error:
        return [str(error)] if whole else []
    except CoercionError as error:
        return [] if any(PLACEHOLDER.fullmatch(word) for word in words) else [str(error)]
    except CycloptsError as error:
        return [str(error)]
    return []


@functools.cache
def snakemake_options() -> set[str]:
    return set(snakemake.cli.get_argument_parser()._option_string_actions)


@functools.cache
def rules() -> set[str]:
    files = [ROOT / "Snakefile", *ROOT.glob("workflow/rules/*.smk")]
    return {name for file in files for name in re.findall(r"^rule (\w+):", file.read_text(), re.M)}


def of_snakemake(words: list[str], whole: bool) -> list[str]:
    lost = []
    option = ""
    for word in words:
        if word.startswith("-"):
            option = word.partition("=")[0]
            if option not in {"--", *snakemake_options()} and not option.startswith(PLUGINS):
                lost.append(f"no option {option}")
        elif option in OF_RULES and not PLACEHOLDER.fullmatch(word):
            name = re.split("[:=]", word)[0]
            lost += [] if name in rules() else [f"no rule {name}"]
    return lost


def of_parser(parser: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Walk down an argparse parser's subcommands."""
    verbs = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if verbs and words and not words[0].startswith("-"):
        inner = verbs[0].choices.get(words[0])
        return of_parser(inner, words[1:]) if inner else [f"no verb {words[0]}"]
    return [f"no option {o}" for o in options(words) if o not in parser._option_string_actions]


@functools.cache
def is_target(target: str) -> bool:
    command = ["make", "-n", "-o", "env", target]
    return not subprocess.run(command, cwd=ROOT, capture_output=True).returncode


def of_make(words: list[str], whole: bool) -> list[str]:
    used = (ROOT / "Makefile").read_text()
    names = [word.partition("=")[0] for word in words if "=" in word]
    lost = [f"no variable {name}" for name in names if f"$({name})" not in used]
    targets = [word for word in words if "=" not in word and not word.startswith("-")]
    return lost + [f"no target {target}" for target in targets if not is_target(target)]


def of_torchrun(words: list[str], whole: bool) -> list[str]:
    own = words[: words.index("-m")] if "-m" in words else words
    from torch.distributed.run import get_args_parser

    lost = of_parser(get_args_parser(), own)
    return lost + of_module(words[len(own) + 1 :], False)


def of_module(words: list[str], whole: bool) -> list[str]:
    if words[0] == "sista":
        return of_sista(words[1:], whole)
    found = importlib.util.find_spec(words[0]) if (ROOT / words[0].split(".")[0]).exists() else None
    if found is None or found.origin is None:
        return [f"no module {words[0]}"]
    source = Path(found.origin).read_text()
    return [f"no option {name}" for name in options(words) if f'"{name}"' not in source]


def test_every_command_in_the_texts_exists():
    found = named()
    files = {file for file, _ in found}
    assert {"README.md", "results/README.md", "Makefile", "sista/lineage/verify.py"} <= files
    assert len([file for file in files if file.startswith("workflow/profiles/")]) == 3
    assert len(found) > 100
    wrong = {place: told for place, whole in found.items() if (told := complaints(place[1], whole))}
    assert wrong == {}


def test_what_does_not_exist_is_found():
    found = [pair for pair in in_markdown(MADE_UP) if COMMAND.match(pair[0].split("=/path ")[-1])]
    assert len(found) == 18
    assert [command for command, whole in found if not complaints(command, whole)] == []


def test_snakemake_plans_what_the_readme_names(project):
    whole = [c for (file, c), whole in named().items() if whole and file == "README.md"]
    planned = [c for c in whole if c.startswith("snakemake") and not NOT_PLANNED & set(c.split())]
    assert len(planned) > 2
    for command in planned:
        assert "Job stats" in project.run(*command.split(), "-n")
