"""The Croissant file of every data set, read by mlcroissant without a network."""

import json
import re

import mlcroissant
import pandas as pd
import pytest

from sista import registry, tables
from sista.report.citations import years
from sista.site.cards import cards
from sista.site.croissant import MANIFEST, PROFILE, authors, croissant

WORDS = registry.names("datasets")


@pytest.fixture(scope="module")
def described():
    return {card.word: croissant(card) for card in cards("datasets")}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a network was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.mark.parametrize("word", WORDS)
def test_mlcroissant_finds_no_fault(word, described):
    metadata = mlcroissant.Dataset(jsonld=described[word]).metadata
    issues = metadata.issues
    assert issues.errors == set()
    # Releases of these data sets have no numbers of three parts, and a card is about all of them.
    assert {re.sub(r".*Property", "Property", text) for text in issues.warnings} == {
        'Property "https://schema.org/version" is recommended, but does not exist.'
    }
    card = registry.find("datasets", word)
    assert metadata.conforms_to == [PROFILE]
    assert metadata.name == word
    assert metadata.license == [card.licence]
    assert metadata.cite_as == card.citation
    assert metadata.url == card.url
    assert metadata.description.startswith(card.title[0].upper() + card.title[1:])
    (by,) = metadata.creators
    assert card.citation.startswith(by.name)
    assert metadata.date_published.year in range(2000, 2027)


@pytest.mark.parametrize("word", WORDS)
def test_what_must_be_got_is_that_of_the_card(word, described):
    card = registry.find("datasets", word)
    metadata = mlcroissant.Dataset(jsonld=described[word]).metadata
    files = {file.content_url: file.sha256 or file.md5 for file in metadata.file_objects}
    assert files == {f.urls[0]: f.checksum.rpartition(":")[2] for f in card.files if f.checksum}
    raw, manifest = metadata.file_sets
    assert raw.includes == [f"{word}/*"]
    for text in (*card.layout, card.access, *(url for file in card.files for url in file.urls)):
        assert text in raw.description
    assert manifest.includes == [MANIFEST]


@pytest.mark.parametrize("word", ["rsna_pneumonia", "chexpert"])
def test_beside_a_manifest_it_loads_the_records(word, described, tmp_path):
    """Of made-up films: one cell of each column."""
    columns = [field["name"] for field in described[word]["recordSet"][0]["field"]]
    row = {
        **dict.fromkeys(columns, 1.0),
        **{"row": 0, "height": 20, "width": 30, "scale": 0.5, "official": "test"},
        **{"image_id": "i1", "patient_id": "p1", "study_id": "s1", "view": "PA", "path": "a.png"},
        **{"boxes": "[]", "mask": None, "report": "no finding", "release": "1"},
        "content_hash": "abc",
    }
    frame = pd.DataFrame([row])[columns]
    tables.write(frame, tmp_path / MANIFEST, "manifest")
    (tmp_path / "croissant.json").write_text(json.dumps(described[word]))
    (record,) = mlcroissant.Dataset(jsonld=tmp_path / "croissant.json").records("films")
    names = {field["@id"]: field["name"] for field in described[word]["recordSet"][0]["field"]}
    assert {names[name] for name in record} == set(frame.columns)
    for name, value in record.items():
        value = value.decode() if isinstance(value, bytes) else value
        wanted = row[names[name]]
        assert value == wanted or (wanted is None and pd.isna(value))


def test_the_site_links_each_file_from_its_card(built, described):
    page = (built / "words/datasets.html").read_text()
    for word, value in described.items():
        assert f'href="../croissant/{word}.json"' in page
        assert json.loads((built / f"croissant/{word}.json").read_text()) == value


def test_authors_and_years_of_citations():
    assert authors("Liu, Lian, Yu, ChestX-Det10: Chest, arXiv:2006.10550") == "Liu, Lian, Yu"
    assert authors("JF Healthcare, Object-CXR: Foreign objects, 2020") == "JF Healthcare"
    assert authors("Wang et al., ChestX-ray8, CVPR 2017") == "Wang et al."
    assert years("arXiv:2003.11597, 2006.11988") == ["2020", "2020"]
    assert years("Wang et al., arXiv:1705.02315, CVPR 2017") == ["2017"]
    assert years("nobody") == []
