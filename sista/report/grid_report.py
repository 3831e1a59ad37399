"""Report: scores → tables, figures, sheets and one self-contained HTML page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sista.files import atomic
from sista.grid.runs import AdaptRun
from sista.report import figures, formats, page, sheets
from sista.report.alternatives import LOSSES, curves_told, ranks_told, tests_told
from sista.report.cells import TaskTable, run_anchor
from sista.report.citations import bibliography
from sista.report.curves import learning_curves
from sista.report.escaping import csv_frame
from sista.report.event_files import read_log
from sista.report.latex import to_latex, to_latex_intervals, to_latex_preview
from sista.report.main_tables import main_tables
from sista.report.paper_figures import for_paper
from sista.report.published import printed_elsewhere
from sista.report.ranks import rank_figure, ranking
from sista.report.runs import run_rows
from sista.report.templates import render
from sista.report.told import told_apart
from sista.runs.progress import track
from sista.scoring.main_rows import control_rows, main_rows, off_plateau, overall, shown_rows
from sista.tasks._base import find_metric, find_task

FORMATS = {
    "csv": formats.to_csv,
    "md": formats.to_markdown,
}
EFFICIENCY = (
    "Label efficiency: mean over draws and seeds; bars are the means of the 95 % bootstrap "
    "intervals over test patients. Dashed: controls."
)
UNTRAINED = (
    "Without any label: mean over seeds with the mean 95 % bootstrap interval over test patients. "
    "Grey: what the same predictions score by chance and on another patient's film."
)
DIFFERENCE = (
    "Paired differences to {baseline} on the same test patients, averaged over draws and seeds, "
    "with 95 % intervals over patients, seeds and draws. Filled: Holm-corrected p < 0.05."
)
OVERLAY = (
    "{head} on {encoder}, {fraction} % of the labels, first draw: test images from the smallest "
    "to the largest target. Blue line: target. Orange: prediction{more}."
)
LEARNING = "Pre-training: mean loss of each epoch (first seed). Scales differ between methods."
# Films have few pixels of their own: more dots would only repeat them.
SHEET_DPI = 110
LATE = " †: pre-training of a seed left its plateau late or never; such rows are not ranked."
WORDS = (
    "{variant} on {encoder}: weights of STA from words to patches on validation images, "
    "bright = high; of each report the words with the most concentrated maps."
)


class Report:
    """The report of one grid.

    Args:
        scores: scores table.
        meta: its metadata.
        runs: the grid's runs.
        out: folder to write to.
        results: folder of all results.
        sheets: `phantom` or `all`.
    """

    def __init__(
        self,
        scores: pd.DataFrame,
        meta: dict[str, Any],
        runs: list[AdaptRun],
        out: Path,
        results: Path,
        sheets: str,
    ) -> None:
        self.scores, self.meta, self.runs = scores, meta, runs
        self.out, self.results, self.sheets = out, results, sheets
        self.rows = main_rows(scores, meta["main_metrics"])
        # The main metric and what it must beat, such as its value by chance.
        self.shown = shown_rows(scores, meta["main_metrics"])
        self.tables = main_tables(scores, meta)
        self.controls = control_rows(scores, meta)
        # The tables of a task by metric, beside the main one.
        self.others: dict[str, dict[str, TaskTable]] = {}
        for task in self.tables:
            main = self.shown["metric"][self.shown["task"] == task]
            self.others[task] = page.other_tables(scores, task, main, self.controls)
        variants = list(map(str, dict.fromkeys(self.rows["variant"])))
        self.looks = figures.looks(variants, self.controls)
        self.late = self.off_plateau()
        self.comparisons = pd.DataFrame(meta.get("comparisons", []))
        if len(self.comparisons):
            named = self.comparisons[["variant", "baseline", "encoder"]].to_numpy().tolist()
            late = [(v, e) in self.late or (b, e) in self.late for v, b, e in named]
            self.comparisons["off_plateau"] = late
        self.listed = run_rows(scores, results)

    def off_plateau(self) -> set[tuple[str, str]]:
        """Return the (variant, encoder) of which a seed left its plateau late or never."""
        late = self.rows[off_plateau(self.rows)]
        return set(zip(late["variant"].astype(str), late["encoder"].astype(str), strict=True))

    def write_tables(self) -> None:
        """Write every main table in every format, and the paired tests."""
        for task, table in self.tables.items():
            texts = {suffix: convert(table) for suffix, convert in FORMATS.items()}
            own = {run_anchor(path) for path in self.rows["predictions"][self.rows["task"] == task]}
            texts["html"] = formats.to_html(table, [r for r in self.listed if r.anchor in own])
            self.write({f"{task}.{suffix}": text for suffix, text in texts.items()})
            self.write_latex(task, table)
        self.write({"references.bib": bibliography(self.scores)})
        with atomic(self.out / "comparisons.csv") as temporary:
            csv_frame(self.comparisons).to_csv(temporary, index=False, lineterminator="\n")

    def write(self, texts: Mapping[str, str]) -> None:
        """Write files by name."""
        for name, text in texts.items():
            with atomic(self.out / name) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def write_latex(self, task: str, table: TaskTable) -> None:
        """Write the tables for a paper: the main one, and those with numbers printed elsewhere."""
        others = self.others[task]
        tables = {task: table} | {
            f"{task}_{metric}": other
            for metric, other in others.items()
            if printed_elsewhere(other)
        }
        for name, each in tables.items():
            marked = told_apart(each, overall(self.scores), self.comparisons, self.controls)
            texts = {name: to_latex(marked, printed_elsewhere(each))}
            texts[f"{name}_intervals"] = to_latex_intervals(each)
            texts[f"{name}_preview"] = to_latex_preview(each, name)
            self.write({f"{word}.tex": text for word, text in texts.items()})

    def whole_page(self, title: str, grid: Path, settings: dict[str, Any]) -> str:
        """Draw the figures and return the page."""
        sections = [self.section(task) for task in track(list(self.tables), "report")]
        ranks, no_ranks = self.ranks()
        counts = [
            f"{self.scores['variant'].nunique()} variants",
            f"{self.scores['encoder'].nunique()} encoders",
            f"{self.scores['predictions'].nunique()} runs",
        ]
        return render(
            "page.html.j2",
            title=title,
            grid=grid.name,
            counts=", ".join(counts),
            tasks=sections,
            ranks=ranks,
            no_ranks=no_ranks,
            curves=list(self.curves()),
            words=list(self.words()),
            bootstrap=self.meta["bootstrap"],
            variants=page.variant_rows(self.scores, settings),
            facts=[
                *page.fact_rows(self.scores, self.meta["bootstrap"]),
                *page.host_rows(self.meta),
                *page.date_rows(self.listed),
            ],
            datasets=page.dataset_rows(self.scores),
            runs=self.listed,
        )

    def section(self, task: str) -> page.TaskSection:
        """Return the section of a task, with its figures drawn."""
        rows = self.rows[self.rows["task"] == task]
        section = page.TaskSection(task, self.tables[task])
        known = rows[rows.groupby("predictions")["value"].transform("count") > 0]
        trained = known[known["fraction"] > 0]
        shown = self.shown[(self.shown["task"] == task) & (self.shown["fraction"] == 0)]
        control = shown["metric"].map(lambda metric: find_metric(str(metric)).control)
        free = shown[~control & shown["value"].notna()]
        if len(trained):
            figure = figures.efficiency(trained, self.looks)
            section.figures.append(
                self.picture(figure, f"{task}_efficiency", EFFICIENCY, curves_told(trained))
            )
        if len(free):
            # What is shown and is not the main metric is a control of it.
            figure = figures.untrained(free, shown[control], self.looks)
            section.figures.append(
                self.picture(figure, f"{task}_untrained", UNTRAINED, curves_told(free))
            )
        tests = self.comparisons
        tests = tests[tests["task"] == task] if len(tests) else tests
        if len(tests):
            baseline = str(tests["baseline"].iloc[0])
            # One figure, of the grid's first baseline; the table below has all.
            own = tests[tests["baseline"] == baseline]
            title = page.baseline_title(baseline)
            figure = figures.differences(own, self.looks, title)
            caption = DIFFERENCE.format(baseline=title)
            section.figures.append(
                self.picture(figure, f"{task}_differences", caption, tests_told(own))
            )
        section.tests = page.test_rows(tests.to_dict("records"))
        section.others = [
            {"title": page.other_title(metric), "table": table}
            for metric, table in self.others[task].items()
        ]
        section.sheets = list(self.overlays(task))
        return section

    def picture(
        self, figure: Any, name: str, caption: str, told: str, marked: bool = True
    ) -> page.Picture:
        """Save a figure and return it for the page; `marked` ones have daggers."""
        figures.save(figure, self.out / "figures" / name)
        for_paper(figure, self.out / "figures" / name)
        caption += LATE if self.late and marked else ""
        return page.picture(self.out / "figures" / f"{name}.svg", told, caption)

    def sheet(self, figure: Any, name: str, caption: str) -> page.Picture:
        """Save a sheet of films as PNG and return it for the page."""
        figures.save(figure, self.out / "figures" / name, (".png",), dpi=SHEET_DPI)
        return page.picture(self.out / "figures" / f"{name}.png", f"Films. {caption}", caption)

    def overlays(self, task: str) -> Iterator[page.Picture]:
        """Yield a sheet of masks or boxes for each data set, head and encoder it may show."""
        overlay = find_task(task).overlay
        if overlay is None:
            return
        groups: dict[tuple[str, str, str, str], dict[str, Path]] = {}
        for run in self.runs:
            if run.task == task and sheets.drawable(run.dataset, self.sheets):
                key = (run.protocol, run.dataset, run.head, run.encoder)
                path = self.results / Path(run.predictions).relative_to("results")
                # The first seed of each variant, in the grid's order.
                groups.setdefault(key, {}).setdefault(run.variant, path)
        for (protocol, dataset, head, encoder), paths in groups.items():
            prepared = self.results / "prepare" / dataset
            shown = sheets.chosen_variants(list(paths))
            needed = [prepared / "manifest.parquet", *(paths[name] for name in shown)]
            if not all(path.is_file() for path in needed):
                continue
            drawn = sheets.overlay_sheet(task, [(name, paths[name]) for name in shown], prepared)
            if drawn is not None:
                caption = OVERLAY.format(
                    head=head, encoder=encoder, fraction=drawn[1], more=overlay.note
                )
                name = f"{task}_{dataset.replace('@', '_')}_{protocol}_{head}_{encoder}"
                yield self.sheet(drawn[0], name, caption)

    def ranks(self) -> tuple[page.Picture | None, str]:
        """Return the figure of mean ranks, or None and why there is none."""
        found = ranking(self.rows, self.controls)
        if isinstance(found, str):
            return None, found
        with atomic(self.out / "figures" / "ranks.csv") as temporary:
            found.table().to_csv(temporary, index=False, lineterminator="\n")
        figure = rank_figure(found, self.looks)
        return self.picture(
            figure, "ranks", found.caption, ranks_told(found.ranks), marked=False
        ), ""

    def curves(self) -> Iterator[page.Picture]:
        """Yield the learning curves of the runs whose logs are there, first seeds only."""
        logs: dict[tuple[str, str], pd.DataFrame] = {}
        for run in {run.pretrain.key: run.pretrain for run in self.runs}.values():
            path = self.results / "pretrain" / run.key / "log.csv"
            if path.is_file() and run.variant in self.looks and len(log := read_log(path)):
                logs.setdefault((run.variant, run.encoder), log)
        if logs:
            figure = learning_curves(logs, self.looks, self.late)
            yield self.picture(figure, "learning_curves", LEARNING, LOSSES)

    def words(self) -> Iterator[page.Picture]:
        """Yield a sheet of word-to-patch maps for every run that wrote some."""
        pretrained = {run.pretrain.key: run.pretrain for run in self.runs}
        for run in pretrained.values():
            path = self.results / "pretrain" / run.key / "word_maps.npz"
            if sheets.drawable(run.corpus, self.sheets) and path.is_file():
                figure = sheets.word_sheet(path)
                if figure is not None:
                    caption = WORDS.format(variant=run.variant, encoder=run.encoder)
                    name = f"words_{run.variant}_{run.encoder}_seed{run.seed}"
                    yield self.sheet(figure, name, caption)
