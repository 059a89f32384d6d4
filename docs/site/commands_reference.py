"""docs/commands.md: every command of `salvoc`, as `salvoc COMMAND --help` has it."""

import re
from collections.abc import Iterator
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import commands

PAGE = "docs/commands.md"
EXAMPLES = re.compile(r"^Examples?: ", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    whole = typer.main.get_command(commands.app)
    panels: dict[str, list[str]] = {}
    for name, command in public("salvoc", whole):
        panels.setdefault(command.rich_help_panel, []).append(entry(name, command))
    parts = [f"## {panel}\n\n" + "\n\n".join(entries) for panel, entries in panels.items()]
    return "\n\n".join(["# Commands", whole.help or "", *parts])


def public(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands that can be called, by their whole names; those of a group stand in the group's panel."""
    for own, below in getattr(command, "commands", {}).items():
        if hasattr(below, "commands"):
            for longer, one in public(f"{name} {own}", below):
                one.rich_help_panel = below.rich_help_panel
                yield longer, one
        elif not below.hidden:
            yield f"{name} {own}", below


def entry(name: str, command: Any) -> str:
    """A command: what it does, how it is called, what it takes, examples."""
    about, *examples = EXAMPLES.split(command.help)
    lines = [f"### `{name}` {{ #{name.replace(' ', '-')} }}", about.strip().replace("->", "→")]
    taken = sorted(command.params, key=is_option)
    lines.append("```text\n" + " ".join([name, *map(use, taken)]) + "\n```")
    if command.params:
        lines.append("\n".join(["| takes | default | what it is |", "| --- | --- | --- |", *map(row, taken)]))
    calls = [" ".join(call.split()) for part in examples for call in re.findall(r"`([^`]*)`", part)]
    if calls:
        lines.append("```sh\n" + "\n".join(calls) + "\n```")
    return "\n\n".join(lines)


def use(given: Any) -> str:
    """An argument or an option as it stands in a call."""
    if not is_option(given):
        return called(given) + ("..." if given.nargs == -1 else "")
    text = given.opts[0] if given.is_flag else f"{given.opts[0]} {given.name.upper()}"
    return text if given.required else f"[{text}]"


def row(given: Any) -> str:
    """What an argument or an option is, and its default."""
    ends = [f"{word} {end}" for word, end in (("from", given.min), ("to", given.max)) if end is not None]
    default = "required" if given.required else f"`{given.default}`" if given.default not in (None, False, "") else ""
    about = (given.help or "").replace("|", "\\|") + (f" ({' '.join(ends)})" if ends else "")
    return f"| `{called(given)}` | {default} | {about} |"


def called(given: Any) -> str:
    return str(given.opts[0] if is_option(given) else given.metavar or given.name.upper())


def is_option(given: Any) -> bool:
    return str(given.opts[0]).startswith("-")
