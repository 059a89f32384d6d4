"""PASCAL VOC in and out: the only place that knows its XML and its 1-based, inclusive pixels.

Inside salvoc a box is (x0, y0, x1, y1) in pixels, 0-based and half-open: VOC's xmin=1, xmax=10 is x0=0, x1=10.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from toolkit import shards
from toolkit.errors import BadInput, Problem

Box = tuple[float, float, float, float]

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_OF_COCO = {  # VOC's names of COCO's categories, where they differ
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "dining table": "diningtable",
    "potted plant": "pottedplant",
    "couch": "sofa",
    "tv": "tvmonitor",
}
MAX_DEPTH = 50  # of elements in elements; VOC's own lie five deep, and writers of XML call themselves at each level
MAX_IDS = 100_000_000  # bytes of an ImageSets file: several million ids
_SAFE_ID = re.compile(r"(?!\.)[\w.\- ]+")


def voc_name(category: str) -> str:
    """VOC's name of a category of COCO; its own where VOC has none."""
    return _OF_COCO.get(category, category)


@dataclass(frozen=True)
class Object:
    """One annotated object."""

    name: str
    box: Box
    difficult: bool = False
    truncated: bool = False


@dataclass(frozen=True)
class Annotation:
    """What one VOC XML file says of its image."""

    filename: str
    width: int
    height: int
    objects: tuple[Object, ...]


class Tree:
    """A VOC dataset's folder; the id is the key of everything in it.

    A tree may have only the images and annotations that differ from another's: `beneath` has the rest.
    """

    def __init__(self, root: str | Path, beneath: "Tree | None" = None) -> None:
        self.root, self.beneath = Path(root), beneath

    def image(self, image_id: str) -> Path:
        own = self.root / "JPEGImages" / f"{image_id}.jpg"
        return own if self.beneath is None or shards.exists(own) else self.beneath.image(image_id)

    def annotation(self, image_id: str) -> Path:
        own = self.root / "Annotations" / f"{image_id}.xml"
        return own if self.beneath is None or shards.exists(own) else self.beneath.annotation(image_id)

    def attention(self, image_id: str) -> Path:
        """Where people look, where that is known."""
        return self.root / "Attention" / f"{image_id}.png"

    def mask(self, image_id: str) -> Path:
        """The sample's object and cue pixels."""
        return self.root / "Masks" / f"{image_id}.png"

    def split(self, name: str) -> Path:
        return self.root / "ImageSets" / "Main" / f"{name}.txt"

    def ids(self, split: str) -> list[str]:
        """The ids of a split, in file order."""
        return read_ids(self.split(split))

    def splits(self) -> dict[str, list[str]]:
        """Every split there is, by name."""
        return {path.stem: read_ids(path) for path in sorted((self.root / "ImageSets" / "Main").glob("*.txt"))}

    def all_ids(self) -> list[str]:
        """Every id of every split, once, sorted."""
        return sorted({image_id for ids in self.splits().values() for image_id in ids})


def safe_id(image_id: str) -> bool:
    """Whether an id is a plain file name, so that no path made of it leaves its folder."""
    return _SAFE_ID.fullmatch(image_id) is not None


