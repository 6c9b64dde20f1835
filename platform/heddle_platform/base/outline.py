"""A recipe's outline: the JSON Schema of `config.Recipe`, kept in a file for those who have no torch to import it with.

It knows every field, kind and range; what fields forbid each other only `config.read_recipe` knows.
`python -m heddle_platform.base.outline` writes the file anew from `Recipe`.
"""

import json
import math
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from heddle_platform.base.faults import first_faults
from heddle_platform.errors import InvalidInput

FILE: Final = "recipe_outline.json"

_NONE: Final = {"type": "null"}
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,), "array": (list, tuple), "string": (str,), "null": (type(None),),
    "boolean": (bool, int, str), "number": (int, float, str), "integer": (int, float, str),
}  # fmt: skip
_WORDS: Final = {
    "object": "a mapping", "array": "a list", "string": "a text", "null": "null", "boolean": "true or false",
    "number": "a number", "integer": "a whole number",
}  # fmt: skip

_LIMITS: Final[dict[str, tuple[str, Callable[[float, float], bool]]]] = {
    "minimum": ("at least", operator.ge),
    "maximum": ("at most", operator.le),
    "exclusiveMinimum": ("above", operator.gt),
    "exclusiveMaximum": ("below", operator.lt),
}


@lru_cache(maxsize=1)
def outline() -> dict[str, Any]:
    """The schema, without what is said to people."""
    found: dict[str, Any] = json.loads(files("heddle_platform.base").joinpath(FILE).read_text(encoding="utf-8"))
    return found


def outlined(document: Any, name: str = "the recipe") -> dict[str, Any]:
    """Hold a recipe's document against the outline and add the defaults of what it leaves out.

    Raises:
        InvalidInput: code `invalid_recipe`, as `config.read_recipe` would; the sentence names the first faults.
    """
    reader = _Reader(outline().get("$defs", {}))
    filled: dict[str, Any] = reader.fill(outline(), document, ())
    if reader.faults:
        where, _ = reader.faults[0]
        raise InvalidInput(
            f"{name} is not a base recipe: {first_faults(reader.faults, 'recipe')}",
            code="invalid_recipe",
            param=".".join(("recipe", *where)),
        )
    return filled


