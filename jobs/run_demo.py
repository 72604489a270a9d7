"""The whole demo in one Spark process: two hospitals made, loaded, changed and loaded again. `make demo` runs it.

Each load is what a bare `spark-submit jobs/run_pipeline.py` does; one process spares the second start of Spark.
"""

import argparse
import sys
from collections.abc import Sequence

from rcm_lakehouse.demo.__main__ import main as make
from rcm_lakehouse.demo.making import SIZES
from rcm_lakehouse.pipeline.door import main as run_pipeline


def main(arguments: Sequence[str]) -> int:
    """Both days; the exit code is that of the first command that does not end well."""
    options = argparse.ArgumentParser(prog="run_demo.py", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--size", choices=tuple(SIZES), default="small", help="small: 5,000 transactions; base: 50,000")
    size = options.parse_args(arguments).size
    for day in ("1", "2"):
        code = make(["make", "--day", day, "--size", size]) or run_pipeline([])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
