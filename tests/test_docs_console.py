"""Every console example in the documentation prints what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from console_docs import ROOT, Example, environment, examples, run_examples

README = (ROOT / "README.md").read_text(encoding="utf-8")

#: These need more than a clone: tests/workloads/test_formats_doc.py has a file with a mistake
#: in it, tests/opennebula/test_opennebula_guide.py an OpenNebula.
ELSEWHERE = {"formats.md", "opennebula.md"}
PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if path.name not in ELSEWHERE and "```console" in path.read_text(encoding="utf-8")
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with the samples in it, as a clone has them."""
    for folder in ("etc", "studies", "traces"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.study"))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page(page: Path, checkout: Path) -> None:
    wrong = run_examples(page.read_text(encoding="utf-8"), checkout)
    assert not wrong, f"\n{page.name}:\n" + "\n".join(wrong)


def test_the_picture_is_of_the_sample_run(checkout: Path) -> None:
    command = (
        "haizea -c etc/sample.conf && haizea gantt haizea-sample.results -o docs-quickstart.svg"
    )
    subprocess.run(
        ["bash", "-c", command],
        cwd=checkout,
        env=environment(checkout),
        capture_output=True,
        check=True,
        timeout=60,
    )
    drawn = (checkout / "docs-quickstart.svg").read_text(encoding="utf-8")
    assert drawn == (ROOT / "docs/images/quickstart.svg").read_text(encoding="utf-8"), (
        f"write it anew, in a clone: {command.replace('docs-', 'docs/images/')}"
    )


# --- the README ---------------------------------------------------------------------------


def test_the_readme_has_two_commands_and_the_sample_is_the_configuration_that_runs() -> None:
    commands = re.findall(r"^python3 .*$", README, re.MULTILINE)
    assert len(commands) == 2
    install, test = commands
    assert install.endswith(" && .venv/bin/haizea -c etc/sample.conf")
    assert " -m pytest" in test
    assert all(c.startswith("python3 -m venv .venv && .venv/bin/pip install ") for c in commands)


def test_continuous_integration_runs_the_test_command_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    readme = tmp_path / "README.md"

    def ci() -> subprocess.CompletedProcess[str]:
        command = [str(tmp_path / ".ci/run")]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    readme.write_text("# x\n\n```sh\npython3 -c 'import os; print(os.getcwd())' # pytest\n```\n")
    done = ci()
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    readme.write_text("python3 -c 'import sys; sys.exit(7)' pytest\n")
    assert ci().returncode == 7
    readme.write_text("# nothing to run\n")
    done = ci()
    assert done.returncode == 1
    assert "there must be one" in done.stderr
    assert len(re.findall("^python3 .*pytest", README, re.MULTILINE)) == 1


def test_shell_completion(tmp_path: Path) -> None:
    [line] = re.findall(r'^eval "\$\(_HAIZEA_COMPLETE=bash_source haizea\)"$', README, re.MULTILINE)
    complete = "COMP_WORDS='haizea ch' COMP_CWORD=1 _HAIZEA_COMPLETE=bash_complete haizea"
    script = f"{line}\ncomplete -p haizea && {complete}"
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "-F" in done.stdout
    assert "plain,check-schedule" in done.stdout
    for shell in ("zsh", "fish"):
        assert f"_HAIZEA_COMPLETE={shell}_source haizea" in README
        source = subprocess.run(
            ["haizea"],
            env=environment(tmp_path) | {"_HAIZEA_COMPLETE": f"{shell}_source"},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert f"_HAIZEA_COMPLETE={shell}_complete" in source.stdout


# --- the helper itself --------------------------------------------------------------------


def test_an_example_that_is_not_true_is_noticed(tmp_path: Path) -> None:
    page = "x\n```console\n$ echo a b\na c\n$ echo \\\n  1 2\n1 2\n$ false\n```\n"
    found = list(examples(page))
    assert [(e.line, e.output) for e in found] == [(3, "a c\n"), (5, "1 2\n"), (8, "")]
    wrong = run_examples(page, tmp_path)
    assert [w.split(":")[0] for w in wrong] == ["line 3", "line 8"]


@pytest.mark.parametrize(
    ("said", "printed", "so"),
    [
        ("a...c\n", "abbc\n", True),
        ("a\n...\nc\n", "a\nb\nb\nc\n", True),
        ("a\n...\nc\n", "a\nc\n", True),
        ("", "", True),
        ("", "a\n", False),
        ("a.c\n", "abc\n", False),
        ("a...c\n", "ab\nc\n", False),
        ("...\nc\n", "a\nc\nd\n", False),
    ],
)
def test_what_three_dots_stand_for(said: str, printed: str, so: bool) -> None:
    assert Example(1, "", said).matches(printed) is so
