"""What the tests of many images say together: areas under the curves with intervals, and the verdict on the map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from toolkit import bootstrap
from toolkit.bootstrap import Estimate
from toolkit.faithfulness.rivals import INSIDE, MAP, RIVALS
from toolkit.params import Faithfulness

RESAMPLES, SEED = 2000, 1  # of the images
PICTURES = {  # of the stage
    "curves.png": "Is the map true? The object's score as pixels go, and as they come back",
    "maps.png": "Where hiding the map's first pixels costs the detector most (above) and least against its rival",
}
FEW = 20  # images below which nothing is said


def by_image(tests: Sequence[Mapping[str, Any]], settings: Faithfulness) -> pd.DataFrame:
    """A row an image, order, fill and direction: the curve's mean height (`area`) and its points (`at SHARE`)."""
    shares = [0.0, *settings.shares]
    rows = []
    for one in tests:
        for order, fills in one["curves"].items():
            for fill, directions in fills.items():
                for direction, values in directions.items():
                    start = one["score"] if direction == "deletion" else one["gone"][fill]
                    curve = [start, *values]
                    named = {f"at {share:g}": value for share, value in zip(shares, curve, strict=True)}
                    row = {"id": one["id"], "order": order, "fill": fill, "direction": direction}
                    rows.append(row | {"area": area(shares, curve)} | named)
    return pd.DataFrame(rows)


def area(shares: Sequence[float], values: Sequence[float]) -> float:
    """The mean height of a curve between its first and its last share; `shares` ascending, a value each."""
    return float(np.trapezoid(values, shares) / (shares[-1] - shares[0]))


def areas(curves: pd.DataFrame, direction: str, fill: str | None = None) -> pd.DataFrame:
    """The areas by image (rows) and order (columns), of one fill or the mean of all."""
    chosen = curves[(curves["direction"] == direction) & ((curves["fill"] == fill) | (fill is None))]
    table = chosen.pivot_table(index="id", columns="order", values="area", aggfunc="mean")
    return table[list(dict.fromkeys(chosen["order"]))]


def summary(curves: pd.DataFrame, rival: str = INSIDE) -> pd.DataFrame:
    """A row an order and direction: its mean area and interval, and its difference to the rival's in pairs."""
    rows = []
    for direction in ("deletion", "insertion"):
        for fill in (None, *dict.fromkeys(curves["fill"])):
            table = areas(curves, direction, fill)
            for order in table:
                value, gap = estimate(table[order]), estimate(table[order] - table[rival])
                row = {"order": order, "direction": direction, "fill": fill or "all", "images": len(table)}
                row |= {"area": value.value, "lo": value.lo, "hi": value.hi}
                rows.append(row | {"difference": gap.value, "difference_lo": gap.lo, "difference_hi": gap.hi})
    return pd.DataFrame(rows)


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """A `summary` of all fills, a row an order: deletion's columns, and insertion's with `shown_` before them."""
    whole = table[table["fill"] == "all"].set_index("order").drop(columns=["fill"])
    hidden, shown = (whole[whole["direction"] == name].drop(columns="direction") for name in ("deletion", "insertion"))
    return hidden.join(shown.drop(columns="images").add_prefix("shown_"))


def as_read(table: pd.DataFrame) -> pd.DataFrame:
    """A `summary` as people read it: a row an order, areas and their differences to the rival's as text."""
    table = side_by_side(table)

    def cells(name: str, *ends: str, sign: str = "") -> list[str]:
        return [Estimate(*row).told(sign) for row in table[[name, *ends]].to_numpy()]

    gap = ("difference", "difference_lo", "difference_hi")
    columns = {
        "deletion ↓": cells("area", "lo", "hi"),
        f"less `{INSIDE}`": cells(*gap, sign="+"),
        "insertion ↑": cells("shown_area", "shown_lo", "shown_hi"),
        f"less `{INSIDE}`, insertion": cells(*(f"shown_{name}" for name in gap), sign="+"),
    }
    return pd.DataFrame(columns, index=table.index.rename(f"order ({table['images'].max()} images)"))


