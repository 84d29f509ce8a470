"""A real browser, driven by the Chrome DevTools Protocol over a pipe, with no package beside the standard library."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)
Send = Callable[..., dict[str, Any]]

# The browser reads commands from file 3 and writes to file 4: a process in between gives the pipes these numbers.
_AS_3_AND_4 = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(file), fcntl.F_DUPFD, 10) for file in sys.argv[1:3])
os.dup2(read, 3), os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


@contextmanager
def page(file: Path, folder: Path, *, width: int, height: int = 900, touch: bool = False) -> Iterator[Send]:
    """A file shown in a window of `width` CSS pixels; yields a function that sends a command to the page.

    Args:
        file: The HTML file.
        folder: An empty folder for the browser's profile.
        width: The width of the window, as of a phone where `touch` is set.
        height: The height of the window.
        touch: Whether the screen takes fingers.
    """
    assert BROWSER is not None
    to_browser, from_browser = os.pipe(), os.pipe()
    files = (to_browser[0], from_browser[1])
    options = ["--headless", "--disable-gpu", "--no-sandbox", "--remote-debugging-pipe", f"--user-data-dir={folder}"]
    command = [sys.executable, "-c", _AS_3_AND_4, *map(str, files), BROWSER, *options, "about:blank"]
    with (
        subprocess.Popen(command, pass_fds=files, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        os.fdopen(to_browser[1], "wb", buffering=0) as commands,
        os.fdopen(from_browser[0], "rb") as answers,
    ):
        for end in files:
            os.close(end)
        try:
            yield _opened(_sender(commands, answers), file, width, height, touch)
        finally:
            process.kill()


def _sender(commands: Any, answers: Any) -> Send:
    waiting = bytearray()
    number = 0

    def message() -> dict[str, Any]:
        while b"\0" not in waiting:
            read = answers.read1(1 << 16)
            if not read:
                raise EOFError("the browser has ended.")
            waiting.extend(read)
        text, _, rest = bytes(waiting).partition(b"\0")
        waiting[:] = rest
        return dict(json.loads(text))

    def send(method: str, *, until: str | None = None, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The result of a command; with `until`, once an event of that name has come too."""
        nonlocal number
        number += 1
        command = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        commands.write(json.dumps(command).encode() + b"\0")
        result, waits = None, until is not None
        while result is None or waits:
            came = message()
            waits = waits and came.get("method") != until
            if came.get("id") == number:
                assert "error" not in came, came["error"]
                result = came["result"]
        return dict(result)

    return send


def _opened(send: Send, file: Path, width: int, height: int, touch: bool) -> Send:
    target = send("Target.createTarget", url="about:blank")["targetId"]
    session = send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def to_page(method: str, **params: Any) -> dict[str, Any]:
        return send(method, session=session, **params)

    to_page("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
    to_page("Emulation.setTouchEmulationEnabled", enabled=touch)
    to_page("Page.enable")
    to_page("Page.navigate", url=file.as_uri(), until="Page.loadEventFired")
    return to_page


def value(send: Send, expression: str) -> Any:
    """What an expression of JavaScript is in the page."""
    result = send("Runtime.evaluate", expression=expression, returnByValue=True)
    assert "exceptionDetails" not in result, result
    return result["result"].get("value")


def press(send: Send, key: str, code: int) -> None:
    """Press and release a key of the keyboard, such as ("ArrowRight", 39)."""
    for kind in ("keyDown", "keyUp"):
        send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)


def tap(send: Send, x: float, y: float, *, finger: bool) -> None:
    """Touch a place of the window with a finger, or press the mouse there."""
    if finger:
        send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        return
    for kind in ("mousePressed", "mouseReleased"):
        send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def screenshot(send: Send) -> bytes:
    """The page from top to bottom, as a PNG file."""
    return base64.b64decode(send("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])
