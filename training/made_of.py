"""What a run is made of: its params, its data by their hashes, and what each variant changed.

Not the commit or the machine: a stage runs before its commit, and the same inputs make the same page anywhere.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from toolkit import places
from toolkit.params import Params

ABOUT = (
    "The commit and the machine are not here, for the same inputs make the same page anywhere: `salvoc stamp FILE` "
    "makes a copy that names them."
)
CUE_REMOVED = {"all": "of all cues", "given": "of the cues in its images"}


def changes(root: Path, arms: Sequence[str]) -> pd.DataFrame:
    """A row an arm: how many train images its variant changed, how much of them, and where."""
    rows = {}
    for arm in arms:
        about = json.loads((root / places.VARIANTS / arm / "variant.json").read_text())
        rows[arm] = {
            "train images": about["train"],
            "changed": about["changed"],
            "objects lost": about["objects_lost"],
        }
        for part, pixels in about["where"].items():
            rows[arm][f"on {part}"] = f"{pixels / about['pixels']:.0%}" if about["pixels"] else ""
        for of, share in (about["cue_removed"] or {}).items():
            rows[arm][CUE_REMOVED[of]] = f"{share:.0%}" if about["pixels"] else ""
    return pd.DataFrame(rows).T


def settings(params: Params) -> pd.DataFrame:
    """A row a knob of params.yaml that the pipeline reads; the section `study` has another command."""
    return pd.DataFrame({"value": dict(_flat(params.model_dump(mode="json", exclude={"study"})))}).rename_axis("knob")


def _flat(section: Mapping[str, object], above: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in section.items():
        name = f"{above}{key}"
        rows += _flat(value, f"{name}.") if isinstance(value, dict) and value else [(name, json.dumps(value))]
    return rows


def content(root: Path, arms: Sequence[str]) -> pd.DataFrame:
    """A row a folder of images with the hash of its content: the source's, and each arm's variant's."""
    rows = {str(places.SOURCE): json.loads((root / places.SOURCE / "source.json").read_text())["hash"]}
    for arm in arms:
        folder = places.VARIANTS / arm
        rows[str(folder)] = json.loads((root / folder / "variant.json").read_text())["content"]
    return pd.DataFrame({"content": rows}).rename_axis("images")
