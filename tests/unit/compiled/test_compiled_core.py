"""The compiled core gives what the Python sources give, and its failures can be understood.

All tests of the core run on it as well: `TRACK_CORE=compiled make test`, as continuous integration
does.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.compiled.build import MODULES, NOT_COMPILED
from pipeline.compiled.choice import VARIABLE, Core, chosen
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Headers
from tests.support import NOW, raw
from tests.unit.compiled.outputs import all_outputs

pytestmark = pytest.mark.skipif(
    chosen().core is not Core.COMPILED,
    reason="needs the compiled core: `make compiled`, then `TRACK_CORE=compiled make test`",
)


@pytest.mark.parametrize("name", MODULES)
def test_listed_modules_are_extension_modules(name: str) -> None:
    """What runs is what was compiled."""
    file = str(import_module(f"pipeline.core.{name}").__file__)
    assert file == f"{chosen().directories[0]}/{name}{EXTENSION_SUFFIXES[0]}"
    assert Path(file).is_file()


@pytest.mark.parametrize("name", NOT_COMPILED)
def test_other_modules_are_sources(name: str) -> None:
    """What can't be compiled is found behind the build."""
    assert str(import_module(f"pipeline.core.{name}").__file__).endswith(f"/core/{name}.py")


def test_both_cores_give_the_same_outputs(tmp_path: Path) -> None:
    """Outputs are equal byte for byte, and those of one process can be read by the other."""
    file = tmp_path / "outputs"
    subprocess.run(
        [sys.executable, "-m", "tests.unit.compiled.outputs", str(file)],
        env={**os.environ, VARIABLE: "python"},
        check=True,
    )
    of_python = pickle.loads(file.read_bytes())  # noqa: S301  written above
    for (name, expected), (_, outputs) in zip(of_python, all_outputs(), strict=True):
        assert outputs == expected, name
        assert [type(each.value) for each in outputs] == [type(each.value) for each in expected]


def test_failure_names_the_source_and_the_line() -> None:
    """A bug that raises inside of compiled code shows file, function and source line."""
    processor, wrong = Processor(ContractSettings(), Identity(app="test")), cast("Headers", 5)
    broken = raw("{}")._replace(headers=wrong)
    with pytest.raises(TypeError) as raised:
        processor.process(broken, NOW)
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert frames[-1].filename.endswith("pipeline/core/origin.py")
    assert any(frame.name == "process" and frame.line for frame in frames)


def test_wrong_arguments_are_named() -> None:
    """A caller that passes another type than is annotated is told which one, and where."""
    processor: Any = Processor(ContractSettings(), Identity(app="test"))
    with pytest.raises(TypeError, match="int object expected; got str"):
        processor.process(raw("{}"), "now")
