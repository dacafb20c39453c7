"""Second implementations, in an environment of their own: they want older libraries than the project has.

A module beside this one, such as ``gbstats_means``, defines ``answers(questions)`` and imports what it asks. It runs in
that environment, takes a JSON value and returns one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path
from typing import Any

from tests.one_at_a_time import one_at_a_time

HERE = Path(__file__).parent
FOLDER = Path(__file__).parents[2] / ".venv-oracles"
PACKAGES = ("gbstats==0.8.0", "spotify-confidence==4.1.0")
LONGEST_SECONDS = 600
_ASK = """
import importlib, json, sys
json.dump(importlib.import_module(sys.argv[1]).answers(json.load(sys.stdin)), sys.stdout)
"""


def ask(module: str, questions: Any) -> Any:
    """What ``module`` answers; its own failure is the test's."""
    done = subprocess.run(
        [str(_python()), "-W", "ignore", "-c", _ASK, module],
        input=json.dumps(questions),
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout)


@cache
def _python() -> Path:
    """The environment's interpreter, which is made when it is missing or holds something else."""
    python = FOLDER / "bin" / "python"
    wanted = "\n".join((sys.version, *PACKAGES))
    stamp = FOLDER / "installed"
    with one_at_a_time(str(FOLDER)):
        if not stamp.is_file() or stamp.read_text() != wanted:
            venv.create(FOLDER, with_pip=True, clear=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
            subprocess.run(install, check=True, timeout=LONGEST_SECONDS)
            stamp.write_text(wanted)
    return python
