"""`make bench`: runs every benchmark and prints its figures; never part of the suite.

`make bench BENCH="load --quick"` runs one, with its own options. Figures of one run on one machine; compare ratios,
not absolute times, between machines.
"""

from __future__ import annotations

import platform
import sys
from os import cpu_count

from tests.benchmarks import build, forest, growth, load, registry, scorer, start_up, verify_speed

BENCHMARKS = {
    "start_up": start_up.main,
    "scorer": scorer.main,
    "load": load.main,
    "forest": forest.main,
    "registry": registry.main,
    "growth": growth.main,
    "verify_speed": verify_speed.main,
    "build": build.main,
}

name, *options = sys.argv[1:] or [""]
if name:
    if name not in BENCHMARKS:
        sys.exit(f"There is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}.")
    BENCHMARKS[name](options)
else:
    print(f"Python {platform.python_version()}, {cpu_count()} cores, {platform.system()} {platform.machine()}\n")
    for run in BENCHMARKS.values():
        run(())
