"""Cards of data sets as Croissant 1.0, the JSON-LD that search engines and loaders read.

Specification: https://docs.mlcommons.org/croissant/docs/croissant-spec.html. A file says what must
be got and how, and the columns of the manifest that `sista prepare` makes of it. Beside such a
manifest it is what mlcroissant loads the films' records from.
"""

import re
from typing import Any

from sista import registry, tables
from sista.report.citations import years
from sista.site.cards import Card

PROFILE = "http://mlcommons.org/croissant/1.0"
# As the specification spells it out for version 1.0.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
CONTEXT |= {
    name: f"cr:{name}"
    for name in "citeAs column equivalentProperty extract field fileObject fileProperty fileSet "
    "format includes isLiveDataset jsonPath key md5 parentField path recordSet references regex "
    "repeated replace samplingRate separator source subField transform".split()
}
TYPES = {"object": "sc:Text", "int64": "sc:Integer", "float64": "sc:Float"}
FORMATS = {
    **dict.fromkeys(("dcm", "dicom"), "application/dicom"),
    **dict.fromkeys(("gz", "tgz"), "application/gzip"),
    **dict.fromkeys(("jpg", "jpeg"), "image/jpeg"),
    **{"csv": "text/csv", "txt": "text/plain", "gif": "image/gif", "png": "image/png"},
    **{word: f"application/{word}" for word in ("json", "xml", "zip")},
}
MANIFEST = "manifest.parquet"
# As mlcroissant calls it.
PARQUET = "application/x-parquet"
Node = dict[str, Any]


def croissant(card: Card) -> Node:
    """Return the description of a data set; nothing is in it that its card does not say."""
    source: Any = registry.find("datasets", card.word)
    named = " to named persons only" if source.credentialed else ""
    title = f"{source.title[0].upper()}{source.title[1:]}"
    published = years(source.citation)
    facts = dict(card.facts)
    told = [f"{name}: {facts[name]}." for name in ("Findings", "Boxes", "Masks") if facts[name]]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": PROFILE,
        "name": card.word,
        "alternateName": title,
        "description": " ".join(" ".join([f"{title}.", *card.text, *told]).split()),
        "license": source.licence,
        "url": source.url,
        "citeAs": source.citation,
        "creator": {"@type": "sc:Organization", "name": authors(source.citation)},
        **({"datePublished": published[0]} if published else {}),
        "conditionsOfAccess": source.access + named,
        "keywords": ["chest radiograph", *source.labels],
        "distribution": [*_files(source), _raw(source), _manifest(source)],
        "recordSet": [_films(source)],
    }


def authors(citation: str) -> str:
    """Return the names that a citation begins with: `A et al.`, `A, B, C` or an organisation."""
    found = re.match(r".+? et al\.|[A-Z][\w-]+(?:, [A-Z][\w-]+)*(?=, )|[^,:]+", citation)
    return found[0] if found else citation


def _files(source: Any) -> list[Node]:
    """Return the open files with a published checksum: the format allows no others as files."""
    found = []
    for file in source.files:
        algorithm, _, digits = (file.checksum or "").rpartition(":")
        if digits:
            node = {"@type": "cr:FileObject", "@id": file.path, "name": file.path}
            node |= {"contentUrl": file.urls[0], algorithm or "sha256": digits}
            found.append(node | {"encodingFormat": _formats(file.path)[0]})
    return found


def _raw(source: Any) -> Node:
    """Return what must lie in the data set's own folder below SISTA_DATA."""
    layout = ", ".join(source.layout)
    told = f"The folder SISTA_DATA/{source.word} as downloaded: {layout}. Get it: {source.access}"
    if source.files:
        addresses = "; ".join(f"{file.path}: {' or '.join(file.urls)}" for file in source.files)
        told += f", by `sista fetch {source.word} --out FILE --download`. Addresses: {addresses}"
    names = [*source.layout, *(file.path for file in source.files)]
    return {
        "@type": "cr:FileSet",
        "@id": "raw",
        "name": "raw",
        "description": told,
        "includes": f"{source.word}/*",
        "encodingFormat": _formats(" ".join(names)),
    }


def _formats(text: str) -> list[str]:
    """Return the media types of the formats that a text names."""
    words = re.findall(r"[a-z]+", text.lower())
    found = [FORMATS[word] for word in words if word in FORMATS]
    return list(dict.fromkeys(found)) or ["application/octet-stream"]


def _manifest(source: Any) -> Node:
    made = f"`sista prepare {source.word} --out {MANIFEST}`"
    told = f"One row a film, made of the raw files by {made}; images and split lie beside it."
    node: Node = {"@type": "cr:FileSet", "@id": "manifest", "name": "manifest", "description": told}
    return node | {"includes": MANIFEST, "encodingFormat": PARQUET}


def _films(source: Any) -> Node:
    """Return the columns of the manifest with their meanings."""
    columns = tables.SCHEMAS["manifest"].columns
    (pattern,) = [name for name, column in columns.items() if column.regex]
    fields = [
        _field(name, str(column.dtype), str(column.description))
        for name, column in columns.items()
        if not column.regex
    ]
    labels: dict[str, None] = dict.fromkeys(source.columns_of(""))
    for release in source.release_labels:
        labels |= dict.fromkeys(source.columns_of(release))
    told = str(columns[pattern].description)
    fields += [_field(f"label.{name}", "float64", f"{name}: {told}") for name in labels]
    return {
        "@type": "cr:RecordSet",
        "@id": "films",
        "name": "films",
        "description": "The films as this suite reads them.",
        "key": {"@id": "films/image_id"},
        "field": fields,
    }


def _field(column: str, kind: str, told: str) -> Node:
    # No blank may stand in an id.
    plain = re.sub(r"[^\w.]+", "_", column)
    return {
        "@type": "cr:Field",
        "@id": f"films/{plain}",
        "name": column,
        "description": told,
        "dataType": TYPES[kind],
        "source": {"fileSet": {"@id": "manifest"}, "extract": {"column": column}},
    }
