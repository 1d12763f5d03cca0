"""A line on stderr for what takes long and cannot say how far it is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

FIRST_TIME = "the first time, kernels are compiled: a minute or two"
PATIENCE = 2.0  # s before anything is said


@contextmanager
def waiting(what: str, why: str = "") -> Iterator[None]:
    """Says `what` is going on, and for how long, when it takes more than two seconds; `why` explains the first time."""
    over = threading.Event()
    teller = threading.Thread(target=tell, args=(what, why, over), daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def tell(what: str, why: str, over: threading.Event) -> None:
    """The thread: on a terminal a line that counts seconds, elsewhere one line."""
    began = perf_counter()
    if over.wait(PATIENCE):
        return
    words = f"{what} ({why})" if why else what
    if not sys.stderr.isatty():
        print(words, file=sys.stderr, flush=True)
        return
    while True:
        print(f"\r\033[K{words} {perf_counter() - began:.0f} s", end="", file=sys.stderr, flush=True)
        if over.wait(1.0):
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            return
