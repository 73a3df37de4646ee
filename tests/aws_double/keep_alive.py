"""HTTP/1.1 with connections that stay open, for werkzeug's development server, which closes each one after its answer.

A request's body is read whole before the application runs, so the next request starts where this one ends.
"""

import io
import socket
from http import HTTPStatus
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler

from aws_double.answers import DropConnection

BODILESS = {204, 304}


class KeepAliveHandler(MotoRequestHandler):
    """Handles the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two packets: 40 ms each without this

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        body = self._read_body()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        said: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            said[:] = [status, headers]
            return lambda data: None

        try:
            chunks = self.server.app(environ, start_response)
            content = b"".join(chunks)
        except DropConnection:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(int(said[0].split(" ", 1)[0]), said[1], content)

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";", 1)[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status, HTTPStatus(status).phrase)
        head = self.command == "HEAD"
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding") and (head or name.lower() != "content-length"):
                self.send_header(name, value)
        if not head and status not in BODILESS:
            self.send_header("Content-Length", str(len(content)))
        elif head and not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", "0")
        self.end_headers()
        if not head and status not in BODILESS:
            self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the requests are in the server's own log."""
