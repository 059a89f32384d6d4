"""A variant's Croissant description (MLCommons Croissant 1.0), so that dataset tools know what lies where."""

import json

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


def describe(name: str, source: Tree) -> dict[str, object]:
    """The JSON-LD of one variant: its three sets of files, by their patterns."""
    about = json.loads((source.root / "source.json").read_text())
    sets = {
        "images": ("JPEGImages/*.jpg", "image/jpeg", "The images; those that the rule changed hold PNG data."),
        "annotations": ("Annotations/*.xml", "application/xml", "PASCAL VOC annotations."),
        "splits": ("ImageSets/Main/*.txt", "text/plain", "The image ids of each split, one a line."),
    }
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"salvoc-{about['source']}-{name}",
        "description": f"The `{name}` variant of the {about['source']} source {about['hash'][:12]}, made by salvoc.",
        "license": about["licence"],
        "version": "1.0.0",
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": image_id,
                "name": image_id,
                "description": text,
                "encodingFormat": kind,
                "includes": pattern,
            }
            for image_id, (pattern, kind, text) in sets.items()
        ],
    }
