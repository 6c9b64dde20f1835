"""Texts above the operations of each plane, and what each tag is about."""

from collections.abc import Mapping
from typing import Final

_SHARED: Final = """
**Keys.** Send `Authorization: Bearer <key>`. The key says which tenant is meant; no path and no body does. What belongs
to another tenant answers 404, like what does not exist.

**Failures** are `application/problem+json` (RFC 9457), the framework's own included. Programs go by `code`, which is
stable; `detail` is a sentence for people; `retryable` tells whether sending the same again may help. Where a server
asks for patience (429, 503), `Retry-After` says for how long.
"""

CONTROL_DESCRIPTION: Final = f"""
Name your factors, upload labelled images, fit an adapter, approve it: then apps edit images with it at the edge.

1. `POST /v1/factor_sets`: what can be edited, such as glasses or hair colour.
2. `POST /v1/uploads`, PUT the parts, `POST /v1/uploads/{{id}}/complete`, then `POST /v1/datasets`: labelled images.
3. `POST /v1/jobs` of type `fit`; follow it by `GET /v1/jobs/{{id}}/events`, or be told by a webhook.
4. `GET /v1/adapters/{{adapter}}/card`, then `POST .../approvals`: the alias `production` moves, and edits use it.
{_SHARED}
**Doing a POST once.** Send an `Idempotency-Key` of your own: the same key answers what it answered before, for 24
hours; with another body it is 422, while the first is being worked on 409.

**Lists** are pages, newest first: `limit` and `after` in, `data`, `has_more` and `next_cursor` out; send `next_cursor`
as `after`.

**Changing what others may change, too** needs `If-Match` with the `ETag` you read: 428 without it, 412 if it has
changed since.
""".strip()

EDGE_DESCRIPTION: Final = f"""
Image in, edited image out. Every adapter in production is held in memory; equal edits are answered from a cache.
{_SHARED}
**Repeating** a POST of an image does no harm: the same image and the same edit give the same picture, so no
Idempotency-Key is asked for.
""".strip()

CONTROL_TAGS: Final[Mapping[str, str]] = {
    "keys": "API keys, and what the key in use may do.",
    "tenants": "For operators: customers, made, suspended and deleted.",
    "bases": "The shared models that adapters are fitted on: everybody reads them, operators publish them.",
    "factor sets": "What can be edited: named factors with their levels or ranges; versioned, never changed.",
    "uploads": "Bytes sent straight to the object store, in presigned parts.",
    "labelled sets": "Images with labels: registered, validated row by row, ready or rejected.",
    "jobs": "Fits, refits, evaluations, exports, looks at drift and trainings: queued, followed, cancelled.",
    "fits": "Fits that are answered at once and store nothing.",
    "adapters": "What was fitted: versions, cards, files, approvals, and the aliases that serve them.",
    "feedback": "What became of edits: kept or not, and where their people left the sliders.",
    "drift": "Whether what adapters edit still looks like what they were fitted on.",
    "rollouts": "For operators: every tenant's served adapters brought to another base, judged, moved, and back.",
    "erasure": "Images taken out of everything that knew them, with a signed certificate.",
    "cluster": "For operators: where jobs run, what waits, how fast it goes; rows and objects held against each other.",
    "quotas": "How much a tenant may use, and how much of it is used.",
    "usage": "What was used, by hour.",
    "audit": "Who changed what and when: a chain of hashes, so that nothing can be taken out unseen.",
    "webhooks": "Events sent to your own address, signed as Standard Webhooks say.",
}

EDGE_TAGS: Final[Mapping[str, str]] = {
    "edits": "Images edited, read, and drawn at every level of a factor.",
    "edit batches": "Many images edited in the background; their pictures are kept for a day.",
}
