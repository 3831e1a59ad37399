"""The grid: what is compared. Checks every word of a grid file, lists the runs. No torch."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sista import registry
from sista.encoders.specs import check_patches, encoder_spec
from sista.errors import MAX_SEED, MAX_THREADS, UserError, check_limit, check_word, shown
from sista.grid.budgets import find_budget
from sista.grid.file import BASE, read_grid
from sista.grid.runs import AdaptRun, PretrainRun
from sista.metadata import data_reading, data_word
from sista.runs.portable import Bits

FRACTIONS = (1, 10, 100)
# A head without training uses no label, so it has one cell.
UNTRAINED_DRAWS, UNTRAINED_FRACTIONS = (0,), (0,)
MAX_DRAWS = 5
# What a grid says of a variant; all else are settings of its method.
OWN_KEYS = ("method", "budget", "control")
MOST_TOLD = 8
# Draws and heads derive their own seeds from it.
Seed = Annotated[int, Field(ge=0, le=MAX_SEED, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Adaptation(_Strict):
    """A data set under a protocol with one head, or the protocol's heads for a task."""

    protocol: str = Field(description="word of a protocol, e.g. quick_v1")
    dataset: str = Field(description="word of a data set, e.g. rsna_pneumonia@phantom")
    task: str | None = Field(None, description="the protocol's own heads for this task")
    head: str | None = Field(None, description="word of one head, for all encoders")
    variants: tuple[str, ...] = Field((), description="only these variants; none = all")
    encoders: tuple[str, ...] = Field((), description="only these encoders; none = all")

    @model_validator(mode="after")
    def _known(self) -> "Adaptation":
        registry.path("protocols", self.protocol)
        check_dataset(self.dataset)
        if (self.task is None) == (self.head is None):
            raise UserError(f"{self.dataset}: name either a task or a head")
        if self.head is not None:
            registry.path("heads", self.head)
        else:
            heads = registry.find("protocols", self.protocol).heads
            if self.task not in heads:
                raise UserError(f"unknown task {self.task!r}; valid: {', '.join(heads)}")
        return self

    def covers(self, run: PretrainRun) -> bool:
        """Return whether a run's encoder is adapted here."""
        variant = not self.variants or run.variant in self.variants
        return variant and (not self.encoders or run.encoder in self.encoders)

    def head_for(self, family: str) -> str:
        """Return the head that is trained on encoders of this family."""
        if self.head is not None:
            return self.head
        heads = registry.find("protocols", self.protocol).heads[self.task]
        return str(heads[family])


def _with_base(schema: dict[str, Any]) -> None:
    """Let a grid file name a base, from which the required fields may come."""
    text = "another grid, relative to this file; its fields stand where this grid has none"
    schema["properties"][BASE] = {"description": text, "title": "Base", "type": "string"}
    needed = {"required": schema.pop("required")}
    schema["anyOf"] = [needed, {"required": [BASE]}]


