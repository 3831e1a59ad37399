"""The command line: `sista VERB`. Parses, calls the stage, prints errors for people.

`python -m sista VERB` in a checkout is the same with the code that lies there: `sista` on the PATH
may be of another clone, so the workflow's rules do not use it.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper

from cyclopts import App, Group, Parameter

from sista import __version__
from sista.audits.command import audit_datasets
from sista.errors import (
    FAULT,
    INTERRUPTED,
    PIPE_CLOSED,
    WRONG_COMMAND,
    check_arguments,
    explained,
    printable,
    write_log,
)

DEBUG = "--debug"

_STAGES = Group.create_ordered("Stages, in the order of flow")
_RELEASED = Group.create_ordered("Weights released by others")
_PASS = Group.create_ordered("Passing results on")
_LOOK = Group.create_ordered("Looking, changing nothing")

app = App(
    name="sista",
    help="SISTA-Bench: reproducible benchmarks of medical vision-language pre-training.",
    help_epilogue="Exit codes: 0 done; 1 an error that you can mend, or a check that found "
    "something; 2 a wrong command line; 70 a fault of this program, with a log file; 75 stopped, "
    "the same command goes on; 130 Ctrl-C. With `--debug` errors show their traceback.",
    version=__version__,
    help_format="markdown",
    # `--draws 0 1 2` as well as `--draws 0 --draws 1 --draws 2`; no `--no-...` twins.
    default_parameter=Parameter(consume_multiple=True, negative=()),
    result_action="return_value",
)
# By import path: no stage is imported before it is called, so help costs no torch.
_VERBS = (
    ("fetch", "stages.fetch:fetch", "List a data set's source files (phantom: make them)."),
    (
        "prepare",
        "stages.prepare:prepare",
        "Read a raw layout into manifest, images and patient split.",
    ),
    ("pretrain", "stages.pretrain:main", "Pre-train one encoder on image-report pairs."),
    ("adapt", "stages.adapt:adapt", "Adapt one encoder to a task at all label fractions; predict."),
    ("score", "stages.score:score", "Score the predictions of a grid into one tidy table."),
    ("report", "stages.report:report", "Make tables, figures and the HTML page of a grid."),
)
_RELEASES = (
    ("import", "importers._import:main", "Turn released weights into an encoder for a grid."),
)
_LOOKS = (
    ("list", "site.words:list_words", "List the words of grids and importers."),
    ("new", "site.skeleton:new", "Write the skeleton of a method, head or data set, with a test."),
    ("doctor", "monitor.doctor:doctor", "Say what this machine has and what each grid needs."),
    ("check", "monitor.preflight:check", "Say which raw data and weights a grid lacks here."),
    ("status", "monitor.status:status", "Count jobs done, running, failed and to do; time left."),
    ("watch", "monitor.status:watch", "Show the state of a grid live, until it is done."),
    ("show", "report.printing:show", "Print the main tables of a grid from its scores."),
    ("compare", "lineage.compare:compare", "Compare two scores tables value by value."),
    (
        "similarity",
        "report.corpus_similarity:inspect",
        "Show how alike a corpus' reports are, and a cut.",
    ),
    ("trace", "lineage.trace:trace", "Follow a number of a table down to the raw data's hash."),
    ("verify", "lineage.verify:verify", "Hash all results again; name what was altered."),
    ("schema", "site.words:schema", "Print the JSON schema of grids or of run records."),
)
_SHARE = (
    ("reproduce", "lineage.reproduce:reproduce", "Make one released number again and compare."),
    ("crate", "lineage.crate:crate", "Write a finished grid as an RO-Crate."),
    ("curves", "report.event_files:curves", "Write all learning curves as TensorBoard files."),
    ("site", "site.build:site", "Build the leaderboard and the documentation as one folder."),
)
_AUDITS = (
    (
        "split",
        "preparation.split_audit:audit_split",
        "Audit a split for overlaps, nestedness, class counts.",
    ),
    ("phantom", "phantom.calibration:main", "Compare the phantom's reports with real ones."),
)
_SUBMISSIONS = (
    (
        "check",
        "lineage.submission:check",
        "Check a third party's results and score them again from the predictions.",
    ),
)
submit = App(name="submit", help="Check results that others hand in.", group=_PASS, sort_key=9)
app.command(submit)
audit = App(name="audit", help="Audit data sets, lists or a split.", group=_LOOK, sort_key=9)
audit.default(audit_datasets)
app.command(audit)
for _parent, _group, _verbs in (
    (app, _STAGES, _VERBS),
    (app, _RELEASED, _RELEASES),
    (app, _LOOK, _LOOKS),
    (app, _PASS, _SHARE),
    (audit, None, _AUDITS),
    (submit, None, _SUBMISSIONS),
):
    for _order, (_name, _place, _help) in enumerate(_verbs):
        _parent.command(f"sista.{_place}", name=_name, help=_help, group=_group, sort_key=_order)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code, see `sista.errors`.

    An error that a user can mend is one line; of any other one the traceback goes into a log file.
    `--debug`, anywhere on the command line, shows the traceback of both.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that lacks a character is no reason to lose the result.
            stream.reconfigure(errors="backslashreplace")
    try:
        check_arguments(words)
        app([word for word in words if word != DEBUG])
    except SystemExit as ended:
        if ended.code == WRONG_COMMAND:
            verb = [word for word in words[:1] if word.isalpha()]
            print(f"valid: see `{' '.join(['sista', *verb, '--help'])}`", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `sista list | head`: the reader has enough. Nothing may be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return PIPE_CLOSED
    except Exception as error:
        message, code = explained(error)
        if DEBUG in words:
            traceback.print_exception(error)
        elif code == FAULT:
            message += f"\n{write_log(error, words)}"
        from rich.console import Console

        # Soft wrap: a path stays in one piece, so it can be copied.
        Console(stderr=True).print(
            printable(f"error: {message}"),
            style="red",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
