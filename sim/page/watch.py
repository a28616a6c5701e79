"""A local page that follows a run: served from this machine to this machine, from what the run has committed."""

import contextlib
import json
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from sim.addresses import Location
from sim.errors import ReportError, RunError
from sim.page.distribution import CLIENT_FILE
from sim.page.render import watch_html
from sim.report.following import Follower

HOST = "127.0.0.1"
PAGE_FILE = "report.html"


def watch(folder: Location, port: int, say: Callable[[str], None]) -> None:
    """Serves the page until Ctrl-C.

    Args:
        folder: The run's folder, here or at an address.
        port: Where; 0 for any that is free.
        say: Told the page's address.

    Raises:
        ReportError: The folder holds no run.
        RunError: The port cannot be had.
    """
    follower = Follower(folder)
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Handler, follower))
    except (OSError, OverflowError) as error:
        raise RunError(
            f"got port {port}, which cannot be had ({error}); leave --port out for one that is free"
        ) from error
    server.daemon_threads = True
    with server:
        say(f"watching {folder} at http://{HOST}:{server.server_address[1]}/ (Ctrl-C stops watching, not the run)")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("stopped watching")


class _Handler(BaseHTTPRequestHandler):
    """Answers a browser.

    Args:
        follower: Knows the run.
    """

    def __init__(self, follower: Follower, *arguments: object) -> None:
        self.follower = follower
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/":
            self._answer(200, "text/html; charset=utf-8", watch_html().encode())
        elif path == "/state.json":
            try:
                state = self.follower.look().as_dict()
            except (ReportError, OSError, ValueError) as error:  # a file may go while it is read
                state = {"error": str(error)}
            self._answer(200, "application/json", json.dumps(state, allow_nan=False).encode())
        elif path == f"/{PAGE_FILE}" or CLIENT_FILE.fullmatch(path[1:]):
            file = self.follower.folder / path[1:]
            if file.is_file():
                self._answer(200, "text/html; charset=utf-8", file.read_bytes())
            else:
                self._answer(404, "text/plain", b"not there yet")
        elif path == "/favicon.ico":
            self._answer(204, "image/x-icon", b"")
        else:
            self._answer(404, "text/plain", b"no such page")

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # the page was closed meanwhile
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line."""
