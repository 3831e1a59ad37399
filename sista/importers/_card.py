"""What is known of a release: how its keys are named and where that was read. No torch here."""

from dataclasses import dataclass, field

from sista.encoders.specs import EncoderSpec

# (pattern of a whole key, key in the timm model); the first pattern that matches counts.
Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Source:
    """The public file from which a fact was read.

    Attributes:
        repository: owner/name on GitHub.
        path: file in it.
        commit: the version that was read.
        says: the fact.
    """

    repository: str
    path: str
    commit: str
    says: str


@dataclass(frozen=True)
class Layout:
    """One way in which a release's file is laid out.

    Attributes:
        name: of the variant, in reports.
        signature: a key that the file has in this layout, without `module.` in front.
        spec: the encoder it becomes, with the release's own input size and normalisation; its
            word is the encoder's word in grids.
        keys: renames the encoder's keys into those of the timm model.
        left_out: patterns of keys that are known not to belong to the image encoder.
        side: last dimension of the signature's tensor, where that tells layouts apart.
        grey: the first convolution has one input channel.
        refusal: why this layout cannot be imported; "" = it can.
    """

    name: str
    signature: str
    spec: EncoderSpec
    keys: Rules
    left_out: tuple[str, ...] = ()
    side: int | None = None
    grey: bool = False
    refusal: str = ""


@dataclass(frozen=True)
class Card:
    """A release of weights.

    Attributes:
        word: its name on the command line; also the file's name.
        title: what it is, in a few words.
        paper: reference.
        licence: of the code or the weights, as its source says.
        corpus: what it was pre-trained on.
        layouts: the first whose signature fits is taken.
        sources: where keys, sizes and normalisation were read.
        differs: what this encoder does differently from the authors' own use of the weights.
        unverified: facts that no public file could confirm.
    """

    word: str
    title: str
    paper: str
    licence: str
    corpus: str
    layouts: tuple[Layout, ...]
    sources: tuple[Source, ...]
    differs: tuple[str, ...] = ()
    unverified: tuple[str, ...] = field(default=())
