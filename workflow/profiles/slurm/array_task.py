"""Print the command of one task of a job array: `array_task.py SCRIPT TASK`.

Version 2.8 of Snakemake's SLURM plugin starts each task as if it were the array's first and lets
that start the task's own command. A task that fails then deletes the results of the first. The
first itself does not become a job step, so SLURM does not wait until it has saved its state. So
batch.sh takes the command out of the batch script and runs it alone.
"""

import base64
import json
import re
import sys
import zlib
from pathlib import Path

# In a script too long for sbatch's command line, option and value have a line each.
OPTION = r"--slurm-jobstep-array-execs[=\s]'?([A-Za-z0-9+/=]+)'?"


def command(script: str, task: str) -> str:
    """Return the command of a task.

    Args:
        script: batch script as the plugin wrote it: the command of the array's first task, with
            those of the others as a base64 JSON object of compressed commands.
        task: number of the task.
    """
    found = re.search(OPTION, script)
    packed = json.loads(base64.b64decode(found[1])).get(task) if found else None
    if packed is None:
        return re.sub(OPTION, "", script)
    return zlib.decompress(bytes.fromhex(packed)).decode()


if __name__ == "__main__":
    print(command(Path(sys.argv[1]).read_text(), sys.argv[2]))
