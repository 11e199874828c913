"""An S3 server in this process, as far as fsspec asks it: objects that appear whole, in one bucket that is there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape


@dataclass
class Bucket:
    """Of the bucket named ``bucket`` by key: ``objects``, the bytes, and ``written``, when that was (Unix time).

    ``requests``: the methods of all requests; ``parts``: by key when an upload in parts began, whose id is ``u``.
    ``together``: each request to an object waits until so many others wait too.
    """

    endpoint: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    together: Barrier = field(default_factory=lambda: Barrier(1))


@contextmanager
def serving() -> Iterator[Bucket]:
    """Until the block ends."""
    bucket = Bucket()

    class Answers(_Answers):
        objects, written, requests = bucket.objects, bucket.written, bucket.requests
        parts, bucket_served = bucket.parts, bucket

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    bucket.endpoint = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body go apart: the second would wait for the first to be acknowledged.
    disable_nagle_algorithm = True
    objects: dict[str, bytes]
    written: dict[str, float]
    requests: list[str]
    parts: dict[str, float]
    bucket_served: Bucket

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        self.requests.append(self.command)
        if self._key and "?" not in self.path:
            self.bucket_served.together.wait(20)
        if unquote(urlsplit(self.path).path).lstrip("/").partition("/")[0] == "bucket":
            return True
        self._body()
        self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        return False

    def do_PUT(self) -> None:
        data = self._body()
        if source := self.headers.get("x-amz-copy-source"):
            data = self.objects[unquote(source).lstrip("/").partition("/")[2]]
        self.written[self._key] = time.time()
        self.objects[self._key] = data
        copied = f"<CopyObjectResult><ETag>{_etag(data)}</ETag></CopyObjectResult>"
        self._answer(200, copied.encode() if source else b"", ETag=_etag(data))

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploads" in asked:
            self._list_parts()
        elif "list-type" in asked:
            self._list(asked.get("prefix", [""])[0], asked.get("delimiter", [""])[0])
        elif not self._key:  # whether there is the bucket
            self._answer(200)
        elif (data := self.objects.get(self._key)) is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(found[1]), int(found[2] or len(data) - 1)
            self._answer(206, data[first : last + 1], ETag=_etag(data))
        else:
            self._answer(200, data, ETag=_etag(data))

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        if "uploadId=u" in self.path:
            self.parts.pop(self._key)
        else:
            self.objects.pop(self._key, None)
        self._answer(204)

    def do_POST(self) -> None:
        """Of what S3 takes by POST: the deletion of many."""
        keys = [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", self._body().decode())]
        for key in keys:
            self.objects.pop(key, None)
        said = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{said}</DeleteResult>".encode())

    def _list_parts(self) -> None:
        begun = "".join(
            f"<Upload><Key>{escape(key)}</Key><UploadId>u</UploadId>"
            f"<Initiated>{datetime.fromtimestamp(at, UTC).isoformat()}</Initiated></Upload>"
            for key, at in self.parts.items()
        )
        self._answer(200, f"<ListMultipartUploadsResult>{begun}</ListMultipartUploadsResult>".encode())

    def _list(self, prefix: str, delimiter: str) -> None:
        contents, folders = [], {}
        for key, data in sorted(self.objects.copy().items()):
            if key.startswith(prefix):
                rest = key.removeprefix(prefix)
                if delimiter and delimiter in rest:
                    folders[prefix + rest.partition(delimiter)[0] + delimiter] = None
                else:
                    then = datetime.fromtimestamp(self.written[key], UTC).isoformat()
                    contents.append(
                        f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>{_etag(data)}</ETag>"
                        f"<LastModified>{then}</LastModified></Contents>"
                    )
        below = "".join(f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in folders)
        said = f"<IsTruncated>false</IsTruncated>{''.join(contents)}{below}"
        self._answer(200, f"<ListBucketResult>{said}</ListBucketResult>".encode())

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def _body(self) -> bytes:
        assert "aws-chunked" not in self.headers.get("Content-Encoding", "")
        size = int(self.headers.get("Content-Length", 0))
        data = self.rfile.read(size)
        if len(data) < size:
            # As S3 does: what breaks off leaves no object.
            raise ConnectionAbortedError
        return data

    def _answer(self, code: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _etag(data: bytes) -> str:
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'
