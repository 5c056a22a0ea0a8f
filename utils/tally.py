"""Adds up what the test runners left in a folder; the last line is

    N passed, N failed

with every test of every runner. Exits with 1 when something failed or nothing
was run."""

import json
import os
import sys
import xml.etree.ElementTree


def read_lit(path):
    """Outcomes of lit, written with `-o`."""
    with open(path) as file:
        tests = json.load(file)["tests"]
    good = {"PASS", "XFAIL", "FLAKYPASS"}
    skipped = {"UNSUPPORTED", "SKIPPED", "EXCLUDED"}
    codes = {test["name"]: test["code"] for test in tests}
    return ([name for name, code in codes.items() if code in good],
            [name for name, code in codes.items()
             if code not in good and code not in skipped],
            [name for name, code in codes.items() if code in skipped])


def read_ctest(path):
    """Outcomes of ctest, written with `--output-junit`."""
    passed, failed, skipped = [], [], []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = case.get("name")
        if case.get("status") in ("notrun", "disabled") and \
                case.find("skipped") is not None:
            skipped.append(name)
        elif case.get("status") == "run":
            passed.append(name)
        else:
            failed.append(name)
    return passed, failed, skipped


def read_names(path):
    """Outcomes of the random programs and of the fuzzers."""
    with open(path) as file:
        outcome = json.load(file)
    return outcome["passed"], outcome["failed"], []


def main(folder):
    total_passed = total_failed = 0
    for file, runner, read in (("lit.json", "lit", read_lit),
                               ("ctest.xml", "ctest", read_ctest),
                               ("random.json", "random", read_names),
                               ("fuzz.json", "fuzz", read_names)):
        path = os.path.join(folder, file)
        try:
            passed, failed, skipped = read(path)
        except (OSError, ValueError, KeyError,
                xml.etree.ElementTree.ParseError) as error:
            # A runner that left nothing did not get to its tests.
            passed, failed, skipped = [], [f"{runner} itself ({error})"], []
        print(f"{runner}: {len(passed)} passed, {len(failed)} failed, "
              f"{len(skipped)} skipped")
        for name in failed:
            print(f"  failed: {name}")
        for name in skipped:
            print(f"  skipped: {name}")
        total_passed += len(passed)
        total_failed += len(failed)
    print(f"{total_passed} passed, {total_failed} failed")
    return 1 if total_failed or not total_passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
