"""A checkout with the real launchers and tiny programs in place of the services, so that a whole run takes a second."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import folders

PROGRAMS = ("title", "ledger", "invoicing", "notification", "gateway")
SANDBOX = ("tax_platform", "sms_gateway", "smtp_sink")
# Answers every question with 200; fails at once when the settings name it as FAIL.
TINY = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *parts):
        pass
if sys.argv[0].endswith("/" + os.environ.get("FAIL", "nobody") + ".py"):
    sys.exit("FATAL told to fail")
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("OPERATIONS_PORT") or os.environ["HTTP_PORT"])), Answer).serve_forever()
"""
DEMO = (
    'import os, sys\nprint("demo of", os.environ["GATEWAY_URL"])\nsys.exit(int(os.environ.get("DEMO_STATUS", "0")))\n'
)
LIMIT_SECONDS = 60
# Servers that are not ours are not started and, here, never asked.
ELSEWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "KAFKA_BOOTSTRAP": "127.0.0.1:1"}


@dataclass(frozen=True)
class SmallCheckout:
    """A folder to type `make` doors in."""

    folder: Path

    def door(self, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
        done = self.begin(*argv, **environ)
        out, err = done.communicate(timeout=LIMIT_SECONDS)
        return subprocess.CompletedProcess(argv, done.returncode, out, err)

    def begin(self, *argv: str, **environ: str) -> subprocess.Popen[str]:
        inherited = {name: text for name, text in os.environ.items() if name not in ELSEWHERE}
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.local", *argv],
            cwd=self.folder,
            env={**inherited, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that starts the tests in the background ignores SIGINT, and whoever inherits that would not hear Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )

    def endpoints(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "var" / "endpoints.json").read_text())
        return content


def make(folder: Path) -> SmallCheckout:
    for package in ("deploy/sandbox", "services"):
        (folder / package).mkdir(parents=True)
    shutil.copytree(folders.CHECKOUT / "deploy" / "local", folder / "deploy" / "local")
    shutil.copytree(folders.CHECKOUT / "shared", folder / "shared")
    shutil.copy(folders.CHECKOUT / "deploy" / "logins.py", folder / "deploy")
    (folder / "tiny.py").write_text(TINY)
    (folder / "deploy" / "demo.py").write_text(DEMO)
    for name in SANDBOX:
        (folder / "deploy" / "sandbox" / f"{name}.py").write_text((folder / "tiny.py").read_text())
    for name in PROGRAMS:
        (folder / "services" / f"{name}.py").write_text((folder / "tiny.py").read_text())
    return SmallCheckout(folder)
