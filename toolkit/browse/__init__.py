"""Every image with its boxes, attention, saliency, predictions, scores and decision, in FiftyOne.

The dataset is exported as files, so that DVC can track it: the same input gives the same bytes, and its paths are
relative to the repository's root, so that a clone opens it wherever it lies. A field's maps lie in `fields/FIELD/`,
because only then does FiftyOne's importer mend their paths as well as the images'.
"""

import filecmp
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from toolkit import maps, mongod, voc
from toolkit.agreement import TRUTHS
from toolkit.boxes import SHOWN
from toolkit.browse import app
from toolkit.errors import BadInput, Problem
from toolkit.files import digest, png, seed_of, write
from toolkit.metrics import METRICS
from toolkit.voc import Tree

if TYPE_CHECKING:
    import fiftyone

COLOURS = {"human_attention": "#2ca02c", "gaze_attention": "#1f77ff", "saliency": "#ff2020", "ground_truth": "#d97706"}
PATIENCE = 300  # seconds that the App may take to start: it is big, and reads its files from a cold disk
SOURCE = "source"  # what `variant` says of an image that no variant changed


def connect(folder: Path | None = None) -> ModuleType:
    """FiftyOne, connected to FIFTYONE_DATABASE_URI, else to a database in `folder` (none: gone when the process ends).

    A process has one database and the first call decides: what `load` imports after a `build` goes with the process.
    """
    for name, value in {"DO_NOT_TRACK": "true", "DATABASE_VALIDATION": "false"}.items():
        os.environ.setdefault(f"FIFTYONE_{name}", value)
    mongod.start(folder)
    import fiftyone

    logging.getLogger("fiftyone.core.collections").addFilter(_is_no_false_alarm)
    return fiftyone


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    """FiftyOne warns of what might lie in a folder that it exports to; salvoc's are new and empty."""
    return "export will be merged with existing files" not in record.getMessage()


def build(
    source: Tree,
    attention: Path,
    saliency: Path,
    agreement: pd.DataFrame,
    selection: pd.DataFrame,
    predictions: Mapping[str, pd.DataFrame],
    variants: Mapping[str, Tree],
    out: Path,
    *,
    place: Path | None = None,
    root: Path = Path(),
) -> None:
    """Export everything as a FiftyOne dataset into the empty folder `out`.

    `predictions` are each arm's detections, of one seed, `variants` each arm's train images. `place` is where `out`
    will lie in the end, where it is a temporary name; `root` is the repository's root. An image without a map, a score
    or a prediction is shown without it; it is `selected` where it is for any arm.
    """
    fo = connect()
    place = (place or out).absolute()
    stored = {"human_attention": attention / "human", "gaze_attention": attention / "gaze", "saliency": saliency}
    for field in stored:
        (out / "fields" / field).mkdir(parents=True)
    chosen = selection.groupby("id").agg({"selected": "any", "reason": _each_once})
    rows = agreement.merge(chosen, how="left", on="id").sort_values("id")
    changed = [
        (name, tree, image_id)
        for name, tree in variants.items()
        for image_id in rows["id"]
        if _differs(tree.image(image_id), source.image(image_id))
    ]
    scores = [f"{truth}_{metric}" for truth in TRUTHS for metric in METRICS if f"{truth}_{metric}" in agreement]
    shown = {f"prediction_{arm}": found[found["score"] >= SHOWN] for arm, found in predictions.items()}
    found = {field: (frame, frame.groupby("id").indices) for field, frame in shown.items()}

    def samples() -> "Iterator[fiftyone.Sample]":
        for row in rows.to_dict("records"):
            sample = voc_sample(fo, source, row["id"], SOURCE)
            tested = row["split"] not in ("train", "base")
            sample.tags = [row["split"], *(["selected"] if row["selected"] is True else [])]
            for name in (*scores, "selected", "reason"):
                sample[name] = None if pd.isna(row.get(name)) else row[name]
            for field, folder in stored.items():
                sample[field] = _heatmap(fo, sample, folder / f"{row['id']}.png", out, place / "fields" / field)
            for field, (frame, indices) in found.items():
                if tested:
                    sample[field] = _predicted(fo, sample, frame.iloc[indices.get(row["id"], [])])
            yield sample
        for name, tree, image_id in changed:
            sample = voc_sample(fo, tree, image_id, name)
            sample.tags = [f"variant:{name}"]
            yield sample

    dataset = fo.Dataset()
    try:
        _declare(fo, dataset, [*stored], [*found], scores)
        dataset.add_samples(samples(), dynamic=True, num_samples=len(rows) + len(changed), progress=True)
        _arrange(fo, dataset, list(dict.fromkeys(name for name, _, _ in changed)))
        exporter = fo.utils.data.FiftyOneDatasetExporter(str(out), export_media=False, rel_dir=str(root.absolute()))
        dataset.export(dataset_exporter=exporter, progress=False)
    finally:
        dataset.delete()
    _settle(out)


