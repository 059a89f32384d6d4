"""PASCAL VOC 2012 from its authors."""

from pathlib import Path

from toolkit.download import fetched, unpack
from toolkit.files import new_folder
from toolkit.voc import Tree

URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
MD5 = "6cd6e144f989b92b3379bac3b3de84fd"
WANTED = {f"VOCdevkit/VOC2012/{folder}/*": folder for folder in ("JPEGImages", "Annotations", "ImageSets/Main")}


def fetch(cache: Path, url: str = URL, md5: str = MD5) -> Tree:
    """The VOC 2012 tree inside `cache`; what is there already is not downloaded or unpacked again.

    An archive that somebody put into `cache` under its own name is used in place of a download; once the tree is there,
    the archive may be deleted. Raises `BadInput` where the network fails or the archive is not the one with that `md5`.
    """
    tree = Tree(cache / "VOC2012")
    if not tree.root.is_dir():  # it gets this name only when it is whole
        archive = fetched(url, md5, cache)
        with new_folder(tree.root) as unpacked:
            unpack(archive, WANTED, unpacked)
    return tree
