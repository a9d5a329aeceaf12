"""tally.py STATE...: adds up the JUnit files of ctest and pytest and the lines of our own checks, and says what failed.

An argument is a JUnit file, or a text file of lines `passed|failed|skipped NAME`. A cmocka program counts as its cases.
The last line is `N passed, N failed, N skipped`; exit 1 if anything failed or nothing ran.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

CMOCKA = {"passed": re.compile(r"^\[       OK \] (\S+)", re.M), "failed": re.compile(r"^\[  FAILED  \] (\S+)$", re.M),
          "skipped": re.compile(r"^\[  SKIPPED \] (\S+)$", re.M)}


def of_case(case):
    """(outcome, name) of one JUnit test case, or of each cmocka case in it."""
    name = case.get("name")
    classname = case.get("classname", "")
    if classname and not name.startswith(classname):
        name = f"{classname.rsplit('.', 1)[-1]}::{name}"
    failed = case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail"
    skipped = case.find("skipped") is not None or case.get("status") in ("notrun", "disabled")
    output = "".join(part.text or "" for part in case.iter("system-out"))
    cases = [(outcome, f"{name}: {found}") for outcome, pattern in CMOCKA.items() for found in dict.fromkeys(pattern.findall(output))]
    # ctest's word is the last one: a program that crashed, leaked or timed out has printed no FAILED of its own.
    if cases and (failed == any(outcome == "failed" for outcome, _ in cases)):
        return cases
    if failed:
        return [case for case in cases if case[0] != "failed"] + [("failed", name)]
    return [("skipped" if skipped else "passed", name)]


def read(path):
    text = Path(path).read_text(errors="replace")
    if not text.lstrip().startswith("<"):
        return [tuple(line.split(" ", 1)) for line in text.splitlines() if line]
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", text)
    return [result for case in ElementTree.fromstring(text).iter("testcase") for result in of_case(case)]


def main(paths):
    results = []
    for path in paths:
        try:
            results += read(path)
        except (OSError, ElementTree.ParseError) as error:
            results.append(("failed", f"{path}: no result to read: {error}"))
    count = {outcome: sum(1 for result in results if result[0] == outcome) for outcome in ("passed", "failed", "skipped")}
    for outcome in ("skipped", "failed"):
        for _, name in (result for result in results if result[0] == outcome):
            print(f"{outcome}: {name}")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