def load(folder: Path, name: str, *, root: Path = Path()) -> "fiftyone.Dataset":
    """Import an export into the project's database; it replaces the dataset that has this name."""
    if not (folder / "samples.json").is_file():
        raise BadInput(Problem(str(folder), "is not an export for FiftyOne", "run `dvc repro` or `dvc pull`"))
    fo = connect(Path(os.environ.get("FIFTYONE_DATABASE_DIR", root / ".salvoc" / "fiftyone")))
    return fo.Dataset.from_dir(
        str(folder),
        fo.types.FiftyOneDataset,
        name=name,
        overwrite=True,
        persistent=True,
        rel_dir=str(root.absolute()),
        progress=True,
    )


def open_app(dataset: "fiftyone.Dataset", port: int) -> tuple[str, subprocess.Popen[bytes]]:
    """Serve the App on 127.0.0.1; the dataset's address and the process, once it answers. It ends with this one.

    The port's first page leads to the dataset, too. It opens no browser. FiftyOne's own `launch_app` would join
    whatever App answers on the port, with another database behind it, and gives up on a busy machine.
    """
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise BadInput(Problem(f"port {port}", f"cannot be used ({error.strerror})", "choose another port")) from None
    command = [sys.executable, "-m", "toolkit.browse.app", dataset.name, str(port)]
    server = mongod.bound(command, "KILL")  # politely, it waits half a minute for its database
    if not mongod.answers(server, port, PATIENCE):
        raise RuntimeError(f"the App's server does not answer (exit status {server.poll()}): {' '.join(command)}")
    return app.address(dataset.name, port), server


def voc_sample(fo: ModuleType, tree: Tree, image_id: str, variant: str) -> "fiftyone.Sample":
    """An image of a VOC tree and its objects."""
    path = tree.image(image_id)
    with Image.open(path) as image:
        width, height = image.size
        bands = len(image.getbands())
    size = path.stat().st_size
    objects = [
        fo.Detection(
            label=o.name, bounding_box=_relative(o.box, width, height), difficult=o.difficult, truncated=o.truncated
        )
        for o in voc.read(tree.annotation(image_id)).objects
    ]
    return fo.Sample(
        filepath=str(path.absolute()),
        metadata=fo.ImageMetadata(
            size_bytes=size, mime_type="image/jpeg", width=width, height=height, num_channels=bands
        ),
        variant=variant,
        ground_truth=fo.Detections(detections=objects),
    )


def _predicted(fo: ModuleType, sample: "fiftyone.Sample", rows: pd.DataFrame) -> "fiftyone.Detections":
    size = sample.metadata.width, sample.metadata.height
    rows = rows[["label", "score", "x0", "y0", "x1", "y1"]].sort_values("score", ascending=False, kind="stable")
    return fo.Detections(
        detections=[
            fo.Detection(label=label, bounding_box=_relative(box, *size), confidence=score)
            for label, score, *box in rows.to_numpy().tolist()
        ]
    )


