"""Judge quarantined rows by today's rules and merge what now passes. `--help` lists the options and exit codes."""

import sys

from rcm_lakehouse.pipeline.replay_door import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