def read_ids(path: Path) -> list[str]:
    """Read an ImageSets file: the first column of each line (per-class lists carry a second)."""
    try:
        if path.stat().st_size > MAX_IDS:
            raise BadInput(Problem(str(path), f"has more than {MAX_IDS} bytes", "list the split's image ids in it"))
        text = path.read_text("utf-8-sig")  # some editors begin a file with a byte order mark
    except FileNotFoundError:
        raise BadInput(Problem(str(path), "does not exist", "list the split's image ids in it, one a line")) from None
    except UnicodeDecodeError:
        raise BadInput(Problem(str(path), "is not UTF-8 text", "write one image id a line")) from None
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def write_ids(path: Path, ids: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{image_id}\n" for image_id in ids), "utf-8")


def parse(xml: bytes, file: str) -> Annotation:
    """Parse one annotation.

    Raises `BadInput`, naming `file`, where the bytes are no XML, hostile XML or not VOC's.
    """
    mend = "mend or remove the annotation"
    try:
        root = _root(xml)
    except ElementTree.ParseError as error:
        raise BadInput(Problem(file, f"is not XML ({error})", mend)) from None
    except RecursionError as error:
        raise BadInput(Problem(file, f"is XML that salvoc refuses ({error})", mend)) from None
    except (DefusedXmlException, ValueError, LookupError) as error:
        fault = f"is XML that salvoc refuses ({type(error).__name__}: entities and DTDs can attack the reader)"
        raise BadInput(Problem(file, fault, "remove the <!DOCTYPE ...> part")) from None
    try:
        return Annotation(
            filename=_text(root, "filename"),
            width=int(_text(root, "size/width")),
            height=int(_text(root, "size/height")),
            objects=tuple(
                Object(
                    name=_text(node, "name"),
                    box=_box(node),
                    difficult=node.findtext("difficult", "0").strip() == "1",
                    truncated=node.findtext("truncated", "0").strip() == "1",
                )
                for node in root.findall("object")
            ),
        )
    except ValueError as error:
        raise BadInput(Problem(file, f"is not a VOC annotation ({error})", mend)) from None


def read(path: Path) -> Annotation:
    """Read one annotation file; raises `BadInput` as `parse` does."""
    return parse(shards.read(path), str(path))


def render(annotation: Annotation) -> bytes:
    """A new annotation as VOC XML."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{escape(o.name)}</name>\n\t\t<pose>Unspecified</pose>\n"
        f"\t\t<truncated>{o.truncated:d}</truncated>\n\t\t<difficult>{o.difficult:d}</difficult>\n"
        "\t\t<bndbox>\n"
        + "".join(f"\t\t\t<{tag}>{value}</{tag}>\n" for tag, value in _bounds(o.box).items())
        + "\t\t</bndbox>\n\t</object>\n"
        for o in annotation.objects
    )
    return (
        f"<annotation>\n\t<folder>VOC2012</folder>\n\t<filename>{escape(annotation.filename)}</filename>\n"
        f"\t<size>\n\t\t<width>{annotation.width}</width>\n\t\t<height>{annotation.height}</height>\n"
        f"\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
    ).encode()


def with_boxes(xml: bytes, boxes: Sequence[Box | None]) -> bytes:
    """The annotation with its objects' boxes replaced, in order; an object whose box is None is taken out.

    What does not change keeps its bytes: with the boxes that the annotation has, the result equals `xml`.
    """
    if [o.box for o in parse(xml, "annotation").objects] == list(boxes):
        return xml
    root = _root(xml)
    for node, box in zip(root.findall("object"), boxes, strict=True):
        if box is None:
            root.remove(node)
        elif box != _box(node):
            for part in node.findall("part"):  # body parts have boxes of their own, which have not been followed
                node.remove(part)
            for tag, value in _bounds(box).items():
                _node(node, f"bndbox/{tag}").text = value
    return ElementTree.tostring(root, "utf-8")


def _root(xml: bytes) -> ElementTree.Element:
    """The document's element, from an XML that is safe to hold and to write again.

    Raises RecursionError at the first element that lies too deep: what is behind it is not kept.
    """
    depth = 0
    for event, element in defusedxml.ElementTree.iterparse(io.BytesIO(xml), ("start", "end"), forbid_dtd=True):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise RecursionError(f"its elements are nested more than {MAX_DEPTH} deep")
        root: ElementTree.Element = element  # in the end the one that ends last
    return root


def _box(node: ElementTree.Element) -> Box:
    x0, y0, x1, y1 = (float(_text(node, f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return x0 - 1, y0 - 1, x1, y1


def _bounds(box: Box) -> dict[str, str]:
    """VOC's tags for a box; whole numbers are written as such."""
    x0, y0, x1, y1 = box
    return {tag: f"{v:.10g}" for tag, v in zip(("xmin", "ymin", "xmax", "ymax"), (x0 + 1, y0 + 1, x1, y1), strict=True)}


def _node(parent: ElementTree.Element, path: str) -> ElementTree.Element:
    node = parent.find(path)
    if node is None:
        raise ValueError(f"<{path}> is missing")
    return node


def _text(parent: ElementTree.Element, path: str) -> str:
    text = (_node(parent, path).text or "").strip()
    if not text:
        raise ValueError(f"<{path}> is empty")
    return text
