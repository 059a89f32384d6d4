"""What code makes a result: the imports are followed, and dvc.yaml's stages depend on what they find."""

import ast
from hashlib import md5
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from toolkit import provenance

# a stage of many is told by what it does for each
STAGES: dict[str, dict] = {
    name: stage.get("do", stage) for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}
EVERY = ("toolkit.params", "toolkit.files", "toolkit.voc")  # what every command uses
DISCOVERED = "toolkit.detectors"  # its modules are found by listing it, which no import tells


def made_by(stage: str) -> tuple[str, ...]:
    """The modules behind a stage's command: what its function in the command line imports, and what that does."""
    command = STAGES[stage]["cmd"].removeprefix("python -m commands ").split()[0]
    (function,) = (
        node
        for node in ast.parse((ROOT / "commands" / "stages.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == command
    )
    named = {name for name in provenance._imports(function) if provenance._file(name)}
    found = provenance.modules(*sorted(named), *EVERY)
    if DISCOVERED in found:
        folder = ROOT.joinpath(*DISCOVERED.split("."))
        found = provenance.modules(*found, *(f"{DISCOVERED}.{file.stem}" for file in folder.glob("[!_]*.py")))
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_the_code_that_makes_its_outputs(stage: str) -> None:
    listed = [dep for dep in STAGES[stage]["deps"] if dep.startswith(provenance.PACKAGES)]
    files = {str(provenance.path(module)) for module in made_by(stage)}
    missing = {file for file in files if not any(file == dep or file.startswith(f"{dep}/") for dep in listed)}
    assert not missing
    files |= {dep for dep in listed if dep.endswith(".html")}  # a template, which no import tells
    needless = [dep for dep in listed if not any(file == dep or file.startswith(f"{dep}/") for file in files)]
    assert not needless


def test_the_committed_base_detector_is_of_this_code() -> None:
    """Otherwise every clone's first `dvc repro` would train it anew: see CONTRIBUTING."""
    deps = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]["sample_base"]["deps"]
    stale = [dep["path"] for dep in deps if md5((ROOT / dep["path"]).read_bytes()).hexdigest() != dep["md5"]]
    assert not stale
    assert {dep["path"] for dep in deps} == set(STAGES["sample_base"]["deps"])


def test_imports_are_followed_wherever_they_stand() -> None:
    found = provenance.modules("toolkit.saliency")
    assert {"toolkit.saliency", "toolkit.saliency.eigencam", "toolkit.maps", "toolkit.files"} <= set(found)
    assert "toolkit.saliency.library" in found  # imported inside a function
    assert {"toolkit.detectors.batches", "toolkit.workers"} <= set(found)  # not by itself
    assert not any(name.startswith("training") for name in found)


def test_a_module_that_is_chosen_by_its_name_is_an_import() -> None:
    assert {"toolkit.attention.readout", "toolkit.attention.deepgaze"} <= set(provenance.modules("toolkit.attention"))


def test_imports_for_types_alone_and_of_a_program_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toolkit").mkdir()
    (tmp_path / "toolkit" / "__init__.py").write_text("")
    programs = 'if __name__ == "__main__":\n    from toolkit import b\n'
    (tmp_path / "toolkit" / "a.py").write_text("if TYPE_CHECKING:\n    from toolkit import b\n" + programs)
    (tmp_path / "toolkit" / "b.py").write_text("")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance._tree.cache_clear()
    assert provenance.modules("toolkit.a") == ("toolkit", "toolkit.a")
    provenance._tree.cache_clear()


def test_the_libraries_that_compute_are_named_with_their_versions() -> None:
    found = dict(provenance.libraries(provenance.modules("toolkit.saliency", "toolkit.detectors.fasterrcnn_lite0")))
    assert {"torch", "torchvision", "numpy", "opencv-python-headless", "pillow", "timm", "grad-cam"} <= set(found)
    assert not {"tqdm", "pydantic"} & set(found)


def test_a_name_that_is_no_module_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"toolkit\.nothing"):
        provenance.path("toolkit.nothing")
