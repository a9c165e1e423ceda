"""A child process answers, is limited, and neither outlives its parent nor takes it along."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.errors import ArtifactRejected, ChildEnded, ChildFailed, Problem
from service.registry.child import Child

MODULE = "tests.registry.obedient_child"
ROOT = Path(__file__).parents[2]


def until(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    limit = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def is_gone_or_zombie(pid: int) -> bool:
    """For a process that is not ours to wait for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def child() -> Iterator[Child]:
    with Child(MODULE) as started:
        yield started
    assert not started.alive
    assert is_gone(started.pid)


def test_a_call_is_answered_with_header_and_payload(child: Child) -> None:
    for payload in (b"", b"\0\xff", os.urandom(3 << 20)):
        header, answer = child.call({"do": "echo", "n": 1.5}, payload)
        assert header == {"do": "echo", "n": 1.5}
        assert answer == payload


def test_calls_from_many_threads_get_their_own_answers(child: Child) -> None:
    answers: dict[int, bytes] = {}

    def ask(number: int) -> None:
        for _ in range(20):
            answers[number] = bytes(child.call({"do": "echo"}, bytes([number]) * 1000)[1])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: bytes([number]) * 1000 for number in range(8)}


def test_it_is_given_no_setting_and_no_core_file_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOSCORE_DATABASE_URL", "postgresql://zq-marker")
    monkeypatch.setenv("PGPASSWORD", "zq-marker")
    monkeypatch.setenv("HOMEBREW_GITHUB_API_TOKEN", "zq-marker")
    monkeypatch.setenv("PATH_TO_SECRET", "zq-marker")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with Child(MODULE, memory_bytes=4 << 30, niceness=3) as child:
        found, _ = child.call({"do": "describe"})
    assert "zq-marker" not in str(found)
    assert found["environment"]["OMP_NUM_THREADS"] == found["environment"]["OPENBLAS_NUM_THREADS"] == "1"
    assert found["limits"] == {"CORE": 0, "FSIZE": 0, "AS": 4 << 30}
    assert found["session"] is True
    assert found["niceness"] == os.nice(0) + 3
    assert found["path"] not in {"", os.getcwd() + "/tests"}
    assert found["input"] == ""


def test_what_it_prints_goes_nowhere(child: Child, capfd: pytest.CaptureFixture[str]) -> None:
    child.call({"do": "chatter"})
    assert "zq-marker" not in "".join(capfd.readouterr())


def test_a_failure_names_its_type_and_nothing_else(child: Child) -> None:
    with pytest.raises(ChildFailed, match="ValueError") as caught:
        child.call({"do": "fail"})
    assert "zq-marker" not in str(caught.value)
    with pytest.raises(ChildFailed, match="KeyError"):
        child.call({"do": "zq-marker"})
    assert child.call({"do": "echo"})[0] == {"do": "echo"}


def test_a_rejection_comes_back_whole(child: Child) -> None:
    with pytest.raises(ArtifactRejected, match="Refused") as caught:
        child.call({"do": "reject"})
    assert (caught.value.remedy, caught.value.problems) == ("Mend it.", (Problem("/a", "b", "c", "d"),))
    assert child.alive


def test_it_writes_no_file(child: Child, tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="OSError"):
        child.call({"do": "write", "path": str(tmp_path / "file")})
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("deed", ["stop", "nonsense"])
def test_a_child_that_ends_fails_the_call_and_is_no_zombie(deed: str) -> None:
    ended = threading.Event()
    with Child(MODULE, on_end=ended.set) as child:
        started = time.monotonic()
        with pytest.raises(ChildEnded, match="ended"):
            child.call({"do": deed})
        assert time.monotonic() - started < 10
        assert not child.alive
        assert is_gone(child.pid)
        assert ended.wait(5)
        with pytest.raises(ChildEnded):
            child.call({"do": "echo"})
    with pytest.raises(ChildEnded):
        child.call({"do": "echo"})


def test_an_idle_child_that_is_killed_is_noticed_and_is_no_zombie(child: Child) -> None:
    os.kill(child.pid, signal.SIGKILL)
    assert until(lambda: not child.alive)
    assert is_gone(child.pid)
    with pytest.raises(ChildEnded, match="signal 9"):
        child.call({"do": "echo"})


def test_a_call_that_takes_too_long_ends_the_child(child: Child) -> None:
    with pytest.raises(ChildEnded, match=r"within 0\.2 seconds"):
        child.call({"do": "sleep", "seconds": 60}, timeout=0.2)
    assert is_gone(child.pid)


def test_closing_interrupts_a_call_from_another_thread() -> None:
    child = Child(MODULE)
    outcome: list[BaseException] = []

    def ask() -> None:
        try:
            child.call({"do": "sleep", "seconds": 60}, timeout=60)
        except ChildEnded as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.1)
    child.close()
    thread.join(10)
    assert len(outcome) == 1
    assert is_gone(child.pid)


def test_memory_that_runs_out_ends_the_child_and_not_the_parent() -> None:
    with Child(MODULE, memory_bytes=512 << 20) as child:
        assert child.call({"do": "fill", "bytes": 1 << 20})[0] == {"size": 1 << 20}
        with pytest.raises(ChildEnded):
            child.call({"do": "fill", "bytes": 4 << 30})
        assert is_gone(child.pid)


@pytest.mark.parametrize(
    ("module", "seconds", "said"),
    [
        ("tests.registry.no_such_module", 60, "status 1"),
        (MODULE, 0.001, "within"),
        ("tests." + "x" * (1 << 18), 60, "could not be started"),
    ],
    ids=["no module", "too slow", "no process"],
)
def test_a_child_that_does_not_start_is_an_error(module: str, seconds: float, said: str) -> None:
    with pytest.raises(ChildEnded, match=said):
        Child(module, start_seconds=seconds)


def test_a_busy_child_ends_with_its_parent() -> None:
    command = [sys.executable, "-m", MODULE, "grandparent"]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.2)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: is_gone_or_zombie(pid))
