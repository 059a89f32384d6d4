"""A variant's Croissant description (MLCommons Croissant 1.0), so that dataset tools know what lies where."""

import json
from pathlib import Path

from toolkit.files import write
from toolkit.shards import packed
from toolkit.voc import Tree

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


SHARDS = "A plain tar each, of the {} that differ from the source's; index.parquet says where in it each lies."


def describe(folder: Path, name: str, source: Tree) -> None:
    """Write the `croissant.json` of the variant in `folder`: its sets of files, by their patterns, in shards or not."""
    about = json.loads((source.root / "source.json").read_text())
    text = "The images; those that the rule changed hold PNG data."
    files = [
        *_files(folder, "images", "JPEGImages", "*.jpg", "image/jpeg", text),
        *_files(folder, "annotations", "Annotations", "*.xml", "application/xml", "PASCAL VOC annotations."),
        _set("splits", "ImageSets/Main/*.txt", "text/plain", "The image ids of each split, one a line."),
    ]
    description = f"The `{name}` variant of the {about['source']} source {about['hash'][:12]}, made by salvoc."
    said = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"salvoc-{about['source']}-{name}",
        "description": description,
        "license": about["licence"],
        "version": "1.0.0",
        "distribution": files,
    }
    write(folder / "croissant.json", json.dumps(said, indent=2) + "\n")


def _files(folder: Path, name: str, part: str, pattern: str, kind: str, text: str) -> list[dict[str, object]]:
    """The files of a part of the tree; where they are packed, the shards before them."""
    if not packed(folder / part):
        return [_set(name, f"{part}/{pattern}", kind, text)]
    shards = _set(f"{name}-shards", f"{part}/*.tar", "application/x-tar", SHARDS.format(name))
    return [shards, _set(name, pattern, kind, text) | {"containedIn": {"@id": shards["@id"]}}]


def _set(name: str, pattern: str, kind: str, text: str) -> dict[str, object]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": text,
        "encodingFormat": kind,
        "includes": pattern,
    }
