"""Waiting for conditions, and free ports. No test sleeps where it can ask."""

import itertools
import os
import socket
import time


class Timeout(AssertionError):
    pass


def until(condition, timeout=15.0, every=0.02, what=None):
    """Polls until condition() is truthy and returns that value. Exceptions of a try count as "not yet".

    what: a text for the failure, or a function that makes one then."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (OSError, KeyError, IndexError, ValueError, EOFError, AssertionError) as error:
            if isinstance(error, ProcessDied):
                raise
            last = error
        if time.monotonic() >= deadline:
            raise Timeout(f"not within {timeout} s: {(what() if callable(what) else what) or condition}; last: {last!r}")
        time.sleep(every)


def stays(condition, seconds, every=0.05, what=None):
    """Asserts that condition() holds all through these seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), (what() if callable(what) else what) or "a condition that should have held did not"
        time.sleep(every)


class ProcessDied(AssertionError):
    """A process that the test needs is gone: waiting longer is pointless."""


# Below the kernel's range for outgoing connections (32768 and up), so that no client socket takes one in between.
_candidates = itertools.cycle(range(20000, 32000))
# Test processes that run at once have neighbouring ids: they begin far apart.
for _ in range(os.getpid() * 2003 % 12000):
    next(_candidates)


def free_port(host="127.0.0.1"):
    """A port that is free for both UDP and TCP."""
    for port in itertools.islice(_candidates, 12000):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tcp.bind((host, port))
                udp.bind((host, port))
                return port
        except OSError:
            continue
    raise RuntimeError("no free port between 20000 and 32000")
