"""Builds of lictord that leave out one rule of src/election/mutation.h: the checker must find each of them out."""

import re
import subprocess

from lib.process import ROOT

# The faults that show what is missing; of other mutations the whole short run.
FAULTS_FOR = {"NO_WAIT_OUT": ("cut-agent", "stop-short", "cut-agent")}
# What the checker must find: not a time, but a rule of safety.
SAFETY = {"acting", "epochs", "effects", "answers"}
HEADER = ROOT / "src/election/mutation.h"


def names():
    text = HEADER.read_text() if HEADER.exists() else ""
    return [name for name in re.findall(r"\bMUTATION_([A-Z_]+)\b", text) if name != "NONE" and not name.endswith("_END")]


def build(name):
    """The folder of the build; only the two programs."""
    folder = ROOT / "build" / f"mutation-{name.lower().replace('_', '-')}"
    for words in (["cmake", "-S", ROOT, "-B", folder, "--preset", "debug", "-DLICTOR_TESTS=OFF",
                   f"-DCMAKE_C_FLAGS=-DLICTOR_MUTATION=MUTATION_{name}"],
                  ["cmake", "--build", folder, "-j", "2", "--target", "lictord_program", "lictor_program"]):
        done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise OSError(f"mutation {name}: {done.stdout[-3000:]}")
    return folder
