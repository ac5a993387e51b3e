"""Set-up on a machine whose packages come through somebody of its own: uv trusts whom it trusts, and a fallback is one plain line."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local import folders

UV = '#!/bin/sh\ncase "$1" in --version) echo "uv {version}" ;; *) echo "certs $UV_SYSTEM_CERTS" >>{log}; {then} ;; esac\n'
PYTHON = '#!/bin/sh\necho "python $*" >>{log}\ncase "$*" in *--no-deps*) {then} ;; esac\n'
UNKNOWN_ISSUER = "echo 'error: Failed to fetch: invalid peer certificate: UnknownIssuer' >&2; exit 2"


def set_up(folder: Path, uv: str, pip: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """With programs in the places of uv and Python that only note what they were asked."""
    (folder / "deploy" / "local").mkdir(parents=True)
    shutil.copy(folders.CHECKOUT / "deploy" / "local" / "setup.sh", folder / "deploy" / "local")
    shutil.copytree(folders.CHECKOUT / "requirements", folder / "requirements")
    pinned = (folder / "requirements" / "bootstrap.txt").read_text().split("uv==")[1].split()[0]
    log = folder / "asked"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name, text in (
        ("uv", UV.format(version=pinned, log=log, then=uv)),
        ("python", PYTHON.format(log=log, then=pip)),
    ):
        (folder / ".venv" / "bin" / name).write_text(text)
        (folder / ".venv" / "bin" / name).chmod(0o755)
    argv = [str(shutil.which("sh")), str(folder / "deploy" / "local" / "setup.sh")]
    done = subprocess.run(
        argv, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}, capture_output=True, text=True, check=False
    )
    return done, log.read_text()


@pytest.mark.parametrize("ending", ["ends well", "falls back", "fails"])
def test_set_up_trusts_the_machine_and_says_only_what_matters(ending: str, tmp_path: Path) -> None:
    uv = "exit 0" if ending == "ends well" else UNKNOWN_ISSUER
    pip = "echo 'pip: no route' >&2; exit 1" if ending == "fails" else "exit 0"
    done, asked = set_up(tmp_path, uv, pip)
    lines = done.stderr.splitlines()
    assert "certs 1" in asked
    assert lines[0] == "kaipiao: first-time set-up: Python packages into .venv"
    if ending == "ends well":
        assert (done.returncode, lines[1:]) == (0, [])
    elif ending == "falls back":
        assert (done.returncode, lines[1:]) == (
            0,
            ["kaipiao: uv could not fetch the packages, so pip does it, which takes longer"],
        )
    else:
        assert done.returncode == 1
        assert [line for line in lines if "UnknownIssuer" in line or "no route" in line] == lines[2:4]
        assert "could not be installed (the lines above say why)" in lines[-1]
