"""Bad input, told once and whole: every offender, its fault, and the mend."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

SHOWN = 50


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one file (or params key), and what mends it."""

    file: str
    fault: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}: {self.fault} -- {self.mend}"


class BadInput(Exception):
    """Input that salvoc will not work on.

    The command line prints the message and exits with 2.
    """

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = [problems] if isinstance(problems, Problem) else list(problems)
        count = len(self.problems)
        lines = [f"{count} problem{'s' if count != 1 else ''}:"]
        lines += [f"  {problem}" for problem in self.problems[:SHOWN]]
        if count > SHOWN:
            lines.append(f"  ... and {count - SHOWN} more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type["BadInput"], tuple[Sequence[Problem]]]:
        """How it is pickled, for another process: an exception would be made anew of its message."""
        return BadInput, (self.problems,)


def require_known(key: str, what: str, name: str, known: Collection[str]) -> None:
    """Refuse a name that a table lacks; `key` is where it was given, `what` the kind of thing that the table has."""
    if name not in known:
        raise BadInput(Problem(key, f"knows no {what} {name!r}", f"choose one of: {', '.join(known)}"))
