"""The whole demo in one Spark process: two hospitals made, loaded, changed and loaded again. `make demo` runs it.

What an earlier demo loaded is removed first; a lakehouse that holds anything else is refused. Each load is what a bare
`spark-submit jobs/run_pipeline.py` does; one process spares the second start of Spark.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rcm_lakehouse.demo.__main__ import main as make
from rcm_lakehouse.demo.making import SIZES
from rcm_lakehouse.lake.clear import main as clear
from rcm_lakehouse.pipeline.door import main as run_pipeline


def main(arguments: Sequence[str]) -> int:
    """Both days; the exit code is that of the first command that does not end well."""
    options = argparse.ArgumentParser(prog="run_demo.py", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--size", choices=tuple(SIZES), default="small", help="small: 5,000 transactions; base: 50,000")
    size = options.parse_args(arguments).size
    # As the other jobs find their project.
    home = os.environ.get("RCM_HOME") or str(Path(__file__).resolve().parent.parent)
    code = clear(["--home", home])
    for day in ("1", "2"):
        code = code or make(["make", "--day", day, "--size", size, "--home", home]) or run_pipeline(["--home", home])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