def estimate(values: pd.Series) -> Estimate:
    """The mean over images and its 95 % interval."""
    return bootstrap.mean(values.to_numpy(np.float64), RESAMPLES, SEED)


@dataclass(frozen=True)
class Verdict:
    """Whether a map beats random blobs inside the box, and by how much; differences as `summary` has them."""

    method: str
    layer: str
    images: int  # that were tested, the others had no object that the detector finds
    drawn: int
    deletion: Estimate  # the map's area less the rival's: below 0 where hiding its pixels costs the detector more
    insertion: Estimate  # above 0 where its pixels alone bring back more
    area: float  # of the map's deletion
    rival: float
    shown: float  # the largest share that was hidden
    kept: Estimate  # the correlation of the map with that of the detector with all its weights shuffled
    inside: Estimate  # the share of the map's sum inside the object's box
    box: Estimate  # the box's share of the image
    ahead: tuple[str, ...]  # other rivals whose deletion is clearly below the map's

    @property
    def true(self) -> bool | None:
        """True or false where the deletion's interval leaves out 0; None where it does not, or images are too few."""
        if self.images < FEW or not (self.deletion.hi < 0 or self.deletion.lo > 0):
            return None
        return self.deletion.hi < 0

    def __str__(self) -> str:
        """A paragraph for the report."""
        if not self.images:
            return f"Is the map true? Not tested: the detector finds no object in any of {self.drawn} test images."
        answer = {
            True: "Yes.",
            False: "No: what is selected or erased by it means little.",
            None: "This run cannot tell, so that what is selected or erased by it may mean little.",
        }[self.true]
        if self.images < FEW:
            answer = f"{self.images} images are too few to tell."
        ahead = "".join(
            f" Hiding pixels {RIVALS[name].about} costs it clearly more than the map." for name in self.ahead
        )
        more, less = self.deletion.hi < 0, self.deletion.lo > 0
        found = "more than" if more else "less than" if less else "neither clearly more nor clearly less than"
        return (
            f"Is the map true? {answer} Hiding the pixels that `{self.method}` of `{self.layer}` ranks first "
            f"costs the detector {found} hiding random blobs inside the object's box: of the object's score is left, "
            f"on average over the first {self.shown:.0%} of the pixels, {self.area:.3f} against {self.rival:.3f} "
            f"(difference {self.deletion.told('+')}, over the {self.images} of {self.drawn} test images in which an "
            f"object is found).{ahead} Where these pixels alone are shown, the difference is "
            f"{self.insertion.told('+')} (more is better there). {self.inside.value:.0%} of the map lies inside the "
            f"object's box, which is {self.box.value:.0%} of the image. With all the detector's weights shuffled, the "
            f"map's correlation with itself is {self.kept.told()}: near 1 it would show edges, whatever the detector "
            f"had learned."
        )


def verdict(
    tests: Sequence[Mapping[str, Any]],
    curves: pd.DataFrame,
    settings: Faithfulness,
    method: str,
    layer: str,
    drawn: int,
) -> Verdict:
    """The verdict on a method's map, from the tests of the images and their curves (`by_image`)."""
    nothing = Estimate(np.nan, np.nan, np.nan)
    if not tests:
        return Verdict(method, layer, 0, drawn, nothing, nothing, np.nan, np.nan, 0, nothing, nothing, nothing, ())
    hidden, shown = areas(curves, "deletion"), areas(curves, "insertion")
    deepest = max(tests[0]["kept"], key=float)
    return Verdict(
        method,
        layer,
        len(tests),
        drawn,
        deletion=estimate(hidden[MAP] - hidden[INSIDE]),
        insertion=estimate(shown[MAP] - shown[INSIDE]),
        area=float(hidden[MAP].mean()),
        rival=float(hidden[INSIDE].mean()),
        shown=settings.shares[-1],
        kept=estimate(pd.Series([one["kept"][deepest] for one in tests])),
        inside=estimate(pd.Series([one["inside"] for one in tests])),
        box=estimate(pd.Series([one["box"] for one in tests])),
        ahead=tuple(
            name for name in RIVALS if name in hidden and name != INSIDE and estimate(hidden[name] - hidden[MAP]).hi < 0
        ),
    )
