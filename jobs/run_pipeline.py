"""Everything in order: bronze, silver, gold, and the report of the run. `--help` lists the options and exit codes."""

import sys

from rcm_lakehouse.pipeline.door import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
