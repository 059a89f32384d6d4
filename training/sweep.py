"""A grid of params, each combination a DVC experiment, and all of them as one table and one plot: `salvoc sweep`.

DVC makes what a combination changes and takes all else from its cache; a combination that is done is not run again, and
what a killed one had finished lies in the stores.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from dvc.api import DVCFileSystem
from dvc.repo import Repo
from pydantic import ValidationError

from toolkit import pictures, places
from toolkit.errors import BadInput, Problem
from toolkit.files import write
from toolkit.params import Params, merged
from training.headings import glance, headings
from training.tables import REFERENCE, differences, first_seed, stored_scores, values

Combination = Mapping[str, Any]  # params by their dotted names
LESS, CUE_REMOVED = "less none: ", "of all cues"  # columns' names
BRACKETS = "Brackets are 95 % bootstrap intervals over the test images, of the first seed: they do not cover the seed."
EXAMPLE = "aug.threshold=0.05,0.1 aug.erase_percent=2.5,10"


def grid(asked: Sequence[str]) -> list[Combination]:
    """Every combination of `NAME=VALUE,VALUE,...`, the last name's values varying fastest; values are YAML."""
    lists: dict[str, list[Any]] = {}
    for text in asked:
        name, _, listed = text.partition("=")
        if name in lists:
            raise BadInput(Problem(text, f"names {name} again", "write all its values behind one =, with commas"))
        try:
            lists[name] = yaml.safe_load(f"[{listed}]")
        except yaml.MarkedYAMLError as error:
            raise BadInput(
                Problem(text, f"is no list of values ({error.problem})", f"write it as in {EXAMPLE}")
            ) from None
        if not lists[name]:
            raise BadInput(Problem(text, "has no values", f"write it as in {EXAMPLE}"))
    return [dict(zip(lists, chosen, strict=True)) for chosen in product(*lists.values())]


def changed(params: Params, combination: Combination) -> Params:
    """The params with a combination's values; raises `BadInput` for a name or a value that params do not know."""
    known = params.model_dump()
    for name, value in combination.items():
        nested: Any = value
        for key in reversed(name.split(".")):
            nested = {key: nested}
        known = merged(known, nested)
    try:
        return Params.model_validate(known)
    except ValidationError as error:
        raise BadInput(
            Problem(".".join(map(str, e["loc"])), f"{e['msg']} (it is {e['input']!r})", "see params.yaml")
            for e in error.errors()
        ) from None


def build(params: Params, asked: Sequence[str], arms: Sequence[str], out: Path) -> str:
    """Run what is missing of the grid; `sweep.csv`, `sweep.md`, `sweep.png` into `out`; returns the table as text."""
    combinations = grid(asked)
    for combination in combinations:
        changed(params, combination)
    names = {named(combination, arms): combination for combination in combinations}
    for number, (name, combination) in enumerate(names.items(), start=1):
        if name not in done():
            print(f"{number} of {len(names)}: {told(combination)}", flush=True)
            run(name, combination, arms)
    revisions, swept = done(), list(combinations[0])
    table = once(pd.concat([rows(revisions[name], own, arms) for name, own in names.items()], ignore_index=True), swept)
    write(out / "sweep.csv", table.to_csv(index=False, float_format="%.4f"))
    text = f"{markdown(table, swept)}\n\n{BRACKETS}"
    write(out / "sweep.md", f"# {' '.join(asked)}\n\n{text}\n")
    titles = {CUE_REMOVED: "share of all cues erased"} | {name: str(headings()[name]) for name in glance(table.columns)}
    pictures.swept(table, swept, {name: title for name, title in titles.items() if name in table}, out / "sweep.png")
    return text


def named(combination: Combination, arms: Sequence[str]) -> str:
    """An experiment's name: of what it is run on (the commit, and what differs from it) and of its params."""
    state = "".join(_git(*command) for command in (["rev-parse", "HEAD"], ["diff", "HEAD", "--", ".", ":!reports"]))
    key = hashlib.sha256(json.dumps([state, dict(combination), list(arms)]).encode()).hexdigest()
    return f"sweep-{key[:10]}"


