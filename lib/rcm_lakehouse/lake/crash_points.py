"""Named points at which a drill may kill the process; without the test-only variable they do nothing.

`RCM_CRASH_AT=P6` ends the process at the first P6, `RCM_CRASH_AT=P6:hos-a.patients` at P6 of that load only. The exit is
`os._exit(137)`: no clean-up, as with `kill -9`.
"""

import os

VARIABLE = "RCM_CRASH_AT"
POINTS = {
    "P0": "the lock is taken",
    "P1": "the start mark is written",
    "P2": "the windows are frozen, not yet written",
    "P3": "the source is open, no row is read",
    "P4": "the source is read and staged",
    "P5": "before the append to bronze",
    "P6": "bronze is committed",
    "P7": "the step is done, its audit row is not written (files: not yet archived)",
    "P8": "quarantine is written, silver is not",
    "P9": "before the MERGE (tombstones are written)",
    "P10": "the MERGE is committed",
    "P11": "between silver of two entities",
    "P12": "gold is staged, not replaced",
    "P13": "gold is replaced",
    "P14": "a checkpoint is due with the next commit",
    "P15": "maintenance of a table",
    "P16": "the finished row of the run",
}


def crash_point(point: str, label: str = "") -> None:
    """End the process here when the drill asks for this point (of this label)."""
    wanted = os.environ.get(VARIABLE)
    if wanted and wanted in (point, f"{point}:{label}"):
        os._exit(137)
