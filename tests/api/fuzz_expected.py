"""What Schemathesis is told to take for an answer, wider than success only where a schema cannot say why.

Which statuses an operation may have at all is what the document says (`status_code_conformance`); this is about which
of them may follow on a request that obeys it, and on one that does not. No check is switched off.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

# 401: it is also asked without a key. 404: a made-up id leads nowhere. 409: the present state does not allow it
_OBEYED: Final = ("2xx", "401", "404", "409")
_FORBIDDEN: Final = ("401", "403")
# 404: what is misspelt is not there either. 401, 403: who asks is judged before what is asked
_BROKEN: Final = ("400", "401", "403", "404", "405", "415", "422")
# Schemathesis' own, and 428, which HTTP has for a missing If-Match
_WITHOUT_HEADER: Final = ("400", "401", "403", "415", "422", "428")

# a parameter that an operation takes -> what it may be refused with although it is well-formed, and why
_PARAMETERS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "If-Match": (("412", "428"), "whether the ETag is the present one, and needed, is for the present state to say"),
    "after": (("422",), "a cursor is opaque: only a page of the same list gives one out"),
    "from": (("422",), "it must come before `to`"),
}
_JOB: Final = (
    ("403", "422"),
    "a fit is a tenant's to ask for, a pretraining or a sweep an operator's; a recipe is more than a schema says",
)
_PUBLIC_URL: Final = (("422",), "whether an address is one of the public internet is more than a pattern can say")
_FORM: Final = (
    ("400", "406", "413", "422"),
    "the text fields of a form hold JSON and a media type, its files pictures: of these OpenAPI has no schema",
)
# an operation -> likewise
_OPERATIONS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "POST /v1/api_keys": (("403", "422"), "a scope that the key in use lacks; an end that is past"),
    "POST /v1/datasets": (("422",), "items must be pictures in base64, labelled by factors that the set has"),
    "POST /v1/factor_sets": (("422",), "names and levels must differ, a range must rise, some names are columns"),
    "POST /v1/fits/preview": (("422",), "rows must be equally long, and labels levels that the factor set has"),
    "POST /v1/jobs": _JOB,
    "POST /v1/jobs/estimate": _JOB,
    "POST /v1/uploads": (("403", "413"), "the largest upload is a setting, and how much a tenant may store a quota"),
    "POST /v1/uploads/{upload_id}/complete": (("422",), "the parts must be those that were sent"),
    "PUT /v1/adapters/{adapter}/aliases/{alias}": (("422",), "a version on trial must be another than the one served"),
    "POST /v1/webhook_endpoints": _PUBLIC_URL,
    "PATCH /v1/webhook_endpoints/{endpoint}": _PUBLIC_URL,
    "POST /v1/bases": (("422",), "the upload must be the zip of a base"),
    "PUT /v1/bases/{name}/aliases/{alias}": (("422",), "the base must be one of the name in the path"),
    "PATCH /v1/admin/tenants/{tenant_id}": (("422",), "null leaves a field as it is, and something must change"),
    **dict.fromkeys(("POST /v1/images", "POST /v1/edits", "POST /v1/edits/grid", "POST /v1/edit_batches"), _FORM),
}
# an operation -> what else may follow on wrong data, and why
_WRONG: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "POST /v1/fits/preview": (("413",), "what has too many rows by the schema is longer than the plane reads at all"),
    **{name: (("406", "413"), found[1]) for name, found in _OPERATIONS.items() if found is _FORM},
}

_OF_OPERATORS: Final = ("/v1/admin/", "/v1/rollouts")
_OF_TENANTS: Final = (
    *("/v1/factor_sets", "/v1/datasets", "/v1/fits", "/v1/adapters", "/v1/erasure_requests"),
    *("/v1/drift", "/v1/feedback", "/v1/quota", "/v1/usage", "/v1/webhook_endpoints"),
)


def for_operators(method: str, path: str) -> bool:
    """Whether an operation of the control plane is refused to tenants."""
    return path.startswith(_OF_OPERATORS) or (path.startswith("/v1/bases") and method != "get")


def for_tenants(_: str, path: str) -> bool:
    """Whether an operation of the control plane is refused to operators."""
    return path.startswith(_OF_TENANTS)


def operation_config(document: Mapping[str, Any], forbidden: Callable[[str, str], bool]) -> Iterator[str]:
    """Yield a section of `schemathesis.toml` for each operation of which other than the usual is taken.

    Args:
        document: the OpenAPI document.
        forbidden: whether an operation, by method and path, is not for who asks: it may be refused and nothing else.
    """
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            asked = {found["name"] for found in operation.get("parameters", ())}
            reasons = [found for parameter, found in _PARAMETERS.items() if parameter in asked]
            reasons += [_OPERATIONS[name]] if name in _OPERATIONS else []
            more = sorted({status for statuses, _ in reasons for status in statuses})
            checks: dict[str, Sequence[str]] = {}
            if forbidden(method, path):
                checks["positive_data_acceptance"] = _FORBIDDEN
            elif more:
                checks["positive_data_acceptance"] = [*_OBEYED, *more]
            if name in _WRONG:
                checks["negative_data_rejection"] = [*_BROKEN, *_WRONG[name][0]]
            if checks:
                yield f"[[operations]]\ninclude-name = {json.dumps(name)}\n{_sections('operations.checks', checks)}"


def checks_config() -> str:
    """Return the sections of `schemathesis.toml` for all operations."""
    return _sections(
        "checks",
        {
            "positive_data_acceptance": _OBEYED,
            "negative_data_rejection": _BROKEN,
            "missing_required_header": _WITHOUT_HEADER,
        },
    )


def _sections(under: str, checks: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(
        f"[{under}.{check}]\nexpected-statuses = {json.dumps(statuses)}\n" for check, statuses in checks.items()
    )
