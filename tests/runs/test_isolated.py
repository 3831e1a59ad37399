"""Work in processes of their own: one that dies or stalls costs the item it was at."""

import os
import subprocess
import sys

import pytest

from sista.runs.isolated import Died, isolated_map
from sista.runs.provenance import ROOT

ABORT, SLEEP = "__import__('os').abort()", "__import__('time').sleep(60)"


def answers(items, processes=2):
    # `eval`, since it is a function that every process knows.
    with isolated_map(eval, items, processes, "json") as results:
        return list(results)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_kills_its_process_costs_one_item(processes):
    found = answers(["1 + 1", ABORT, "2 + 2", "__import__('os')._exit(3)", "3 + 3"], processes)
    assert found[::2] == [2, 4, 6]
    assert found[1] == Died("its decoder died (SIGABRT)")
    assert found[3] == Died("its decoder died (exit code 3)")


def test_what_stalls_is_ended(monkeypatch):
    monkeypatch.setenv("SISTA_MAX_SECONDS", "1")
    assert answers([SLEEP, "5"], 1) == [Died("not decoded after 1 s (SISTA_MAX_SECONDS)"), 5]


def test_an_error_is_raised_where_it_was_asked_for():
    with pytest.raises(ZeroDivisionError):
        answers(["1", "1 / 0", SLEEP])


# What Python's servers of processes import first, of its own library and of nobody else's.
PLANTED = ("signal", "selectors", "resource", "pickle", "struct")
CALL = """from sista.runs.isolated import isolated_map
from sista.runs.workers import worker_pool
if __name__ == "__main__":
    with isolated_map(abs, [-1], 1, "json") as found:
        print(*found)
    for start in ("spawn", "forkserver"):
        with worker_pool(1, start) as pool:
            print(pool.submit(abs, -2).result())
"""


def test_a_module_in_the_current_folder_is_not_run(tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    for name in PLANTED:
        (folder / f"{name}.py").write_text("open('CANARY', 'w'); raise ImportError\n")
    script = tmp_path / "call.py"
    script.write_text(CALL)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=env, capture_output=True, text=True
    )
    assert (done.stdout.split(), (folder / "CANARY").exists()) == (["1", "2", "2"], False), (
        done.stderr
    )
