"""SISTA (arXiv 2601.08165): a reconstruction from its abstract, every open choice a setting.

`L = w_sia L_SIA + w_sta L_STA`: semantic-aware instance alignment leaves reports that say the same
out of the negatives; sparse token alignment lets each word pick few patches.
The settings with their defaults are the fields of `Settings`.
"""

import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sista.engine.interface import Embedded, Needs, Objective, Temperature, required
from sista.errors import UserError
from sista.losses.sia import false_negatives, recentred, sia
from sista.losses.sta import Direction, Form, alignment, sta
from sista.losses.sta_images import Pairs, Reduction, sta_batch, sta_images
from sista.losses.sta_words import sta_words
from sista.methods._sista_settings import Settings
from sista.text import cut

BATCH_WISE = -1
# FaNe (source: its released code): running centre of the similarities.
RUNNING = 0.95
# Settings that act only beside others, see `registry.check_settings`. The similarity of reports
# serves the instance level and, with it, the contrast of all images with all reports.
ACTS = {
    "sia_mode temperature learn_temperature head_norm": "w_sia or w_intra",
    "w_intra": "sia_mode!=infonce",
    "soft_temperature": "sia_mode=soft",
    "theta_neutral": "sia_mode=attract",
    "similarity r_text recentre": (
        "w_sia & sia_mode!=infonce or w_intra"
        " or image_negatives=-1 & eliminate_images & sia_mode!=infonce"
    ),
    "r_text": "similarity!=labels & similarity!=rule_labels",
    "theta theta_quantile": (
        "w_sia & sia_mode=eliminate or w_sia & sia_mode=attract"
        " or w_intra & sia_mode=eliminate or w_intra & sia_mode=attract"
        " or image_negatives=-1 & eliminate_images & sia_mode!=infonce"
    ),
    "theta": "theta_quantile=None",
    # Re-centring all similarities alike moves their quantile along.
    "recentre": ("theta_quantile=None or recentre=running or sia_mode=soft or theta_neutral!=None"),
    "local_temperature sparsify attention_temperature stop_words relevant_words": "w_sta",
    "image_negatives w_report w_images w_absent stop_gradient": "w_sta",
    "patch_stride patch_source centre_patches swap_images": "w_sta",
    "sigma": "w_sta & sparsify=minmax",
    "top_k": "w_sta & sparsify=topk",
    # Min-max takes a common factor of the scores out again.
    "attention_temperature": (
        "sparsify!=minmax or attention_temperature=None or attention_temperature=1"
    ),
    "directions": "w_sta & w_report",
    "same_word": "w_sta & w_report & directions!=patch",
    "word_weights": "w_sta & w_report & directions!=patch or w_sta & w_images & image_negatives",
    "w_report_end": "w_sta & w_report",
    "w_images w_absent": "image_negatives",
    "w_absent": "image_negatives!=-1",
    "image_negatives": "w_images or w_absent",
    "eliminate_images": "w_images & image_negatives=-1 & sia_mode!=infonce",
}


