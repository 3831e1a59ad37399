"""Downloads from a server on loopback: interruption, mirrors, checksums, lists."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sista.datasets import _download
from sista.datasets._download import RemoteFile, download, read_list
from sista.errors import UserError

CONTENT = bytes(range(256)) * 9000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """`/whole` answers, `/breaks` stops every time after 1 MB, `/plain` knows no ranges."""

    asked: list[tuple[str, str | None]]

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Range")))
        if self.path == "/missing":
            self.send_error(404)
            return
        start = 0
        if self.headers.get("Range") and self.path != "/plain":
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = b"x" * len(CONTENT) if self.path == "/other" else CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        stops = self.path == "/breaks" or (self.path == "/once" and len(self.asked) == 1)
        self.wfile.write(body[:1_000_000] if stops else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(_download, "WAIT_SECONDS", 0.0)
    asked = []
    handler = type("Handler", (Server,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_broken_transfer_goes_on_where_it_stopped(tmp_path, server):
    url, asked = server
    download([RemoteFile("a/b.zip", (f"{url}/breaks",), SHA)], tmp_path, "toy")
    assert (tmp_path / "a/b.zip").read_bytes() == CONTENT
    assert [start for _, start in asked] == [None, "bytes=983040-", "bytes=1966080-"]
    # What is there whole is not asked for again.
    download([RemoteFile("a/b.zip", (f"{url}/breaks",), SHA)], tmp_path, "toy")
    assert len(asked) == 3
    assert names(tmp_path) == ["b.zip"]


def test_a_second_run_goes_on_and_a_mirror_too(tmp_path, server, monkeypatch):
    url, asked = server
    monkeypatch.setattr(_download, "TRIES", 1)
    file = RemoteFile("b.zip", (f"{url}/breaks",), SHA)
    with pytest.raises(UserError, match=r"b\.zip cannot be downloaded: .*stopped.*Run again"):
        download([file], tmp_path, "toy")
    assert names(tmp_path) == [".b.zip.part"]
    mirrors = (f"{url}/missing", f"{url}/whole")
    download([RemoteFile("b.zip", mirrors, f"sha256:{SHA}")], tmp_path, "toy")
    assert asked[-1] == ("/whole", "bytes=983040-")
    assert (tmp_path / "b.zip").read_bytes() == CONTENT
    assert names(tmp_path) == ["b.zip"]


def test_a_wrong_checksum_leaves_nothing_and_the_mirror_is_asked(tmp_path, server):
    url, _ = server
    with pytest.raises(UserError, match="gave another file: its checksum differs"):
        download([RemoteFile("b.zip", (f"{url}/other",), SHA)], tmp_path, "toy")
    assert names(tmp_path) == []
    download([RemoteFile("b.zip", (f"{url}/other", f"{url}/whole"), SHA)], tmp_path, "toy")
    assert (tmp_path / "b.zip").read_bytes() == CONTENT


def test_a_damaged_file_is_brought_again(tmp_path, server):
    url, _ = server
    (tmp_path / "b.zip").write_bytes(CONTENT[:-1])
    download([RemoteFile("b.zip", (f"{url}/whole",), SHA)], tmp_path, "toy")
    assert (tmp_path / "b.zip").read_bytes() == CONTENT


def test_a_server_without_ranges_and_one_that_has_no_more(tmp_path, server):
    url, asked = server
    (tmp_path / ".b.zip.part").write_bytes(b"begun")
    download([RemoteFile("b.zip", (f"{url}/plain",), SHA)], tmp_path, "toy")
    assert asked == [("/plain", "bytes=5-")]
    (tmp_path / ".c.zip.part").write_bytes(CONTENT + b"more")
    download([RemoteFile("c.zip", (f"{url}/whole",), SHA)], tmp_path, "toy")
    assert (tmp_path / "c.zip").read_bytes() == CONTENT


def test_without_a_published_checksum_its_own_is_told(tmp_path, server, capsys):
    url, _ = server
    download([RemoteFile("b.zip", (f"{url}/once",))], tmp_path, "toy")
    assert f"b.zip has no published checksum; sha256 {SHA}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("abc a.zip http://x", "row 2: expected `checksum path address"),
        ("- a.zip", "row 2: expected"),
        ("- ../a.zip http://x", "row 2: the path leaves"),
        ("- a.zip ftp://x", "row 2: .*no http"),
        ("# nothing", "names no file"),
    ],
)
def test_a_bad_list_is_named(tmp_path, line, message):
    (tmp_path / "list.txt").write_text(f"# comment\n{line}\n")
    with pytest.raises(UserError, match=message):
        read_list(tmp_path / "list.txt")