class Grid(_Strict):
    """What is compared: variants × encoders × seeds, then data sets × heads × draws × fractions."""

    title: str = Field("", description="heading of the report")
    budget: str = Field(description="training length: tiny, quick or paper")
    corpus: str = Field(description="pre-training data set, e.g. mimic_cxr@phantom")
    encoders: tuple[str, ...] = Field(min_length=1)
    variants: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="a method, or a word with `method:` and the settings that differ from its own; "
        "`budget:` trains this one longer or shorter than the others, `control: true` makes it a "
        "control, which competes with no other row",
    )
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="pre-training seeds")
    draws: tuple[int, ...] = Field(
        tuple(range(MAX_DRAWS)), min_length=1, description="label subset and head seeds"
    )
    fractions: tuple[int, ...] = Field(
        FRACTIONS, min_length=1, description="percent of the training labels"
    )
    threads: int = Field(
        1, ge=1, le=MAX_THREADS, description="threads a run computes with; part of its bits"
    )
    bits: Bits = Field(
        "native",
        description="portable: the same bits on processors of every maker, slower; needs AVX2",
    )
    baselines: tuple[str, ...] = Field(
        ("random_init", "clip"),
        description="variants that each other one is tested against, where the grid has them",
    )
    adapt: tuple[Adaptation, ...] = Field(min_length=1)

    model_config = ConfigDict(json_schema_extra=_with_base)

    @field_validator("variants", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, list):
            for word in value:
                if not isinstance(word, str):
                    raise UserError(
                        f"variants: {shown(word)} stands in a list of words; a variant with "
                        "settings needs a mapping, e.g. variants: {clip: {}, sista: {theta: 0.8}}"
                    )
            if len(set(value)) < len(value):
                raise UserError("variants: a word stands twice; name it once")
            return {word: {} for word in value}
        if isinstance(value, dict):
            return {word: settings or {} for word, settings in value.items()}
        return value

    @model_validator(mode="after")
    def _words(self) -> "Grid":
        find_budget(self.budget)
        check_dataset(self.corpus)
        for word in self.encoders:
            encoder_spec(word)
        for variant, given in self.variants.items():
            _check_variant(variant, given, self.encoders)
        for name, allowed in (("draws", range(MAX_DRAWS)), ("fractions", FRACTIONS)):
            wrong = sorted(set(getattr(self, name)) - set(allowed))
            if wrong:
                raise UserError(f"{name}: {wrong} not among {list(allowed)}")
        for name in ("encoders", "seeds", "draws", "fractions"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise UserError(f"{name}: a value stands twice; name it once")
        if "baselines" in self.model_fields_set:
            unknown = sorted(set(self.baselines) - set(self.variants))
            if unknown:
                raise UserError(f"baselines: {', '.join(unknown)} not among the variants")
        for entry in self.adapt:
            for name, there in (("variants", self.variants), ("encoders", self.encoders)):
                unknown = sorted(set(getattr(entry, name)) - set(there))
                if unknown:
                    raise UserError(
                        f"adapt, {entry.dataset}: {name} {', '.join(unknown)} not in the grid; "
                        f"valid: {', '.join(there)}"
                    )
        count = len(self.encoders) * len(self.variants) * len(self.seeds) * len(self.adapt)
        check_limit("SISTA_MAX_RUNS", count, "grid")
        paths = [run.predictions for run in self.adapt_runs()]
        twice = sorted({p for p in paths if paths.count(p) > 1}) if len(paths) < 500 else []
        if twice or len(set(paths)) < len(paths):
            raise UserError(f"two entries under `adapt` give one path: {twice[:3]}")
        return self

    @classmethod
    def load(cls, path: Path | str) -> "Grid":
        """Read and check a grid file, with the fields of its base.

        Raises:
            UserError: a file is missing or not YAML, or a word is wrong; names the valid ones.
        """
        values, files = read_grid(path)
        where = " with base ".join(map(str, files))
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError(f"{where}: {_explain(error)}; correct the grid") from error
        except UserError as error:
            raise UserError(f"{where}: {error}") from error

    def pretrain_runs(self) -> Iterator[PretrainRun]:
        """Yield one run for each variant, encoder and seed."""
        for encoder in self.encoders:
            family = encoder_spec(encoder).family
            for variant in self.variants:
                method, settings = self.settings_of(variant)
                for seed in self.seeds:
                    yield PretrainRun(
                        self.budget_of(variant),
                        variant,
                        method,
                        settings,
                        encoder,
                        family,
                        self.corpus,
                        seed,
                    )

    def adapt_runs(self) -> Iterator[AdaptRun]:
        """Yield one job for each entry of `adapt` and each encoder that is made."""
        runs = list(self.pretrain_runs())
        families = dict.fromkeys(run.family for run in runs)
        for entry in self.adapt:
            # Once a family, not once a run: the registry looks at files.
            heads = {family: entry.head_for(family) for family in families}
            tasks = {h: str(registry.constant("heads", h, "TASK")) for h in heads.values()}
            cells = {head: self.cells(head) for head in heads.values()}
            for run in filter(entry.covers, runs):
                head = heads[run.family]
                words = (entry.protocol, entry.dataset, tasks[head], head)
                yield AdaptRun(*words, run, *cells[head])

    def cells(self, head: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the draws and label fractions of a head: none to speak of without training."""
        if registry.constant("heads", head, "ADAPTS") == "untrained":
            return UNTRAINED_DRAWS, UNTRAINED_FRACTIONS
        return tuple(self.draws), tuple(self.fractions)

    def datasets(self) -> list[str]:
        """Return the data sets of the grid, the corpus first."""
        return list(dict.fromkeys([self.corpus, *(entry.dataset for entry in self.adapt)]))

    def settings_of(self, variant: str) -> tuple[str, dict[str, Any]]:
        """Return method and changed settings of a variant."""
        return _method(variant, self.variants[variant])

    def controls(self) -> list[str]:
        """Return the variants that are controls: their method says so, or the grid."""
        return [
            variant
            for variant, given in self.variants.items()
            if is_control(_method(variant, given)[0]) or given.get("control", False)
        ]

    def budget_of(self, variant: str) -> str:
        """Return the budget of a variant: its own, or the grid's."""
        return str(self.variants[variant].get("budget", self.budget))


def is_control(method: str) -> bool:
    """Return whether a method is a control: a constant of its file; an unknown one is none."""
    known = method in registry.names("methods")
    return known and bool(registry.constant("methods", method, "CONTROL", False))


def check_dataset(reference: str) -> None:
    """Check a data set reference `WORD[+READING][@ORIGIN]`."""
    from sista.phantom.presets import PRESETS

    word, reading = data_word(reference), data_reading(reference)
    origin = reference.partition("@")[2]
    readings = registry.constant("datasets", word, "READINGS", ())
    if "+" in reference.partition("@")[0] and reading not in readings:
        known = ", ".join(f"{word}+{known}" for known in readings) or "none"
        raise UserError(f"{reference}: unknown reading {reading!r}; valid: {known}")
    if "@" in reference and origin not in PRESETS:
        raise UserError(f"{reference}: unknown origin {origin!r}; valid: {', '.join(PRESETS)}")


def _check_variant(variant: str, given: dict[str, Any], encoders: Iterable[str]) -> None:
    check_word("variants", variant)
    method, settings = _method(variant, given)
    try:
        if not isinstance(given.get("control", False), bool):
            raise UserError(f"control={given['control']!r}: expected true or false")
        find_budget(str(given.get("budget", "quick")))
        registry.check_settings("methods", method, settings)
        for encoder in encoders:
            check_patches(encoder_spec(encoder), settings)
    except UserError as error:
        raise UserError(f"variant {variant}: {error}") from error


def _method(variant: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the method of a variant and the settings that differ from the method's own."""
    settings = {k: v for k, v in given.items() if k not in OWN_KEYS}
    return str(given.get("method", variant)), settings


def _explain(error: ValidationError) -> str:
    """Return the errors of a grid in words, with the valid keys for an unknown one."""
    lines = []
    found = error.errors()
    for item in found[:MOST_TOLD]:
        place = ".".join(shown(part).strip("'") for part in item["loc"]) or "grid"
        if item["type"] == "extra_forbidden":
            model = Adaptation if item["loc"][0] == "adapt" else Grid
            valid = [*model.model_fields, *([BASE] if model is Grid else [])]
            lines.append(f"{place}: unknown key; valid: {', '.join(valid)}")
        else:
            lines.append(f"{place}: {item['msg']}")
    more = f"; and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    return "; ".join(lines) + more
