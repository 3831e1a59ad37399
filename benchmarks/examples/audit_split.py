"""Audit your split: who stands in two sets? Four columns and your lists are enough."""

import pandas as pd

from sista.preparation.split_audit import audit


def main() -> list[str]:
    """Return and print what is wrong with a made-up split of eight films of four patients."""
    films = [f"film{n}" for n in range(8)]
    frame = pd.DataFrame(
        {
            "image_id": films,
            "patient_id": [f"patient{n // 2}" for n in range(8)],
            "path": [f"{film}.png" for film in films],
            # Of the pixels: the last film is a copy of the first one under another name.
            "content_hash": ["a", "b", "c", "d", "e", "f", "g", "a"],
            "label.Edema": [1, 1, 0, 0, 1, 1, 0, 0],
        }
    )
    found = audit({"train": films[:5], "val": films[5:6], "test": films[6:]}, frame)
    print(found.counts.to_string(index=False))
    print(*found.problems, sep="\n")
    return found.problems


if __name__ == "__main__":
    main()
