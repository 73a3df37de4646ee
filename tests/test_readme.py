"""The commands that the README and the docs show: each is one that there is, as it is printed."""

import re
import shlex
from pathlib import Path

import click
import pytest
from project import ROOT, Project

from optiflow_dagster.cli import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def shown(page: Path) -> list[str]:
    """The lines of its blocks of shell that call `optiflow`."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    lines = (line.split(" #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines())
    return [line for line in lines if line.startswith(("optiflow ", ".venv/bin/optiflow "))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_can_be_parsed(page):
    for line in shown(page):
        arguments = shlex.split(line)[1:]
        command: click.Command = main
        while isinstance(command, click.Group):
            name, *arguments = arguments
            assert name in command.commands, line
            command = command.commands[name]
        command.make_context(name, list(arguments))


def lines_of(heading: str) -> list[str]:
    """The commands below a heading of the README, down to the next one."""
    text = (ROOT / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    page = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [
        line.split(" #")[0].strip() for block in page for line in block.splitlines() if line.startswith("optiflow ")
    ]


def test_the_lines_on_ones_own_file_run_as_they_are_printed(tmp_path, monkeypatch):
    """In their order, in an empty project; `run` and what needs its result are tried elsewhere."""
    project = Project(tmp_path)
    uploads = [line for line in lines_of("Your own file") if line.split()[1] in ("sample", "upload")]
    assert len(uploads) >= 4
    monkeypatch.setenv("HOME", str(tmp_path))
    for line in uploads:
        said = project.optiflow(*(part.replace("~", str(tmp_path)) for part in shlex.split(line)[1:]))
        assert said.code == 0, f"{line}: {said.shown}"
    landed = {path.name for path in (project.work / "uploads").rglob("*") if path.is_file()}
    assert {"sample-orders.csv", "sample-weekly-sales.csv"} <= landed
