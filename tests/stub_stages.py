"""Takes the place of sista/__main__.py in a copy: each verb writes its outputs in milliseconds.

So the workflow's graph is tested for real, without torch. What a job writes names the content of
its inputs; images, encoders and predictions are too large for Snakemake to compare by checksum.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

verb, *arguments = sys.argv[1:]
option = ""
options: dict[str, list[str]] = {}
for word in arguments:
    if word.startswith("--"):
        option = word[2:]
        options[option] = []
    elif option:
        options[option].append(word)
out = Path(options["out"][0])
LARGE = "\n" * 1_100_000


def content(path: Path) -> str:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()


read = [Path(word) for name, words in options.items() if name != "out" for word in words]
if verb == "fetch" and "@" not in arguments[0]:
    read.append(Path(os.environ["SISTA_DATA"]) / arguments[0])
if verb == "score":
    read = sorted(Path("results/adapt").rglob("predictions.parquet"))
hashes = [content(path) for path in read if path.exists()]
text = json.dumps([verb, *arguments, *hashes])
if verb in ("pretrain", "adapt"):
    text += LARGE
if verb == "report":
    out.mkdir(parents=True, exist_ok=True)
    tasks = [path.stem for path in (Path(__file__).parent / "tasks").glob("[!_]*.py")]
    for name in ("index", *tasks):
        for ending in ("html", "csv", "md", "tex"):
            (out / f"{name}.{ending}").write_text(text)
else:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
if verb == "prepare":
    for suffix in (".split.parquet", ".vocabulary.json", ".regions.parquet"):
        out.with_suffix(suffix).write_text(text)
    out.with_suffix(".images.npy").write_text(text + LARGE)
if verb == "score":
    value = int(hashlib.sha256("".join(hashes).encode()).hexdigest()[:8], 16) / 16**8
    out.with_suffix(".metrics.json").write_text(json.dumps({"clip": {"auroc_10": value}}))
    out.with_suffix(".plots.csv").write_text(f"run,value\nclip 10 %,{value}\n")
if verb == "adapt":
    made = {name: [int(v) for v in options[name]] for name in ("draws", "fractions")}
    out.with_name("run.json").write_text(json.dumps({"run": made}))
