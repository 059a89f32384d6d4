"""A data set as `images.build` leaves it, made of the sample's test images."""

from pathlib import Path

import pytest

from toolkit.params import Images, Params
from toolkit.voc import Tree
from training.study import images


@pytest.fixture(scope="session")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder: nothing is known of where people look but what the images' own tree says."""
    return tmp_path_factory.mktemp("nobody")


@pytest.fixture(scope="session")
def dataset(sample: Tree, settings: Params, nobody: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `source` and `attention`."""
    folder = tmp_path_factory.mktemp("dataset")
    few = settings.model_copy(update={"study": settings.study.model_copy(update={"images": 2, "tested": 3})})
    own = Images(path=str(sample.root), human=str(nobody))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALVOC_STORE", str(folder / "store"))
        images.build(own, few, folder / "source", folder / "attention")
    return folder
