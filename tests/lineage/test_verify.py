"""Damage of every kind is named with its remedy; a sound tree has no finding."""

import json
import os

import pytest

from sista.lineage.verify import check, record_paths, verify


def findings(tree):
    return [(f.kind, f.path.name) for f in check(tree.results, list(record_paths(tree.results)))]


def test_a_sound_tree_has_no_finding(tree, capsys):
    verify(results=tree.results)
    assert "14 records checked, 0 findings" in capsys.readouterr().out


def test_a_corrupted_result_with_its_old_time_is_named(tree, capsys):
    file = tree.find("adapt/**/clip/resnet_tiny/**/predictions.parquet")
    state, bits = file.stat(), bytearray(file.read_bytes())
    bits[len(bits) // 2] ^= 1
    file.write_bytes(bits)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(SystemExit) as ended:
        verify(results=tree.results)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert f"altered: {file}: recorded sha256" in told
    assert "remedy: delete it and run snakemake again" in told
    assert "1 findings" in told


@pytest.mark.parametrize(
    "pattern",
    ["score/suite.parquet", "report/suite/classification.csv", "prepare/*/manifest.parquet"],
)
def test_any_altered_result_is_named(tree, pattern):
    file = tree.find(pattern)
    file.write_bytes(file.read_bytes() + b"\n")
    assert ("altered", file.name) in findings(tree)


def test_a_missing_result_and_a_missing_record(tree):
    tree.find("pretrain/**/clip/vit_tiny/**/encoder.safetensors").unlink()
    tree.find("pretrain/**/random_init/vit_tiny/**/run.json").unlink()
    assert sorted(findings(tree)) == [
        ("missing", "encoder.safetensors"),
        ("no record", "encoder.safetensors"),
    ]


def test_an_edited_record_is_named(tree):
    file = tree.find("fetch/chexpert@phantom/run.json")
    value = json.loads(file.read_text())
    value["outputs"]["inventory.parquet"]["sha256"] = "f" * 64
    file.write_text(json.dumps(value))
    assert ("altered", "inventory.parquet") in findings(tree)
    for damaged in (b"{", b"\xff{}"):
        file.write_bytes(damaged)
        assert ("altered", "run.json") in findings(tree)


def test_a_changed_raw_file_is_named_whatever_its_time(tree):
    file = tree.results / "fetch" / "chexpert@phantom" / "raw" / "train.csv"
    state = file.stat()
    file.write_text("chexpert@phantoM\n")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert findings(tree) == [("raw data", "train.csv")]
    file.unlink()
    file.with_name("valid.csv").write_text("longer than it was before\n")
    assert sorted(findings(tree)) == [("raw data", "train.csv"), ("raw data", "valid.csv")]


def test_a_result_of_an_earlier_input_is_outdated(tree):
    from tests.lineage.suite import pretrain

    encoder = tree.find("pretrain/**/clip/resnet_tiny/**/encoder.safetensors")
    corpus = tree.results / "prepare" / "mimic_cxr@phantom" / "manifest.parquet"
    pretrain(out=encoder, manifest=corpus, text="other settings")
    assert findings(tree) == [("outdated", "run.json")]


def test_a_time_in_the_future_is_a_wrong_clock(tree):
    file = tree.find("prepare/chexpert@phantom/manifest.parquet")
    ahead = file.stat().st_mtime + 3600
    os.utime(file, (ahead, ahead))
    found = list(check(tree.results, list(record_paths(tree.results))))
    assert [(f.kind, f.path) for f in found] == [("clock", file)]
    assert f"`touch {file}`, then `snakemake --cores 1 --touch`" in found[0].remedy


def test_what_a_killed_run_left_is_named(tree):
    left = tree.results / "prepare" / "chexpert@phantom" / ".manifest.0a1b2c3d.tmp.parquet"
    left.write_text("half")
    assert findings(tree) == [("left over", left.name)]


def test_of_equal_findings_twenty_are_printed_and_all_are_counted(tree, capsys):
    for number in range(50):
        (tree.results / f".left{number}.0a1b2c3d.tmp.parquet").write_text("half")
    tree.find("prepare/chexpert@phantom/manifest.parquet").unlink()
    with pytest.raises(SystemExit) as ended:
        verify(results=tree.results)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert told.count("left over: ") == 21
    assert "left over: and 30 more of this kind\n" in told
    assert told.count("missing: ") == 1
    assert told.rstrip().endswith("51 findings")
