r"""BibTeX of what the numbers of a grid rest on: methods, data sets, protocols, packages.

Everything is read from docstrings, cards and the installed packages; nothing is made up for a field
that these do not tell, so most entries are `@misc` with the source's own words as a note.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata

import pandas as pd

from sista import registry
from sista.encoders.specs import encoder_spec
from sista.errors import UserError
from sista.grid.grid import is_control
from sista.report.escaping import latex_text

# What computes numbers. The versions are those installed here.
PACKAGES = "torch torchvision timm transformers mmengine mmdet mmsegmentation scikit-learn scipy"
PACKAGES += " numpy pandas pycocotools snakemake"
# Of timm's names: how they begin. Of the report encoders: their words, or parts of them.
ARCHITECTURES = {
    "resnet": ("ResNet", "He et al., Deep Residual Learning for Image Recognition, CVPR 2016"),
    "vit": ("Vision Transformer", "Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021"),
    "tf_efficientnet": ("EfficientNet", "Tan and Le, EfficientNet, ICML 2019"),
    "convnext": ("ConvNeXt", "Liu et al., A ConvNet for the 2020s, CVPR 2022"),
    "swin": ("Swin Transformer", "Liu et al., Swin Transformer, ICCV 2021"),
}
TOWERS = {
    "ClinicalBERT": ("ClinicalBERT", "Alsentzer et al., ClinicalNLP 2019"),
    "minilm": ("MiniLM", "Wang et al., NeurIPS 2020"),
    "bert": ("BERT", "Devlin et al., NAACL 2019"),
}
_SOURCE = re.compile(r"\(((?:[^()]*\b(?:19|20)\d\d|arXiv)[^()]*)\)")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
# Year and month stand first in it: 2003.11597 is of March 2020.
_ARXIV = re.compile(r"\b(\d\d)[01]\d\.\d{4,5}\b")
Entry = dict[str, str]


def bibliography(scores: pd.DataFrame) -> str:
    """Return the BibTeX entries of all that a scores table was made with."""
    return "\n".join(_text(key, fields) for key, fields in _entries(scores))


def _entries(scores: pd.DataFrame) -> Iterator[tuple[str, Entry]]:
    yield "sista_bench", _package("sista-bench") or {"title": "SISTA-Bench"}
    known = {kind: registry.names(kind) for kind in ("methods", "datasets", "protocols")}
    for word in dict.fromkeys(map(str, scores["method"])):
        # Scores may be of a word that this version does not have.
        if word in known["methods"] and (entry := _method(word)):
            yield f"method_{word}", entry
    # Of the phantom only the layout is a data set's.
    sets = [str(w) for name in ("corpus", "dataset") for w in scores[name] if "@" not in str(w)]
    for word in dict.fromkeys(name.partition("+")[0] for name in sets):
        if word in known["datasets"]:
            card = registry.find("datasets", word)
            yield f"data_{word}", _dated(card.citation) | {"title": card.title, "url": card.url}
    yield from _networks(dict.fromkeys(map(str, scores["encoder"])))
    for word in dict.fromkeys(map(str, scores["head"])):
        if word in registry.names("heads") and (entry := _method(word, "heads")):
            yield f"head_{word}", entry
    for word in dict.fromkeys(map(str, scores["protocol"])):
        if word in known["protocols"]:
            yield f"protocol_{word}", _protocol(word)
    for name in PACKAGES.split():
        if entry := _package(name):
            yield f"package_{name}", entry


def _docstring(kind: str, word: str) -> tuple[str, list[str]]:
    """Return the first line and the sentences of a word's docstring that name public code."""
    text = ast.get_docstring(ast.parse(registry.path(kind, word).read_text())) or word
    first, *rest = text.split("\n\n")
    sentences = re.split(r"(?<=[.;])\s+", " ".join(" ".join(rest).split()))
    return " ".join(first.split()), [s for s in sentences if re.search("public code|github", s)]


def _networks(encoders: Iterable[str]) -> Iterator[tuple[str, Entry]]:
    """Yield an entry for each architecture behind the encoders, of images and of reports."""
    found: dict[str, tuple[str, str]] = {}
    for word in encoders:
        try:
            spec = encoder_spec(word)
        # Scores may be of an encoder that this version does not have.
        except UserError:
            continue
        for known, name in ((ARCHITECTURES, spec.timm_name), (TOWERS, spec.text)):
            begins = (start for start in known if re.search(rf"(^|[_/]){start}|{start}$", name))
            found |= {start: known[start] for start in list(begins)[:1]}
    for start, (title, source) in found.items():
        author = re.match(r"(.+?) et al\.", source)
        named = {"author": f"{author[1]} and others"} if author else {"author": "Tan and Le"}
        yield f"network_{start}", _dated(source) | named | {"title": title}


def _method(word: str, kind: str = "methods") -> Entry | None:
    """Return the entry of a method or head; None of a control, which is nobody's."""
    line, sources = _docstring(kind, word)
    found = _SOURCE.search(line)
    if found is None and (kind != "methods" or is_control(word) or not sources):
        return None
    title = re.split(r" \(|: ", line)[0]
    entry = _dated(" ".join([line, *sources])) if found is None else _dated(found[1])
    author = re.match(r"(.+?) et al\.", found[1]) if found else None
    entry |= {"author": f"{author[1]} and others"} if author else {}
    return entry | {"title": title, "note": f"As in SISTA-Bench: {' '.join([line, *sources])}"}


def _protocol(word: str) -> Entry:
    line, sources = _docstring("protocols", word)
    address = re.search(r"github\.com/[\w./-]*\w", " ".join(sources))
    entry = {"title": f"Protocol {word}", "note": " ".join([line, *sources])}
    return entry | ({"url": f"https://{address[0]}"} if address else {})


def years(source: str) -> list[str]:
    """Return the years that a citation tells; where it tells none, those of its arXiv numbers."""
    told = _YEAR.findall(_ARXIV.sub("", source))
    return told or [f"20{year}" for year in _ARXIV.findall(source)]


def _dated(source: str) -> Entry:
    found = years(source)
    return {"note": source} | ({"year": found[-1]} if found else {})


def _package(name: str) -> Entry | None:
    """Return the entry of an installed package, None of another one."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return None
    addresses = [a.partition(",")[2].strip() for a in told.get_all("Project-URL") or []]
    addresses += told.get_all("Home-page") or []
    entry = {"title": told["Name"], "note": f"Version {told['Version']}. {told['Summary'] or ''}"}
    url = next((a for a in addresses if a.startswith("http")), "")
    return entry | ({"url": url} if url else {})


def _text(key: str, entry: Entry) -> str:
    """Return an entry; titles keep their capitals, and without an author the key sorts it."""
    fields = {"key": key, "author": entry.get("author", ""), "title": f"{{{_tex(entry['title'])}}}"}
    # The styles of BibTeX know no field for an address.
    fields["howpublished"] = rf"\url{{{entry['url']}}}" if "url" in entry else ""
    fields |= {"year": entry.get("year", ""), "note": _tex(entry.get("note", "").rstrip(". "))}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}", ""])


def _tex(text: str) -> str:
    return latex_text(text.replace("`", ""))
