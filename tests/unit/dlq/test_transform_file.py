"""A user's Python file: nothing that it does ends the command or gets into its output."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.dlq.recheck import Rechecker, RecheckKind
from pipeline.dlq.repair import RepairError
from pipeline.dlq.transform_file import FileRepair, load_transform
from pipeline.errors import UnusableFileError
from tests.unit.dlq.dead_letters import NOW, dead_letter_of, event, reprocessor

DEAD_LETTER = dead_letter_of({"event": "A"})
Load = Callable[..., FileRepair]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Makes a repair of a file with this text; its process ends with the test."""
    loaded: list[FileRepair] = []

    def make(text: str, timeout_s: float = 30) -> FileRepair:
        path = tmp_path / "fix.py"
        path.write_text(text)
        loaded.append(load_transform(path, timeout_s))
        return loaded[-1]

    yield make
    for repair in loaded:
        repair.end()


def test_functions_of_a_file(load: Load) -> None:
    """Both functions of a file are used; its name and hash identify the repair."""
    repair = load(
        "def transform(event, dead_letter):\n"
        "    return {**event, 'userId': dead_letter.source.text()}\n"
        "def transform_bytes(value, dead_letter):\n"
        "    return value.replace(b'\\'', b'\"')\n",
    )
    assert repair.apply(DEAD_LETTER) == b'{"event":"A","userId":"raw/2/7"}'
    assert repair.apply(dead_letter_of(b"{'event': 'A'}")) == b'{"event": "A"}'
    assert repair.name.startswith("fix.py sha256:")
    assert load("def transform(event, dead_letter): pass").apply(DEAD_LETTER) is None


def test_bytes_of_a_class_of_the_file(load: Load) -> None:
    """Instances of a class of the file leave the child process as plain bytes."""
    repair = load(
        "class Mine(bytes): pass\ndef transform_bytes(value, _):\n    return Mine(b'{}')\n"
    )
    made = repair.apply(dead_letter_of(b"{"))
    assert (type(made), made) == (bytes, b"{}")


def test_annotations_of_the_file_are_its_own(load: Load) -> None:
    """The file is compiled as it is, without the __future__ imports of the program's modules."""
    repair = load(
        "def transform(event, dead_letter: dict):\n"
        "    event['kind'] = str(transform.__annotations__['dead_letter'])\n"
        "    return event\n"
    )
    assert b"<class 'dict'>" in (repair.apply(DEAD_LETTER) or b"")


def test_answer_of_a_copy_of_the_process(load: Load) -> None:
    """A forked copy answers the same calls, and is not taken for the answer to another call."""
    repair = load(
        "import os\ndef transform(event, dead_letter):\n    os.fork()\n    return event\n"
    )
    for name in "ABCDEF":
        try:
            changed = repair.apply(dead_letter_of({"event": name}))
        except (RepairError, UnusableFileError) as error:
            assert "gave the answer of another call" in str(error)  # noqa: PT017
        else:
            assert changed == b'{"event":"%s"}' % name.encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ndef transform(event, dead_letter)\n  pass", r"SyntaxError: .*, line 2 of fix.py"),
        ("\n1/0", r"ZeroDivisionError: division by zero, line 2$"),
        ("import sys\nsys.exit(0)", r"SystemExit: 0, line 2$"),
        ("raise KeyboardInterrupt", r"KeyboardInterrupt, line 1$"),
        ("import os\nos._exit(7)", r"it ended its process \(exit code 7\)$"),
        ("x = 1", "neither a function transform"),
        ("transform = 5", "neither a function transform"),
    ],
)
def test_files_that_can_not_be_used(load: Load, text: str, said: str) -> None:
    """A file that does not run is reported with its name and the line."""
    with pytest.raises(UnusableFileError, match=rf"fix.py.*{said}"):
        load(text)


def test_file_that_is_missing(tmp_path: Path) -> None:
    """A missing file is named in the error."""
    with pytest.raises(UnusableFileError, match=r"none.py: No such file"):
        load_transform(tmp_path / "none.py")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return event['none']", "failed: KeyError: 'none', line 3"),
        (
            "return __import__('json').loads('{')",
            "failed: json.decoder.JSONDecodeError: .*, line 3",
        ),
        ("raise ValueError('a\\nb')", "failed: ValueError: a, line 3"),
        ("raise SystemExit(0)", "failed: SystemExit: 0, line 3"),
        ("raise KeyboardInterrupt", "failed: KeyboardInterrupt, line 3"),
        ("raise GeneratorExit", "failed: GeneratorExit, line 3"),
        ("return input()", "failed: EOFError"),
        ("import os; os._exit(0)", r"ended its process \(exit code 0\)"),
        ("import os; os.abort()", r"killed its process \(SIGABRT\)"),
        ("return 5", "returned int, not dict or None"),
        ("return [event]", "returned list, not dict or None"),
        ("yield event", "returned generator, not dict or None"),
        ("return {'x': object()}", "returned what is not JSON: /x is of type object"),
        ("event['revenue'] = float('nan'); return event", ".* is not JSON: /revenue is nan"),
        ("event['self'] = event; return event", ".* is not JSON: /self.* contains itself"),
    ],
)
def test_transform_that_fails(load: Load, body: str, said: str) -> None:
    """A failure is reported with the position and the line, and concerns one dead letter."""
    repair = load(
        "def transform(event, dead_letter):\n"
        "    if dead_letter.offset: return event\n"
        f"    {body}\n"
        "def transform_bytes(value, dead_letter): return b'{}'\n"
    )
    with pytest.raises(RepairError, match=rf"^0/0: fix.py sha256:\w+ {said}"):
        repair.apply(DEAD_LETTER)
    assert repair.apply(dead_letter_of(b"{")) == b"{}"