def _heatmap(
    fo: ModuleType, sample: "fiftyone.Sample", stored: Path, out: Path, place: Path
) -> "fiftyone.Heatmap | None":
    """The stored map at the image's size and in 8 bits, which is what the App draws."""
    if not stored.exists():
        return None
    heatmap = maps.scale(maps.load(stored), sample.metadata.height, sample.metadata.width)
    write(out / "fields" / place.name / stored.name, png(np.rint(255 * heatmap).astype(np.uint8)))
    return fo.Heatmap(map_path=str(place / stored.name))


def _each_once(reasons: pd.Series) -> str:
    """The reasons of all arms, of which most have the same."""
    return "; ".join(reasons.unique())


def _relative(box: Sequence[float], width: int, height: int) -> list[float]:
    """FiftyOne's box: left, top, width and height as shares of the image's."""
    x0, y0, x1, y1 = box
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]


def _differs(variant: Path, source: Path) -> bool:
    """Whether a variant has its own version of an image; most are links to the source's, which need no reading."""
    return variant.exists() and not variant.samefile(source) and not filecmp.cmp(variant, source, shallow=False)


def _declare(
    fo: ModuleType, dataset: "fiftyone.Dataset", heatmaps: list[str], predictions: list[str], scores: list[str]
) -> None:
    """The fields there are, in the order of the App's sidebar, whether or not an image has them."""
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    for field in heatmaps:
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Heatmap)
    for field in predictions:
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    dataset.add_sample_field("variant", fo.StringField)
    dataset.add_sample_field("selected", fo.BooleanField)
    dataset.add_sample_field("reason", fo.StringField)
    for field in scores:
        dataset.add_sample_field(field, fo.FloatField)


def _arrange(fo: ModuleType, dataset: "fiftyone.Dataset", variants: list[str]) -> None:
    """What the App shows when it opens, and the views in its list."""
    dataset.app_config.active_fields = fo.ActiveFields(paths=list(COLOURS))
    dataset.app_config.color_scheme = fo.ColorScheme(
        color_by="field", fields=[{"path": field, "fieldColor": colour} for field, colour in COLOURS.items()]
    )
    dataset.save()
    source = dataset.match(fo.ViewField("variant") == SOURCE)
    dataset.save_view("source", source)
    dataset.save_view("selected", source.match(fo.ViewField("selected")))
    for truth in TRUTHS:
        view = source.exists(f"{truth}_iou").sort_by(f"{truth}_iou")
        dataset.save_view(f"worst agreement, {truth}", view)
    for name in variants:
        dataset.save_view(f"variant {name}", dataset.match(fo.ViewField("variant") == name))


def _settle(out: Path) -> None:
    """Take chance and clock out of what FiftyOne wrote, so that the same input gives the same bytes."""
    import fiftyone.core.odm as foo

    path = str(out / "samples.json")
    samples, _ = foo.import_collection(path, key="samples")
    foo.export_collection(map(_settled_sample, samples), f"{path}.partial.json", key="samples", progress=False)
    Path(f"{path}.partial.json").replace(path)
    path = str(out / "metadata.json")
    metadata = _settled(foo.import_document(path), "dataset")
    fields = metadata["sample_fields"]
    own = [field["name"] for field in fields].index("ground_truth")  # those before it come in the order of a set
    metadata["sample_fields"] = [*sorted(fields[:own], key=itemgetter("name")), *fields[own:]]
    foo.export_document(metadata | dict.fromkeys(("name", "slug", "sample_collection_name"), "salvoc"), path)


def _settled_sample(sample: dict[str, Any]) -> dict[str, Any]:
    path = sample["filepath"]
    return _settled(sample, path) | {
        "_rand": 0.999 + 0.001 * seed_of(path) / 16**15
    }  # the range that FiftyOne draws from


def _settled(value: Any, *path: object) -> Any:
    """The value with each id made of the path that leads to it, and each time 1970."""
    from bson import ObjectId

    match value:
        case dict():
            return {key: _settled(part, *path, key) for key, part in value.items()}
        case list():
            return [_settled(part, *path, index) for index, part in enumerate(value)]
        case ObjectId():
            return ObjectId(digest(*path)[:24])
        case datetime():
            return datetime.fromtimestamp(0, UTC)
    return value
