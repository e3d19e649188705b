"""What an interrupt cannot tear: all or nothing, contexts that vanish, the collector on again whatever happened."""

import gc
import os
import signal
import threading

import numpy as np
import pytest

from autodiff import whole
from autodiff.whole import apart, commit, sheltered, uncollected

from .interrupting import Interrupt


class Record:
    pass


def test_attributes_are_set_together():
    a, b = Record(), Record()
    commit((a, b, a), ("x", "x", "y"), (1, 2, 3))
    assert (a.x, b.x, a.y) == (1, 2, 3)


def test_what_is_set_apart_is_gone_after_it():
    @apart
    def careless(value):
        np.seterr(divide="raise")
        return np.geterr()["divide"], value

    before = np.geterr()
    assert careless(3) == ("raise", 3)
    assert np.geterr() == before


def test_what_is_apart_begins_with_the_callers_state():
    with np.errstate(over="raise"):
        assert apart(np.geterr)()["over"] == "raise"


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="threads of this system get no signals")
def test_an_interrupt_does_not_come_to_what_is_sheltered():
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        released.wait(10)
        ended.set()

    def interrupts(number, frame):
        raise Interrupt

    before = signal.signal(signal.SIGINT, interrupts)
    main = threading.get_ident()
    timer = threading.Thread(target=lambda: begun.wait(10) and signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(Interrupt):
            sheltered(work)
    finally:
        signal.signal(signal.SIGINT, before)
    timer.join()
    assert not ended.is_set()
    released.set()
    assert ended.wait(10)


def test_what_is_sheltered_has_the_callers_context_and_its_errors(monkeypatch):
    with np.errstate(over="raise"):
        assert sheltered(np.geterr)["over"] == "raise"
    assert sheltered(threading.get_ident) != threading.get_ident()
    assert sheltered(lambda: sheltered(threading.get_ident) == threading.get_ident())
    with pytest.raises(ZeroDivisionError):
        sheltered(lambda: 1 // 0)

    def start(function, arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(whole, "start_new_thread", start)
    assert sheltered(threading.get_ident) == threading.get_ident()


def test_the_collector_is_off_meanwhile():
    assert gc.isenabled()
    assert uncollected(lambda: [gc.isenabled(), uncollected(gc.isenabled), gc.isenabled()]) == [False] * 3
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        uncollected(lambda: 1 / 0)
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        assert not uncollected(gc.isenabled)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_is_on_when_the_last_of_many_threads_has_ended():
    barrier = threading.Barrier(8)

    def work():
        for _ in range(200):
            barrier.wait(10)
            uncollected(lambda: None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("elsewhere", [True, False])
def test_the_child_of_a_fork_has_the_collector_on(elsewhere):
    """Whoever forks while the collector is paused, by another thread or by itself."""
    begun, ended = threading.Event(), threading.Event()
    codes = []

    def fork():
        pid = os.fork()
        if not pid:
            os._exit(0 if gc.isenabled() else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    if elsewhere:
        thread = threading.Thread(target=lambda: uncollected(lambda: begun.set() or ended.wait(10)))
        thread.start()
        assert begun.wait(10)
        assert not gc.isenabled()
        fork()
        ended.set()
        thread.join()
    else:
        uncollected(fork)
    assert codes == [0]
    assert gc.isenabled()
