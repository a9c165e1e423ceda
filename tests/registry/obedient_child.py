"""A child process for tests: does what a message tells it to."""

import os
import resource
import signal
import sys
import time
from typing import Any

from service.errors import ArtifactRejected, Problem
from service.registry.child_loop import answer_calls

NICENESS = os.nice(0)
"""When this module is imported."""


def echo(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytearray]:
    return header, payload


def describe(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    limits = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0] for name in ("CORE", "FSIZE", "AS")}
    return {
        "environment": dict(os.environ),
        "limits": limits,
        "niceness": NICENESS,
        "session": os.getsid(0) == os.getpid(),
        "path": sys.path[0],
        "input": sys.stdin.read(),
    }, b""


def sleep(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    time.sleep(header["seconds"])
    return {}, b""


def stop(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    return {}, b""


def fill(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    return {"size": len(bytearray(header["bytes"]))}, b""


def fail(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    raise ValueError("zq-marker")


def reject(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    raise ArtifactRejected("Refused.", "Mend it.", [Problem("/a", "b", "c", "d")])


def write(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    with open(header["path"], "wb") as file:
        file.write(b"zq-marker")
    return {}, b""


def chatter(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    print("zq-marker", flush=True)
    print("zq-marker", file=sys.stderr, flush=True)
    return {}, b""


def nonsense(header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
    return {"a": "b" * (1 << 21)}, b""


DEEDS = {deed.__name__: deed for deed in (echo, describe, sleep, stop, fill, fail, reject, write, chatter, nonsense)}


def grandparent() -> None:
    """Start a child, say its process id, and be killed with it busy."""
    from service.registry.child import Child

    child = Child(__spec__.name)
    print(child.pid, flush=True)
    child.call({"do": "sleep", "seconds": 600}, timeout=600)


if __name__ == "__main__":
    if sys.argv[1:] == ["grandparent"]:
        grandparent()
    else:
        answer_calls(lambda header, payload: DEEDS[header["do"]](header, payload))
