"""Several processes that serve on the same sockets: started, replaced when one dies or hangs, and stopped together."""

from __future__ import annotations

import json
import logging
import logging.config
import math
import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing import connection, get_context
from typing import TYPE_CHECKING, Final

from churn_mlops.api.access_log import LOGGING
from churn_mlops.api.listening import announce, close
from churn_mlops.api.memory import keep_what_is_there
from churn_mlops.api.worker import ALL_STOP, SIGNALS, work
from churn_mlops.errors import WorkerFailed

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

    from churn_mlops.api.worker import Serve
    from churn_mlops.config import Settings

_BEAT_SECONDS: Final = 1
_MOST_UNANSWERED: Final = 10
"""Beats, not seconds: if all processes were frozen for a while, as `docker pause` does, none of them hung."""

_RETRY_SECONDS: Final = 1
_KILL_AFTER_SECONDS: Final = 2
"""Beyond `serving.grace_seconds`, which a worker keeps by itself unless it hangs."""

# A fork has loaded all modules already, which takes seconds where the other workers leave it little of a processor. On
# macOS the system's libraries do not bear it.
_PROCESSES: Final = get_context("fork") if sys.platform == "linux" else get_context("spawn")

_log = logging.getLogger("churn_mlops.api")


@dataclass(eq=False)
class _Worker:
    """A process, and what is known of it.

    Attributes:
        process: it.
        channel: to it; the other end is closed when it has ended, and never before.
        serves: whether it has said so.
        unanswered: how many beats it has not answered yet.
    """

    process: BaseProcess
    channel: connection.Connection
    serves: bool = False
    unanswered: int = 0


class Workers:
    """The workers of a service, each a process of its own (see `worker`).

    Args:
        serve: what each of them does.
        settings: the configuration, of every worker.
        number: how many there are to be.
        listeners: open sockets, which all of them share: what waits there for a worker that dies, another accepts.
        on_ready: given, once a model is being served, a shell command that asks it something.
    """

    def __init__(
        self,
        serve: Serve,
        settings: Settings,
        number: int,
        listeners: list[socket.socket],
        on_ready: Callable[[str], None],
    ) -> None:
        self._serve = serve
        self._settings = settings
        self._number = number
        self._listeners = listeners
        self._on_ready = on_ready
        self._workers: list[_Worker] = []
        self._serves = self._stopping = False
        self._start_at = self._beat_at = 0.0
        self._kill_at = math.inf
        self._failure: WorkerFailed | None = None

    def run(self) -> None:
        """Keep them running until SIGTERM or SIGINT, then stop them; a second SIGINT kills them.

        Raises:
            WorkerFailed: the first one to start does not.
        """
        logging.config.dictConfig(LOGGING)
        keep_what_is_there()  # in memory that stays shared
        os.register_at_fork(after_in_child=self._let_go)
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        signal.signal(signal.SIGINT, lambda *_: self._interrupt())
        while self._workers or not self._stopping:
            self._start_missing()
            heard = connection.wait([worker.channel for worker in self._workers], _BEAT_SECONDS)
            for worker in [worker for worker in self._workers if worker.channel in heard]:
                self._hear(worker)
            self._look_after()
        if self._failure:
            raise self._failure

    def _start_missing(self) -> None:
        while not self._stopping and len(self._workers) < self._number and time.monotonic() >= self._start_at:
            ours, theirs = _PROCESSES.Pipe()
            arguments = self._serve, self._settings, self._listeners, theirs
            process = _PROCESSES.Process(target=work, args=arguments)
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            self._workers.append(_Worker(process, ours))
            process.start()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            theirs.close()

    def _let_go(self) -> None:
        """Leave the channels to the parent: they are to close when it ends."""
        for worker in self._workers:
            worker.channel.close()

    def _hear(self, worker: _Worker) -> None:
        try:
            message = worker.channel.recv_bytes()
        except (EOFError, OSError):  # a worker that dies with something unread resets the channel
            self._bury(worker)
            return
        worker.unanswered = 0
        if not worker.serves:
            worker.serves = True
            self._announce(json.loads(message))

    def _bury(self, worker: _Worker) -> None:
        worker.process.join()
        worker.channel.close()
        self._workers.remove(worker)
        if self._stopping:
            return
        exit_code = worker.process.exitcode or 0
        _log.error("a worker ended and is replaced", extra={"pid": worker.process.pid, "exit_code": exit_code})
        if worker.serves:
            return
        if self._serves:
            self._start_at = time.monotonic() + _RETRY_SECONDS
        else:
            self._failure = WorkerFailed(exit_code)
            self._stop()

    def _announce(self, line: str | None) -> None:
        if not self._serves:
            self._serves = True
            announce(self._listeners)
            if line:
                self._on_ready(line)

    def _look_after(self) -> None:
        """Kill, now and then, who does not answer."""
        now = time.monotonic()
        if now >= self._kill_at:
            self._kill()
        if self._stopping or now < self._beat_at:
            return
        self._beat_at = now + _BEAT_SECONDS
        for worker in self._workers:
            if not worker.serves:
                continue
            if worker.unanswered == _MOST_UNANSWERED:
                _log.error("a worker hangs and is killed", extra={"pid": worker.process.pid})
                worker.process.kill()
            elif not worker.unanswered and not _send(worker.channel, b"beat"):
                continue
            worker.unanswered += 1

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        close(self._listeners)  # the workers' are open as long as they want
        for worker in self._workers:
            _send(worker.channel, ALL_STOP)
            worker.process.terminate()
        self._kill_at = time.monotonic() + self._settings.serving.grace_seconds + _KILL_AFTER_SECONDS

    def _interrupt(self) -> None:
        if self._stopping:
            self._kill()
        self._stop()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()


def _send(channel: connection.Connection, message: bytes) -> bool:
    """Send a message; whether there is anybody to get it."""
    try:
        channel.send_bytes(message)
    except OSError:
        return False
    return True
