"""get_file: where files come from and go to, and what is refused; from a server of the test."""

import gzip
import hashlib
import io
import os
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.keras.oracle import keras as real

from thalweg.keras.utils import files, get_file
from thalweg.keras.utils.files import ArchiveError, DownloadError

CONTENT = b"Float like a butterfly, sting like a bee.\n" * 100


@pytest.fixture
def server():
    """A server that counts: /whole, /cut (ends early), /endless (has no length), /missing."""

    class Handler(BaseHTTPRequestHandler):
        requests = 0

        def do_GET(self):
            type(self).requests += 1
            if self.path.startswith("/missing"):
                self.send_error(404)
                return
            self.send_response(200)
            if not self.path.startswith("/endless"):
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:100] if self.path.startswith("/cut") else CONTENT)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        httpd.origin = f"http://127.0.0.1:{httpd.server_port}"
        httpd.handler = Handler
        try:
            yield httpd
        finally:
            httpd.shutdown()
            thread.join()


def listing(folder):
    return sorted(
        os.path.relpath(os.path.join(root, name), folder)
        for root, _, names in os.walk(folder)
        for name in names
    )


# ---- downloads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/whole.txt", "/endless.txt", "/whole.txt?version=2"])
def test_a_file_is_fetched_once(server, tmp_path, path, capsys):
    for _ in range(2):
        found = get_file(origin=server.origin + path, cache_dir=tmp_path)
        name = path[1:].partition("?")[0]
        assert found == str(tmp_path / "datasets" / name)
        assert Path(found).read_bytes() == CONTENT
    assert server.handler.requests == 1
    assert listing(tmp_path) == [f"datasets/{name}"]
    assert capsys.readouterr().out == f"Downloading data from {server.origin}{path}\n"
    get_file(origin=server.origin + path, cache_dir=tmp_path, force_download=True)
    assert server.handler.requests == 2


def test_a_terminal_shows_the_progress(server, tmp_path, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", out)
    get_file(origin=f"{server.origin}/whole", cache_dir=tmp_path)
    assert f"{len(CONTENT)}/{len(CONTENT)}" in out.getvalue()


def test_names_and_folders(server, tmp_path, monkeypatch):
    origin = f"{server.origin}/whole"
    given = get_file("mine.txt", origin, cache_dir=tmp_path, cache_subdir="models/new")
    assert given == str(tmp_path / "models" / "new" / "mine.txt")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    assert get_file(origin=origin) == str(tmp_path / "home" / "datasets" / "whole")
    assert get_file("x", origin, cache_subdir=str(tmp_path / "abs")) == str(tmp_path / "abs" / "x")


HASHES = {
    "md5": hashlib.md5(CONTENT).hexdigest(),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
}


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_hash_is_checked(server, tmp_path, algorithm):
    origin, value = f"{server.origin}/whole", HASHES[algorithm]
    for kwargs in ({}, {"hash_algorithm": algorithm}):
        path = get_file("x", origin, file_hash=value.upper(), cache_dir=tmp_path, **kwargs)
        assert files.hash_file(path, algorithm) == value
    assert server.handler.requests == 1
    if algorithm == "md5":
        assert get_file("x", origin, md5_hash=value, cache_dir=tmp_path) == path
    # Another content in the cache is fetched again.
    Path(path).write_text("something else")
    get_file("x", origin, file_hash=value, cache_dir=tmp_path)
    assert Path(path).read_bytes() == CONTENT


def test_a_file_with_another_hash_is_not_kept(server, tmp_path):
    with pytest.raises(ValueError, match="Incomplete or corrupted file detected"):
        get_file("x", f"{server.origin}/whole", file_hash="0" * 64, cache_dir=tmp_path)
    assert listing(tmp_path) == []


def test_what_is_cut_is_not_kept(server, tmp_path):
    with pytest.raises(DownloadError, match=rf"{len(CONTENT)} bytes of .*\n.*100|IncompleteRead"):
        get_file(origin=f"{server.origin}/cut", cache_dir=tmp_path)
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    "origin",
    ["{}/missing", "http://127.0.0.1:1/x", "nothing://x/y", "no address", "file:///nowhere/x.txt"],
)
def test_what_cannot_be_fetched(server, tmp_path, origin):
    with pytest.raises(DownloadError, match=r"URL fetch failure(.|\n)*put the file there yourself"):
        get_file("x", origin.format(server.origin), cache_dir=tmp_path)
    assert listing(tmp_path) == []


