"""The house rules that a program can check. A failure names file, line and what to do."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Rooms from the top down. A room imports from those below it, never from its own row.
LAYERS = (
    {"cli"},
    {"service", "study"},
    {"runtime"},
    {"report"},
    {"loop"},
    {"accounting", "api", "backends", "checker", "clock", "config", "policies", "sandbox"}
    | {"store", "workloads"},
    {"host_names", "wording"},
    {"extras", "files", "locks", "plugins", "service_types", "times", "web"},
    {"core"},
)

#: Rooms inside the big rooms, from the top down, by the same rule.
INNER_LAYERS = {
    "haizea.core": (
        {"scheduler"},
        {"snapshot"},
        {"disruption"},
        {"queue", "requests"},
        {"schedule"},
        {"images"},
        {"placement"},
        {"capacity"},
        {"model"},
    ),
    "haizea.backends.opennebula": (
        {"backend"},
        {"owners", "site"},
        {"enactment"},
        {"requests"},
        {"matching"},
        {"state", "wire"},
        {"expressions"},
        {"model"},
    ),
}

CORE_MAY_IMPORT = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "contextlib",
    "dataclasses",
    "enum",
    "fractions",
    "functools",
    "haizea",
    "heapq",
    "itertools",
    "math",
    "mypy_extensions",  # for the type checker alone
    "operator",
    "sortedcontainers",
    "types",
    "typing",
}

#: What reads or changes the world, without an import.
CORE_MUST_NOT_CALL = {"open", "print", "input", "eval", "exec", "__import__"}

MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 60
MOST_TITLE = 80

UNITS = {"bytes", "days", "gb", "hours", "kb", "mb", "mbps", "minutes", "percent", "seconds"}

ABBREVIATIONS = {
    "cfg": "config",
    "cnt": "count",
    "cur": "current",
    "dur": "duration",
    "evt": "event",
    "hrs": "hours",
    "idx": "index",
    "lst": "a name for what is in it",
    "mgr": "manager",
    "mins": "minutes",
    "msg": "message",
    "pnode": "host",
    "pnodes": "hosts",
    "req": "request",
    "reqs": "requests",
    "rsrv": "reservation",
    "sched": "scheduler",
    "secs": "seconds",
    "tmp": "a name for what it is",
    "vnode": "node",
    "vnodes": "nodes",
}

# Put together here, so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
MACHINE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + r"(work|root|tmp|Users|home)/",
            "pypi" + r"\.org",
            "python" + r"hosted\.org",
            "index" + "-url",
        ]
    )
)

Finding = tuple[int, str]
Rule = Callable[[str, ast.Module, str], Iterator[Finding]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def room_of(module: str) -> str:
    """``haizea.core.hosts`` → ``core``; the package itself is no room."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def room_below(outer: str, module: str) -> str:
    """Return the room of a module inside a big room, empty for a module elsewhere."""
    if not module.startswith(outer + "."):
        return ""
    return module.removeprefix(outer + ".").split(".")[0]


