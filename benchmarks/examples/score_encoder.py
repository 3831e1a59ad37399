"""Score your own encoder: it becomes a checkpoint, a head is trained on it, its AUROC printed."""

from pathlib import Path

from sista.encoders.checkpoint import save_checkpoint
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.scoring.cached import score_file
from sista.stages import adapt, fetch, prepare


def main(at: Path = Path("results/example"), data: str = "chexpert@phantom_tiny") -> float:
    """Return the test AUROC of a linear head trained on all labels; this encoder is untrained."""
    fetch.fetch(data, out=at / "inventory.parquet")
    prepare.prepare(data, source=at / "raw", out=at / "data.parquet")
    mine = ImageEncoder(encoder_spec("resnet_tiny"))  # here: mine.body.load_state_dict(...)
    about = dict.fromkeys("word variant method corpus budget".split(), "mine")
    about |= {"family": "resnet", "settings": {}, "seed": 0, "image_encoder": mine.description()}
    save_checkpoint(at / "mine.safetensors", {"image": mine}, about)
    files = {"manifest": at / "data.parquet", "split": at / "data.split.parquet"}
    files |= {"encoder": at / "mine.safetensors", "out": at / "predictions.parquet"}
    asked = {"protocol": "quick_v1", "head": "linear", "budget": "mine", "fractions": (100,)}
    adapt.adapt(dataset=data, draws=(0,), **asked, **files)
    made = score_file(files["out"], "classification", main="auroc", bootstrap=99, cache_folder=at)
    return {v["subset"]: float(v["value"]) for v in made.values if v["label"] == "macro"}["test"]


if __name__ == "__main__":
    print(f"AUROC {main():.3f}")
