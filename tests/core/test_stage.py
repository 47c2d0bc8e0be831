"""How a stage ends: exit codes, one line or a traceback, nothing half-written, one stage at a time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contracts.stage_modules import ROOT

Start = Callable[..., subprocess.Popen[str]]

HEAD = """
import time
from pathlib import Path
from convoy.core.errors import ConvoyError
from convoy.core.stage import run
from convoy.core.files import atomic_directory, atomic_file, write_text
"""
TAIL = """
if __name__ == "__main__":
    run(main)
"""
# Says `ready` in the middle of writing its output, then waits to be disturbed.
SLOW = """
def main(name: str) -> None:
    with atomic_directory(Path(name)) as folder:
        (folder / "half").write_text("half")
        print("ready", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a stage script with the given body as `pipelines/run` does; kills what is left at the end."""
    running: list[subprocess.Popen[str]] = []

    def begin(body: str, *arguments: str, launcher: tuple[str, ...] = ("-m", "convoy.core.stage")):
        script = tmp_path / f"script_{len(running)}.py"
        script.write_text(HEAD + body + TAIL)
        running.append(
            subprocess.Popen(
                [sys.executable, "-P", *launcher, str(script), *arguments],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def outputs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("script_"))


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@pytest.mark.parametrize("launcher", [("-m", "convoy.core.stage"), ()])
def test_a_stage_that_ends_well_exits_with_0(start, tmp_path, launcher):
    body = "def main(model: str, name: str) -> None:\n    write_text(Path(name), model)\n"
    process = start(body, "--name", "out.txt", "--model", "textcnn", launcher=launcher)
    assert ended(process) == (0, "", "")
    assert (tmp_path / "out.txt").read_text() == "textcnn"


@pytest.mark.parametrize("arguments", [(), ("--model",), ("--model", "bow", "--seed", "3")])
def test_arguments_are_those_of_main(start, arguments):
    code, _, err = ended(start("def main(model: str) -> None:\n    raise AssertionError\n", *arguments))
    assert code == 2
    assert err.startswith("usage: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("script", ["pipelines/", "pipelines/run", "pipelines/climate/trian.py"])
def test_a_stage_that_is_none_is_one_line(script):
    command = [ROOT / "pipelines" / "run", script.removeprefix("pipelines/")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    line = f"convoy: no stage '{script}'; name one, such as `pipelines/run climate/gate.py`\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


@pytest.mark.parametrize("launcher", [("-m", "convoy.core.stage"), ()])
def test_a_mistake_of_the_user_is_one_line_and_leaves_no_output(start, tmp_path, launcher):
    body = """
def main() -> None:
    with atomic_file(Path("out.csv")) as path:
        path.write_text("half")
        raise ConvoyError("row '3\\x1b[31m\\n'", path="in.csv", expected="a number", found="'\\x1b]0;x'")
"""
    expected = "convoy: in.csv: row '3\\x1b[31m\\n'; expected a number; found '\\x1b]0;x'\n"
    assert ended(start(body, launcher=launcher)) == (2, "", expected)
    assert outputs(tmp_path) == []


@pytest.mark.parametrize("launcher", [("-m", "convoy.core.stage"), ()])
def test_a_bug_keeps_its_traceback_and_leaves_no_output(start, tmp_path, launcher):
    body = """
def main() -> None:
    with atomic_directory(Path("out")) as folder:
        (folder / "half").write_text("half")
        raise KeyError("a bug")
"""
    code, _, err = ended(start(body, launcher=launcher))
    assert code == 1
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("KeyError: 'a bug'\n")
    assert outputs(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, "convoy: interrupted; nothing half-written is left\n"),
        (signal.SIGTERM, 143, ""),
        (signal.SIGHUP, 129, ""),
    ],
)
@pytest.mark.parametrize("launcher", [("-m", "convoy.core.stage"), ()])
def test_signals_end_a_stage_without_traceback_or_output(start, tmp_path, number, code, line, launcher):
    process = start(SLOW, "--name", "out", launcher=launcher)
    wait_until_ready(process)
    assert any(name.startswith(".out.partial-") for name in outputs(tmp_path))
    process.send_signal(number)
    assert ended(process) == (code, "", line)
    assert outputs(tmp_path) == []


def test_ctrl_c_is_quiet_while_libraries_load(start):
    loading = "print('ready', flush=True)\ntime.sleep(60)\ndef main() -> None: ...\n"
    process = start(loading)
    wait_until_ready(process)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "convoy: interrupted; nothing half-written is left\n")


def test_an_interrupted_output_keeps_its_former_state(start, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "whole").write_text("former")
    process = start(SLOW, "--name", "out")
    wait_until_ready(process)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130
    assert outputs(tmp_path) == ["out"]
    assert (tmp_path / "out" / "whole").read_text() == "former"


ADD = "def main(name: str) -> None:\n    with open('order', 'a') as file:\n        file.write(name)\n"


def test_two_stages_never_run_side_by_side(start, tmp_path):
    hold = """
def main() -> None:
    print("ready", flush=True)
    while not Path("go").exists():
        time.sleep(0.01)
    with open("order", "a") as file:
        file.write("1")
"""
    first = start(hold)
    wait_until_ready(first)
    second = start(ADD, "--name", "2")
    assert second.stdout is not None
    assert second.stdout.readline() == "waiting: another stage still runs in this workspace\n"
    (tmp_path / "go").touch()
    assert ended(first)[0] == 0
    assert ended(second)[0] == 0
    assert (tmp_path / "order").read_text() == "12"


def test_a_killed_stage_holds_no_lock_and_its_leftovers_go_with_the_next_run(start, tmp_path):
    killed = start(SLOW, "--name", "out")
    wait_until_ready(killed)
    killed.kill()
    assert ended(killed)[0] == -signal.SIGKILL
    assert len(outputs(tmp_path)) == 1
    body = SLOW.replace("time.sleep(60)", "pass")
    begun = time.monotonic()
    assert ended(start(body, "--name", "out")) == (0, "ready\n", "")
    assert time.monotonic() - begun < 20
    assert outputs(tmp_path) == ["out"]


def test_interrupting_a_stage_that_waits_is_quiet(start, tmp_path):
    first = start(SLOW, "--name", "out")
    wait_until_ready(first)
    second = start(ADD, "--name", "2")
    assert second.stdout is not None
    second.stdout.readline()
    second.send_signal(signal.SIGINT)
    code, _, err = ended(second)
    assert (code, err) == (130, "convoy: interrupted; nothing half-written is left\n")
    assert not (tmp_path / "order").exists()


def test_a_script_named_like_a_standard_module_shadows_nothing(tmp_path):
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "signal.py").write_text(
        "import signal\nfrom convoy.core.stage import run\n"
        "def main() -> None: print(signal.SIGINT.name)\n"
        "if __name__ == '__main__': run(main)\n"
    )
    (tmp_path / "src").symlink_to(ROOT / "src")
    done = subprocess.run(
        ["sh", str(ROOT / "pipelines" / "run"), "signal.py"],
        cwd=tmp_path,
        env={**os.environ, "DVC_ROOT": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "SIGINT\n", "")


@pytest.mark.parametrize("instead", ["pass", "raise ImportError('initialization failed') from None"])
@pytest.mark.parametrize("when", ["library()\ndef main() -> None: pass", "def main() -> None: library()"])
def test_an_interrupt_that_a_library_keeps_to_itself_is_told_at_the_end(start, when, instead):
    library = f"""
import os, signal
def library() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    except KeyboardInterrupt:  # as an import in a callback of C does
        {instead}
"""
    process = start(library + when)
    assert ended(process) == (130, "", "convoy: interrupted; nothing half-written is left\n")


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, "convoy: interrupted; nothing half-written is left\n"), (signal.SIGTERM, 143, "")],
)
@pytest.mark.parametrize("launcher", [("-m", "convoy.core.stage"), ()])
def test_no_output_appears_after_a_signal_that_a_library_kept_to_itself(
    start, tmp_path, launcher, number, code, line
):
    (tmp_path / "out").write_text("former")
    body = f"""
import os
class Swallows:
    def __del__(self) -> None:
        os.kill(os.getpid(), {int(number)})
        time.sleep(60)
def main() -> None:
    with atomic_file(Path("out")) as path:
        path.write_text("new")
        swallows = Swallows()
        del swallows
"""
    exit_code, _, err = ended(start(body, launcher=launcher))
    assert exit_code == code
    assert err.endswith(line)
    assert err.startswith("Exception ignored in: <function Swallows.__del__")
    assert outputs(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "former"