class _Reader:
    """Walks a document along a schema; faults are (where, what)."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self.faults: list[tuple[tuple[str, ...], str]] = []
        self._definitions = definitions

    def fill(self, rule: dict[str, Any], value: Any, where: tuple[str, ...]) -> Any:
        """The value with its defaults, as far as it has no fault."""
        for rules in (rule.get("anyOf"), rule.get("oneOf")):
            if rules:
                return self._fill_one_of(rules, value, where, rule.get("discriminator", {}).get("propertyName"))
        if "$ref" in rule:
            return self.fill(self._resolved(rule), value, where)
        kind = rule.get("type")
        if kind and not isinstance(value, _TYPES[kind]):
            return self._fault(where, f"Input should be {_WORDS[kind]}")
        match value:
            case dict():
                return self._fill_fields(rule, value, where)
            case list() | tuple():
                return self._fill_entries(rule, list(value), where)
        self._check_value(rule, value, where)
        return value

    def _fill_one_of(self, rules: list[dict[str, Any]], value: Any, where: tuple[str, ...], tag: str | None) -> Any:
        if value is None and _NONE in rules:
            return None
        found = [rule for each in rules if (rule := self._resolved(each)) != _NONE]
        if isinstance(value, dict) and len(found) > 1:
            field = tag or "kind"
            kinds = {str(rule["properties"][field]["const"]): rule for rule in found}
            kind = str(value.get(field, "" if tag else next(iter(kinds))))  # without a tag the first is usual
            if kind not in kinds:
                return self._fault((*where, field), f"Input should be one of {', '.join(kinds)}")
            return self.fill(kinds[kind], value, where)
        fits = [rule for rule in found if isinstance(value, _TYPES.get(rule.get("type", ""), (object,)))]
        taken = next((rule for rule in fits if rule.get("const") == value), (fits or found)[0])
        return self.fill(taken, value, where)

    def _fill_fields(self, rule: dict[str, Any], value: dict[Any, Any], where: tuple[str, ...]) -> dict[str, Any]:
        known, others = rule.get("properties", {}), rule.get("additionalProperties", True)
        filled: dict[str, Any] = {}
        for name, field in known.items():
            if name in value:
                filled[name] = self.fill(field, value[name], (*where, name))
            elif name in rule.get("required", ()):
                self._fault((*where, name), "Field required")
            else:
                filled[name] = field.get("default", {})
                if isinstance(filled[name], dict):  # a mapping's default may leave its own out
                    filled[name] = self.fill(field, filled[name], (*where, name))
        for name in sorted(value.keys() - known.keys(), key=str):
            if others is False:
                self._fault((*where, str(name)), f"there is no such field; there are {', '.join(known)}")
            else:
                filled[name] = (
                    self.fill(others, value[name], (*where, str(name))) if others is not True else value[name]
                )
        return filled

    def _fill_entries(self, rule: dict[str, Any], value: list[Any], where: tuple[str, ...]) -> list[Any]:
        least, most = rule.get("minItems", 0), rule.get("maxItems", math.inf)
        if not least <= len(value) <= most:
            self._fault(where, f"there are {len(value)} entries, {least} to {most} are wanted")
        firsts, rest = rule.get("prefixItems", []), rule.get("items", {})
        rules = [*firsts, *[rest] * (len(value) - len(firsts))]
        return [
            self.fill(each, entry, (*where, str(place)))
            for place, (each, entry) in enumerate(zip(rules, value, strict=False))
        ]

    def _check_value(self, rule: dict[str, Any], value: Any, where: tuple[str, ...]) -> None:
        allowed = [rule["const"]] if "const" in rule else rule.get("enum")
        if allowed is not None and value not in allowed:
            self._fault(where, f"Input should be {' or '.join(map(str, allowed))}")
        if "pattern" in rule and not re.search(rule["pattern"], value):
            self._fault(where, f"Input should match {rule['pattern']}")
        if rule.get("type") in ("number", "integer"):
            self._check_number(rule, value, where)

    def _check_number(self, rule: dict[str, Any], value: Any, where: tuple[str, ...]) -> None:
        try:
            number = float(value)
        except (ValueError, OverflowError):
            self._fault(where, f"Input should be {_WORDS[rule['type']]}")
            return
        if rule["type"] == "integer" and not number.is_integer():
            self._fault(where, "Input should be a whole number")
        for name, (words, holds) in _LIMITS.items():
            if name in rule and not holds(number, rule[name]):
                self._fault(where, f"Input should be {words} {rule[name]}, not {value}")

    def _resolved(self, rule: dict[str, Any]) -> dict[str, Any]:
        """The definition that a reference names."""
        found: dict[str, Any] = rule
        while "$ref" in found:
            found = self._definitions[found["$ref"].rpartition("/")[2]]
        return found

    def _fault(self, where: tuple[str, ...], what: str) -> None:
        self.faults.append((where, what))


def _without_words(rule: Any, *, names: bool = False) -> Any:
    """A schema without titles and descriptions; `names`: its keys are names of fields."""
    if isinstance(rule, list):
        return [_without_words(each) for each in rule]
    if not isinstance(rule, dict):
        return rule
    return {
        key: each if key == "default" and not names else _without_words(each, names=key in ("properties", "$defs"))
        for key, each in rule.items()
        if names or key not in ("title", "description")
    }


def of_recipe() -> str:
    """The file as it should be; imports torch."""
    from heddle_platform.base.config import Recipe

    return json.dumps(_without_words(Recipe.model_json_schema()), sort_keys=False, indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_text(of_recipe(), encoding="utf-8")
