"""What is pushed is pulled into a second clone: by SSH, from OpenSSH; by S3, from rclone. Both serve on loopback."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pipeline.conftest import SHRUNK, Repository, new_repository
from tests.servers import bucket, free_port, serving
from tests.toolkit.serving import content

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
SSHD_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/colleague.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
PidFile none
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Remote:
    """Where it is, where its server keeps the files, and its settings: those that git has, and those of the user."""

    url: str
    files: Path
    shared: dict[str, str]
    own: dict[str, str]

    def add(self, repository: Repository) -> None:
        repository.run(f"dvc remote add -d storage {self.url}")
        for key, value in self.shared.items():
            repository.run(f"dvc remote modify storage {key} {value}")
        repository.commit("remote")

    def sign_in(self, repository: Repository) -> None:
        for key, value in self.own.items():
            repository.run(f"dvc remote modify --local storage {key} {value}")


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Remote]:
    """OpenSSH's server, run as whoever runs the tests; it lets the key `colleague` in, and no `stranger`."""
    pytest.importorskip("dvc_ssh")
    if SSHD is None:
        pytest.skip("needs an SSH server: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # root's sshd does not start without
    folder, port = tmp_path / "sshd", free_port()
    folder.mkdir()
    for key in ("host", "colleague", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    (folder / "config").write_text(SSHD_CONFIG.format(folder=folder, port=port))
    files = folder / "files"
    with serving([SSHD, "-D", "-e", "-f", folder / "config"], port):
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{files}"
        yield Remote(url, files, shared={}, own={"keyfile": str(folder / "colleague")})


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    pytest.importorskip("dvc_s3")
    with bucket(tmp_path / "s3", monkeypatch) as address:
        yield Remote("s3://bucket/files", tmp_path / "s3/bucket/files", {"endpointurl": address}, own={})


@pytest.fixture(params=["ssh", "s3"])
def remote(request: pytest.FixtureRequest) -> Remote:
    found: Remote = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository after its first stage: images, each with its annotation, its cue's mask and its people's."""
    repository = new_repository(tmp_path_factory.mktemp("made"), SHRUNK)
    repository.run("dvc repro source")
    repository.commit("source")
    return repository.root


@pytest.fixture
def repository(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("HOME", str(tmp_path))  # no keys and no settings of the user's own
    return Repository(shutil.copytree(made, tmp_path / "repository"))


def test_a_killed_push_goes_on_and_a_second_clone_pulls_the_same_bytes(
    repository: Repository, remote: Remote, tmp_path: Path
) -> None:
    remote.add(repository)
    remote.sign_in(repository)

    def stored() -> dict[Path, int]:
        """The files whose upload is finished; one that is uploaded again is another inode."""
        return {path: path.stat().st_ino for path in remote.files.rglob("[0-9a-f]" * 30)}

    repository.killed("dvc push --jobs 1 source", lambda: len(stored()) >= 3)
    before = stored()
    repository.run("dvc push source")
    after = stored()
    assert before.items() < after.items()

    repository.run(f"git clone -q {repository.root} {tmp_path / 'clone'}")
    clone = Repository(tmp_path / "clone")
    remote.sign_in(clone)
    clone.run("dvc pull source")
    source = content(repository.root / "datasets" / "source")
    assert len(after) == len(set(source.values()))
    assert content(clone.root / "datasets" / "source") == source


def test_a_key_that_the_ssh_server_does_not_know_is_refused(repository: Repository, ssh: Remote) -> None:
    ssh.add(repository)
    repository.run(f"dvc remote modify --local storage keyfile {Path(ssh.own['keyfile']).with_name('stranger')}")
    assert f"Permission denied for user {getpass.getuser()} on host 127.0.0.1" in repository.refused("dvc push source")
    assert not ssh.files.exists()


def test_a_secret_that_is_not_the_key_s_is_refused(
    repository: Repository, s3: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.add(repository)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    assert "(403) when calling" in repository.refused("dvc push source")
    assert not s3.files.exists()
