"""What is measured on a GPU, how far it is from what the machine could do, and the page that says so."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.limits import Work
from benchmarks.timing import rounded

SHOWN = {"FLOP/s": (1e12, "TFLOP/s"), "B/s": (1e9, "GB/s")}  # the machine's speeds: how their units are shown
MEMORY = "memory"  # the speed that bytes are moved at; all other speeds are arithmetic's, by what computes


@dataclass(frozen=True)
class Figure:
    """A measured value, the goal it has, and of a stage the work that an image asks for."""

    what: str
    value: float
    unit: str  # of a stage `images/s` or `s an image`, of one of the machine's speeds `FLOP/s` or `B/s`
    at_least: float | None = None
    at_most: float | None = None
    flop: float = 0
    moved: float = 0  # bytes
    by: str = ""  # the speed: of a stage the one that its arithmetic has
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def seconds(self) -> float:
        """Of a stage, for an image."""
        return 1 / self.value if self.unit == "images/s" else self.value


def stage(what: str, seconds: float, work: Work, by: str, images: int = 1, **more: Any) -> Figure:
    """A stage's rate, from the seconds and the work of some images together."""
    return Figure(what, images / seconds, "images/s", flop=work.flop / images, moved=work.moved / images, by=by, **more)


def limit(figure: Figure, speeds: Mapping[str, float]) -> tuple[float, str] | None:
    """The seconds that the machine needs for a stage's image at least, and what it then waits for, if they are known.

    That is the arithmetic at the speed of a large product of matrices, or the bytes at that of a copy, whichever takes
    longer. The bytes are those of operations one by one: whoever joins several is not bound by it.
    """
    if not figure.flop or figure.by not in speeds:
        return None
    bounds = [(figure.flop / speeds[figure.by], figure.by)]
    if figure.moved and MEMORY in speeds:
        bounds.append((figure.moved / speeds[MEMORY], MEMORY))
    return max(bounds)


@dataclass(frozen=True)
class Part:
    """What a part of the benchmark found, and how long it took of how long it may; `error`: why it found no more."""

    name: str
    budget: int  # seconds
    seconds: float
    figures: Sequence[Figure]
    error: str = ""


def told(machine: Mapping[str, object], parts: Sequence[Part], extrapolated: Sequence[Figure]) -> dict[str, Any]:
    """All that there is to say, for JSON; `extrapolated`: what was computed from the parts' figures."""
    speeds = _speeds(parts)

    def whole(figures: Sequence[Figure]) -> list[dict[str, Any]]:
        return [asdict(figure) | {"met": figure.met} | _reached(figure, speeds) for figure in figures]

    each = [asdict(part) | {"figures": whole(part.figures)} for part in parts]
    return {"benchmark": "gpu", "machine": machine, "parts": each, "extrapolated": whole(extrapolated)}


def _speeds(parts: Sequence[Part]) -> dict[str, float]:
    """The machine's own speeds, FLOP/s or bytes/s, by what computes."""
    return {figure.by: figure.value for part in parts for figure in part.figures if figure.unit in SHOWN}


def _reached(figure: Figure, speeds: Mapping[str, float]) -> dict[str, Any]:
    bound = limit(figure, speeds)
    if bound is None:
        return {}
    seconds, waits_for = bound
    return {"limit_s": rounded(seconds), "of_limit": rounded(seconds / figure.seconds), "bound_by": waits_for}


def page(machine: Mapping[str, object], parts: Sequence[Part], extrapolated: Sequence[Figure]) -> str:
    """The same as a page of Markdown."""
    speeds, measured = _speeds(parts), [figure for part in parts for figure in part.figures]
    rows = [_row(figure, _reached(figure, speeds)) for figure in (*measured, *extrapolated)]
    kept = [[part.name, f"{part.seconds:.0f}", f"{part.budget}", part.error or "none"] for part in parts]
    lines = [
        "# One GPU",
        "",
        "`python -m benchmarks.gpu` on " + ", ".join(f"{k} {v}" for k, v in machine.items()) + ".",
    ]
    lines += ["", *_table(["", "measured", "", "goal", "met", "GFLOP", "limit", "of the limit", "bound by", ""], rows)]
    lines += ["", *_table(["part", "s", "of at most", "error"], kept)]
    return "\n".join(lines) + "\n"


def _row(figure: Figure, reached: Mapping[str, Any]) -> list[str]:
    scale, unit = SHOWN.get(figure.unit, (1, figure.unit))
    goals = {"at least": figure.at_least, "at most": figure.at_most}
    goal = "".join(f"{side} {value:g}" for side, value in goals.items() if value is not None)
    met = {True: "yes", False: "**no**", None: ""}[figure.met]
    row = [figure.what, f"{rounded(figure.value / scale):g}", unit, goal, met]
    if not reached:
        return [*row, "", "", "", "", figure.note]
    best = 1 / reached["limit_s"] if figure.unit == "images/s" else reached["limit_s"]
    gflop, share = rounded(figure.flop / 1e9), rounded(100 * reached["of_limit"])
    return [*row, f"{gflop:g}", f"{rounded(best):g}", f"{share:g} %", reached["bound_by"], figure.note]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
