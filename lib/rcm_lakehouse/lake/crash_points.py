"""Named points at which a drill may kill the process; without the test-only variable they do nothing.

`RCM_CRASH_AT=P6` ends the process at the first P6, `RCM_CRASH_AT=P6:hos-a.patients` at P6 of that load only. The exit is
`os._exit(137)`: no clean-up, as with `kill -9`.
"""

import os

VARIABLE = "RCM_CRASH_AT"
POINTS = tuple(f"P{number}" for number in range(17))


def crash_point(point: str, label: str = "") -> None:
    """End the process here when the drill asks for this point (of this label)."""
    wanted = os.environ.get(VARIABLE)
    if wanted and wanted in (point, f"{point}:{label}"):
        os._exit(137)
