"""Kafka's programs: a Java that is new enough, and the jars Maven fetched, checked byte for byte."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.local import folders
from deploy.local.process import CannotStartError

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
SHA256_LIST = HERE / "jars.sha256"
OLDEST_JAVA = 17
USUAL_JAVAS = Path("/usr/lib/jvm")
FETCH_SECONDS = 900.0
INSTALL_JAVA = "type apt-get install -y --no-install-recommends openjdk-17-jre-headless"
INSTALL_MAVEN = "type apt-get install -y --no-install-recommends maven"


def has_java(environ: Mapping[str, str]) -> bool:
    return _find_java(environ, USUAL_JAVAS) is not None


def java(environ: Mapping[str, str], usual: Path = USUAL_JAVAS) -> Path:
    found = _find_java(environ, usual)
    if found is None:
        message = f"no Java {OLDEST_JAVA} or newer found: {INSTALL_JAVA}, or set JAVA_HOME or KAFKA_BOOTSTRAP"
        raise CannotStartError(message)
    return found


def _find_java(environ: Mapping[str, str], usual: Path) -> Path | None:
    """The first that is new enough: JAVA_HOME, the search path, the usual folder."""
    homes = [Path(environ["JAVA_HOME"]) / "bin"] if environ.get("JAVA_HOME") else []
    homes += [Path(each) for each in environ.get("PATH", "").split(os.pathsep) if each]
    homes += sorted(path / "bin" for path in usual.glob("*"))
    for home in homes:
        program = home / "java"
        if os.access(program, os.X_OK) and _java_major(program.resolve()) >= OLDEST_JAVA:
            return program.resolve()
    return None


def version_of(program: Path) -> str:
    """What this Java says about itself; its release file says it without starting it."""
    release = program.parent.parent / "release"
    if release.exists():
        return release.read_text(errors="replace")
    return subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr


def _java_major(program: Path) -> int:
    version = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', version_of(program))
    return int(version.group(1)) if version else 0


def expected() -> dict[str, str]:
    """File name to sha256, as committed."""
    lines = [line.split() for line in SHA256_LIST.read_text().splitlines() if line]
    return {name: digest for digest, name in lines}


def folder_of(environ: Mapping[str, str]) -> Path:
    """Where the jars are kept. A new list is a new folder."""
    version = hashlib.sha256(SHA256_LIST.read_bytes()).hexdigest()[:12]
    return folders.cache_folder(environ) / f"kafka-{version}"


def jars(environ: Mapping[str, str]) -> Path:
    """The folder of checked jars, fetched first when it is not there."""
    folder = folder_of(environ)
    folders.make(folder.parent)
    if not folder.exists():
        _fetch(folder, environ)
    check(folder)
    return folder


def check(folder: Path) -> None:
    """Refuses a folder in which a jar is missing, changed or too many."""
    want = expected()
    have = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jar")}
    wrong = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    if wrong:
        message = f"{wrong[0]} in {folder} is not the file we checked: type rm -rf {folder} and start again"
        raise CannotStartError(message)


def _fetch(folder: Path, environ: Mapping[str, str]) -> None:
    maven = shutil.which("mvn", path=environ.get("PATH", ""))
    if maven is None:
        message = f"Maven is needed once to fetch Kafka: {INSTALL_MAVEN}, or set KAFKA_BOOTSTRAP"
        raise CannotStartError(message)
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    argv = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    argv += [f"-DoutputDirectory={fresh}", *_own_repository(folder.parent, environ)]
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=dict(environ),
        timeout=FETCH_SECONDS,
    )
    if done.returncode != 0:
        errors = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line] or ["no reason given"]
        message = f"Maven could not fetch Kafka ({errors[0][:300]}): see that mvn works on this machine and start again"
        raise CannotStartError(message)
    try:
        fresh.rename(folder)
    except OSError:
        # Another checkout was faster, and its files are checked all the same.
        shutil.rmtree(fresh)


def _own_repository(cache: Path, environ: Mapping[str, str]) -> list[str]:
    """Maven keeps its downloads in the home folder; where that cannot be written, beside ours."""
    home = Path(environ.get("HOME") or "/nonexistent")
    usual = home / ".m2"
    writable = os.access(usual if os.access(usual, os.F_OK) else home, os.W_OK)
    return [] if writable else [f"-Dmaven.repo.local={cache / 'maven'}"]
