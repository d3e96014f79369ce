"""A web site on this machine that behaves as badly as real ones do: for tests of what is fetched from elsewhere."""

import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One answer to a request.

    said: the Content-Length where it is not the body's, -1 for none. pause: s before each of 20 pieces of the body.
    dead: the connection is reset before an answer, or, where it is a number, after so many bytes. ranges: whether a
    part can be asked for.
    """

    body: bytes = b""
    kind: str = "audio/flac"
    status: int = 200
    headers: dict = field(default_factory=dict)
    said: int | None = None
    pause: float = 0.0
    dead: bool | int = False
    ranges: bool = False


class Site:
    """What is served: `answers` by path, a list of which the last is repeated; `requests` counts those that came.

    Every answer to HEAD is the next one's head, and does not count.
    """

    def __init__(self):
        self.answers, self.requests, self.url = {}, [], ""

    def serve(self, path, *answers):
        """Serve answers at a path; returns its address."""
        self.answers[path] = list(answers)
        return self.url + path

    def count(self, path):
        return sum(request == path for request, _ in self.requests)


@contextmanager
def running_site():
    """A Site that is served on a port of this machine while the block runs."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self._answer(send_body=False)

        def do_GET(self):
            self._answer(send_body=True)

        def _answer(self, send_body):
            path = self.path.split("?")[0]
            answers = site.answers.get(path, [Answer(status=404)])
            answer = answers[0]
            if send_body:
                site.requests.append((path, dict(self.headers)))
                if len(answers) > 1:
                    answers.pop(0)
            if answer.dead is True:
                return self._reset()
            body, status, extra = answer.body, answer.status, dict(answer.headers)
            asked = self.headers.get("Range", "")
            if answer.ranges and asked.startswith("bytes=") and asked.endswith("-"):
                first = int(asked[6:-1])
                extra["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
                body, status = body[first:], 206
            self.send_response(status)
            self.send_header("Content-Type", answer.kind)
            if answer.said != -1:
                self.send_header("Content-Length", str(len(body) if answer.said is None else answer.said))
            for name, value in extra.items():
                self.send_header(name, value)
            self.end_headers()
            if send_body:
                self._send(body, answer)

        def _send(self, body, answer):
            if answer.dead is not False:
                body = body[: answer.dead]
            step = -(-len(body) // 20) or 1
            try:
                for first in range(0, len(body), step):
                    time.sleep(answer.pause)
                    self.wfile.write(body[first : first + step])
                    self.wfile.flush()
            except OSError:
                return  # whoever asked has gone
            if answer.dead is not False:
                self._reset()

        def _reset(self):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
