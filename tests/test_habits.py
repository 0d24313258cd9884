"""The files that development runs on: Makefile, continuous integration, hooks, releases."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

import haizea

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")

#: Which schema says what may be in which file; those of check-jsonschema, which are GitHub's.
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.github-issue-forms": [GITHUB / "ISSUE_TEMPLATE" / n for n in ("bug.yml", "idea.yml")],
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE/config.yml"],
    "vendor.dependabot": [GITHUB / "dependabot.yml"],
}


def told(command: list[str], folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Return what the command printed, and how it ended."""
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def make(*targets: str) -> list[str]:
    """The commands that make would run."""
    done = told(["make", "-n", *targets])
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# --- the Makefile -------------------------------------------------------------------------


def test_make_alone_lists_what_there_is() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    listed = re.findall(r"^make (\w+) ", told(["make"]).stdout, re.MULTILINE)
    assert listed == phony.split()
    assert {"setup", "quick", "test", "docs", "bench", "coverage"} <= set(listed)


def test_make_sets_up_and_tests_as_the_readme_does() -> None:
    [command] = re.findall(r"^python3 .*pytest.*$", README, re.MULTILINE)
    assert " && ".join(make("setup", "test")) == command


def test_what_is_quick_is_told_and_is_there() -> None:
    [command] = make("quick")
    folders = command.partition(" -m 'not slow' ")[2].split()
    assert folders == ["tests/core", "tests/policies", "tests/golden", "tests/config"]
    assert all((ROOT / folder).is_dir() for folder in folders)
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "make quick" in (ROOT / page).read_text(encoding="utf-8")


def test_every_make_command_that_is_told_is_there() -> None:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *WORKFLOWS]
    for path in files:
        for target in re.findall(r"[`:] ?make (\w+)", path.read_text(encoding="utf-8")):
            assert make(target), path


# --- GitHub -------------------------------------------------------------------------------


def test_every_file_for_github_has_a_schema() -> None:
    assert sorted(chain(*SCHEMAS.values())) == sorted(GITHUB.rglob("*.yml"))
    assert WORKFLOWS


@pytest.mark.parametrize("schema", SCHEMAS)
def test_github_can_read_its_files(schema: str) -> None:
    files = [str(path) for path in SCHEMAS[schema]]
    done = told([sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files])
    assert done.returncode == 0, done.stdout


def test_a_wrong_workflow_is_noticed(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    assert told([*command, "vendor.github-workflows", str(wrong)]).returncode == 1


def jobs(name: str) -> dict[str, Any]:
    """The jobs of a workflow."""
    return dict(yaml.safe_load((GITHUB / f"workflows/{name}.yml").read_text())["jobs"])


def steps() -> Iterator[dict[str, Any]]:
    """All steps of all workflows."""
    for path in WORKFLOWS:
        for job in jobs(path.stem).values():
            yield from job.get("steps", [])


def test_every_supported_python_is_tested_and_gets_a_compiled_wheel() -> None:
    versions = jobs("tests")["tests"]["strategy"]["matrix"]["python"]
    classifiers = PROJECT["project"]["classifiers"]
    supported = [c.rpartition(" ")[2] for c in classifiers if "Python :: 3." in c]
    assert set(supported) <= set(versions)
    assert versions[0] == PROJECT["project"]["requires-python"].removeprefix(">=")
    built = PROJECT["tool"]["cibuildwheel"]["build"]
    assert built == [f"cp{version.replace('.', '')}-*" for version in versions]


def test_scripts_in_workflows_are_sound() -> None:
    scripts = [step["run"] for step in steps() if "run" in step]
    assert len(scripts) > 10
    for script in scripts:
        # What GitHub fills in is a word to the shell.
        done = told(["bash", "-n", "-c", re.sub(r"\$\{\{.*?\}\}", "word", script)])
        assert done.returncode == 0, f"{script}\n{done.stderr}"


def test_the_readme_s_first_command_is_found() -> None:
    [script] = [step["run"] for step in jobs("tests")["plain"]["steps"] if "run" in step]
    find, _, run = script.partition("\n")
    assert run.strip() == 'eval "$command"'
    done = told(["bash", "-c", f'{find}; echo "$command"'])
    assert done.stdout.strip().endswith("&& .venv/bin/haizea -c etc/sample.conf")


@pytest.mark.parametrize(("tag", "status"), [("v{}", 0), ("v{}.9", 1), ("{}x", 1)])
def test_a_tag_that_is_not_the_version_is_refused(tmp_path: Path, tag: str, status: int) -> None:
    [script] = [step["run"] for step in jobs("release")["version"]["steps"] if "run" in step]
    (tmp_path / "haizea").mkdir()
    for name in ("pyproject.toml", "haizea/__init__.py", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    changes = tmp_path / "CHANGELOG.md"
    unreleased, name = "(unreleased)", tag.format(haizea.__version__)
    command = ["env", f"GITHUB_REF_NAME={name}", "bash", "-ec", script]
    if unreleased in changes.read_text():
        assert told(command, tmp_path).returncode == 1, "what has no date is not released"
        changes.write_text(changes.read_text().replace(unreleased, "(2030-01-01)"))
    assert told(command, tmp_path).returncode == status


def test_the_version_is_one() -> None:
    assert PROJECT["project"]["version"] == haizea.__version__
    first = re.search(r"^## (\S+) \(", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == haizea.__version__


# --- hooks at commits ---------------------------------------------------------------------


def test_a_commit_is_checked(tmp_path: Path) -> None:
    config = ROOT / ".pre-commit-config.yaml"
    hooks = sys.executable, "-m", "pre_commit"
    done = told([*hooks, "validate-config", str(config)])
    assert done.returncode == 0, done.stdout
    # The hooks take the tools from .venv, wherever that is.
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copy(config, tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    (tmp_path / "a.py").write_text("x  = {'a': 1}\n")
    for command in (["init", "-q"], ["add", "a.py", config.name]):
        assert told(["git", *command], tmp_path).returncode == 0
    done = told([*hooks, "run", "ruff-format"], tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert (tmp_path / "a.py").read_text() == 'x = {"a": 1}\n'
    assert told(["git", "add", "a.py"], tmp_path).returncode == 0
    done = told([*hooks, "run", "ruff-format"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


# --- files as the editor's configuration has them -----------------------------------------


def test_texts_are_as_the_editor_s_configuration_says() -> None:
    listed = told(["git", "ls-files", "-z", "*.py", "*.md", "*.yml", "*.toml", "Makefile"])
    names = listed.stdout.split("\0")[:-1] if listed.returncode == 0 else ["README.md"]
    wrong = []
    for name in names:
        text = (ROOT / name).read_bytes().decode("utf-8") if (ROOT / name).exists() else "\n"
        if "\r" in text or re.search(r"[ \t]$", text, re.MULTILINE):
            wrong.append(f"{name}: spaces at the end of a line")
        if text and not text.endswith("\n"):
            wrong.append(f"{name}: no end of the last line")
    assert not wrong, "\n".join(wrong)
