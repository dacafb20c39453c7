"""A real browser, spoken to in its own protocol (Chrome DevTools) through two pipes; no port, no other package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.one_at_a_time import one_at_a_time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")
LONGEST_SECONDS = 60
INSTALLATION_SECONDS = 600


@cache
def program() -> str | None:
    """The browser's command; Debian's is installed where there is none. None where that takes root."""
    if _found() is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        with one_at_a_time("the browser"):
            _install()
    return _found()


def _install() -> None:
    if _found() is None:
        for step in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            command = ["apt-get", "-qq", *step]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=INSTALLATION_SECONDS)


def _found() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Tab:
    """One page of a browser, with everything that it has asked for and complained of."""

    browser: Browser
    session: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol."""
        return self.browser.call(method, self.session, **parameters)

    def window(self, width: int, height: int, *, is_phone: bool = False, scheme: str = "light") -> None:
        """The size of the window and the colours that its user prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str) -> None:
        """Load a page and wait until it has come."""
        self.requests.clear()
        self.complaints.clear()
        self.browser.loaded.discard(self.session)
        self.call("Page.navigate", url=url)
        self.browser.wait_for(lambda: self.session in self.browser.loaded)

    def run(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def pdf(self) -> bytes:
        """The page as it is printed on A4."""
        answer = self.call("Page.printToPDF", printBackground=False, paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(answer["data"])


class Browser:
    """A running browser."""

    def __init__(self, into: int, out: int) -> None:
        self._into, self._out = into, out
        self._last = 0
        self._rest = b""
        self._answers: dict[int, dict[str, Any]] = {}
        self._tabs: dict[str, Tab] = {}
        self.loaded: set[str] = set()

    def tab(self) -> Tab:
        """A new page, which is listened to from the start."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        for domain in ("Page", "Network", "Log", "Runtime"):
            tab.call(f"{domain}.enable")
        return tab

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._last += 1
        number = self._last
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._into, json.dumps(message).encode() + b"\0")
        self.wait_for(lambda: number in self._answers)
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]  # type: ignore[no-any-return]

    def wait_for(self, is_so: Any) -> None:
        """Listen until it is so."""
        until = time.monotonic() + LONGEST_SECONDS
        while not is_so():
            ready, _, _ = select.select([self._out], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            heard = os.read(self._out, 1 << 16)
            assert heard, "the browser has gone"
            *messages, self._rest = (self._rest + heard).split(b"\0")
            for message in messages:
                self._hear(json.loads(message))

    def _hear(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        tab = self._tabs.get(message.get("sessionId", ""))
        if tab is None:
            return
        said = message["params"]
        match message["method"]:
            case "Page.loadEventFired":
                self.loaded.add(tab.session)
            case "Network.requestWillBeSent":
                tab.requests.append(said["request"]["url"])
            case "Log.entryAdded":
                tab.complaints.append(said["entry"]["text"])
            case "Runtime.consoleAPICalled":
                tab.complaints.append(json.dumps(said["args"]))
            case "Runtime.exceptionThrown":
                tab.complaints.append(said["exceptionDetails"]["text"])


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """A browser without a window, whose profile lies in ``folder``; it is ended at the end."""
    command = program()
    assert command is not None, "no Chromium is installed"
    for_browser, into = os.pipe()
    out, of_browser = os.pipe()
    # The browser listens on 3 and talks on 4; numbers beyond ten cannot be in each other's way.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (for_browser, of_browser)]
    arguments = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
        "--disable-background-networking", "--no-first-run", f"--user-data-dir={folder}",
    ]  # fmt: skip
    redirected = f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}'
    with open(folder / "stderr.txt", "wb") as stderr:
        process = subprocess.Popen(
            ["bash", "-c", redirected, "bash", command, *arguments], pass_fds=ends, stderr=stderr, stdout=stderr
        )
    for end in (for_browser, of_browser, *ends):
        os.close(end)
    try:
        yield Browser(into, out)
    finally:
        os.close(into)
        os.close(out)
        process.terminate()
        process.wait(timeout=LONGEST_SECONDS)
