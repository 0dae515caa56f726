"""Simulates network faults with a TCP proxy in front of each broker, on loopback.

A proxy can delay frames, stall (connections stay open, nothing arrives), reset all connections, and
hold back the broker's answers to EndTxn only, so that a commit takes effect without an answer. For
that it parses Kafka's framing: a length, then the API key, its version and a correlation id, which
the answer repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Final

from pipeline.demo.local_kafka.ports import HOST

END_TXN: Final = 26
_HEAD: Final = struct.Struct(">hhi")
"""Start of a request after its length: API key, API version, correlation id."""
_TIMEOUT_S: Final = 10.0
_LAST_MOMENT_S: Final = 0.1


class Proxy:
    """The proxy of one broker; its methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, broker_port: int) -> None:
        self._loop = loop
        self._broker_port = broker_port
        self._delay_s = 0.0
        self._flows = asyncio.Event()
        self._flows.set()
        self._answers_pass = asyncio.Event()
        self._answers_pass.set()
        self._connections: set[_Connection] = set()
        self.held = 0
        """Number of answers to EndTxn withheld until now."""
        self.dropped = 0
        """Number of connections that were reset until now."""
        self.port = 0

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.port}"

    async def listen(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def end(self) -> None:
        """Stop listening, and reset all connections."""
        self._server.close()
        self._cut()

    def delay(self, seconds: float) -> None:
        """Delay every frame by some seconds; 0 ends the delay."""
        self._delay_s = seconds

    def stall(self) -> None:
        """Stop all frames; connections stay open, and new ones are accepted."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """End a stall."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def hold_end_txn(self) -> None:
        """Hold back answers to EndTxn, and what the broker sends after them."""
        self._loop.call_soon_threadsafe(self._answers_pass.clear)

    def release_end_txn(self) -> None:
        """Pass on the answers that were withheld."""
        self._loop.call_soon_threadsafe(self._answers_pass.set)

    def cut(self) -> None:
        """Reset all connections; new ones are accepted."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        self.dropped += len(self._connections)
        for connection in list(self._connections):
            connection.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):  # the client is refused, as by the broker itself
                upstream = await asyncio.open_connection(HOST, self._broker_port)
                await self._serve(_Connection(self, (reader, writer), upstream))
        finally:
            _reset(writer)

    async def _serve(self, connection: _Connection) -> None:
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)

    async def pass_on(self, *, end_txn_answer: bool) -> None:
        """Delay a frame as long as the current faults demand."""
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        await self._flows.wait()
        if end_txn_answer and not self._answers_pass.is_set():
            self.held += 1
            await self._answers_pass.wait()


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """The connection of a client, and the one to the broker that belongs to it."""

    def __init__(self, proxy: Proxy, client: _Streams, broker: _Streams) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._end_txns: set[int] = set()
        """Correlation ids of EndTxn requests that are not answered yet."""

    async def serve(self) -> None:
        """Pass on frames until one side closes its connection."""
        pumps = [asyncio.ensure_future(each) for each in (self._requests(), self._answers())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self.abort()

    def abort(self) -> None:
        """Reset both connections."""
        for _, writer in (self._client, self._broker):
            _reset(writer)

    async def _requests(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _read_frame(self._client[0])
                key, _, correlation = _HEAD.unpack_from(frame)
                if key == END_TXN:
                    self._end_txns.add(correlation)
                await self._write(self._broker[1], frame, end_txn_answer=False)

    async def _answers(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _read_frame(self._broker[0])
                correlation = int.from_bytes(frame[:4], "big", signed=True)
                is_held = correlation in self._end_txns
                self._end_txns.discard(correlation)
                await self._write(self._client[1], frame, end_txn_answer=is_held)

    async def _write(
        self, writer: asyncio.StreamWriter, frame: bytes, *, end_txn_answer: bool
    ) -> None:
        await self._proxy.pass_on(end_txn_answer=end_txn_answer)
        writer.write(struct.pack(">i", len(frame)))
        writer.write(frame)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a crash would, with RST."""
    at_once = struct.pack("ii", 1, 0)
    with contextlib.suppress(OSError):  # it has ended already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


class Proxies:
    """All proxies and their event loop, which has a thread of its own."""

    def __init__(self) -> None:
        self._proxies: list[Proxy] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def add(self, broker_port: int) -> Proxy:
        """Start a proxy in front of the broker on this port."""
        proxy = Proxy(self._loop, broker_port)
        self._wait_for(proxy.listen())
        self._proxies.append(proxy)
        return proxy

    def stop(self) -> None:
        """Reset all connections, and stop the thread."""
        for proxy in self._proxies:
            self._wait_for(proxy.end())
        self._wait_for(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_TIMEOUT_S)
        self._loop.close()

    def _wait_for(self, job: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(job, self._loop).result(_TIMEOUT_S)


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(_LAST_MOMENT_S)  # transports close in later turns of the loop
