"""An ERP's API: a real HTTP server on 127.0.0.1 that serves a list in pages by each way of paging there is."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

TOKEN = "t0p-s3cret"  # pragma: allowlist secret


class Erp:
    """The list, and what the server is to do with the next requests.

    `script` has answers that are given before any other: (status, headers, body). `before` is called with the number of
    each request, the first being 1, and may change the list.
    """

    def __init__(self, url: str) -> None:
        self.url, self.rows = url, list[dict[str, Any]]()
        self.token, self.size = TOKEN, 10
        self.script: list[tuple[int, dict[str, str], str]] = []
        self.before: Callable[[int], None] = lambda _: None
        self.asked: list[dict[str, str]] = []
        self.shown: Callable[[list[dict[str, Any]]], Any] = lambda rows: {"data": {"items": rows}}

    def answer(self, path: str, query: dict[str, str], token: str) -> tuple[int, dict[str, str], str]:
        self.asked.append(query)
        self.before(len(self.asked))
        if self.script:
            return self.script.pop(0)
        if token != f"Bearer {self.token}":
            return 401, {}, json.dumps({"error": "token expired", "given": token})
        rows = [row for row in self.rows if str(row["updated_at"]) >= query.get("since", "")]
        style = path.rsplit("/", 1)[-1]
        start = int(query.get("offset", 0)) + self.size * (int(query.get("page", 1)) - 1)
        if style in ("cursor", "next", "link"):  # keyset: after the last id, wherever that row is now
            rows = sorted((r for r in rows if r["id"] > int(query.get("after", -1))), key=lambda r: r["id"])
        page = rows[start : start + self.size]
        said, headers = self.shown(page), dict[str, str]()
        if page and len(rows) > start + self.size:
            after = str(page[-1]["id"])
            onward = f"{self.url}/{style}?{urlencode(query | {'after': after})}"
            if style == "cursor":
                said |= {"meta": {"after": after}}
            elif style == "next":
                said |= {"links": {"next": onward}}
            elif style == "link":
                headers["Link"] = f'<{onward}>; rel="next"'
        return 200, headers, json.dumps(said)


@contextmanager
def erp_server() -> Iterator[Erp]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, headers, body = erp.answer(parts.path, query, self.headers.get("Authorization", ""))
            data = body.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    erp = Erp(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield erp
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
