"""The documentation site is built without a warning, and its links lead where they say."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
MAKE = (ROOT / "Makefile").read_text(encoding="utf-8")


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as 'make docs' does, from another folder, elsewhere."""
    [line] = re.findall(r"-m (sphinx .*)$", MAKE, re.MULTILINE)
    command = [
        word.replace("build/doctrees", str(site.parent / "doctrees")).replace(
            "build/site", str(site)
        )
        for word in shlex.split(line)
    ]
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


class _Page(HTMLParser):
    """The links of a page and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag links to and is called."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.append(value)
            elif value and name == "id":
                self.places.add(value)


def dead_links(site: Path) -> list[str]:
    """Links between the pages of a site that lead nowhere."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            if not target.exists() or (
                parts.fragment and known and unquote(parts.fragment) not in known.places
            ):
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


def test_the_site_is_built_strictly_and_no_link_is_dead(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = build(ROOT, site)
    assert done.returncode == 0, done.stderr
    written = {path.relative_to(ROOT).with_suffix(".html") for path in ROOT.glob("*.md")}
    written |= {p.relative_to(ROOT).with_suffix(".html") for p in (ROOT / "docs").rglob("*.md")}
    assert {page for page in written if not (site / page).exists()} == set()
    assert "docs/index.html" in (site / "index.html").read_text(encoding="utf-8")
    assert not dead_links(site)


#: What is wrong on a page, and what is told of it.
WRONG = {
    "no-page": ("[x](nowhere.md)", "'nowhere.md'"),
    "no-place-here": ("[x](#nowhere-here)", "'nowhere-here'"),
    "no-place-there": ("[x](no-page.md#nowhere-there)", "nowhere-there"),
    "no-file": ("[x](../etc/nothing.conf)", "nothing.conf"),
    "no-picture": ("![x](images/nothing.svg)", "nothing.svg"),
    "no-language": ("```nolanguage\nx\n```", "nolanguage"),
}


def test_what_is_wrong_on_a_page_stops_the_build(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs/site", tmp_path / "docs/site")
    contents = "```{toctree}\n" + "\n".join(WRONG) + "\n```\n"
    (tmp_path / "docs/index.md").write_text(f"# Title\n\n{contents}", encoding="utf-8")
    for name, (text, _) in WRONG.items():
        (tmp_path / f"docs/{name}.md").write_text(f"# Page\n\n{text}\n", encoding="utf-8")
    done = build(tmp_path, tmp_path / "build/site")
    assert done.returncode != 0
    # Each of these lines would stop it alone, as one does in the test below.
    warnings = [line for line in done.stderr.splitlines() if "WARNING: " in line]
    for name, (_, told) in WRONG.items():
        of_page = [line for line in warnings if f"docs/{name}.md:" in line]
        assert [told in line for line in of_page] == [True], f"{name}:\n{done.stderr}"


def test_a_page_that_nothing_leads_to_stops_the_build(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs/site", tmp_path / "docs/site")
    (tmp_path / "docs/index.md").write_text("# Title\n", encoding="utf-8")
    assert build(tmp_path, tmp_path / "build/site").returncode == 0
    (tmp_path / "docs/lost.md").write_text("# Lost\n", encoding="utf-8")
    done = build(tmp_path, tmp_path / "build/site")
    assert done.returncode != 0
    assert "lost.md" in done.stderr


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="x"><a href="b.html#y">1</a><a href="#x">2</a>')
    (tmp_path / "b.html").write_text('<p id="z"><a href="c.html">1</a><a href="a.html#x">2</a>')
    assert sorted(dead_links(tmp_path)) == ["a.html: b.html#y", "b.html: c.html"]
