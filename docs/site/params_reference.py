"""docs/params.md: every knob of params.yaml, from the code.

Types and ranges are those of toolkit/params.py, values and what is told of each those of presets/sample.yaml, the
stages that read it those of dvc.yaml.
"""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from toolkit import params

PAGE = "docs/params.md"
ROOT = Path(__file__).parents[2]
PRESET = ROOT / "presets" / "sample.yaml"
LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):(?P<value>.*?)(?:(?:^|\s+)# (?P<comment>.*))?")
TABLE = re.compile(r"one of ((?:\w+\.)+)([A-Z]+)$")  # a comment that names a table of the code
HEAD = """# Params

Every knob of `params.yaml`: its value in the preset `sample`, what it may be, and the stages that read it, from which
on a change is computed anew. `salvoc preset NAME` writes another preset, and `dvc exp run -S aug.threshold=0.05`
changes one value for one run. An unknown key, a wrong type or a value out of range stops the next stage that runs.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    schema = params.Params.model_json_schema()
    default, comments = yaml.safe_load(PRESET.read_text("utf-8")), told(PRESET.read_text("utf-8"))
    stages = readers()
    lines = [HEAD]
    for section, part in schema["properties"].items():
        lines.append(f"## {section}")
        if set(comments[section].split(", ")) - set(stages):  # more than the stages that read it
            lines.append(sentence(comments[section]))
        for key, kind in knobs(section, part, schema["$defs"]):
            by = [f"`{stage}`" for stage, prefixes in stages.items() if any(f"{key}.".startswith(p) for p in prefixes)]
            facts = [shown(default, key, kind), typed(kind), f"read by {', '.join(by)}" if by else ""]
            lines += [f"### `{key}` {{ #{key.lower()} }}", " · ".join(filter(None, facts))]
            lines.append(choices(comments.get(key) or listed(kind.get("comment", ""))))
    return "\n\n".join(line for line in lines if line)


def readers() -> dict[str, list[str]]:
    """The stages, each with the sections and keys that it reads, a dot behind each."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    read = {name: stage.get("do", stage).get("params", []) for name, stage in stages.items()}
    return {name: [key.replace("${key}", "").rstrip(".") + "." for key in keys] for name, keys in read.items()}


def knobs(key: str, kind: dict[str, Any], known: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The knobs below a key with their JSON schemas, in the model's order; a row of a table is called NAME."""
    kind = resolved(kind, known)
    if "anyOf" in kind and "$ref" in kind["anyOf"][0]:  # a section that may be null
        yield key, kind
        kind = resolved(kind["anyOf"][0], known)
    rows = kind.get("additionalProperties") or next(iter(kind.get("patternProperties", {}).values()), None)
    if "properties" in kind:
        comments = commented(kind["title"])
        for name, part in kind["properties"].items():
            yield from knobs(f"{key}.{name}", {**part, "comment": comments.get(name, "")}, known)
    elif isinstance(rows, dict):
        yield from knobs(f"{key}.NAME", rows, known)
    else:
        yield key, kind


def resolved(kind: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return known[kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind


def told(text: str) -> dict[str, str]:
    """What stands behind each key of a YAML file as its comment."""
    comments, above = {}, list[tuple[int, str]]()
    for line in text.splitlines():
        if not (found := LINE.fullmatch(line)):
            continue
        indent = len(found["indent"])
        above = [(depth, key) for depth, key in above if depth < indent] + [(indent, found["key"])]
        comments[".".join(key for _, key in above)] = found["comment"] or ""
    return comments


def commented(model: str) -> dict[str, str]:
    """What stands behind each field of a model as its comment, those that it inherits included."""
    text = Path(params.__file__).read_text("utf-8")
    lines, comments = text.splitlines(), dict[str, str]()
    classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    for base in reversed(getattr(params, model).__mro__):
        for field in classes[base.__name__].body if base.__name__ in classes else []:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                comments[field.target.id] = lines[field.lineno - 1].partition("  # ")[2]
    return comments


def listed(comment: str) -> str:
    """A comment that names a table of the code, with the table's keys in its name's place."""
    if not (found := TABLE.fullmatch(comment)):
        return comment
    spec = find_spec(found[1].rstrip("."))
    for node in ast.parse(Path(spec.origin).read_text("utf-8")).body if spec and spec.origin else []:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        if isinstance(target, ast.Name) and target.id == found[2]:
            assert isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict)
            return "one of " + ", ".join(f"`{ast.literal_eval(key)}`" for key in node.value.keys if key)
    raise LookupError(f"{found[1]}{found[2]}")


def shown(default: Any, key: str, kind: dict[str, Any]) -> str:
    """A knob's default, in code; nothing where it has none."""
    if "NAME" in key:  # a row's: the model's own
        return f"`{written(kind['default'])}`" if "default" in kind else ""
    for name in key.split("."):
        if default is None:
            return ""
        default = default.get(name)
    return f"`{written(default)}`"


def written(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def typed(kind: dict[str, Any]) -> str:
    """A JSON schema in words: what a knob may be."""
    if "anyOf" in kind:
        return " or ".join(typed(one) for one in kind["anyOf"])
    if "enum" in kind or "const" in kind:
        return "one of " + ", ".join(f"`{value}`" for value in kind.get("enum", [kind.get("const")]))
    if kind.get("type") == "array":
        return "a list, each " + typed(kind["items"])
    bounds = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}
    bounds["multipleOf"] = "by {}"
    names = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
    name = names.get(kind.get("type", ""), "`null`" if kind.get("type") == "null" else "a section")
    return " ".join([name, *(text.format(f"{kind[bound]:g}") for bound, text in bounds.items() if bound in kind)])


def choices(text: str) -> str:
    """A comment as Markdown: `what: one | another (why) | any else`, or the choices alone, as a list."""
    first, *others = text.split(" | ")
    if not others:
        return sentence(text)
    before, _, after = first.rpartition(": ")
    what = before if " " in before and not any(re.match(r"\w+: ", other) for other in others) else ""
    items = [re.sub(r"^(\w+)(?=: | \(|$)", r"`\1`", item) for item in [after if what else first, *others]]
    return "\n".join([*([f"{sentence(what)}:", ""] if what else []), *(f"- {sentence(item)}" for item in items)])


def sentence(text: str) -> str:
    """A comment as Markdown: keys in code, links where it names a page."""
    text = re.sub(r"docs/(\w+)\.md", r"[\1](\1.md)", text)
    return re.sub(rf"\b(?:toolkit|{'|'.join(params.Params.model_fields)})(?:\.\w+)+(?:\(\))?(?!`)", r"`\g<0>`", text)
