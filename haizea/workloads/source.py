"""Input files as bounded streams of bytes, plain or compressed with gzip.

What is read is untrusted: a file may not unpack without end, and no line is longer than
a chunk. Whatever goes wrong is a :class:`WorkloadError`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from haizea.workloads.errors import WorkloadError

CHUNK_BYTES = 1 << 20
#: The largest input, unpacked. The largest published traces have about half of it.
MAX_BYTES = 1 << 30
#: A trace packs to a tenth of its size; what packs much better than that is no trace.
MAX_RATIO = 200
#: Below this size, unpacked, the ratio does not matter.
HARMLESS_BYTES = 32 << 20
MAX_LINE_BYTES = 1 << 16

_GZIP_MAGIC = b"\x1f\x8b"


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
                packed = raw.read(2) == _GZIP_MAGIC
                raw.seek(0)
                if packed:
                    size = self.path.stat().st_size
                    limit = min(MAX_BYTES, max(HARMLESS_BYTES, MAX_RATIO * size))
                    with gzip.open(raw) as stream:
                        yield from self._bounded(stream, limit)
                else:
                    yield from self._bounded(raw, MAX_BYTES)
        except FileNotFoundError:
            raise WorkloadError(self.name, message="there is no such file") from None
        except IsADirectoryError:
            raise WorkloadError(self.name, message="this is a directory, not a file") from None
        except EOFError:
            raise WorkloadError(
                self.name, message="the compressed file ends too early; it is not complete"
            ) from None
        except (gzip.BadGzipFile, zlib.error) as wrong:
            raise WorkloadError(self.name, message=f"cannot be unpacked: {wrong}") from None
        except OSError as wrong:
            raise WorkloadError(
                self.name, message=f"cannot be read: {wrong.strerror or wrong}"
            ) from None

    def _bounded(self, stream: BinaryIO | gzip.GzipFile, limit: int) -> Iterator[bytes]:
        total = 0
        while chunk := stream.read(CHUNK_BYTES):
            total += len(chunk)
            if total > limit:
                raise WorkloadError(
                    self.name,
                    message=f"is larger than {limit >> 20} MB unpacked; no workload is that large",
                )
            yield chunk

    def lines(self) -> Iterator[bytes]:
        """The lines, without their ends."""
        rest = b""
        count = 0
        for chunk in self.chunks():
            pieces = (rest + chunk).split(b"\n")
            rest = pieces.pop()
            if len(rest) > MAX_LINE_BYTES:
                raise WorkloadError(
                    self.name, count + len(pieces) + 1, message="the line is too long"
                )
            yield from pieces
            count += len(pieces)
        if rest:
            yield rest

    def text_lines(self) -> Iterator[tuple[int, str]]:
        """Lines that are not blank, with their numbers (from 1), as UTF-8 text."""
        for number, line in enumerate(self.lines(), 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
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
            raise WorkloadError(self.name, number, message="there is a NUL byte; this is no text")
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


class _Content(Source):
    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(name)
        self._content = content

    def chunks(self) -> Generator[bytes, None, None]:
        """The content in one piece, which is smaller than any bound."""
        if self._content:
            yield self._content
