"""An export whose bytes depend on what it shows alone: chance and clock are taken out of what FiftyOne writes."""

from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from toolkit.browse.samples import made_id
from toolkit.files import seed_of


def settle(out: Path) -> None:
    """Take chance and clock out of what FiftyOne wrote, so that the same input gives the same bytes."""
    import fiftyone.core.odm as foo

    path = str(out / "samples.json")
    samples, _ = foo.import_collection(path, key="samples")
    foo.export_collection(map(_settled_sample, samples), f"{path}.partial.json", key="samples", progress=False)
    Path(f"{path}.partial.json").replace(path)
    path = str(out / "metadata.json")
    metadata = _settled(foo.import_document(path), "dataset")
    fields = metadata["sample_fields"]
    own = [field["name"] for field in fields].index("group")  # those before it come in the order of a set
    metadata["sample_fields"] = [*sorted(fields[:own], key=itemgetter("name")), *fields[own:]]
    foo.export_document(metadata | dict.fromkeys(("name", "slug", "sample_collection_name"), "salvoc"), path)


def _settled_sample(sample: dict[str, Any]) -> dict[str, Any]:
    """The sample with an id of its own path's; its labels and its group have theirs already."""
    from bson import ObjectId

    path, then = sample["filepath"], datetime.fromtimestamp(0, UTC)
    return sample | {
        "_id": ObjectId(made_id(path)),
        "_dataset_id": ObjectId(made_id("dataset")),
        "_rand": 0.999 + 0.001 * seed_of(path) / 16**15,  # the range that FiftyOne draws from
        "created_at": then,
        "last_modified_at": then,
    }


def _settled(value: Any, *path: object) -> Any:
    """The value with each id made of the path that leads to it, and each time 1970."""
    from bson import ObjectId

    match value:
        case dict():
            return {key: _settled(part, *path, key) for key, part in value.items()}
        case list():
            return [_settled(part, *path, index) for index, part in enumerate(value)]
        case ObjectId():
            return ObjectId(made_id(*path))
        case datetime():
            return datetime.fromtimestamp(0, UTC)
    return value
