"""A source's hash: of all of its files, and never of a list of them all."""

from pathlib import Path

from tests.toolkit.sources.conftest import CLASSES, SPLITS
from toolkit import sources
from toolkit.files import digest, sha256
from toolkit.sources import folder
from toolkit.voc import Tree


def test_it_is_the_digest_of_every_images_hashes_and_of_the_splits(tree: Tree, tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder.build(tree, SPLITS, CLASSES, "stop", out)
    copied = Tree(out)
    files = [
        (image_id, sha256(copied.image(image_id)), sha256(copied.annotation(image_id)), attention, None)
        for image_id in copied.all_ids()
        for known in [copied.attention(image_id)]
        for attention in [sha256(known) if known.exists() else None]
    ]
    assert sources.content(copied) == digest(files, copied.splits())
