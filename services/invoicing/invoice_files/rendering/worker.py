"""The drawing process: faces come in on standard input, files go out on standard output, until the input ends.

An error ends it; the service starts another. Its last words name the error and the place, never the text that was being drawn.
"""

import os
import resource
import signal
import sys
from pathlib import Path
from traceback import extract_tb
from types import TracebackType

from services.invoicing.invoice_files.rendering.frames import HEADER_BYTES, face_of, frame_of_files, length_of
from services.invoicing.invoice_files.rendering.render import render
from services.invoicing.invoice_files.rendering.typeface import typeface

MEMORY_MAX = 2**30


def main(arguments: list[str]) -> None:
    sys.excepthook = _last_words
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    # Ctrl-C and a supervisor's SIGTERM reach the whole group, but the service still has files to finish; it ends us by the pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    fallback_font = Path(arguments[0]) if arguments else None
    typeface(fallback_font)
    while header := sys.stdin.buffer.read(HEADER_BYTES):
        face = face_of(sys.stdin.buffer.read(length_of(header)))
        answers.write(frame_of_files(render(face, fallback_font)))
        answers.flush()


def _last_words(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
    place = extract_tb(trace)[-1] if trace else None
    where = f"{Path(place.filename).name}:{place.lineno}" if place else "an unknown place"
    print(f"drawing an invoice ended in {kind.__name__} at {where}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
