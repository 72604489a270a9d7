"""The monitors of conf/monitor over the lakehouse: tables of findings and a verdict. `--help` lists the options and exit codes."""

import sys

from rcm_lakehouse.pipeline.status_door import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
