"""Breaking text into lines and finding the size it fits in. Chinese breaks anywhere, but closing marks never begin a line."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Measure = Callable[[str, float], float]
"""Width of a text in a size."""

PIECE = re.compile(r"[A-Za-z0-9_.,:/@%#&'()+-]+ ?|.", re.DOTALL)
CLOSING = frozenset("，。、；：？！）》」』】〕”’…·%,.;:?!)]}")
LEADING = 1.2
STEP = 0.5
ELLIPSIS = "…"


@dataclass(frozen=True)
class Fitted:
    size: float
    lines: tuple[str, ...]

    @property
    def height(self) -> float:
        return len(self.lines) * self.size * LEADING


def wrap(text: str, width: float, size: float, measure: Measure) -> list[str]:
    """Lines no wider than `width`. Latin words stay whole where they can."""
    return [line for paragraph in text.split("\n") for line in _wrapped(paragraph, width, size, measure)]


def fit(text: str, width: float, height: float, *, size: float, least: float, measure: Measure) -> Fitted:
    """The largest size in which the text fits the box. In the least size, what is still too much ends in an ellipsis."""
    while True:
        fitted = Fitted(size, tuple(wrap(text, width, size, measure)))
        if fitted.height <= height or size <= least:
            return Fitted(size, _cut(fitted.lines, max(1, int(height / (size * LEADING)))))
        size = max(least, size - STEP)


def fit_line(text: str, width: float, *, size: float, least: float, measure: Measure) -> Fitted:
    """One line, smaller if it must be; text that is too long even then is cut."""
    natural = measure(text, size)
    smaller = size if natural <= width else max(least, size * width / natural)
    if measure(text, smaller) <= width * 1.001:
        return Fitted(smaller, (text,))
    return Fitted(smaller, _cut(tuple(wrap(text, width - smaller, smaller, measure)), 1))


def _cut(lines: tuple[str, ...], most: int) -> tuple[str, ...]:
    if len(lines) <= most:
        return lines
    return (*lines[: most - 1], lines[most - 1].rstrip()[:-1] + ELLIPSIS)


def _wrapped(paragraph: str, width: float, size: float, measure: Measure) -> Iterator[str]:
    line, used = "", 0.0
    for piece in _pieces(paragraph, width, size, measure):
        wide = measure(piece, size)
        hangs = piece in CLOSING and used + wide <= width + size
        if line and used + wide > width and not hangs:
            yield line
            line, used = "", 0.0
        line, used = line + piece, used + wide
    yield line


def _pieces(paragraph: str, width: float, size: float, measure: Measure) -> Iterator[str]:
    for piece in PIECE.findall(paragraph):
        if measure(piece, size) <= width:
            yield piece
        else:
            yield from piece
