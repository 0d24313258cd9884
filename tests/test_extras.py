"""Extras: who only simulates or only uses commands needs none, and each missing one is told."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest
import test_tidy
from console_docs import environment, run_examples
from plain_installation import ROOT, only, requirements

from haizea import extras
from haizea.cli.commands import COMMANDS

#: Modules of the packages that every installation has, and one for the type checker alone.
ALWAYS = {
    "click",
    "dateutil",
    "defusedxml",
    "haizea",
    "mypy_extensions",
    "sortedcontainers",
    "yaml",
}

SERVICE = "etc/sample_service.conf"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with the samples in it, as a clone has them."""
    for folder in ("etc", "studies", "traces"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.study"))
    return tmp_path


def run(checkout: Path, command: list[str], *installed: str) -> subprocess.CompletedProcess[str]:
    """A command where these extras alone are installed."""
    return subprocess.run(
        command,
        cwd=checkout,
        env=environment(checkout) | only(checkout / "installed", *installed),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_module_that_haizea_imports_is_of_a_package_that_is_required() -> None:
    imported = {
        name.split(".")[0]
        for path, _ in test_tidy.modules()
        for _, name in test_tidy.imported(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert imported - set(sys.stdlib_module_names) == ALWAYS.union(*extras.MODULES.values())


def test_every_command_but_a_service_comes_without_extras(checkout: Path) -> None:
    everything = "import haizea.cli.commands as c\nfor n in c.COMMANDS: c.load_command(n)"
    done = run(checkout, [sys.executable, "-c", everything])
    assert done.returncode == 0, done.stderr
    assert COMMANDS


def test_a_simulation_needs_no_extra(checkout: Path) -> None:
    page = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
    simulated = page[: page.index("## As a service")]
    wrong = run_examples(simulated, checkout, only(checkout / "installed"))
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_service_needs_one_extra(checkout: Path) -> None:
    page = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
    installed = only(checkout / "installed", "service")
    hidden = {path.stem for path in (checkout / "installed").iterdir()}
    assert {"lark", "zmq", "psycopg", "httpx"} <= hidden
    assert not {"fastapi", "sqlalchemy"} & hidden
    wrong = run_examples(page[page.index("## As a service") :], checkout, installed)
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("command", "installed", "lacks", "extra"),
    [
        (["run", SERVICE], (), "uvicorn", "service"),
        (["-c", SERVICE], (), "uvicorn", "service"),
        (["save-results", SERVICE, "a.results"], (), "sqlalchemy", "service"),
        (["-c", "one.conf"], (), "uvicorn", "opennebula"),
        (["-c", "one.conf"], ("service",), "lark", "opennebula"),
        (["run", "database.conf"], (), "uvicorn", "postgresql"),
        (["run", "database.conf"], ("service",), "psycopg", "postgresql"),
        (["opennebula", "sandbox", "--port", "0"], (), "pyzmq", "opennebula"),
        (["study", "run", "studies/sample.yaml"], (), "pyarrow", "study"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, (list, tuple)) else value,
)
def test_a_missing_extra_is_told_with_the_line_that_installs_it(
    checkout: Path, command: list[str], installed: tuple[str, ...], lacks: str, extra: str
) -> None:
    opennebula = "[general]\nmode: opennebula\n[opennebula]\nhost: localhost\nport: 1\n"
    (checkout / "one.conf").write_text(opennebula)
    database = "persistence-file: postgresql://nobody@localhost:1/x"
    service = re.sub("persistence-file: .*", database, (checkout / SERVICE).read_text())
    (checkout / "database.conf").write_text(service)
    done = run(checkout, ["haizea", *command], *installed)
    # A sandbox that cannot start is not wrong use.
    assert done.returncode == (1 if "sandbox" in command else 2), done.stderr
    assert f" needs the package {lacks}, which is not installed." in done.stderr
    assert re.search(rf" -m pip install .*\[{extra}\]'", done.stderr)
    assert "Traceback" not in done.stderr


def test_stopping_a_service_needs_no_extra(checkout: Path) -> None:
    done = run(checkout, ["haizea", "-c", SERVICE, "--stop"])
    assert (done.returncode, done.stderr) == (
        1,
        f"Error: no service of {SERVICE} runs: there is nothing to stop\n",
    )


def test_a_module_that_is_missing_for_another_reason_is_a_bug(checkout: Path) -> None:
    broken = checkout / "broken"
    broken.mkdir()
    (broken / "defusedxml.py").write_text("import nothing_of_this_name\n")
    done = subprocess.run(
        ["haizea", "run", "etc/sample.conf"],
        cwd=checkout,
        env=environment(checkout) | {"PYTHONPATH": str(broken)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "pip install" not in done.stderr
    assert done.stderr.count("No module named 'nothing_of_this_name'") == 1


class _Installed(Distribution):
    """An installation of which pip noted that it came from ``origin``."""

    def __init__(self, origin: object) -> None:
        self._origin = origin

    def read_text(self, filename: str) -> str | None:
        return None if self._origin is None else json.dumps(self._origin)

    def locate_file(self, path: object) -> Path:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        ({"url": "file://{clone}", "dir_info": {}}, "./py -m pip install '.[service]'"),
        (
            {"url": "file://{clone}", "dir_info": {"editable": True}},
            "./py -m pip install -e '.[service]'",
        ),
        (
            {"url": "file://{clone}/a%20clone", "dir_info": {}},
            "./py -m pip install './a clone[service]'",
        ),
        (
            {"url": "file:///gone", "dir_info": {}},
            "./py -m pip install 'haizea[service] @ file:///gone'",
        ),
        (
            {"url": "https://x.example/h.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            "./py -m pip install 'haizea[service] @ git+https://x.example/h.git@12ab'",
        ),
        (
            {"url": "file:///srv/h.whl", "archive_info": {}},
            "./py -m pip install 'haizea[service] @ file:///srv/h.whl'",
        ),
    ],
)
def test_the_line_is_for_the_installation_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object], line: str
) -> None:
    (tmp_path / "a clone").mkdir()
    for folder in (tmp_path, tmp_path / "a clone"):
        (folder / "pyproject.toml").touch()
    noted = json.loads(json.dumps(origin).replace("{clone}", str(tmp_path)))
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: _Installed(noted))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "py"))
    monkeypatch.chdir(tmp_path)
    assert extras.install_line("service") == line


def test_several_extras_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    assert extras.install_line("opennebula", "postgresql").endswith("[opennebula,postgresql]'")
    assert extras.install_line("service").startswith("python3 -m pip install ")


def test_the_tests_install_all_extras() -> None:
    assert requirements("all") == requirements("service", "opennebula", "postgresql", "study")
    assert requirements("test") > requirements("all")
    assert {"lark", "fastapi", "psycopg"} <= requirements("all")


def test_pages_install_from_a_clone() -> None:
    """Haizea is on no package index: a line that asks one for it fails, or installs another's."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "etc").iterdir()]
    wrong = re.compile(r"pip3? install [^`\n]*(?<![\w/.-])'?haizea(?![\w/.-])(?!.* @ )")
    assert wrong.search("`pip install 'haizea[service]'`")
    assert wrong.search("pip install -q haizea\n")
    for page in pages:
        found = wrong.search(page.read_text(encoding="utf-8"))
        assert found is None, f"{page}: {found and found[0]}"
