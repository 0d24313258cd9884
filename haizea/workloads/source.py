"""Input files as bounded streams of bytes, plain or compressed with gzip, bzip2 or xz.

What is read is untrusted: a file may not unpack without end, and no line is longer than
a chunk. Whatever goes wrong is a :class:`WorkloadError`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import IO

from haizea.workloads.errors import WorkloadError

CHUNK_BYTES = 1 << 20
#: The largest input, unpacked. The largest published traces have about half of it.
MAX_BYTES = 1 << 30
#: A trace packs to a tenth of its size; what packs much better than that is no trace.
MAX_RATIO = 200
#: Below this size, unpacked, the ratio does not matter.
HARMLESS_BYTES = 32 << 20
MAX_LINE_BYTES = 1 << 16

_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
#: How files that are packed are often called, after what is in them.
PACKED_SUFFIXES = frozenset({".gz", ".bz2", ".xz"})
#: What unpacking xz may take; its own tools take half of it at most, unless they are told to.
_MOST_XZ_BYTES = 128 << 20
_MARK = b"\xef\xbb\xbf"


class Source:
    """An input file that can be read from its beginning any number of times."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.name = str(path)

    @classmethod
    def of(cls, content: bytes, name: str) -> Source:
        """Content that is at hand already, and is not packed."""
        return _Content(content, name)

    def chunks(self) -> Generator[bytes, None, None]:
        """The content, unpacked, in pieces of at most ``CHUNK_BYTES``."""
        try:
            with open(self.path, "rb") as raw:
                magic = raw.read(6)
                raw.seek(0)
                size = self.path.stat().st_size
                limit = min(MAX_BYTES, max(HARMLESS_BYTES, MAX_RATIO * size))
                if magic.startswith(_GZIP):
                    with gzip.open(raw) as unpacked:
                        yield from self._bounded(_read(unpacked), limit)
                elif magic.startswith(_BZIP2):
                    with bz2.open(raw) as plain:
                        yield from self._bounded(_read(plain), limit)
                elif magic == _XZ:
                    yield from self._bounded(_unpack_xz(raw), limit)
                else:
                    yield from self._bounded(_read(raw), MAX_BYTES)
        except FileNotFoundError:
            raise WorkloadError(self.name, message="there is no such file") from None
        except IsADirectoryError:
            raise WorkloadError(self.name, message="this is a directory, not a file") from None
        except EOFError:
            raise WorkloadError(
                self.name, message="the compressed file ends too early; it is not complete"
            ) from None
        except (gzip.BadGzipFile, zlib.error, lzma.LZMAError) as wrong:
            raise WorkloadError(self.name, message=f"cannot be unpacked: {wrong}") from None
        except OSError as wrong:
            if wrong.errno is None:  # bzip2's
                raise WorkloadError(self.name, message=f"cannot be unpacked: {wrong}") from None
            raise WorkloadError(
                self.name, message=f"cannot be read: {wrong.strerror or wrong}"
            ) from None

    def _bounded(self, chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
        total = 0
        for chunk in chunks:
            total += len(chunk)
            if total > limit:
                raise WorkloadError(
                    self.name,
                    message=f"is larger than {limit >> 20} MB unpacked; no workload is that large",
                )
            yield chunk

    def lines(self) -> Iterator[bytes]:
        """The lines, without their ends and without a byte order mark.

        They end as on any system, those of old Macs (a carriage return) too.
        """
        rest = b""
        count = 0
        for chunk in self.chunks():
            pieces = _split_lines(rest + chunk)
            rest = pieces.pop()
            if not count and pieces:
                pieces[0] = pieces[0].removeprefix(_MARK)
            if len(rest) > MAX_LINE_BYTES:
                raise WorkloadError(
                    self.name, count + len(pieces) + 1, message="the line is too long"
                )
            yield from pieces
            count += len(pieces)
        if rest:
            rest = rest.removesuffix(b"\r")
            yield rest if count else rest.removeprefix(_MARK)

    def text_lines(self) -> Iterator[tuple[int, str]]:
        """Lines that are not blank, with their numbers (from 1), as UTF-8 text."""
        for number, line in enumerate(self.lines(), 1):
            if not line.strip():
                continue
            yield number, self.decode(line, number)

    def decode(self, line: bytes, number: int) -> str:
        """A line as text; what is not UTF-8, or has NUL bytes, is an error."""
        try:
            text = line.decode()
        except UnicodeDecodeError as wrong:
            raise WorkloadError(
                self.name, number, message=f"byte {wrong.start + 1} is not UTF-8 text"
            ) from None
        if "\0" in text:
            raise WorkloadError(self.name, number, message="found a NUL byte: not a text file")
        return text

    def head(self) -> bytes:
        """The first chunk; empty if the file is."""
        chunks = self.chunks()
        try:
            return next(chunks, b"")
        finally:
            # The generator holds the file open; close it now rather than when it is collected.
            chunks.close()

    def whole(self, most_bytes: int) -> bytes:
        """All of a small file."""
        parts: list[bytes] = []
        size = 0
        for chunk in self.chunks():
            size += len(chunk)
            if size > most_bytes:
                raise WorkloadError(
                    self.name, message=f"is larger than the {most_bytes >> 10} KB taken here"
                )
            parts.append(chunk)
        return b"".join(parts)


def _read(stream: IO[bytes] | gzip.GzipFile | bz2.BZ2File) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _unpack_xz(raw: IO[bytes]) -> Iterator[bytes]:
    """The content of an xz file, which may have several parts, in bounded memory."""
    unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_XZ_BYTES)
    while True:
        packed = b""
        if unpacking.eof:
            # Zeros may fill up a part.
            packed = unpacking.unused_data.lstrip(b"\0") or raw.read(CHUNK_BYTES).lstrip(b"\0")
            if not packed:
                return
            unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_XZ_BYTES)
        elif unpacking.needs_input:
            packed = raw.read(CHUNK_BYTES)
            if not packed:
                raise EOFError
        if chunk := unpacking.decompress(packed, CHUNK_BYTES):
            yield chunk


def _split_lines(text: bytes) -> list[bytes]:
    """The lines of a piece of a file; the last one is what may go on in the next piece."""
    if b"\r" not in text:
        return text.split(b"\n")
    # What a carriage return at the very end is, the next piece says.
    held = text[-1:] if text.endswith(b"\r") else b""
    text = text.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    pieces = text.split(b"\n")
    pieces[-1] += held
    return pieces


class _Content(Source):
    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(name)
        self._content = content

    def chunks(self) -> Generator[bytes, None, None]:
        """The content in one piece, which is smaller than any bound."""
        if self._content:
            yield self._content
