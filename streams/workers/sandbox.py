"""One action in a process of its own: few limits that matter, no inherited descriptors, and an end.

The child is a fork of the worker (which has one thread and nothing secret in it): no start-up to pay, 2 ms. It leads a
process group, dies with its worker, and hands its result back through a pipe. A service that it starts leads a session
of its own, so killing the child's group never touches it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import time
import traceback
from typing import Final, NoReturn

import msgspec

from streams.workers import limits
from streams.workers.files import BusyError
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings
from streams.workers.roles import handler

RESULT_BYTES_MAX: Final = 65_536
DETAIL_MAX: Final = 2_000
OVERTIME_MS: Final = 500
"""An action times itself out first (a refused connection, a stop that takes too long); then it is killed."""
PR_SET_PDEATHSIG: Final = 1
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Child:
    """An action under way. ``pipe`` becomes readable when there is something to ``listen`` to."""

    def __init__(self, order: Order, pid: int, pipe: int) -> None:
        self.order = order
        self.pid = pid
        self.pipe = pipe
        self.give_up = time.monotonic() + (order.timeout_ms + OVERTIME_MS) / 1000
        self._told = b""
        self._timed_out = False

    def listen(self) -> bool:
        """Read what the child has written; False when it has ended."""
        data = os.read(self.pipe, RESULT_BYTES_MAX)
        self._told += data
        return bool(data)

    def collect(self) -> Result:
        """Return the result of a child that has ended."""
        os.close(self.pipe)
        os.waitpid(self.pid, 0)
        try:
            return msgspec.msgpack.decode(self._told, type=Result)
        except msgspec.DecodeError:
            return Result(ok=False, code="timed_out" if self._timed_out else "crashed", effect="unknown")

    def kill(self) -> None:
        """End the child and its group, now."""
        self._timed_out = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def launch(order: Order, around: Surroundings) -> Child:
    """Begin an action in a child process."""
    parent, began = os.getpid(), time.monotonic()
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(order, around, parent, send, began)
    os.close(send)
    return Child(order, pid, receive)


def _child(order: Order, around: Surroundings, parent: int, pipe: int, began: float) -> NoReturn:
    """Run the action and leave, whatever happens: nothing of the worker's own code may go on in here.

    The time that it took to get this far (on a busy machine) is of the action's own, so that it times itself out first.
    """
    status = 1
    try:
        gc.disable()
        _isolate(order, parent, pipe)
        left_ms = order.timeout_ms - int((time.monotonic() - began) * 1000)
        result = perform(msgspec.structs.replace(order, timeout_ms=max(left_ms, 1)), around)
        os.write(pipe, msgspec.msgpack.encode(result))
        status = 0
    finally:
        os._exit(status)


def _isolate(order: Order, parent: int, pipe: int) -> None:
    os.setpgid(0, 0)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    os.umask(0o022)
    os.chdir("/")
    limits.enter(order.timeout_ms)
    if order.action.looks:
        limits.give_way()


def perform(order: Order, around: Surroundings) -> Result:
    """Run the action here and now; whatever it raises is its result."""
    try:
        return handler(order.action.id)(order, around)
    except BusyError as error:
        return Result(ok=False, code="busy", effect="none", detail=str(error))
    except MemoryError:
        return Result(ok=False, code="out_of_memory", effect="unknown")
    except Exception:  # noqa: BLE001 - any failure of an action is its result
        return Result(ok=False, code="failed", effect="unknown", detail=traceback.format_exc()[-DETAIL_MAX:])
