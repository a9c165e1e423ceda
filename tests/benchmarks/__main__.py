"""`make bench`: runs every benchmark and prints its figures; never part of the suite.

Figures of one run on one machine; compare ratios, not absolute times, between machines.
"""

from __future__ import annotations

import platform
from os import cpu_count

from tests.benchmarks import scorer, start_up

print(f"Python {platform.python_version()}, {cpu_count()} cores, {platform.system()} {platform.machine()}\n")
for benchmark in (start_up, scorer):
    benchmark.main()
