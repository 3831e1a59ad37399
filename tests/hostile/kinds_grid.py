"""Bad grids: YAML that bites, words that are no words, values of wrong types and ranges."""

from typing import Any

import yaml

from tests.hostile.kinds_files import Damage, text

VALID: dict[str, Any] = {
    "title": "Suite",
    "budget": "quick",
    "corpus": "mimic_cxr@phantom",
    "encoders": ["resnet_tiny", "vit_tiny"],
    "variants": ["random_init", "clip"],
    "draws": [0, 1],
    "adapt": [{"protocol": "quick_v1", "dataset": "chexpert@phantom", "task": "classification"}],
}
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


def _with(**values: Any) -> Damage:
    # Dumped only when it is asked for: some are long.
    return lambda path: text(yaml.safe_dump({**VALID, **values}))(path)


def _without(name: str) -> Damage:
    return text(yaml.safe_dump({k: v for k, v in VALID.items() if k != name}))


def _adapt(**values: Any) -> Damage:
    entry = {k: v for k, v in {**VALID["adapt"][0], **values}.items() if v is not None}
    return _with(adapt=[entry])


def _variant(word: Any, settings: Any = None) -> Damage:
    return _with(variants={"random_init": None, word: settings or {"method": "clip"}})


# Words that a shell, a path, a table or a page would take for something else.
WORDS = {
    "a substitution": "$(touch CANARY)",
    "backquotes": "`touch CANARY`",
    "a background command": "a&touch CANARY&b",
    "a pipe": "a|touch CANARY",
    "a semicolon": "a;touch CANARY",
    "a redirection": "a>CANARY",
    "a line break": "a\ntouch CANARY",
    "a quote": "a'b\"c",
    "a blank": "a b",
    "braces": "{wildcard}",
    "a star": "*",
    "a tilde": "~",
    "a dash first": "-rf",
    "a dot first": ".hidden",
    "two dots": "..",
    "a path out": "../../out",
    "a path": "a/b",
    "an absolute path": "/etc",
    "a backslash": "a\\b",
    "a tag": "<script>alert(1)</script>",
    "a formula": "=cmd|'/C calc'!A1",
    "a Markdown link": "[x](javascript:1)",
    "a LaTeX command": "\\input{/etc/passwd}",
    "a control character": "a\x1b[2Jb",
    "an umlaut": "öl",
    "full-width letters": "ｃｌｉｐ",
    "a direction mark": "a\u202eb",
    "nothing": "",
    "300 letters": "a" * 300,
}
VALUES: dict[str, Damage] = {
    "aliases that laugh": text(LAUGHS + yaml.safe_dump(VALID)),
    "an alias of itself": text("a: &a [*a]\n" + yaml.safe_dump(VALID)),
    "a tag of Python": text("title: !!python/object/apply:os.system ['touch CANARY']\n"),
    "an unknown tag": text("title: !evil x\n"),
    "nested deeply": text("title: " + "[" * 5000 + "]" * 5000),
    "nested very deeply": text("{a: " * 20_000),
    "two documents": text(yaml.safe_dump(VALID) + "---\n" + yaml.safe_dump(VALID)),
    "a list": text("- a\n- b\n"),
    "a text": text("just a text"),
    "a key twice": text(yaml.safe_dump(VALID) + "budget: tiny\n"),
    "a key of a list": text("? [a, b]\n: 1\n"),
    "a key of a mapping": text("? {a: b}\n: 1\n"),
    "a key of null": text(yaml.safe_dump(VALID) + "null: 1\n"),
    "a key of a number": text(yaml.safe_dump(VALID) + "7: 1\n"),
    "a date that is none": text("title: 2024-99-99\n"),
    "a number of 10,000 digits": text("threads: " + "9" * 10_000 + "\n"),
    "a merge of a number": text("<<: 7\n" + yaml.safe_dump(VALID)),
    "tabs": text("title:\n\t- x\n"),
    "its own base": _with(base="suite.yaml"),
    "a base outside": _with(base="../../../../../../../../etc/passwd"),
    "a base that is a device": _with(base="/dev/zero"),
    "a base of a list": _with(base=[1]),
    "a base of 300 letters": _with(base="n" * 300),
    "a base with a NUL": text('base: "a\\0b"\n' + yaml.safe_dump(VALID)),
    "a mapping in the list of variants": _with(variants=["clip", {"sista": {"theta": 0.8}}]),
    "a list in the list of variants": _with(variants=[["clip"]]),
    "null in the list of variants": _with(variants=[None]),
    "a number in the list of variants": _with(variants=[7]),
    "variants a text": _with(variants="clip"),
    "variants a number": _with(variants=7),
    "variants empty": _with(variants=[]),
    "variants empty mapping": _with(variants={}),
    "settings a list": _with(variants={"clip": [1]}),
    "settings a text": _with(variants={"clip": "x"}),
    "settings a number": _with(variants={"clip": 7}),
    "a setting unknown": _with(variants={"clip": {"no_such": 1}}),
    "a setting of a list": _with(variants={"sista": {"theta": [1]}}),
    "a setting of a text": _with(variants={"sista": {"theta": "high"}}),
    "a setting of a mapping": _with(variants={"sista": {"theta": {"a": 1}}}),
    "a setting null": _with(variants={"sista": {"theta": None}}),
    "a setting NaN": _with(variants={"sista": {"theta": float("nan")}}),
    "a setting infinite": _with(variants={"sista": {"w_sta": float("inf")}}),
    "a setting negative": _with(variants={"sista": {"w_sta": -1.0}}),
    "a setting of a truth value": _with(variants={"sista": {"w_sta": True}}),
    "a setting huge": _with(variants={"sista": {"w_sta": 10**400}}),
    "a method of a list": _with(variants={"a": {"method": ["clip"]}}),
    "a method of a number": _with(variants={"a": {"method": 7}}),
    "a method of a path": _with(variants={"a": {"method": "../../evil"}}),
    "a method private": _with(variants={"a": {"method": "_sista_settings"}}),
    "weights outside": _with(variants={"r": {"method": "released", "weights": "../../../x"}}),
    "weights a list": _with(variants={"r": {"method": "released", "weights": ["x"]}}),
    "encoders a text": _with(encoders="resnet_tiny"),
    "encoders empty": _with(encoders=[]),
    "encoders of null": _with(encoders=[None]),
    "encoders twice": _with(encoders=["vit_tiny", "vit_tiny"]),
    "seeds empty": _with(seeds=[]),
    "seeds negative": _with(seeds=[-1]),
    "seeds huge": _with(seeds=[2**64]),
    "seeds of texts": _with(seeds=["x"]),
    "seeds of fractions": _with(seeds=[0.5]),
    "seeds of truth values": _with(seeds=[True]),
    "seeds twice": _with(seeds=[1, 1]),
    "20,000 seeds": _with(seeds=list(range(20_000))),
    "draws empty": _with(draws=[]),
    "draws negative": _with(draws=[-1]),
    "draws too high": _with(draws=[99]),
    "fractions empty": _with(fractions=[]),
    "fractions 7": _with(fractions=[7]),
    "fractions 0": _with(fractions=[0]),
    "threads 0": _with(threads=0),
    "threads huge": _with(threads=10**9),
    "threads NaN": _with(threads=float("nan")),
    "title a list": _with(title=[1]),
    "title of 1 MB": _with(title="x" * 1_000_000),
    "title of a tag": _with(title="<script>alert(1)</script>"),
    "baselines unknown": _with(baselines=["no_such"]),
    "baselines of lists": _with(baselines=[[1]]),
    "adapt empty": _with(adapt=[]),
    "adapt a text": _with(adapt="x"),
    "adapt of texts": _with(adapt=["x"]),
    "adapt of null": _with(adapt=[None]),
    "an entry twice": _with(adapt=VALID["adapt"] * 2),
    "task and head": _adapt(head="linear"),
    "neither task nor head": _adapt(task=None),
    "a head of a path": _adapt(task=None, head="../linear"),
    "a head of a list": _adapt(task=None, head=["linear"]),
    "a head private": _adapt(task=None, head="__init__"),
    "a task unknown": _adapt(task="no_such"),
    "a task of a list": _adapt(task=["x"]),
    "a protocol private": _adapt(protocol="_base"),
    "a protocol of a path": _adapt(protocol="../protocols/quick_v1"),
    "variants of an entry unknown": _adapt(variants=["no_such"]),
    "an unknown key": _with(no_such=1),
    **{f"{name} missing": _without(name) for name in ("budget", "corpus", "encoders", "adapt")},
    **{f"{name} null": _with(**{name: None}) for name in VALID},
    **{f"{name} a number": _with(**{name: 7}) for name in ("budget", "corpus", "encoders")},
    **{f"{name} a mapping": _with(**{name: {"a": 1}}) for name in ("budget", "corpus", "title")},
    **{f"variant: {name}": _variant(word) for name, word in WORDS.items()},
    **{f"corpus: {name}": _with(corpus=word) for name, word in WORDS.items()},
    **{f"data set: {name}": _adapt(dataset=f"chexpert@{word}") for name, word in WORDS.items()},
    **{f"encoder: {name}": _with(encoders=[word]) for name, word in WORDS.items()},
}
# An escaped title is a title.
# Weights are read as any of others.
ACCEPTED = ("title of a tag", "weights outside")
