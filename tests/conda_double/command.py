"""A test double of the `conda` command: the part of it that Snakemake calls, on py-rattler.

Solving and installing are real, done by rattler. Every channel is replaced by one local folder.
CONDA_DOUBLE is the folder that plays conda's base; `channel/` in it is the channel.
"""

import asyncio
import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import yaml
from rattler import Channel, Gateway, MatchSpec, VirtualPackage, install, solve

BASE = Path(os.environ["CONDA_DOUBLE"])
VERSION = "24.7.1"
ACTIVATE = """export CONDA_PREFIX="$1" CONDA_DEFAULT_ENV="$1" CONDA_SHLVL=1
export PATH="$1/bin:$PATH"
"""
ANSWERS = {
    ("--version",): f"conda {VERSION}",
    ("info",): json.dumps(
        {
            "conda_prefix": str(BASE),
            "root_prefix": str(BASE),
            "platform": "linux-64",
            "conda_version": VERSION,
        }
    ),
    ("config", "--get"): json.dumps({"get": {"channel_priority": "strict"}, "success": True}),
}


async def create(file: Path, prefix: Path) -> None:
    """Make an environment from its YAML file."""
    specifications = [MatchSpec(each) for each in yaml.safe_load(file.read_text())["dependencies"]]
    records = await solve(
        [Channel((BASE / "channel").as_uri())],
        specifications,
        gateway=Gateway(cache_dir=BASE / "cache"),
        platforms=["linux-64", "noarch"],
        virtual_packages=VirtualPackage.detect(),
    )
    packages = BASE / "pkgs"
    await install(records, target_prefix=prefix, cache_dir=packages, show_progress=False)


def main(arguments: list[str]) -> None:
    """Answer one call."""
    (BASE / "bin").mkdir(exist_ok=True)
    (BASE / "bin" / "activate").write_text(ACTIVATE)
    for words, answer in ANSWERS.items():
        if arguments[0] == words[0] and set(words) <= set(arguments):
            print(answer)
            return
    if arguments[0] == "clean" and "--tarballs" in arguments:
        for suffix in ("conda", "tar.bz2"):
            for archive in (BASE / "pkgs").glob(f"*.{suffix}"):
                archive.unlink()
        return
    if arguments[:2] != ["env", "create"]:
        sys.exit(f"the test double of conda does not know: {' '.join(arguments)}")
    options = dict(pairwise(arguments))
    asyncio.run(create(Path(options["--file"]), Path(options["--prefix"])))


if __name__ == "__main__":
    main(sys.argv[1:])
