"""Processes that fork while other threads are in the middle of something: nothing hangs in the child."""

import os
import subprocess
import sys

import pytest

from autodiff import importing

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")

PROGRAM = """
import os, signal, sys, threading, time, warnings
from autodiff import forks, importing
sys.path.insert(0, {folder!r})
warnings.simplefilter("ignore", DeprecationWarning)

def forked(work):
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        work()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""

# What takes a while to import, and says when it begins.
SLOW = """
import sys, time
sys.modules["begun"] = sys
time.sleep(0.3)
value = 1
"""


def run(tmp_path, program):
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "-c", PROGRAM.format(folder=str(tmp_path)) + program]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split()


def test_a_fork_waits_for_an_import_of_another_thread(tmp_path):
    program = """
threading.Thread(target=importing.imported, args=("slow",)).start()
while "begun" not in sys.modules:
    time.sleep(0.001)
forked(lambda: importing.imported("slow").value)
print("right")
"""
    assert run(tmp_path, program) == ["right"]


def test_an_import_waits_for_a_fork_of_another_thread(tmp_path):
    program = """
def slowly():
    thread = threading.Thread(target=importing.imported, args=("slow",))
    thread.start()
    time.sleep(0.1)
    assert "begun" not in sys.modules
    return lambda: threads.append(thread)
threads = []
forks.around_forks(slowly)
forked(lambda: importing.imported("slow").value)
threads[0].join()
print(sys.modules["slow"].value)
"""
    assert run(tmp_path, program) == ["1"]


def test_an_import_that_waits_for_a_thread_that_imports_goes_on(tmp_path):
    (tmp_path / "outer.py").write_text(
        "import threading\n"
        "from autodiff import importing\n"
        "thread = threading.Thread(target=importing.imported, args=('slow',))\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    program = """
importing.PATIENCE = 1000
importing.imported("outer")
print(sys.modules["slow"].value)
"""
    assert run(tmp_path, program) == ["1"]


def test_a_fork_in_the_middle_of_an_import(tmp_path):
    (tmp_path / "forking.py").write_text(
        "import os\n"
        "from autodiff import importing\n"
        "pid = os.fork()\n"
        "importing.imported('slow')\n"
        "if not pid:\n"
        "    os._exit(0)\n"
        "status = os.waitpid(pid, 0)[1]\n"
    )
    assert run(tmp_path, "print(importing.imported('forking').status, importing._importing, importing._forking)") == [
        "0",
        "[]",
        "[]",
    ]


def test_a_fork_loses_patience_with_an_import_that_waits_for_it(tmp_path):
    (tmp_path / "waiting.py").write_text("import sys, threading\nsys.modules['begun'] = sys\nsys.done.wait()\n")
    program = """
importing.PATIENCE = 0.1
sys.done = threading.Event()
threading.Thread(target=importing.imported, args=("waiting",)).start()
while "begun" not in sys.modules:
    time.sleep(0.001)
def child():
    importing.imported("json")
    try:
        importing.imported("slow")
    except ImportError as error:
        assert "forked while another thread was importing" in str(error)
        os._exit(0)
    os._exit(1)
import json
forked(child)
sys.done.set()
importing.imported("slow")
print("right")
"""
    assert run(tmp_path, program) == ["right"]


def test_what_is_added_while_a_fork_waits_is_not_left(tmp_path):
    program = """
left = []
def later():
    return lambda: left.append(1)
def adding():
    forks.around_forks(later)
    return lambda: None
forks.around_forks(adding)
forked(lambda: None)
print(len(left))
forked(lambda: None)
print(len(left))
"""
    # The second fork adds once more, and leaves the one of the first.
    assert run(tmp_path, program) == ["0", "1"]


def test_imports_that_fail_are_over():
    with pytest.raises(ModuleNotFoundError):
        importing.imported("no_such_module_at_all")
    assert importing._importing == []