def test_a_full_disk_is_no_failure_of_the_network(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        get_file("x", f"{server.origin}/whole", cache_dir=tmp_path)
    assert not isinstance(caught.value, DownloadError)
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, '"origin" argument'),
        ({"fname": "x"}, '"origin" argument'),
        ({"origin": "file:///a/"}, "Can't parse the file name"),
        ({"origin": "file:///a", "fname": "../x"}, "Paths are no longer accepted"),
        ({"origin": "file:///a", "fname": "sub/x"}, "Paths are no longer accepted"),
        ({"origin": "file:///a", "fname": ".."}, "Paths are no longer accepted"),
        ({"origin": "file:///a", "hash_algorithm": "crc"}, "hash_algorithm to be one of"),
        ({"origin": "file:///a", "extract": True, "archive_format": "rar"}, "archive_format to be"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        get_file(**arguments, cache_dir=tmp_path)
    assert listing(tmp_path) == []


# ---- archives ------------------------------------------------------------------------------------


def make_tar(path, members, mode="w"):
    """A tar archive; members are (name, bytes) or TarInfo."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


MEMBERS = [("a.txt", b"one"), ("inner/b.txt", b"two"), ("inner/deep/c.txt", b"")]
FORMATS = {
    "a.tar": "w",
    "a.tar.gz": "w:gz",
    "a.tgz": "w:gz",
    "a.tar.bz2": "w:bz2",
    "a.tar.xz": "w:xz",
    "a.zip": None,
}


UNPACKING = [
    {"extract": True},
    {"fname": "mine", "extract": True},
    {"fname": "mine.v2.dat", "extract": True},
    {"extract": True, "archive_format": ["zip", "tar"]},
    {"untar": True},
    {"fname": "mine.tar.gz", "untar": True},
]


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [(n, kwargs) for n in FORMATS for kwargs in UNPACKING if n != "a.zip" or "untar" not in kwargs],
    ids=str,
)
def test_archives_are_unpacked_where_keras_unpacks_them(tmp_path, name, kwargs, capsys):
    mode = FORMATS[name]
    make = make_zip if mode is None else lambda path, members: make_tar(path, members, mode)
    origin = make(tmp_path / name, MEMBERS).as_uri()
    found = []
    for folder, fetch in (("ours", get_file), ("theirs", real.utils.get_file)):
        cache = tmp_path / folder
        cache.mkdir()
        path = fetch(origin=origin, cache_dir=str(cache), **kwargs)
        again = fetch(origin=origin, cache_dir=str(cache), **kwargs)
        assert again == path
        found.append((os.path.relpath(path, cache), listing(cache)))
    assert found[0] == found[1]
    path = tmp_path / "ours" / found[0][0]
    assert {name: (path / name).read_bytes() for name, _ in MEMBERS} == dict(MEMBERS)


def test_a_new_archive_replaces_what_the_old_one_had(tmp_path):
    origin = make_zip(tmp_path / "a.zip", [("old.txt", b"1")])
    first = get_file(origin=origin.as_uri(), cache_dir=tmp_path, extract=True)
    assert os.listdir(first) == ["old.txt"]
    make_zip(origin, [("new.txt", b"2")])
    arguments = {"origin": origin.as_uri(), "cache_dir": tmp_path, "extract": True}
    assert os.listdir(get_file(**arguments)) == ["old.txt"]
    assert os.listdir(get_file(**arguments, force_download=True)) == ["new.txt"]


def test_links_and_modes_inside_an_archive(tmp_path):
    run = tarfile.TarInfo("run.sh")
    run.mode, run.size = 0o755, 0
    members = [
        ("a/b.txt", b"text"),
        run,
        link("l", "a/b.txt"),
        link("a/up", "../run.sh"),
        link("hard", "a/b.txt", tarfile.LNKTYPE),
        ("a/b.txt", b"later"),
    ]
    archive = make_tar(tmp_path / "a.tar", members)
    files.unpack(str(archive), str(tmp_path / "out"))
    out = tmp_path / "out"
    assert (out / "l").is_symlink()
    assert (out / "l").read_text() == (out / "a" / "b.txt").read_text() == "later"
    assert (out / "hard").read_text() == "text"
    assert os.access(out / "a" / "up", os.X_OK)
    assert not os.access(out / "hard", os.X_OK)


def device(name):
    info = tarfile.TarInfo(name)
    info.type = tarfile.CHRTYPE
    return info


HOSTILE_TARS = {
    "up": [("../out.txt", b"x")],
    "up inside": [("a/../../out.txt", b"x")],
    "absolute": [("/tmp/out.txt", b"x")],
    "link up": [link("l", "../..")],
    "absolute link": [link("l", "/etc/passwd")],
    "link and file": [link("l", "."), ("l/../../out.txt", b"x")],
    "file through a link": [link("l", "/tmp"), ("l/out.txt", b"x")],
    "two links": [("x/y/z", b""), link("m", "x/y/l/.."), link("x/y/l", "../..")],
    "hard link out": [link("l", "../secret.txt", tarfile.LNKTYPE)],
    "hard link to nothing": [link("l", "nothing", tarfile.LNKTYPE)],
    "hard link to a link": [link("s", "../secret.txt"), link("l", "s", tarfile.LNKTYPE)],
    "device": [device("null")],
    "file as a folder": [("a", b"x"), ("a/b", b"x")],
    "folder as a file": [("a/b", b"x"), ("a", b"x")],
}


@pytest.mark.parametrize("kind", HOSTILE_TARS)
def test_hostile_tars_are_refused(tmp_path, kind):
    (tmp_path / "secret.txt").write_text("secret")
    work = tmp_path / "work"
    work.mkdir()
    archive = make_tar(tmp_path / "a.tar", HOSTILE_TARS[kind])
    before = listing(tmp_path)
    with pytest.raises(ArchiveError, match=r"members stay in their folder(.|\n)*do not trust"):
        files.unpack(str(archive), str(work / "out"))
    assert listing(tmp_path) == before
    assert os.listdir(work) == []


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "..\\out.txt"])
def test_hostile_zips_are_refused(tmp_path, name):
    archive = make_zip(tmp_path / "a.zip", [("fine.txt", b"x"), (name, b"x")])
    with pytest.raises(ArchiveError, match="outside of the folder"):
        files.unpack(str(archive), str(tmp_path / "out"))
    assert listing(tmp_path) == ["a.zip"]


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BOMB_BYTES", 1 << 16)
    zeros = b"\0" * (1 << 20)
    for archive in (
        make_zip(tmp_path / "a.zip", [("zeros", zeros)]),
        make_tar(tmp_path / "a.tar.gz", [("zeros", zeros)], "w:gz"),
        make_tar(tmp_path / "a.tar.xz", [(f"zeros{i}", zeros) for i in range(3)], "w:xz"),
    ):
        with pytest.raises(ArchiveError, match="unpacks to at most"):
            files.unpack(str(archive), str(tmp_path / "out"))
        archive.unlink()
    monkeypatch.setattr(files, "MOST_MEMBERS", 3)
    archive = make_zip(tmp_path / "a.zip", [(f"{i}", b"") for i in range(4)])
    with pytest.raises(ArchiveError, match="in at most 3 files"):
        files.unpack(str(archive), str(tmp_path / "out"))
    assert listing(tmp_path) == ["a.zip"]


def test_a_header_larger_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_READ", 1 << 16)
    info = tarfile.TarInfo("a.txt")
    info.pax_headers = {"comment": "x" * (1 << 17)}
    archive = make_tar(tmp_path / "a.tar.gz", [info], "w:gz")
    with pytest.raises(ArchiveError, match="a header"):
        files.unpack(str(archive), str(tmp_path / "out"))


def test_damaged_archives(tmp_path):
    whole = make_tar(tmp_path / "a.tar.gz", [("a", os.urandom(5000))], "w:gz").read_bytes()
    plain = gzip.decompress(whole)
    zipped = make_zip(tmp_path / "a.zip", [("a", os.urandom(5000))]).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    flipped_zip = bytearray(zipped)
    flipped_zip[1000] ^= 0xFF
    damaged = tmp_path / "damaged"
    for data in (whole[: len(whole) // 2], plain[:3000], flipped, flipped_zip, b"BZh9" + b"x" * 99):
        damaged.write_bytes(data)
        with pytest.raises(ArchiveError, match="a whole archive"):
            files.unpack(str(damaged), str(tmp_path / "out"))
    for data in (b"", b"no archive", zipped[:-50]):
        damaged.write_bytes(data)
        with pytest.raises(ArchiveError, match="Could not extract archive"):
            files.unpack(str(damaged), str(tmp_path / "out"))
    assert listing(tmp_path) == ["a.tar.gz", "a.zip", "damaged"]


def test_an_archive_of_another_format_than_asked(tmp_path):
    archive = make_zip(tmp_path / "a.zip", MEMBERS)
    for kwargs in ({"untar": True}, {"extract": True, "archive_format": None}):
        with pytest.raises(ArchiveError, match="Could not extract archive"):
            get_file(origin=archive.as_uri(), cache_dir=tmp_path, **kwargs)


def test_an_encrypted_zip(tmp_path):
    archive = make_zip(tmp_path / "a.zip", [("a", b"x")])
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match="encrypted"):
        files.unpack(str(archive), str(tmp_path / "out"))


def test_a_home_that_is_read_only(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file" / "home"))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    assert files._cache_folder(None) == str(tmp_path / "temporary" / ".keras")
