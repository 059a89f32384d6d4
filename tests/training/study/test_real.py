"""Every detector there is looks at real photographs with real gaze: random weights, real code paths, whole tables."""

from pathlib import Path

import pytest

from tests.toolkit.detectors.described import OWN
from tests.toolkit.detectors.test_contract import installed
from toolkit import detectors, saliency
from toolkit.files import copy
from toolkit.params import Compared, Images, Params
from training.study import detector_of, explaining, images, looks, tables


@pytest.fixture(scope="module")
def photographs(real: Path, settings: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of two of OSIE's photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    for name in sorted((real / "osie" / "stimuli").iterdir())[:2]:
        copy(name, folder / "some" / name.name)
    own = Images(path=str(folder / "some"), human=str(real / "osie"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALVOC_STORE", str(folder / "store"))
        images.build(own, settings, folder / "source", folder / "attention")
    return folder


@pytest.mark.parametrize("name", sorted({*detectors.names()} - {*OWN}))
def test_a_detector_is_compared_with_people(name: str, photographs: Path, settings: Params, workplace: Path) -> None:
    kind = installed(name)
    weights = "imagenet" if kind.imagenet else "none"
    own = Compared(weights=weights, size=max(kind.smallest, 128))
    params = settings.model_copy(update={"study": settings.study.model_copy(update={"detectors": {name: own}})})
    methods = explaining(params, ["eigencam", "odam"])
    looks.build(photographs, name, detector_of(params, name), methods, 2, params.data.classes, Path(name))
    look = tables.read(Path(name))
    assert look.label == f"{name} (random weights)"
    assert look.about["layers"]["eigencam"] == saliency.layer_of(kind, methods[0])
    table = tables.agreement([look], "human", params.score)
    of_maps = table[table["method"] == "eigencam"].set_index("metric")
    assert (of_maps["images"] == 2).all()
    assert 0 < of_maps.loc["mae", "value"] < 1
    assert 0.3 < of_maps.loc["auc", "value"] < 1
    people = tables.shown(table, [look], "human").loc["people", "human.auc"]
    assert float(people) > 0.7
