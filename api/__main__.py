"""``python -m api``: serve the API until told to stop."""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import logging
import os
import socket
import sys
from collections.abc import Sequence

from api.settings import Settings, SettingsError

WRONG_INPUT = 2


class CannotListen(Exception):
    """The address cannot be listened on; the message fits in one line and says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; 0 when stopped, 2 with one line on stderr if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the Causeway API.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=8000, type=int, help="port to listen on (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ)
        listener = listen(options.host, options.port)
    except (SettingsError, CannotListen) as error:
        print(f"causeway api: {error}", file=sys.stderr)
        return WRONG_INPUT

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(name)s: %(message)s")
    # Imported when the port is ours: whoever got it wrong is told at once.
    import uvicorn

    from api.app import create_app

    config = uvicorn.Config(
        create_app(settings),
        log_level="info",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    # What was loaded so far stays for good: collections need not walk it, which shortens their pauses.
    gc.freeze()
    # A batch of events is thousands of objects that refer to each other in no circle: to look for one after every 700
    # of them would take a quarter of the time.
    gc.set_threshold(50_000, 20, 20)
    # Uvicorn raises the signal again once it has shut down in order; being told to stop is no failure.
    with listener, contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to ``host`` and ``port``; CannotListen if the port is busy or the address not ours."""
    if not 0 <= port <= 65535:
        raise CannotListen(f"{port} is not a port: choose one between 1 and 65535 with --port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening now, not when the application is ready: a second process must not get past this line.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"port {port} on {host} is busy: stop what holds it, or choose another with --port"
            ) from None
        if error.errno == errno.EACCES:
            raise CannotListen(f"port {port} needs privileges: choose one above 1023 with --port") from None
        raise CannotListen(
            f"cannot listen on {host}: {error.strerror or error}; choose an address with --host"
        ) from None
    return listener


if __name__ == "__main__":
    sys.exit(main())