def test_interrupted_call_has_no_answer(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C the next dead letter gets its own answer, not the one that nobody has read."""
    repair = load("def transform(event, dead_letter): return event | {'seen': True}")
    with monkeypatch.context() as patched:
        patched.setattr(Connection, "poll", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            repair.apply(DEAD_LETTER)
    assert repair.apply(dead_letter_of({"event": "B"})) == b'{"event":"B","seen":true}'


def _interrupt(*_: object) -> bool:
    raise KeyboardInterrupt


def test_function_that_never_returns(load: Load) -> None:
    """A function that never returns is ended after the time limit, and the next one is tried."""
    repair = load(
        "def transform(event, _):\n    while event['event'] == 'A': pass\n    return event",
        timeout_s=1,
    )
    with pytest.raises(RepairError, match=r"^0/0: fix.py .* was not done after 1 s"):
        repair.apply(DEAD_LETTER)
    assert repair.apply(dead_letter_of({"event": "B"})) == b'{"event":"B"}'


def test_file_that_ends_its_process_each_time(load: Load) -> None:
    """When each one takes the whole time limit, the run ends after a few of them."""
    repair = load(
        "import os\n"
        "def transform(event, dead_letter):\n"
        "    if event['event'] == 'A': os._exit(3)\n"
        "    return event if event['event'] == 'B' else None\n"
    )
    rechecker = Rechecker(reprocessor(), repair)

    def kinds(names: str) -> list[RecheckKind]:
        return [rechecker.recheck(dead_letter_of({"event": name}), NOW).kind for name in names]

    assert kinds("AAC") == [
        RecheckKind.REPAIR_FAILED,
        RecheckKind.REPAIR_FAILED,
        RecheckKind.LEFT_OUT,
    ]
    # What its function has left as it is, or was not called for, tells nothing.
    assert kinds("ABA") == [RecheckKind.REPAIR_FAILED, RecheckKind.SAME, RecheckKind.REPAIR_FAILED]
    with pytest.raises(UnusableFileError, match=r"exit code 3.* 3rd dead letter that ends so"):
        kinds("BA")


def test_output_of_the_file(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    """What the file prints goes to standard error, since a program may read standard output."""
    repair = load(
        "import os\n"
        "print('loaded')\n"
        "def transform(event, dead_letter):\n"
        "    print('python')\n"
        "    os.system('echo shell')\n"
        "    return event\n"
    )
    repair.apply(DEAD_LETTER)
    written = capfd.readouterr()
    assert written.out == ""
    assert written.err.splitlines() == ["loaded", "python", "shell"]


def test_dataclass_with_postponed_annotations(load: Load) -> None:
    """Such a class looks up the module that it is in."""
    repair = load(
        "from __future__ import annotations\n"
        "from dataclasses import asdict, dataclass\n"
        "@dataclass\n"
        "class Order:\n"
        "    event: str\n"
        "def transform(event, dead_letter):\n"
        "    return asdict(Order(event['event'] + '!'))\n"
    )
    assert repair.apply(DEAD_LETTER) == b'{"event":"A!"}'


def test_what_dead_letter_and_event_are(load: Load) -> None:
    """Numbers keep their digits, and the dead letter has its documented attributes."""
    repair = load(
        "from decimal import Decimal\n"
        "def transform(event, dead_letter):\n"
        "    assert type(event['properties']['revenue']) is Decimal\n"
        "    assert type(event['count']) is int\n"
        "    event['properties']['revenue'] /= 4\n"
        "    pointer = dead_letter.problems[0].pointer\n"
        "    event['seen'] = [dead_letter.reason, pointer, dead_letter.source.topic]\n"
        "    return event\n"
    )
    dead_letter = dead_letter_of(b'{"event":"A","count":7,"properties":{"revenue":5.10}}')
    assert repair.apply(dead_letter) == (
        b'{"event":"A","count":7,"properties":{"revenue":1.275},'
        b'"seen":["no_user_anon_id","","raw"]}'
    )


def test_deep_event_is_repaired(load: Load) -> None:
    """An event that is nearly too deep to be read is repaired like any other."""
    deep = b"[" * 500 + b"]" * 500
    repair = load("def transform(event, dead_letter):\n    event['b'] = 1\n    return event")
    value = b'{"event":"A","a":' + deep + b"}"
    assert repair.apply(dead_letter_of(value)) == value[:-1] + b',"b":1}'


def test_source_that_is_a_pipe() -> None:
    """The file is read once: a process that is started again runs the same text."""
    read, write = os.pipe()
    os.write(write, b"def transform(event, dead_letter):\n    return event | {'x': 1}\n")
    os.close(write)
    repair = load_transform(Path(f"/dev/fd/{read}"))
    os.close(read)
    assert repair.apply(DEAD_LETTER) == b'{"event":"A","x":1}'
    repair.end()
    assert repair.apply(DEAD_LETTER) == b'{"event":"A","x":1}'
    repair.end()


def test_process_that_is_killed_from_outside(load: Load) -> None:
    """A process that the kernel kills for want of memory is reported like any other end."""
    repair = load("import os\ndef transform(event, dead_letter):\n    os.kill(os.getpid(), 9)\n")
    with pytest.raises(RepairError, match=signal.SIGKILL.name):
        repair.apply(dead_letter_of(event(userId=None)))
