"""Every place of an API where an id may stand, found in its OpenAPI document: a new route is walked unasked.

What ids are called is told here once. A path parameter or an id-like field that is told nowhere fails the walk.
"""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# parameter or field -> kind of id, as `things_of` in test_control_isolation.py makes one of each
ID_PROVIDERS = {
    "key_id": "key",
    "factor_set": "fs",
    "upload": "up",
    "upload_id": "up",
    "dataset": "ds",
    "items": "itm",
    "item": "itm",
    "job_id": "job",
    "erasure": "era",
    "adapter": "ada",
    "tenant_id": "ten",
    "endpoint": "whe",
    "delivery": "dlv",
    "edit_id": "edt",
    "rollout": "rol",
}
# path parameter -> a value; they are no ids of a tenant's things
PLAIN = {"version": "1", "alias": "production", "base": "default", "name": "tiny"}
# fields of a body of some type that carry the word of an id and name what is made by the request
NOT_OF_TENANTS = {("post", "/v1/jobs", "fit", "adapter"), ("post", "/v1/jobs/estimate", "fit", "adapter")}
_ID_LIKE = ("_id", "_ids")


@dataclass(frozen=True)
class Place:
    """An operation and one set of places of it that hold ids: `where` is a path parameter, a query one or a field."""

    method: str
    path: str
    body: dict[str, Any] | None
    own: tuple[str, ...]
    swapped: tuple[str, ...]
    query: tuple[str, ...]

    def request(self, mine: dict[str, str], other: dict[str, str]) -> tuple[str, str, Any, dict[str, str]]:
        """Return method, path, body and query with the caller's ids, but `other`'s in the swapped places."""

        def of(name: str) -> str:
            return (other if name in self.swapped else mine)[ID_PROVIDERS[name]]

        path = self.path
        for name in _parameters(path):
            path = path.replace(f"{{{name}}}", PLAIN[name] if name in PLAIN else of(name))
        body = copy.deepcopy(self.body)
        for name in self.own:
            if body is not None and name in body:
                body[name] = [of(name)] if isinstance(body[name], list) else of(name)
        return self.method.upper(), path, body, {name: of(name) for name in self.query}


def places(document: dict[str, Any]) -> Iterator[Place]:
    """Yield every operation with every non-empty choice of its places that hold ids.

    Raises:
        AssertionError: a parameter is neither an id nor plain; the message says what to add.
    """
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            in_path = [name for name in _parameters(path) if name not in PLAIN]
            in_query = [
                one["name"]
                for one in operation.get("parameters", ())
                if one["in"] == "query" and (one["name"] in ID_PROVIDERS or one["name"].endswith(_ID_LIKE))
            ]
            bodies: list[dict[str, Any] | None] = [*_bodies(document, operation)]
            for body in bodies or [None]:
                in_body = [
                    name
                    for name in body or ()
                    if (name in ID_PROVIDERS or name.endswith(_ID_LIKE))
                    and (method, path, (body or {}).get("type"), name) not in NOT_OF_TENANTS
                ]
                found = [*in_path, *in_query, *in_body]
                unknown = [name for name in found if name not in ID_PROVIDERS]
                assert not unknown, (
                    f"{method.upper()} {path} takes {unknown}: add each to ID_PROVIDERS in tests/api/walk.py with the "
                    "kind of its id, and one such thing to things_of in tests/api/test_control_isolation.py; "
                    "or to PLAIN where it is no id of a tenant's thing"
                )
                for size in range(1, len(found) + 1):
                    for swapped in itertools.combinations(found, size):
                        yield Place(method, path, body, tuple(in_body), swapped, tuple(in_query))


def _parameters(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _bodies(document: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the documented example bodies of an operation, of each alternative."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    found: list[dict[str, Any]] = [content["example"]] if "example" in content else []
    waiting = [content.get("schema", {})]
    while waiting:
        schema = waiting.pop()
        if "$ref" in schema:
            waiting.append(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        waiting += [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
        found += [example for example in schema.get("examples", ()) if isinstance(example, dict)]
        if not schema.get("examples") and schema.get("properties") and not found:
            raise AssertionError(f"the body {schema.get('title')} has no example in the document; give its model one")
    return found
