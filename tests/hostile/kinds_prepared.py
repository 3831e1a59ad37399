"""Prepared data whose tables are each valid, but do not fit each other or their films."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.kinds_files import Damage
from tests.hostile.kinds_parquet import meta

Rows = list[dict[str, Any]]


def rows(change: Callable[[Rows], Rows]) -> Damage:
    """Return a damage of the rows; types and metadata stay, but for the number of rows."""

    def damage(path: Path) -> None:
        found = pq.read_table(path)
        changed = pa.Table.from_pylist(change(found.to_pylist()), schema=found.schema)
        pq.write_table(changed, path)
        meta(lambda known: {**known, "n": len(changed)} if "n" in known else known)(path)

    return damage


def put(place: int, **values: Any) -> Damage:
    """Return a damage of one row."""
    return rows(
        lambda found: [{**row, **values} if n == place else row for n, row in enumerate(found)]
    )


def _also(like: dict[str, Any], image: str, **values: Any) -> Damage:
    """Return a damage that adds rows of an image, each like one that has these values."""

    def change(found: Rows) -> Rows:
        alike = next(row for row in found if like.items() <= row.items())
        return [*found, {**alike, "image_id": image, **values}]

    return rows(change)


WHOLE = {"subset": "train", "draw": 0, "fraction": 100}
# Of both stages. Image 0 trains, 20 validates, 35 tests.
MANIFEST: dict[str, Damage] = {
    "a patient in training and test": put(35, patient_id="patient0"),
    "a patient in training and validation": put(20, patient_id="patient0"),
    "equal pixels in training and validation": put(20, content_hash="0"),
    "a film less, counted": rows(lambda found: found[:-1]),
    "a label named twice": meta(lambda known: {**known, "labels": ["disc", "disc"]}),
    "an unknown label policy": meta(lambda known: {**known, "label_policy": "no_such"}),
}
SPLIT: dict[str, Damage] = {
    "a test film trains too": _also(WHOLE, "image35"),
    "a validation film trains too": _also(WHOLE, "image20"),
    "a film in validation and test": _also({"subset": "val"}, "image35"),
    "a film that the manifest lacks": _also(WHOLE, "elephant"),
}
# What only `adapt` reads.
FRAMES: dict[str, Damage] = {
    "scale infinite": put(0, scale=float("inf")),
    "scale of 7": put(0, scale=7.0),
    "a border of 1e300": put(0, pad_y=1e300),
    "a border before the square": put(0, pad_x=-1e9),
    "a height of 2^62": put(0, height=2**62),
    "a place of 99": put(35, row=99),
}
FRACTIONS: dict[str, Damage] = {
    "rows under another hash": _also({"fraction": 10, "draw": 0}, "image17"),
    "a fraction of 37": _also(WHOLE, "image0", fraction=37),
    "validation of a draw": _also({"subset": "val"}, "image34", draw=3),
    "draws of 10^9": meta(lambda known: {**known, "draws": 10**9}),
    "fractions of 10^30": meta(lambda known: {**known, "fractions": [10**30, 10, 100]}),
    "refused, but there": meta(
        lambda known: {**known, "refused": [{"draw": 0, "fraction": 10, "reason": "x"}]}
    ),
}
_BOX = '{"label": "disc", "x": %s, "y": 1, "w": %s, "h": 5}'
BOXES: dict[str, Damage] = {
    f"boxes: {kind}": put(place, boxes=text)
    for place in (1, 35)
    for kind, text in {
        f"no JSON, film {place}": "{",
        f"a number, film {place}": "7",
        f"an object, film {place}": "{}",
        f"lists, film {place}": "[[1, 2, 3, 4]]",
        f"nested deeply, film {place}": "[" * 50_000,
        f"NaN, film {place}": f"[{_BOX % ('NaN', 5)}]",
        f"beside the film, film {place}": f"[{_BOX % (9000, 5)}]",
        f"partly beside it, film {place}": f"[{_BOX % (1, 500)}]",
        f"a negative width, film {place}": f"[{_BOX % (1, -5)}]",
        f"1e308, film {place}": f"[{_BOX % ('1e308', '1e308')}]",
        f"400 digits, film {place}": f"[{_BOX % ('9' * 400, 5)}]",
        f"a text, film {place}": f"[{_BOX % (chr(34) + '1' + chr(34), 5)}]",
        f"true, film {place}": f"[{_BOX % ('true', 5)}]",
        f"no width, film {place}": '[{"label": "disc", "x": 1, "y": 1, "h": 5}]',
        f"an unknown label, film {place}": f"[{_BOX % (1, 5)}]".replace("disc", "Elephant"),
        f"a label of 7, film {place}": f"[{_BOX % (1, 5)}]".replace('"disc"', "7"),
    }.items()
}
MASKS: dict[str, Damage] = {
    "a mask of another size": put(1, mask='{"size": [8, 8], "counts": "P2"}')
}
