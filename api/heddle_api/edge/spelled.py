"""Spelled: an edit as one adapter understands it: checked, in its canonical spelling, ready for its key and its id.

All of it follows from the adapter's bytes and the edit alone, so what was spelled lately is kept and never stale. A
cached edit used to spend more on being spelled than on being found.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heddle_adapters.edit import check_request, detail_reason
from heddle_api.edge.cache_key import canonical_edit, edit_text
from heddle_api.edge.serving import Target
from heddle_api.edit_id import Claims, EditSigner
from heddle_platform.edits import EditRequest

_MOST: Final = 2_048
_MOST_CHARACTERS: Final = 2_048  # of an edit that is kept: some ten megabytes in all


@dataclass(frozen=True)
class Spelled:
    """An edit for one version of an adapter.

    Attributes:
        edit: the canonical spelling.
        text: the same as text, for the cache's key.
        reason: why it is drawn in the mode it is.
        claims: what its ids say.
        label: the version, "name@version".
    """

    edit: EditRequest
    text: str
    reason: str
    claims: Claims
    label: str


class Speller:
    """Spells edits, those it spelled lately out of its memory. For one event loop."""

    def __init__(self, signer: EditSigner, *, most: int = _MOST) -> None:
        """Make one that remembers nothing yet.

        Args:
            signer: whose claims are prepared.
            most: edits that are kept, those used last.
        """
        self._signer = signer
        self._most = most
        self._epochs: Mapping[str, int] = {}
        self._kept: OrderedDict[tuple[str, str, str, str], Spelled] = OrderedDict()

    def spell(self, target: Target, request: EditRequest) -> Spelled:
        """Check and spell an edit for a version.

        Raises:
            InvalidInput: as `check_request`.
        """
        asked = request.model_dump_json()
        key = (target.tenant_id, target.label, target.digest, asked)
        found = self._kept.get(key)
        if found is None:
            found = self._spelled(target, request)
            if len(asked) <= _MOST_CHARACTERS:
                self._kept[key] = found
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return found

    def forget_erased(self, epochs: Mapping[str, int]) -> None:
        """Forget the edits of tenants whose epoch is another than it was, or who are gone.

        Args:
            epochs: tenant id -> cache epoch now.
        """
        before, self._epochs = self._epochs, epochs
        for key in [key for key in self._kept if epochs.get(key[0]) != before.get(key[0])]:
            del self._kept[key]

    def _spelled(self, target: Target, request: EditRequest) -> Spelled:
        adapter, label = target.adapter, target.label
        check_request(adapter, request)
        edit = canonical_edit(adapter, request)
        claims = self._signer.claims(target.tenant_id, label, target.digest, edit)
        return Spelled(edit, edit_text(edit), detail_reason(adapter, request), claims, label)
