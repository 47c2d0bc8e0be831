"""Importing any module of ours does nothing: no file, no environment, no draw, no seed, no handler."""

import json
import os
import subprocess
import sys

from tests.contracts.stage_modules import ROOT

# The first round brings the other libraries in, with whatever they do. Then ours are forgotten, the process
# gets a fresh folder and its old environment back, and what changes in the second round is our doing.
PROBE = """
import importlib, json, locale, logging, os, pkgutil, random, signal, sys, tempfile, threading, warnings
import numpy as np, torch
import convoy

NAMES = sorted(m.name for m in pkgutil.walk_packages(convoy.__path__, "convoy.", onerror=lambda name: None))

def load(name):
    importlib.import_module(name)

def forget():
    for name in [name for name in sys.modules if name.split(".")[0] == "convoy"]:
        del sys.modules[name]

def state():
    folder = os.getcwd()
    files = sorted(os.path.join(r, f) for r, d, fs in os.walk(folder) for f in fs + d)
    numpy_state = np.random.get_state()
    return {
        "files": files,
        "folder": folder,
        "environment": dict(os.environ),
        "python random": repr(random.getstate()),
        "numpy random": repr((numpy_state[1].tolist(), numpy_state[2:])),
        "torch random": torch.get_rng_state().tolist(),
        "torch seed": torch.initial_seed(),
        "torch": [torch.get_num_threads(), str(torch.get_default_dtype()), torch.is_grad_enabled(),
                  torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()],
        "numpy errors": np.geterr(),
        "signals": [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "hooks": [repr(sys.excepthook), repr(threading.excepthook)],
        "logging": [logging.root.level, [repr(h) for h in logging.root.handlers]],
        "warnings": repr(warnings.filters),
        "threads": threading.active_count(),
        "locale": locale.setlocale(locale.LC_ALL),
        "path": list(sys.path),
    }

environment = dict(os.environ)
for name in NAMES:
    load(name)
os.environ.clear()
os.environ.update(environment)
scratch = tempfile.mkdtemp(dir=os.getcwd())
os.chdir(scratch)
os.environ.update(HOME=scratch, XDG_CACHE_HOME=scratch, XDG_CONFIG_HOME=scratch, TMPDIR=scratch)
tempfile.tempdir = None
random.seed(1), np.random.seed(1), torch.manual_seed(1)

report = {}
for name in NAMES:
    forget()
    before = state()
    load(name)
    after = state()
    changed = [key for key in before if before[key] != after[key]]
    if changed:
        report[name] = {key: [str(before[key])[-200:], str(after[key])[-200:]] for key in changed}
print("REPORT" + json.dumps({"names": NAMES, "changed": report}))
"""


def test_importing_any_module_does_nothing(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MPLCONFIGDIR": str(tmp_path / "mpl")}
    probe = [sys.executable, "-c", PROBE]
    done = subprocess.run(probe, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed, _, report = done.stdout.rpartition("REPORT")
    assert printed == "", f"an import prints: {printed}"
    found = json.loads(report)
    assert "convoy.core.files" in found["names"]
    assert found["changed"] == {}


def test_a_stage_does_not_wait_for_torch_before_a_network_is_in_it():
    probe = (
        "import pathlib, runpy, sys\n"
        # Every study has a network in it.
        "found = pathlib.Path('pipelines').rglob('*.py')\n"
        "for script in sorted(path for path in found if path.parent.name != 'studies'):\n"
        "    runpy.run_path(str(script), run_name='loaded')\n"
        "    assert not {'torch', 'sklearn'} & set(sys.modules), script\n"
        "print(script)\n"
    )
    environment = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "pipelines/streamrec/train.py\n"