def done() -> dict[str, str]:
    """The revisions of the experiments on this commit, by name."""
    with Repo() as repository:
        return {name: revision for known in repository.experiments.ls().values() for name, revision in known}


def run(name: str, combination: Combination, arms: Sequence[str]) -> None:
    """One experiment in a checkout of its own, up to the scores of these arms."""
    settings = [part for key, value in combination.items() for part in ("-S", f"{key}={json.dumps(value)}")]
    targets = [f"score@{arm}" for arm in arms]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", name, *settings, *targets]
    if subprocess.run(command, check=False).returncode:
        fault = "did not run to its end (see above)"
        raise BadInput(Problem(told(combination), fault, "the same command goes on from here once that is mended"))


def told(combination: Combination) -> str:
    """`aug.threshold=0.05 aug.erase_percent=10`."""
    return " ".join(f"{name}={json.dumps(value)}" for name, value in combination.items())


def rows(revision: str, combination: Combination, arms: Sequence[str]) -> pd.DataFrame:
    """A row an arm of one experiment: its combination, what its variant changed, and its scores.

    A score `M` has columns `M`, `M lo`, `M hi`; with `less none: ` before these, its difference to the arm `none`.
    """
    files = DVCFileSystem(rev=revision)
    images, scores = {}, {}
    for arm in arms:
        with files.open(places.SCORES / arm / "images.parquet") as table:
            images[arm] = first_seed(table)
        with files.open(places.SCORES / arm / "resamples.parquet") as table:
            scores[arm] = stored_scores(table, images[arm])
    found = {}
    for arm in arms:
        about = json.loads(files.read_text(places.VARIANTS / arm / "variant.json"))
        found[arm] = dict(combination) | {"arm": arm, "changed": about["changed"], "pixels": about["pixels"]}
        if about["cue_removed"]:
            found[arm][CUE_REMOVED] = about["cue_removed"]["all"]
    for prefix, table in (("", values(scores)), (LESS, differences(scores, images))):
        for row in table.to_dict("records"):
            name = f"{prefix}{row['metric']}"
            found[row["arm"]] |= {name: row["value"], f"{name} lo": row["lo"], f"{name} hi": row["hi"]}
    as_typed = dict.fromkeys(combination, object)  # 1 stays 1 beside 0.1
    return pd.DataFrame(list(found.values())).astype(as_typed)


def once(table: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """The table with one row, `any`, for an arm that no combination changed."""
    plain = table.astype(dict.fromkeys(swept, object))
    alike = [arm for arm, own in plain.groupby("arm") if len(own.drop(columns=list(swept)).drop_duplicates()) == 1]
    first = plain["arm"].isin(alike) & ~plain["arm"].duplicated()
    plain.loc[first, list(swept)] = "any"
    return pd.concat([plain[first], plain[~plain["arm"].isin(alike)]], ignore_index=True)


def markdown(table: pd.DataFrame, swept: Sequence[str]) -> str:
    """The table as a person reads it: the scores with their intervals, then what `none` lets one compare."""
    shown = table[[*swept, "arm", "changed", "pixels"]].rename(columns={"changed": "images changed"})
    if CUE_REMOVED in table:
        shown["of all cues"] = table[CUE_REMOVED].map("{:.1%}".format)
    for name in glance(table.columns):
        shown[str(headings()[name])] = _cells(table, name, ".3f")
    for name in ("detection.map50", "cue.reliance", "cue.log_odds"):
        if f"{LESS}{name}" in table:
            shown[f"{headings()[name].title}, less `{REFERENCE}`"] = _cells(table, f"{LESS}{name}", "+.3f")
    return shown.to_markdown(index=False, disable_numparse=True)


def _cells(table: pd.DataFrame, name: str, form: str) -> list[str]:
    known = table[[name, f"{name} lo", f"{name} hi"]].to_numpy(float)
    return ["" if np.isnan(value) else f"{value:{form}} [{lo:{form}}, {hi:{form}}]" for value, lo, hi in known]


def _git(*command: str) -> str:
    return subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout
