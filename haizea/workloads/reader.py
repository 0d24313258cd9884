"""One way in: any workload file, whatever its format and whatever it is called."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from haizea.workloads import values
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import Workload
from haizea.workloads.plaintext import COLUMNS as LEASE_COLUMNS
from haizea.workloads.plaintext import read_plaintext, split
from haizea.workloads.source import PACKED_SUFFIXES, Source
from haizea.workloads.swf import COLUMNS as JOB_COLUMNS
from haizea.workloads.swf import ReadOptions, read_swf


class Format(StrEnum):
    """The formats of workload files."""

    LWF = "lwf"
    SWF = "swf"
    PLAINTEXT = "plaintext"
    YAML = "yaml"


def read(
    path: Path | str, options: ReadOptions | None = None, origin: int | None = None
) -> Workload:
    """The workload in a file, of the format that its content (else its name) says.

    ``options`` say how the processors of an SWF file become lease nodes. ``origin`` is the
    moment of the workload's start, if it is known; starts may be dates then. Raises
    :class:`WorkloadError` for a file that is missing, malformed or of no known format.
    """
    # Parsers of XML and YAML take a while to import: only where they are needed.
    source = Source(path)
    start = values.start if origin is None else values.start_from(origin)
    match format_of(source):
        case Format.LWF:
            from haizea.workloads.lwf import read_lwf

            return read_lwf(source, start)
        case Format.SWF:
            return read_swf(source, options)
        case Format.PLAINTEXT:
            return read_plaintext(source)
        case Format.YAML:
            from haizea.workloads.yaml_leases import read_yaml

            return read_yaml(source, start)


def format_of(source: Source) -> Format:
    """The format of a file. Content goes first: ten-column lists are often called ``.lwf``."""
    head = source.head().removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise WorkloadError(source.name, message="the file is empty; it has no leases")
    # UTF-16 begins with a byte order mark, and with "<" and a NUL byte then.
    if head.lstrip().startswith((b"<", b"\xff\xfe<", b"\xfe\xff\0<")):
        return Format.LWF
    by_name = _by_name(source.path)
    if by_name is Format.YAML:
        return by_name
    return _by_columns(head) or by_name or _unknown(source)


def _by_name(path: Path) -> Format | None:
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in PACKED_SUFFIXES]
    names = {
        ".lwf": Format.LWF,
        ".xml": Format.LWF,
        ".swf": Format.SWF,
        ".yaml": Format.YAML,
        ".yml": Format.YAML,
    }
    return names.get(suffixes[-1]) if suffixes else None


def _by_columns(head: bytes) -> Format | None:
    """Guess the format from the first line that is no comment."""
    text = head.decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines[0].startswith(";"):
        return Format.SWF
    line = next((line for line in lines if not line.startswith("#")), "")
    try:
        columns = split(line)
    except ValueError:
        columns = line.split()
    numbers = sum(_is_number(c) for c in columns)
    if len(columns) >= JOB_COLUMNS and numbers > JOB_COLUMNS // 2:
        return Format.SWF
    if len(columns) == len(LEASE_COLUMNS) and numbers > len(LEASE_COLUMNS) // 2:
        return Format.PLAINTEXT
    if line == "---" or line.startswith("- ") or line.split(" ")[0].endswith(":"):
        return Format.YAML
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unknown(source: Source) -> Format:
    raise WorkloadError(
        source.name,
        message="is in no format known here: LWF is XML, SWF has 18 columns of numbers or more,"
        f" lease lists have {len(LEASE_COLUMNS)} columns, YAML is called .yaml;"
        " haizea csv2lwf converts CSV",
    )
