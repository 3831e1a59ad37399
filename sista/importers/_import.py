"""Verb `import`: from a file of released weights to an encoder of this project."""

import os
from pathlib import Path

from sista import registry
from sista.errors import UserError, say
from sista.files import check_place, digest, remove_leftovers, sha256, write_json
from sista.importers._card import Card
from sista.runs import provenance
from sista.runs.options import Pixels

BUDGET = "released"


def main(word: str, file: Path, *, out: Path, size: Pixels | None = None) -> None:
    """Turn a file of released weights into an encoder checkpoint; print what became of its keys.

    Nothing in the file is run. OUT.import.json has every key: renamed, joined, left out,
    unexpected, missing. An encoder that is not complete is not written. Use it as a row of a grid
    by the method `released`, or in `sista adapt` with `--budget released`.

    Args:
        word: of the release; `sista list importers` shows them.
        file: weights as they were downloaded: safetensors, .pt, .pth, .bin, .ckpt.
        out: encoder to write, e.g. weights/mgca.safetensors.
        size: side of the input in pixels; a ViT's position embedding is resampled.
    """
    # Here, so that help and lists cost no torch.
    from sista.encoders.checkpoint import save_checkpoint
    from sista.importers._convert import convert, recognise
    from sista.importers._files import read_tensors

    card: Card = registry.find("importers", word)
    check_place(out)
    # Not `resolve`, which raises where a link leads to itself.
    if os.path.realpath(out) == os.path.realpath(file):
        raise UserError(f"--out {out}: is the file to import; give another name")
    tensors = read_tensors(file)
    try:
        layout = recognise(card, tensors)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    encoder, report = convert(tensors, card, layout, size)
    facts = {"file": file.name, "sha256": sha256(file), "licence": card.licence}
    remove_leftovers(out)
    account = out.with_name(f"{out.name}.import.json")
    # Also where the import fails below: the account names the keys that stood in the way.
    write_json(account, report.as_dict() | facts | {"differs": card.differs})
    say(report.summary())
    for name in ("differs", "unverified"):
        for text in getattr(card, name):
            print(f"{name:>11}: {text}")
    if not report.complete:
        raise UserError(
            f"{file}: not the encoder {layout.name} of {word}; nothing written but {account}, "
            "which names every key; give a file that `sista list importers` names"
        )
    settings = {"sha256": facts["sha256"], "size": encoder.size}
    metadata = {
        "word": encoder.word,
        "family": encoder.family,
        "method": BUDGET,
        "variant": word,
        "settings": settings,
        "settings_hash": digest({"method": BUDGET, **settings}),
        "corpus": card.corpus,
        "budget": BUDGET,
        "seed": 0,
        "image_encoder": encoder.description(),
        "released": facts | {"word": word, "layout": layout.name, "paper": card.paper},
        "code_version": provenance.code_version(),
        "lock_hash": provenance.lock_hash(),
    }
    save_checkpoint(out, {"image": encoder}, metadata)
