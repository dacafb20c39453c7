"""Clients that send half a request and fall silent keep nobody else waiting."""

from __future__ import annotations

import contextlib
import socket

import httpx

from tests.faults.client import Sender
from tests.faults.house import ApiProcess, FaultyHouse

STALLED = 60
"""Far more than the API has connections to Postgres."""


def test_a_stalled_client_holds_no_connection(house: FaultyHouse, api: ApiProcess) -> None:
    """Half of them stall in the body of a batch of events, the others in that of an assignment."""
    api.start()
    with contextlib.ExitStack() as open_sockets:
        for number in range(STALLED):
            path = "/v1/events" if number % 2 else "/v1/assignments"
            stalled = open_sockets.enter_context(socket.create_connection(("127.0.0.1", api.port)))
            stalled.sendall(
                f"POST {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {api.key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n".encode()
                + b'{"events": [{"source": "till"'
            )
        sender = Sender(api.url, api.key)
        sender.send_until_acknowledged([[f"beside-{n}" for n in range(100)]], [f"beside-{n}" for n in range(20)])
        assert httpx.get(f"{api.url}/readyz").status_code == 200
        states = [state for state, _ in house.connections()]
        assert states, "the API has connections"
        assert not [state for state in states if state not in ("idle", "")]
    assert len(sender.events) == 100
