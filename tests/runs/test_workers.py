"""Workers end with the process that started them, also when it is killed."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sista.runs.workers import worker_pool

ROOT = Path(__file__).resolve().parents[2]
# Its workers inherit the pipe to the test, as those of a job inherit the pipe of its log.
PARENT = """
import os, sys, time
from sista.runs.workers import worker_pool

if __name__ == "__main__":
    with worker_pool(2, sys.argv[1]) as pool:
        print(*set(pool.map(os.getpgid, [0, 0])), flush=True)
        time.sleep(600)
"""


def double(value: int) -> int:
    return 2 * value


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
def test_workers_of_a_killed_process_end_and_close_its_pipe(start, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), start]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.kill()
        _, alive = psutil.wait_procs(children, timeout=30)
        for each in alive:
            each.kill()
        assert not alive
        # The end of the pipe: nobody holds it any more.
        assert process.stdout.read() == b""


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
def test_a_pool_gives_results_in_order(start):
    with worker_pool(2, start) as pool:
        assert list(pool.map(double, range(5))) == [0, 2, 4, 6, 8]
