"""Verb `curves`: the logs of all pre-trainings as event files of TensorBoard, one folder a run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sista.errors import UserError, say
from sista.files import atomic, check_place, reading, remove_leftovers
from sista.report.captions import count
from sista.runs.options import Results

LOG, STATE = "log.csv", "resume.safetensors"
# budget/variant/encoder/corpus/seed
RUNS = "pretrain/*/*/*/*/*"
# TensorBoard takes what has `tfevents` in its name. Always the same name: nothing stands twice.
EVENTS = "events.out.tfevents.sista"
# Of the columns that every log has.
KINDS = {"epoch": int, "seconds": float}
# As in the format itself.
LARGEST_HEADER = 100_000_000


def curves(*, out: Path, results: Results = Path("results")) -> None:
    """Write the learning curves of all pre-trainings for `tensorboard --logdir OUT`.

    Of a run under way the epochs up to its last saved state. Again, it writes the same and what
    is new; the CSV logs stay what they are.

    Args:
        out: folder to write; one that this verb has made is replaced.
        results: folder of all results.

    Raises:
        UserError: no run has a log, or `out` holds something else.
    """
    check_place(out, folder=True)
    if out.exists() and (out.is_file() or any(p.name != EVENTS for p in _files(out))):
        raise UserError(f"{out}: holds something else; name a new folder")
    found = dict(_logs(results))
    if not found:
        raise UserError(f"{results / 'pretrain'}: no pre-training has a log yet; run one first")
    remove_leftovers(out)
    with atomic(out) as folder:
        for path, log in found.items():
            target = folder / path.parent.relative_to(results / "pretrain") / EVENTS
            target.parent.mkdir(parents=True)
            _write(log, path.stat().st_mtime, target)
    begun = sum(path.name == STATE for path in found)
    told = f"{out}: curves of {count(len(found), 'run')}, {begun} under way"
    say(f"{told}; look: tensorboard --logdir {out}")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def _logs(results: Path) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Yield the file and the log of each run that has trained for an epoch."""
    for folder in sorted(results.glob(RUNS)):
        there = [path for name in (LOG, STATE) if (path := folder / name).is_file()]
        # The log of an earlier run may still lie beside the state of one under way.
        for path in sorted(there, key=lambda path: path.stat().st_mtime)[-1:]:
            log = read_log(path) if path.name == LOG else _under_way(path)
            if len(log):
                yield path, log


def read_log(path: Path) -> pd.DataFrame:
    """Return the log of a pre-training, a row an epoch.

    Raises:
        UserError: it is no table of numbers.
    """
    with reading(path, "run pretrain again"):
        # The log of a control without training is empty.
        if path.stat().st_size < 2:
            return pd.DataFrame()
        return pd.read_csv(path).astype(float).astype(KINDS)


def _under_way(path: Path) -> pd.DataFrame:
    """Return the epochs in the saved state of a run; no weight is read, so torch is not needed."""
    with reading(path, "run pretrain again"), path.open("rb") as stream:
        # A file of safetensors begins with the length of its header, a JSON object.
        size = int.from_bytes(stream.read(8), "little")
        if size > LARGEST_HEADER:
            raise UserError(f"{path}: no saved state; run pretrain again")
        header = json.loads(stream.read(size))
        content = json.loads(header["__metadata__"]["sista_state"])["content"]
        # See `sista.runs.saved_state`: dictionaries stand as lists of pairs.
        facts = dict(dict(content["items"])["facts"]["items"])
        log = pd.DataFrame([dict(entry["items"]) for entry in facts["log"]["list"]])
        return log.astype(KINDS) if len(log) else log


def _write(log: pd.DataFrame, ended: float, path: Path) -> None:
    """Write a log as events, a step an epoch; equal logs give equal files.

    Args:
        log: with the columns epoch and seconds; what is blank has no event.
        ended: time of the last epoch, seconds since 1970.
        path: file to write.
    """
    # Here, so that help costs nothing, and a smaller environment has all other verbs.
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    seconds = log["seconds"].fillna(0.0)
    times = ended - seconds.sum() + seconds.cumsum()
    with path.open("wb") as stream:
        writer = RecordWriter(stream)
        first = Event(wall_time=ended - seconds.sum(), file_version="brain.Event:2")
        writer.write(first.SerializeToString())
        values = log.drop(columns="epoch")
        for step, time, row in zip(log["epoch"], times, values.to_dict("records"), strict=True):
            known = {name: value for name, value in row.items() if value == value}
            parts = [Summary.Value(tag=str(n), simple_value=value) for n, value in known.items()]
            event = Event(wall_time=time, step=step, summary=Summary(value=parts))
            writer.write(event.SerializeToString())