@cache
def parsed(path: Path) -> ast.Module:
    """The tree of a file, which every rule looks at and none changes."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    """All nodes of a tree: to find them takes longer than to look at each of them."""
    return tuple(ast.walk(tree))


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The modules that are imported anywhere in it, by line."""
    for node in nodes_of(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "haizea":
                yield from ((node.lineno, f"haizea.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or "."


def functions(tree: ast.Module) -> Iterator[Function]:
    for node in nodes_of(tree):
        if isinstance(node, Function):
            yield node


def called(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The functions that are called by a plain name, by line."""
    for node in nodes_of(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, node.func.id


def imports_point_downwards(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    own = room_of(module)
    row = {room: number for number, layer in enumerate(LAYERS) for room in layer}
    if own and own not in row:
        yield 1, f"the room {own} is new: add it to LAYERS in tests/test_tidy.py"
        return
    for line, name in imported(tree):
        room = room_of(name)
        if not name.startswith("haizea.") or room.startswith("__") or room == own:
            continue
        if room not in row:
            yield line, f"imports {name}, which is in no room of LAYERS"
        elif own and row[room] <= row[own]:
            yield (
                line,
                (
                    f"{own} imports {name}: imports point downwards only, and siblings do not"
                    " import each other; pass it in, or move what is shared to a room below both"
                ),
            )


def inner_imports_point_downwards(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    for outer, layers in INNER_LAYERS.items():
        if not module.startswith(outer + "."):
            continue
        row = {room: number for number, layer in enumerate(layers) for room in layer}
        own = room_below(outer, module)
        if own not in row:
            yield 1, f"the room {own} of {outer} is new: add it to INNER_LAYERS"
            return
        for line, name in imported(tree):
            room = room_below(outer, name)
            if room and room != own and row.get(room, -1) <= row[own]:
                yield line, f"{own} imports {name}: imports point downwards only in {outer}"


def core_is_pure(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    if room_of(module) != "core":
        return
    for line, name in imported(tree):
        if name.split(".")[0] not in CORE_MAY_IMPORT:
            yield line, f"the core imports {name}: it has no clock, chance, log, file or thread"
    for line, name in called(tree):
        if name in CORE_MUST_NOT_CALL:
            yield line, f"the core calls {name}(): let an adapter do it"


#: What only reads the schedule; :data:`PLANS` makes plans, and changes those that it makes.
READS_THE_SCHEDULE = {"disruption", "queue", "requests", "scheduler", "snapshot"}
PLANS = {"placement"}
#: Calls that change what is planned, on whatever is named so.
CHANGES = {
    "table": {"add_host", "advance", "change_end", "close", "open", "release", "reserve"}
    | {"restore", "withdraw"},
    "channel": {"forget", "release", "reserve"},
}
#: Parts of the schedule that are collections, and what changes one.
COLLECTIONS = {"arrived", "decisions", "exclusive", "given_back", "leases", "phases", "picky"}
COLLECTIONS |= {"rates", "statuses", "touched", "waiting"}
CHANGES_A_COLLECTION = {"add", "append", "clear", "discard", "extend", "insert", "pop", "remove"}
CHANGES_A_COLLECTION |= {"setdefault", "update"}


def the_schedule_has_one_writer(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    room, verbs = room_below("haizea.core", module), "call a verb of haizea/core/schedule instead"
    if room not in READS_THE_SCHEDULE | PLANS:
        return
    for node in nodes_of(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, call = ast.unparse(node.func.value).split(".")[-1], node.func.attr
            if call in CHANGES.get(owner.strip("_"), ()):
                yield node.lineno, f"{owner}.{call}(): {verbs}"
            if room in PLANS or not isinstance(node.func.value, ast.Attribute):
                continue
            if owner in COLLECTIONS and call in CHANGES_A_COLLECTION:
                yield node.lineno, f"{owner}.{call}(): {verbs}"
        elif room not in PLANS and isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node.ctx, ast.Load):
                continue
            target = node.value if isinstance(node, ast.Subscript) else node
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) != "self":
                yield node.lineno, f"sets {ast.unparse(node)}: {verbs}"


def files_are_short(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    lines = len(text.splitlines())
    if lines > MOST_FILE_LINES:
        yield MOST_FILE_LINES, f"{lines} lines, at most {MOST_FILE_LINES}: split the file"


def functions_are_short(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    for node in functions(tree):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MOST_FUNCTION_LINES:
            yield (
                node.lineno,
                f"{node.name} has {lines} lines, at most {MOST_FUNCTION_LINES}: split it",
            )


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Parameters, variables, attributes that are set, functions and classes."""
    for node in nodes_of(tree):
        match node:
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name


def units_come_last(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    for line, name in names(tree):
        words = name.strip("_").split("_")
        # Constants are sentences (SECONDS_PER_DAY is a rate), names of quantities are not.
        if name.islower() and len(words) > 1 and words[0] in UNITS and "per" not in words:
            better = "_".join([*words[1:], words[0]])
            yield line, f"{name}: the unit comes last, {better}"


def names_are_words(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    for line, name in names(tree):
        for word in name.lower().split("_"):
            if word in ABBREVIATIONS:
                yield line, f"{name}: write {ABBREVIATIONS[word]} for {word}"


def only_commands_print(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    if room_of(module) == "cli":
        return
    for line, name in called(tree):
        if name == "print":
            yield line, "print() outside haizea/cli: return it, or log it"


def files_are_locked_in_one_place(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    for line, name in imported(tree):
        if name == "fcntl" and module != "haizea.locks":
            yield line, "imports fcntl: haizea/locks.py locks files"


def what_is_public_is_explained(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    if ast.get_docstring(tree) is None and text.strip():
        yield 1, "the module has no docstring: say what it is for"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _explained(node, node.name)
            # A method that overrides another has its explanation there.
            for inner in [] if node.bases and not _is_protocol(node) else node.body:
                if isinstance(inner, Function) and not inner.name.startswith("_"):
                    yield from _explained(inner, f"{node.name}.{inner.name}")
        elif isinstance(node, Function) and not node.name.startswith("_"):
            yield from _explained(node, node.name)


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


def _explained(node: Function | ast.ClassDef, name: str) -> Iterator[Finding]:
    if ast.get_docstring(node) is None:
        yield node.lineno, f"{name} has no docstring: say what it means, units, errors"


def inputs_and_decisions_are_told_apart(
    module: str, tree: ast.Module, text: str
) -> Iterator[Finding]:
    """Find a wildcard that would swallow an input or a decision that is new."""
    for node in nodes_of(tree):
        if not isinstance(node, ast.Match):
            continue
        classes = {
            pattern.cls.id
            for case in node.cases
            for pattern in ast.walk(case.pattern)
            if isinstance(pattern, ast.MatchClass) and isinstance(pattern.cls, ast.Name)
        }
        last = node.cases[-1]
        is_wildcard = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        if classes & EVENTS and is_wildcard and "assert_never" not in ast.unparse(last.body[0]):
            yield (
                last.pattern.lineno,
                "name the inputs or decisions that need nothing, then assert_never(event)",
            )


def events() -> set[str]:
    """Return the names of the core's inputs and decisions."""
    path = ROOT / "haizea" / "core" / "model" / "events.py"
    unions = {"Input", "Decision"}
    return {
        name.id
        for node in parsed(path).body
        if isinstance(node, ast.Assign) and {ast.unparse(node.targets[0])} <= unions
        for name in ast.walk(node.value)
        if isinstance(name, ast.Name)
    }


EVENTS = events()


#: A docstring that begins so is a question, or half a sentence.
QUESTIONS = re.compile(
    r"(What|Whether|Who|Whose|Whom|How|When|Where|Which|Those|As|So|If|It|That|Of)\b"
)


def docstrings_begin_with_a_verb_or_a_noun(
    module: str, tree: ast.Module, text: str
) -> Iterator[Finding]:
    for node in nodes_of(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            docstring = ast.get_docstring(node)
            if docstring and (found := QUESTIONS.match(docstring)):
                line = node.body[0].lineno
                yield line, f"begins with {found[0]}: say 'Tell whether …', or name the thing"


def help_begins_with_a_verb_or_a_noun(
    module: str, tree: ast.Module, text: str
) -> Iterator[Finding]:
    """Find help, descriptions and options' texts that begin like a question."""
    for node in nodes_of(tree):
        if not isinstance(node, ast.Call):
            continue
        texts = [word.value for word in node.keywords if word.arg in {"help", "description"}]
        if isinstance(node.func, ast.Name) and node.func.id == "option":
            texts += node.args[2:3]
        for said in texts:
            words = said.value if isinstance(said, ast.Constant) else None
            if isinstance(words, str) and (found := QUESTIONS.match(words)):
                yield said.lineno, f"begins with {found[0]}: name the thing, or what it does"


def titles_are_short(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    for node in functions(tree):
        if node.name.startswith("test_") and len(node.name) >= MOST_TITLE:
            yield node.lineno, f"{node.name}: a title has fewer than {MOST_TITLE} characters"


def annotations_are_lazy(module: str, tree: ast.Module, text: str) -> Iterator[Finding]:
    defines = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    futures = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    ]
    if any(isinstance(node, defines) for node in tree.body) and "annotations" not in futures:
        yield 1, "add: from __future__ import annotations"


RULES: tuple[Rule, ...] = (
    imports_point_downwards,
    inner_imports_point_downwards,
    core_is_pure,
    the_schedule_has_one_writer,
    files_are_short,
    functions_are_short,
    units_come_last,
    names_are_words,
    only_commands_print,
    files_are_locked_in_one_place,
    what_is_public_is_explained,
    inputs_and_decisions_are_told_apart,
    docstrings_begin_with_a_verb_or_a_noun,
    help_begins_with_a_verb_or_a_noun,
    annotations_are_lazy,
)


#: Those that tests and measurements keep, too.
RULES_OF_TESTS: tuple[Rule, ...] = (docstrings_begin_with_a_verb_or_a_noun, titles_are_short)


def modules() -> Iterator[tuple[Path, str]]:
    """Every file of the package, with its module's name."""
    for path in sorted((ROOT / "haizea").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield path, ".".join(part for part in parts if part != "__init__")


def import_graph() -> dict[str, set[str]]:
    """Return the modules that each module imports when it is itself imported."""
    known = {module: path for path, module in modules()}
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        targets: set[str] = set()
        for node in parsed(path).body:
            match node:
                case ast.Import(names=aliases):
                    targets |= {alias.name for alias in aliases}
                case ast.ImportFrom(module=str(source), names=aliases):
                    inner = [f"{source}.{alias.name}" for alias in aliases]
                    targets |= {name if name in known else source for name in inner}
        graph[module] = targets & known.keys() - {module}
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return one circle of imports, empty where there is none."""
    done: set[str] = set()

    def follow(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph[node]):
            if found := follow(target, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for start in sorted(graph) if (found := follow(start, []))), [])


def tracked_texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the project: those that git knows, else all in its folders."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0 and done.stdout:
        found = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    else:
        folders = ("haizea", "tests", "docs", "etc", "traces", "bench")
        found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in sorted(found):
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def matches(pattern: re.Pattern[str], text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        for match in pattern.finditer(line):
            yield number, match[0]


def test_files_of_the_web_interface_are_short() -> None:
    static = ROOT / "haizea" / "web" / "static"
    lines = {path: path.read_text("utf-8").count("\n") for path in web_files(static)}
    assert lines, "the web interface is not there"
    long = {str(p.relative_to(ROOT)): n for p, n in lines.items() if n > MOST_FILE_LINES}
    assert not long, f"at most {MOST_FILE_LINES} lines, split: {long}"


def web_files(folder: Path) -> Iterator[Path]:
    """The scripts, styles and pages of the web interface."""
    for suffix in ("css", "html", "js"):
        yield from sorted(folder.rglob(f"*.{suffix}"))


#: What a browser would load from elsewhere, run out of a page, or make into markup.
FOREIGN = re.compile(
    r"https?://(?!www\.w3\.org/)|innerHTML|outerHTML|insertAdjacentHTML|\beval\(|new Function"
    r"|\son\w+=|<style|\sstyle="
)


def test_the_web_interface_has_all_it_needs_in_files_of_its_own() -> None:
    broken: list[str] = []
    for path in web_files(ROOT / "haizea" / "web" / "static"):
        found = matches(FOREIGN, path.read_text(encoding="utf-8"))
        broken += told(path, found)
    assert not broken, "\n" + "\n".join(broken)


def told(path: Path, findings: Iterator[Finding]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in findings]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    broken: list[str] = []
    for path, module in modules():
        text = path.read_text(encoding="utf-8")
        broken += told(path, rule(module, parsed(path), text))
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize("rule", RULES_OF_TESTS, ids=lambda rule: rule.__name__)
def test_tests_and_measurements_keep_the_rule(rule: Rule) -> None:
    broken: list[str] = []
    for path in sorted(p for folder in ("bench", "tests") for p in (ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        broken += told(path, rule(path.stem, parsed(path), text))
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (MACHINE, "is of one machine or registry: leave it out"),
        (UNFINISHED, "marks something unfinished: finish it, or write an issue"),
    ],
    ids=["machines", "unfinished"],
)
def test_no_text_has_what_does_not_belong_there(pattern: re.Pattern[str], what: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line}: {match!r} {what}"
        for path, text in tracked_texts()
        for line, match in matches(pattern, text)
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_no_imports_go_in_a_circle() -> None:
    assert not circle(import_graph())


def test_a_circle_of_imports_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set[str]()}
    assert circle(graph) == ["b", "c", "b"]


MATCH = "match e:\n case HostFailed():\n  pass\n case"
LONG_FUNCTION = "def f():\n" + "    pass\n" * MOST_FUNCTION_LINES


@pytest.mark.parametrize(
    ("rule", "module", "text"),
    [
        (imports_point_downwards, "haizea.config.a", "from haizea.accounting import b"),
        (imports_point_downwards, "haizea.core.a", "import haizea.times"),
        (imports_point_downwards, "haizea.core.a", "def f():\n    from haizea import runtime"),
        (imports_point_downwards, "haizea.cli.a", "import haizea.nowhere"),
        (imports_point_downwards, "haizea.nowhere.a", "import haizea.core"),
        (inner_imports_point_downwards, "haizea.core.nowhere.a", "import haizea.core.model.a"),
        (inner_imports_point_downwards, "haizea.core.model.a", "import haizea.core.queue.b"),
        (inner_imports_point_downwards, "haizea.core.queue.a", "import haizea.core.requests.b"),
        (core_is_pure, "haizea.core.a", "import time"),
        (core_is_pure, "haizea.core.a", "from os import path"),
        (core_is_pure, "haizea.core.a", "open('x')"),
        (the_schedule_has_one_writer, "haizea.core.queue.a", "lease.bound = None"),
        (the_schedule_has_one_writer, "haizea.core.queue.a", "self._schedule.claim = None"),
        (the_schedule_has_one_writer, "haizea.core.queue.a", "del lease.plan.phases[1:]"),
        (the_schedule_has_one_writer, "haizea.core.scheduler", "book.picky.add(1)"),
        (the_schedule_has_one_writer, "haizea.core.disruption.a", "schedule.table.shut |= 1"),
        (the_schedule_has_one_writer, "haizea.core.placement.a", "table.withdraw(hold)"),
        (the_schedule_has_one_writer, "haizea.core.placement.a", "self._table.withdraw(hold)"),
        (files_are_short, "haizea.a", "\n" * (MOST_FILE_LINES + 1)),
        (functions_are_short, "haizea.a", LONG_FUNCTION),
        (units_come_last, "haizea.a", "def f(mb_used): ..."),
        (units_come_last, "haizea.a", "self._seconds_left = 1"),
        (names_are_words, "haizea.a", "lease_idx = 1"),
        (names_are_words, "haizea.a", "def f(*, cfg): ..."),
        (only_commands_print, "haizea.config.a", "print(1)"),
        (files_are_locked_in_one_place, "haizea.store.a", "import fcntl"),
        (what_is_public_is_explained, "haizea.a", "x = 1"),
        (what_is_public_is_explained, "haizea.a", '"""."""\nclass A: ...'),
        (what_is_public_is_explained, "haizea.a", '"""."""\nclass A:\n "."\n def f(self): ...'),
        (what_is_public_is_explained, "haizea.a", '"""."""\ndef f(): ...'),
        (inputs_and_decisions_are_told_apart, "haizea.a", f"{MATCH} _:\n  pass"),
        (docstrings_begin_with_a_verb_or_a_noun, "haizea.a", '"""What it is."""'),
        (docstrings_begin_with_a_verb_or_a_noun, "haizea.a", 'def f():\n "Whether it is."'),
        (help_begins_with_a_verb_or_a_noun, "haizea.a", "f(help='How many nodes.')"),
        (help_begins_with_a_verb_or_a_noun, "haizea.a", "option('a', b, 'Whether it is.')"),
        (titles_are_short, "test_a", f"def test_{'x' * MOST_TITLE}(): ..."),
        (annotations_are_lazy, "haizea.a", "def f(): ..."),
    ],
)
def test_each_rule_notices_what_breaks_it(rule: Rule, module: str, text: str) -> None:
    assert list(rule(module, ast.parse(text), text))


@pytest.mark.parametrize(
    ("rule", "module", "text"),
    [
        (imports_point_downwards, "haizea.config.a", "from haizea.config.b import c"),
        (imports_point_downwards, "haizea.cli.a", "from haizea import __version__, runtime"),
        (inner_imports_point_downwards, "haizea.core.queue.a", "import haizea.core.model.b"),
        (core_is_pure, "haizea.config.a", "import time"),
        (the_schedule_has_one_writer, "haizea.core.schedule.a", "lease.bound = None"),
        (the_schedule_has_one_writer, "haizea.core.queue.a", "self._starts[1] = 2"),
        (the_schedule_has_one_writer, "haizea.core.placement.a", "trial.withdraw(hold)"),
        (units_come_last, "haizea.a", "seconds = 1\nused_mb = 2\nSECONDS_PER_DAY = 3"),
        (only_commands_print, "haizea.cli.a", "print(1)"),
        (what_is_public_is_explained, "haizea.a", '"""."""\ndef _f(): ...'),
        (inputs_and_decisions_are_told_apart, "haizea.a", f"{MATCH} _:\n  assert_never(e)"),
        (docstrings_begin_with_a_verb_or_a_noun, "haizea.a", '"""Items of a site."""'),
    ],
)
def test_no_rule_forbids_what_is_right(rule: Rule, module: str, text: str) -> None:
    assert not list(rule(module, ast.parse(text), text))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE, "see /" + "work/main/x"),
        (MACHINE, "https://" + "pypi" + ".org/simple"),
        (UNFINISHED, "# " + "TO" + "DO: later"),
    ],
)
def test_each_pattern_matches_what_it_is_for(pattern: re.Pattern[str], text: str) -> None:
    assert list(matches(pattern, text))
