"""Takes the place of sista/__main__.py in a copy: each verb writes its outputs in milliseconds.

So the workflow's graph is tested for real, without torch.
"""

import json
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
text = json.dumps([verb, *arguments])
if verb == "report":
    out.mkdir(parents=True, exist_ok=True)
    for name in ("index", "classification", "segmentation", "detection"):
        for ending in ("html", "csv", "md", "tex"):
            (out / f"{name}.{ending}").write_text(text)
else:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
if verb == "prepare":
    for suffix in (".split.parquet", ".images.npy", ".vocabulary.json"):
        out.with_suffix(suffix).write_text(text)
if verb == "adapt":
    made = {name: [int(v) for v in options[name]] for name in ("draws", "fractions")}
    out.with_name("run.json").write_text(json.dumps({"run": made}))
