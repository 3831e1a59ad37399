"""Predictions and scores that are valid tables and say what cannot be."""

import pyarrow as pa
import pyarrow.compute as pc

from tests.hostile import kinds_parquet as parquet

SCORES = {
    "target 2": parquet.cell("target", 2.0),
    "target -7": parquet.cell("target", -7.0),
    "target infinite": parquet.cell("target", float("inf")),
    "score NaN": parquet.cell("score", float("nan")),
    "score 2": parquet.cell("score", 2.0),
    "score infinite": parquet.cell("score", float("inf")),
}
PLACE = {
    "subset unknown": parquet.cell("subset", "train"),
    "fraction 7": parquet.cell("fraction", 7),
    "fraction -1": parquet.cell("fraction", -1),
    "draw -1": parquet.cell("draw", -1),
    "draw 99": parquet.cell("draw", 99),
    "image twice": parquet.table(lambda t: pa.concat_tables([t, t.slice(0, 1)])),
    "image of two patients": parquet.cell("patient_id", "somebody else"),
    "image empty": parquet.cell("image_id", ""),
    "image null": parquet.cell("image_id", None),
    "rows missing": parquet.table(lambda t: t.slice(0, len(t) - 1)),
    "run a list": parquet.meta(lambda known: {**known, "run": [1]}),
    "run empty": parquet.meta(lambda known: {**known, "run": {}}),
    "run of another data set": parquet.meta(
        lambda known: {**known, "run": {**known["run"], "dataset": "other@phantom"}}
    ),
    **{
        f"run of another {name}": parquet.meta(
            lambda known, n=name, w=word: {**known, "run": {**known["run"], n: w}}
        )
        for name, word in (
            *(("variant", "clip"), ("encoder", "vit_tiny"), ("head", "finetune"), ("seed", 7)),
            *(("protocol", "mgca_v1"), ("split_hash", "fff"), ("device", "../x")),
        )
    },
    "true labels turned round": parquet.table(
        lambda t: t.set_column(
            t.column_names.index("target"),
            "target",
            pc.subtract(1.0, t["target"]),
        )
    ),
    "labels one less": parquet.meta(lambda known: {**known, "labels": known["labels"][:1]}),
    "labels a number": parquet.meta(lambda known: {**known, "labels": 7}),
    "refused a number": parquet.meta(lambda known: {**known, "refused": 7}),
    "refused of texts": parquet.meta(lambda known: {**known, "refused": ["x"]}),
    "wall_s a list": parquet.meta(lambda known: {**known, "run": {**known["run"], "wall_s": [1]}}),
    "wall_s of texts": parquet.meta(
        lambda known: {**known, "run": {**known["run"], "wall_s": {"0,10": "x"}}}
    ),
}
VALUES = {
    "value infinite": parquet.cell("value", float("inf")),
    "metric unknown": parquet.cell("metric", "no_such"),
    "task unknown": parquet.cell("task", "no_such"),
    "task a path": parquet.cell("task", "../../out"),
    "label a tag": parquet.cell("label", "<script>alert(1)</script>"),
    "variant a formula": parquet.cell("variant", "=1+1"),
    "variant of control characters": parquet.cell("variant", "\x1b[2J\x07"),
    "predictions outside": parquet.cell("predictions", "../../../../../etc/passwd"),
    "note of a tag": parquet.cell("note", "<script>alert(1)</script>"),
    "main metrics a list": parquet.meta(lambda known: {**known, "main_metrics": [1]}),
    "main metrics empty": parquet.meta(lambda known: {**known, "main_metrics": {}}),
    "comparisons a number": parquet.meta(lambda known: {**known, "comparisons": 7}),
    "comparisons of texts": parquet.meta(lambda known: {**known, "comparisons": ["x"]}),
    "value in percent": parquet.cell("value", 73.2),
    "interval turned round": parquet.cell("low", 1.0),
    "fraction 37": parquet.cell("fraction", 37),
    "seed negative": parquet.cell("seed", -1),
    "rows twice": parquet.table(lambda t: pa.concat_tables([t, t])),
    "main metrics of other runs": parquet.meta(lambda known: {**known, "main_metrics": {"x": "y"}}),
    "comparisons without fields": parquet.meta(lambda known: {**known, "comparisons": [{}]}),
    "bootstrap a text": parquet.meta(lambda known: {**known, "bootstrap": "x"}),
    "hosts a number": parquet.meta(lambda known: {**known, "hosts": 7}),
    "grid a path": parquet.meta(lambda known: {**known, "grid": "../../x"}),
    "title a tag": parquet.meta(lambda known: {**known, "title": "<script>alert(1)</script>"}),
}
