"""OPTIMIZE and VACUUM of the lakehouse's tables. `--help` lists the options and exit codes."""

import sys

from rcm_lakehouse.pipeline.maintenance_door import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
