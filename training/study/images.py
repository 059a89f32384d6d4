"""The images that detectors are compared with people on: any folder of them, as a VOC tree with one split, and gaze."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from toolkit import voc
from toolkit.attention import build as build_attention
from toolkit.attention import is_empty
from toolkit.attention.human import ids_of
from toolkit.errors import BadInput, Problem
from toolkit.files import copy, seed_of
from toolkit.params import Images, Params
from toolkit.sources import folder
from toolkit.voc import Annotation, Tree

SPLIT = "test"
SUFFIXES = (".jpg", ".jpeg", ".png")


def build(images: Images, params: Params, out: Path, attention: Path) -> None:
    """Write a data set's images into `out` as a VOC tree of one split, and where people look into `attention`.

    As many as are looked at or tested at most, drawn by their ids alone, of those whose attention is known where any
    is. An image that nobody has annotated gets an annotation without objects. Raises `BadInput` where nothing is left.
    """
    root = Path(images.path).expanduser()
    human = Path(images.human or params.attention.human).expanduser()
    files = _listed(Tree(root), images.split) or _found(root)
    seen = files if is_empty(human) else ids_of(human)
    chosen = drawn([i for i in files if i in seen], max(params.study.images, params.study.tested))
    if not chosen:
        fault = f"has no image that {human} knows" if files else "has no image"
        raise BadInput(Problem(str(root), fault, "mend study.datasets: `path` holds images, `human` is of the same"))
    tree = Tree(out)
    for image_id in chosen:
        _put(Tree(root), image_id, files[image_id], tree)
    voc.write_ids(tree.split(SPLIT), chosen)
    _, problems = folder.check(tree, {SPLIT: SPLIT}, params.data.classes)
    if problems:
        raise BadInput(problems)
    build_attention(tree, params.attention.predictor, human, attention)


def drawn(ids: Iterable[str], count: int) -> list[str]:
    """So many of the ids at most, sorted; fewer are some of more."""
    return sorted(sorted(ids, key=lambda image_id: seed_of("study", image_id))[:count])


def _listed(tree: Tree, split: str) -> dict[str, Path]:
    """The files of a VOC tree's split by id; all that it has where it has no such split, none where it is no tree."""
    if not tree.image("").parent.is_dir():
        return {}
    if tree.split(split).exists():
        return {image_id: tree.image(image_id) for image_id in tree.ids(split) if voc.safe_id(image_id)}
    return _found(tree.image("").parent)


def _found(root: Path) -> dict[str, Path]:
    """Every image below a folder by its name without the ending; raises `BadInput` where two have the same."""
    if not root.is_dir():
        raise BadInput(
            Problem(
                str(root), "is not a folder", "mend `path` in study.datasets; `salvoc download` fetches public ones"
            )
        )
    files: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and voc.safe_id(path.stem):
            files[path.stem].append(path)
    twice = [
        Problem(" and ".join(map(str, same)), "have one name, which is the image's id", "rename or move all but one")
        for same in files.values()
        if len(same) > 1
    ]
    if twice:
        raise BadInput(twice)
    return {image_id: path for image_id, (path,) in files.items()}


def _put(source: Tree, image_id: str, file: Path, tree: Tree) -> None:
    """One image with what is known of it, copied into a tree."""
    copy(file, tree.image(image_id))
    if source.annotation(image_id).is_file():
        copy(source.annotation(image_id), tree.annotation(image_id))
    else:
        try:
            with Image.open(file) as image:
                width, height = image.size
        except OSError as error:
            raise BadInput(Problem(str(file), f"is no image ({error})", "remove or replace it")) from None
        tree.annotation(image_id).parent.mkdir(parents=True, exist_ok=True)
        tree.annotation(image_id).write_bytes(voc.render(Annotation(f"{image_id}.jpg", width, height, ())))
    if source.attention(image_id).is_file():
        copy(source.attention(image_id), tree.attention(image_id))
