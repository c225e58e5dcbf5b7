"""A headless Chromium, driven over its DevTools protocol: enough to look at a page and click on it as a person does.

Clicks are mouse events at the middle of what is seen under a text, so what is covered or out of view is not clicked.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import websocket

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1680,1050"),
)
# The innermost visible element whose own text is, or begins with, what is looked for.
_FIND = """
(([text, exact, selector]) => {
  const own = (e) => (e.innerText || e.value || e.getAttribute('aria-label') || '').trim();
  const fits = (e) => exact ? own(e) === text : own(e).startsWith(text);
  const seen = (e) => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0; };
  const found = [...document.querySelectorAll(selector)].filter((e) => seen(e) && fits(e));
  const inner = found.filter((e) => !found.some((o) => o !== e && e.contains(o)));
  if (!inner.length) return null;
  inner[0].scrollIntoView({block: 'center', inline: 'center'});
  const r = inner[0].getBoundingClientRect();
  return [r.x + r.width / 2, r.y + r.height / 2];
})
"""


class Page:
    """One tab."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=60, suppress_origin=True)
        self._numbers = itertools.count(1)
        self._send("Page.enable")
        self._send("Emulation.setDeviceMetricsOverride", width=1680, height=1050, deviceScaleFactor=1, mobile=False)

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def open(self, url: str) -> None:
        self._send("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        result = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    @property
    def text(self) -> str:
        return self.run("document.body ? document.body.innerText : ''")

    def wait_for(self, *texts: str, seconds: float = 60) -> str:
        """Wait until the page shows all texts."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.text
            missing = [text for text in texts if text not in shown]
            if not missing:
                return shown
            if time.monotonic() > deadline:
                raise AssertionError(f"after {seconds} s the page does not show {missing}; it shows:\n{shown[:3000]}")
            time.sleep(0.5)

    def click(self, text: str, *, exact: bool = True, selector: str = "*", seconds: float = 60) -> None:
        """Click on what is seen under this text, as soon as it is there."""
        deadline = time.monotonic() + seconds
        while not (at := self.run(f"{_FIND}({json.dumps([text, exact, selector])})")):
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing to click says {text!r}; the page shows:\n{self.text[:3000]}")
            time.sleep(0.5)
        mouse = {"x": at[0], "y": at[1], "button": "left", "clickCount": 1}
        self._send("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])
        self._send("Input.dispatchMouseEvent", type="mousePressed", **mouse)
        self._send("Input.dispatchMouseEvent", type="mouseReleased", **mouse)

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def browse(profile: Path) -> Iterator[Page]:
    """A fresh browser with one page; ends with the block. ``profile``: an empty directory for it."""
    process = subprocess.Popen(
        [EXECUTABLE, *_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = _debugging_port(profile)
        tabs = requests.get(f"http://127.0.0.1:{port}/json", timeout=30).json()
        yield Page(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
    finally:
        process.terminate()
        process.wait(timeout=30)


def _debugging_port(profile: Path) -> int:
    file = profile / "DevToolsActivePort"
    for _ in range(240):
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.25)
    raise AssertionError("Chromium did not start")
