"""The load: `wrk` (Debian's package of that name), one thread, keep-alive, a fresh Idempotency-Key for every request.

The Lua script is written for each run. It holds one finished request with a gap for the key, so that generating a
request costs next to nothing and every server is sent the same bytes but for host, secret and key. The load is closed:
each connection sends its next request when it has its answer.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.machine import Unmeasurable

MARK = "MEASURED "
SCRIPT = """
local head, tail, n = %s, %s, 0
request = function()
  n = n + 1
  return head .. string.format("%%010d", n) .. tail
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('MEASURED {"requests": %%d, "seconds": %%.6f, "refused": %%d, "broken": %%d, ' ..
    '"p50_ms": %%.3f, "p99_ms": %%.3f, "max_ms": %%.3f}\\n', summary.requests, summary.duration / 1e6, e.status,
    e.connect + e.read + e.write + e.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3))
end
"""
KEEP_IDS = """
local file = io.open(%s, "w")
response = function(status, headers, body)
  file:write(status, " ", string.match(body, '^{"id":"([0-9a-f-]+)"') or "?", "\\n")
  file:flush()
end
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, with which key and body, and by which method to which path."""

    origin: str
    key: str
    body: bytes
    method: str = "POST"
    path: str = "/v1/scores"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw. `refused` counts answers of 400 and more, `broken` what the network or a timeout ended."""

    requests: int
    seconds: float
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def warm_up(target: Target, folder: Path, *, connections: int) -> Load:
    """A second of load before a measurement; a slow server may use it up without an answer."""
    return _run(target, folder, connections, 1, None)


def run(target: Target, folder: Path, *, connections: int, seconds: float, ids: Path | None = None) -> Load:
    """Load `target` for a while; raises Unmeasurable where an answer was no success or none came at all. `ids` names a
    file that receives status and id of every answer.

    When the time is over wrk drops its connections: up to one request each is served but not counted.
    """
    load = _run(target, folder, connections, max(1, round(seconds)), ids)
    if not load.requests:
        raise Unmeasurable(f"{target.origin} gave no answer within {seconds} s.")
    return load


def _run(target: Target, folder: Path, connections: int, seconds: int, ids: Path | None) -> Load:
    head, tail = _request(target)
    script = folder / "load.lua"
    kept = "" if ids is None else KEEP_IDS % _lua(str(ids).encode())
    script.write_text(SCRIPT % (_lua(head), _lua(tail)) + kept)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script)]
    done = subprocess.run([*command, target.origin], capture_output=True, text=True, check=False)
    measured = next((line for line in done.stdout.splitlines() if line.startswith(MARK)), None)
    if done.returncode or measured is None:
        raise Unmeasurable(f"wrk failed: {done.stdout} {done.stderr}")
    load = Load(**json.loads(measured.removeprefix(MARK)))
    if load.refused or load.broken:
        raise Unmeasurable(
            f"of {load.requests} requests to {target.origin}, {load.refused} were refused and {load.broken} broke."
        )
    return load


def _request(target: Target) -> tuple[bytes, bytes]:
    """The request's bytes before and after the running number of its key."""
    lines = (
        f"{target.method} {target.path} HTTP/1.1",
        f"Host: {urlsplit(target.origin).netloc}",
        "Content-Type: application/json",
        f"Authorization: Bearer {target.key}",
        f"Content-Length: {len(target.body)}",
        f"Idempotency-Key: {secrets.token_hex(8)}-",
    )
    head = "\r\n".join(lines)
    return head.encode(), b"\r\n\r\n" + target.body


def _lua(text: bytes) -> str:
    """A Lua string literal of any bytes."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'
