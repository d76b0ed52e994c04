#!/usr/bin/env python3
"""Validates runbooks against the schema with a reader and a validator that are not dr's own.

    tests/validate.py SCHEMA FILE...

A Markdown file counts for its YAML blocks that are whole runbooks.
"""
import json
import re
import sys

import jsonschema
import yaml


class Reader(yaml.SafeLoader):
    """YAML without times: a runbook writes them as text."""


Reader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def runbooks(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if not path.endswith(".md"):
        return [text]
    blocks = re.findall(r"^```yaml[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if block.startswith("runbook:")]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    seen = wrong = 0
    for path in sys.argv[2:]:
        for text in runbooks(path):
            seen += 1
            for error in validator.iter_errors(yaml.load(text, Loader=Reader)):
                wrong += 1
                print(f"{path}: {error.json_path}: {error.message}", file=sys.stderr)
    print(f"{seen} runbooks, {wrong} problems")
    return 1 if wrong else 0


sys.exit(main())
