"""One child process with its log, stopped by its own id whatever happens."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from .wait import ProcessDied, Timeout

ROOT = Path(__file__).resolve().parents[2]
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed")

_running = []


class Process:
    """argv runs in its own session; standard output and error go to `log`."""

    def __init__(self, name, argv, log, env=None, cwd=None, under_test=True):
        """under_test: how it ends matters; else reap() does not wait for that."""
        self.name = name
        self.under_test = under_test
        self.log = Path(log)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}
        environment.update(env or {})
        with open(self.log, "ab") as out:
            self._child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
                                           cwd=cwd, start_new_session=True)
        self.pid = self._child.pid
        _running.append(self)

    @property
    def alive(self):
        return self._child.poll() is None

    @property
    def status(self):
        """Exit status, negative signal number, or None while it runs."""
        return self._child.poll()

    def must_live(self):
        if not self.alive:
            raise ProcessDied(f"{self.name} ended with {self.status}:\n{self.tail()}")
        return True

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """SIGKILL, and wait until it is gone."""
        if self.alive:
            self._child.kill()
        self._child.wait()

    def pause(self):
        """SIGSTOP; returns when the kernel reports it stopped."""
        self.signal(signal.SIGSTOP)
        while Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            time.sleep(0.001)

    def resume(self):
        self.signal(signal.SIGCONT)

    def wait(self, timeout=15):
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} did not end within {timeout} s:\n{self.tail()}") from None

    def terminate(self, timeout=15):
        """SIGTERM and its exit status."""
        if self.alive:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines=40):
        return "\n".join(self.text().splitlines()[-lines:])

    def sanitizer_report(self):
        """The first finding of a sanitizer or a failed assertion in the log, or None."""
        text = self.text()
        found = SANITIZER.search(text)
        return text[max(0, found.start() - 200):found.start() + 4000] if found else None


def mark():
    """How many there are now: what reap() is to leave alone."""
    return len(_running)


def findings(since=0):
    """What sanitizers said about processes started after mark()."""
    reports = [(process, process.sanitizer_report()) for process in _running[since:]]
    return [f"{process.name} ({process.log}):\n{report}" for process, report in reports if report]


def reap(since=0):
    """Ends every process started after mark(), the last one first; returns what is wrong with their ends."""
    late = []
    for process in reversed(_running[since:]):
        if process.alive and process.under_test:
            try:
                process.terminate(timeout=12)
            except Timeout:
                late.append(f"{process.name} did not end within 12 s of SIGTERM:\n{process.tail()}")
        process.kill()
        try:
            os.killpg(process.pid, signal.SIGKILL)  # a runner or a program that outlived its daemon
        except ProcessLookupError:
            pass
    found = findings(since)
    del _running[since:]
    return late + found
