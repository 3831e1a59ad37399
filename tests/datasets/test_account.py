"""Nothing of a download disappears without a line that says how many and why."""

import gzip
import json

import pytest

from sista import registry, tables
from sista.datasets._account import ENDINGS, files_below, read_all
from sista.errors import UserError
from sista.stages.prepare import prepare
from tests import raw_trees


def told(word, root, tmp_path, capsys):
    """Prepare and return the lines, the facts of the record and the manifest."""
    prepare(word, source=root, out=tmp_path / "out/m.parquet", size=16, draws=1)
    lines = [line for line in capsys.readouterr().err.splitlines() if f"prepare {word}: " in line]
    facts = json.loads((tmp_path / "out/run.json").read_text())["facts"]
    return lines, facts["left_out"], tables.read(tmp_path / "out/m.parquet", "manifest")[0]


def report(body):
    return f"{' ' * 33}FINAL REPORT\n INDICATION:  Cough.\n{body}"


def test_reports_and_films_of_mimic_are_accounted_for(tmp_path, capsys):
    root = raw_trees.mimic(tmp_path / "raw", n=12)
    texts = {
        0: report(" \n A tube ends above the carina.\n"),
        1: report(" PORTABLE AP:  Large left effusion is new.\n"),
        2: report(" FINDNGS:  Both bases are hazy.\n"),
        3: report(""),
        4: report(" IMPRESSION:  Normal.\n"),
    }
    for i, text in texts.items():
        (root / f"files/p10/p1000{i:04}/s5000{i:04}.txt").write_text(text)
    metadata = root / "mimic-cxr-2.0.0-metadata.csv.gz"
    labels = root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    film = b"dicom5PA,10000005,50000005,"
    rows = gzip.decompress(metadata.read_bytes()).replace(film + b"PA", film)
    metadata.write_bytes(gzip.compress(rows))
    rows = gzip.decompress(labels.read_bytes()).decode().splitlines()
    labels.write_bytes(gzip.compress("\n".join([*rows[:-1], "1,2" + "," * 14, ""]).encode()))
    lines, facts, frame = told("mimic_cxr", root, tmp_path, capsys)
    text = "\n".join(lines)
    missing = int(frame.report.isna().sum())
    assert missing == 2
    assert f"left out: {missing} report texts of films: the report has no impression" in text
    assert "left out: 12 films: the view is LATERAL" in text
    assert "left out: 1 films: the view is not told, neither PA nor AP (first: " in text
    assert "left out: 1 studies with their reports: no film of them is PA or AP" in text
    assert "left out: 1 films' labels: their study has no row in the label table" in text
    assert "left out: 1 rows of the label table: no film is of their study" in text
    assert "publishes 377110 films, 243334 of them used here; this download names 24 and 11" in text
    assert {"what": "films", "why": "the view is LATERAL, neither PA nor AP", "n": 12} in facts
    assert frame.report[0] == "a tube ends above the carina."


def test_films_that_no_table_names_are_counted_by_folder(tmp_path, capsys):
    root = raw_trees.rsna(tmp_path / "raw")
    for i in range(3):
        raw_trees.picture(root / f"stage_2_test_images/deep/{i}.dcm.png", i)
    raw_trees.picture(root / "stage_2_train_images/more.png", 1)
    rows = ("patientId,class", "image01,Lung Opacity", "x,Normal")
    raw_trees.table(root / "stage_2_detailed_class_info.csv", *rows)
    lines, facts, _ = told("rsna_pneumonia", root, tmp_path, capsys)
    text = "\n".join(lines)
    assert "left out: 3 image files: no table names them (below stage_2_test_images)" in text
    assert "left out: 1 image files: no table names them (below stage_2_train_images)" in text
    assert "left out: 1 images of stage_2_detailed_class_info.csv: not in stage_2_train" in text
    assert "publishes 26684 films; this download names 20 and 20 are used: 26664 too few" in text
    assert sum(fact["n"] for fact in facts) == 5


def test_masks_are_not_called_unnamed(tmp_path, capsys):
    root = raw_trees.kermany(tmp_path / "raw")
    left = {"what": "masks of the lungs", "why": "these films have none"}
    assert told("kermany_pneumonia", root, tmp_path, capsys)[1] == [{**left, "n": 8}]


@pytest.mark.parametrize(
    ("word", "files", "line"),
    [
        ("rsna_pneumonia", ["nih_patients.csv"], "20 patients of films: nih_patients.csv is not"),
        ("nih_chestxray14", ["BBox_List_2017.csv"], "12 boxes of films: BBox_List_2017.csv is"),
        (
            "nih_chestxray14",
            ["train_val_list.txt", "test_list.txt"],
            "12 sets of films: the two lists are not there, so that the sets are drawn",
        ),
        ("kermany_pneumonia", ["masks_lung/IM-0001-0001.png"], "9 masks of the lungs: these"),
    ],
)
def test_what_a_missing_optional_file_costs_is_told(tmp_path, word, files, line, capsys):
    root = raw_trees.TREES[word](tmp_path / "raw")
    for file in files:
        (root / file).unlink()
    assert f"left out: {line}" in "\n".join(told(word, root, tmp_path, capsys)[0])


@pytest.mark.parametrize("word", registry.names("datasets"))
def test_every_film_of_a_tree_is_used_or_left_out_with_a_reason(tmp_path, word):
    dataset = registry.find("datasets", word)
    root = raw_trees.TREES[word](tmp_path)
    account = read_all(dataset, root)
    assert account.records == list(dataset.read(root))
    films = {file for file in files_below(root) if file.endswith(ENDINGS)}
    masks = {path for path in films if "mask" in path.lower()}
    used = {record.path for record in account.records}
    left = {entry.path for entry in account.left_out if entry.path}
    assert used | left == films - masks
    assert not used & left
    assert all(fact["why"] and fact["n"] > 0 for fact in account.facts())


def test_a_download_of_which_nothing_is_left_says_why(tmp_path):
    root = raw_trees.chexpert(tmp_path)
    for name in ("train.csv", "valid.csv"):
        (root / name).write_text((root / name).read_text().replace("Frontal,", "Lateral,"))
    with pytest.raises(UserError, match="no image that can be used\nleft out: 20 films: lateral"):
        read_all(registry.find("datasets", "chexpert"), root)


def test_films_in_quarantine_are_no_used_films(tmp_path, capsys):
    root = raw_trees.nih(tmp_path / "raw")
    film = root / "images_001/images/00000000_000.png"
    film.write_bytes(film.read_bytes()[:60])
    (root / "images_002/images/00000005_000.png").unlink()
    out = tmp_path / "out/m.parquet"
    prepare("nih_chestxray14", source=root, out=out, size=16, draws=1, leave_out=2)
    told = capsys.readouterr().err
    assert "left out: 2 films: they cannot be read, see the quarantine table" in told
    assert "this download names 12 and 10 are used" in told
    facts = json.loads((tmp_path / "out/run.json").read_text())["facts"]
    assert {"films": 2}.items() <= {each["what"]: each["n"] for each in facts["left_out"]}.items()


def test_boxes_of_the_covid_collection_are_told(tmp_path, capsys):
    root = raw_trees.covid(tmp_path / "raw")
    raw_trees.table(
        root / "annotations/boxes.csv", "filename,label,x,y,w,h", "film0.png,Airways,1,2,3,4"
    )
    lines = told("covid_chestxray", root, tmp_path, capsys)[0]
    assert any("left out: 1 boxes: they outline lungs, devices" in line for line in lines)