class _Sista(Objective):
    threshold: Tensor
    centre: Tensor
    w_report: Tensor

    def __init__(self, settings: Settings) -> None:
        s = self.settings = settings
        super().__init__(
            Needs(
                text=True,
                words=s.w_sta != 0,
                similarity="" if s.sia_mode == "infonce" else s.similarity,
                r_text=s.r_text,
                stop_words=s.stop_words,
                relevant_words=s.relevant_words,
                attention=s.word_weights == "cls",
                patch_stride=s.patch_stride,
                top_down=s.patch_source == "top_down",
                centre_patches=s.centre_patches,
                width=s.width,
                head_norm=s.head_norm,
            )
        )
        self.global_temperature = Temperature(s.temperature, s.learn_temperature)
        self.form = Form(
            s.sparsify, s.sigma, s.top_k, s.attention_temperature, stop_gradient=s.stop_gradient
        )
        self.register_buffer("threshold", torch.tensor(s.theta))
        self.register_buffer("centre", torch.tensor(0.0))
        self.register_buffer("w_report", torch.tensor(float(s.w_report)))

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return both levels and their weighted sum."""
        s = self.settings
        if self.training:
            self._follow(e.similarity)
        instance = self._instance(e, required(e.report))
        parts = {"loss": s.w_sia * instance, "sia": instance}
        if s.w_intra:
            parts["intra"] = self._instance(e, required(e.image))
            parts["loss"] = parts["loss"] + s.w_intra * parts["intra"]
        if s.w_sta:
            parts |= self.tokens(e, required(e.patches).roll(1, 0) if s.swap_images else None)
            parts["loss"] = parts["loss"] + s.w_sta * parts["sta"]
        return parts

    def _instance(self, e: Embedded, others: Tensor) -> Tensor:
        """Return SIA of the images with the reports, or with the images themselves."""
        s = self.settings
        return sia(
            required(e.image),
            others,
            self.similarity(e),
            temperature=self.global_temperature(),
            mode=s.sia_mode,
            threshold=self.threshold,
            neutral=s.theta_neutral,
            soft_temperature=s.soft_temperature,
        )

    def after_step(self, model: torch.nn.Module, progress: float) -> None:
        """Move the weight of the contrast inside a report along its line."""
        s = self.settings
        if s.w_report_end is not None:
            self.w_report.fill_(s.w_report + progress * (s.w_report_end - s.w_report))

    def similarity(self, e: Embedded) -> Tensor:
        """Return the inter-report similarities, re-centred where asked; empty without any."""
        if e.similarity is None:
            return required(e.image).new_empty(0)
        if self.settings.recentre == "none":
            return e.similarity
        return recentred(e.similarity, self.centre)

    def _follow(self, similarity: Tensor | None) -> None:
        """Move the running centre by one batch."""
        if similarity is not None and self.settings.recentre == "running":
            # The mean cosine of unit vectors to their mean is the root of their mean product.
            now = similarity.mean().clamp_min(0.0).sqrt()
            self.centre.mul_(RUNNING).add_((1 - RUNNING) * now)

    def tokens(
        self, e: Embedded, shown: Tensor | None = None, reduction: Reduction = "mean"
    ) -> dict[str, Tensor]:
        """Return the token level `sta` and its parts.

        Args:
            e: the batch.
            shown: `[B, P, D]` images in place of the own ones; the negatives stay.
            reduction: `study` gives values `[B]`.
        """
        s = self.settings
        pairs = Pairs(required(e.patches), required(e.words), required(e.word_mask), shown)
        ids, weights = required(e.word_ids), self._word_weights(e)
        temperature = s.local_temperature
        parts = {}
        if s.w_report:
            both: tuple[Direction, ...] = ("word", "patch")
            parts["sta_report"] = sta(
                pairs.patches if shown is None else shown,
                *pairs[1:3],
                temperature=temperature,
                form=self.form,
                directions=both if s.directions == "both" else (s.directions,),
                weights=weights,
                word_ids=ids if s.same_word == "ignore" else None,
                reduction=reduction,
            )
        if s.w_images and s.image_negatives == BATCH_WISE:
            options: dict[str, Any] = {"temperature": temperature, "reduction": reduction}
            parts["sta_images"] = sta_batch(
                pairs, self.form, keep=self._keep(e), weights=weights, **options
            )
        elif s.w_images and s.image_negatives:
            options = {"temperature": temperature, "weights": weights, "reduction": reduction}
            parts["sta_images"] = sta_images(
                pairs, ids, self.form, negatives=s.image_negatives, **options
            )
        if s.w_absent and s.image_negatives > 0:
            options = {"temperature": temperature, "weights": weights, "reduction": reduction}
            parts["sta_words"] = sta_words(
                pairs, ids, self.form, reports=s.image_negatives, **options
            )
        factors: dict[str, float | Tensor] = {
            "sta_report": self.w_report,
            "sta_images": s.w_images,
            "sta_words": s.w_absent,
        }
        total = pairs.words.new_zeros(())
        for name, part in parts.items():
            total = total + factors[name] * part
        return {"sta": total, **parts}

    def token_losses(self, e: Embedded, shown: Tensor | None = None) -> dict[str, Tensor]:
        """Return the token level of each study, `[B]`."""
        return self.tokens(e, shown, "study") if self.settings.w_sta else {}

    @property
    def levels(self) -> dict[str, float]:
        """Return the weight of each level that is on."""
        s = self.settings
        return {name: w for name, w in (("sia", s.w_sia), ("sta", s.w_sta)) if w}

    def calibrate(self, vectors: Any) -> None:
        """Set centre and threshold from the corpus; warn where the cut looks wrong."""
        s = self.settings
        if vectors is None:
            return
        if s.recentre != "none":
            self.centre.fill_(min(cut.centre(vectors), 1.0 - 1e-6))
        pairs = torch.from_numpy(cut.pair_similarities(vectors))
        if s.recentre != "none":
            pairs = recentred(pairs, self.centre.cpu())
        if s.theta_quantile is not None and len(pairs):
            self.threshold.fill_(float(np.quantile(pairs.numpy(), s.theta_quantile)))
        if s.sia_mode in ("eliminate", "attract") and len(pairs):
            share = float((pairs > self.threshold.cpu()).float().mean())
            told = cut.warning(share, f"theta {float(self.threshold):.3f} on {s.similarity}")
            if told:
                print(f"warning: {told}", file=sys.stderr)

    def diagnostics(self, e: Embedded) -> dict[str, Tensor]:
        """Return what both levels do on a batch.

        `eliminated`: share of a row's others that count as saying the same, also in rows of normal
        and of abnormal studies; `sta*_swapped`: the token level on another study's image;
        `effective_patches`: exponential of the entropy of a word's weights, mean over words.
        """
        logged: dict[str, Tensor] = {}
        if e.similarity is not None:
            cuts = false_negatives(self.similarity(e), self.threshold).float()
            share = cuts.sum(1) / max(len(cuts) - 1, 1)
            logged["eliminated"] = share.mean()
            if e.normal is not None:
                for name, rows in (("normal", e.normal), ("abnormal", ~e.normal)):
                    logged[f"eliminated_{name}"] = (share * rows).sum() / rows.sum().clamp_min(1)
        weights = self.word_patch_weights(e)
        if weights is not None:
            swapped = self.tokens(e, required(e.patches).roll(1, 0))
            logged |= {f"{name}_swapped": value for name, value in swapped.items()}
            mask = required(e.word_mask)
            spread = torch.special.entr(weights).sum(-1).exp() * mask
            logged["effective_patches"] = spread.sum() / mask.sum().clamp_min(1)
        return logged

    def _keep(self, e: Embedded) -> Tensor | None:
        if e.similarity is None or not self.settings.eliminate_images:
            return None
        return ~false_negatives(self.similarity(e), self.threshold)

    def _word_weights(self, e: Embedded) -> Tensor | None:
        return required(e.word_attention) if self.settings.word_weights == "cls" else None

    def word_patch_weights(self, e: Embedded) -> Tensor | None:
        """Return the sparse weights of each word over the patches, `[B, W, P]`."""
        if not self.settings.w_sta:
            return None
        return alignment(required(e.words), required(e.patches), None, self.form)


def sista(**settings: Any) -> Objective:
    """Return SISTA's objective as this project reads it; `Settings` lists the settings.

    Raises:
        UserError: the token level has nothing to contrast.
    """
    given = Settings(**settings)
    if given.w_sta and not given.w_report and not (given.w_images and given.image_negatives):
        raise UserError(
            "sista: the token level has nothing to contrast; set w_report, or image_negatives "
            "and w_images, or switch it off with w_sta: 0"
        )
    if not given.w_sia and not given.w_sta:
        raise UserError("sista: w_sia and w_sta are both 0, so there is nothing to train")
    return _Sista(given)
