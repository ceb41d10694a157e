"""Several processes that serve on the same sockets: started, replaced when one dies, and stopped together."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.config
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

from churn_mlops.api.access_log import LOGGING
from churn_mlops.api.listening import announce, close
from churn_mlops.errors import WorkerFailed

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable

    from churn_mlops.config import Settings

_RETRY_SECONDS: Final = 1
_KILL_AFTER_SECONDS: Final = 2
"""Beyond `serving.grace_seconds`, which a worker keeps by itself unless it hangs."""

_log = logging.getLogger("churn_mlops.api")


class Workers:
    """The workers of a service, each a process of its own (see `worker`).

    Args:
        settings: the configuration, of every worker.
        number: how many there are to be.
        listeners: open sockets, which all of them share: what waits there for a worker that dies, another accepts.
        on_ready: given, once a model is being served, a shell command that asks it something.
    """

    def __init__(
        self, settings: Settings, number: int, listeners: list[socket.socket], on_ready: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._number = number
        self._listeners = listeners
        self._on_ready = on_ready
        self._running: set[Process] = set()
        self._stopping = asyncio.Event()
        self._serves = False
        self._failure: WorkerFailed | None = None

    def run(self) -> None:
        """Keep them running until SIGTERM or SIGINT, then stop them; a second SIGINT kills them.

        Raises:
            WorkerFailed: the first one to start does not.
        """
        logging.config.dictConfig(LOGGING)
        asyncio.run(self._run())
        if self._failure:
            raise self._failure

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        await asyncio.gather(*(self._keep_one() for _ in range(self._number)))

    async def _keep_one(self) -> None:
        while not self._stopping.is_set():
            process, started = await self._run_one()
            if self._stopping.is_set():
                return
            about = {"pid": process.pid, "exit_code": process.returncode}
            _log.error("a worker ended and is replaced", extra=about)
            if started:
                continue
            if not self._serves:
                self._failure = WorkerFailed(process.returncode or 0)
                self._stop()
                return
            await asyncio.wait([asyncio.ensure_future(self._stopping.wait())], timeout=_RETRY_SECONDS)

    async def _run_one(self) -> tuple[Process, bool]:
        """Run a worker to its end; whether it had started to serve."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = [theirs.fileno(), *(listener.fileno() for listener in self._listeners)]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "churn_mlops.api.worker", *map(str, descriptors)),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # where this process found its modules
                pass_fds=descriptors,
                stdin=asyncio.subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for this process, which tells the workers
            )
        self._running.add(process)
        try:
            reader, writer = await asyncio.open_connection(sock=ours)
            writer.write(self._settings.model_dump_json().encode() + b"\n")
            if self._stopping.is_set():  # told while the process was being made
                process.send_signal(signal.SIGTERM)
            started = await _read_line(reader)
            if started:
                self._announce(json.loads(started))
            await process.wait()
            writer.close()
        finally:
            self._running.discard(process)
        return process, bool(started)

    def _announce(self, line: str | None) -> None:
        if not self._serves:
            self._serves = True
            announce(self._listeners)
            if line:
                self._on_ready(line)

    def _stop(self) -> None:
        if self._stopping.is_set():
            return
        self._stopping.set()
        close(self._listeners)  # the workers' are open as long as they want
        self._signal(signal.SIGTERM)
        seconds = self._settings.serving.grace_seconds + _KILL_AFTER_SECONDS
        asyncio.get_running_loop().call_later(seconds, self._signal, signal.SIGKILL)

    def _interrupt(self) -> None:
        if self._stopping.is_set():
            self._signal(signal.SIGKILL)
        self._stop()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running:
            if process.returncode is None:
                process.send_signal(number)


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ConnectionError:  # a worker that dies with the settings unread resets the channel
        return b""
