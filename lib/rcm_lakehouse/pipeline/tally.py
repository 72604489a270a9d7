"""What became of the source rows of one bronze load in a MERGE."""

from dataclasses import dataclass, field

# (bronze table, load id)
LoadKey = tuple[str, str]


@dataclass
class Tally:
    """Source rows of one bronze load by what became of them."""

    read: int = 0
    quarantined: int = 0
    dropped: int = 0
    withdrawn: int = 0
    fates: dict[str, int] = field(default_factory=dict)

    @property
    def accounted(self) -> int:
        """Rows in one of the places a row may end in."""
        return self.quarantined + self.dropped + self.withdrawn + sum(self.fates.values())
