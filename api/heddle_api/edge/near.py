"""Near: the finished edits that this process answered lately, in its own memory in front of the cache.

A call to the cache cost more than the rest of a cached edit. Keys are the cache's, and content addresses, so what is
found here is what would be found there; it stays ten minutes at most.
"""

from collections.abc import Mapping

from heddle_api.edge.held import SECONDS, Held
from heddle_api.edge.remembered import EditedImage


class Near:
    """See the module. For one event loop."""

    def __init__(self, *, most_bytes: int, ttl_seconds: int) -> None:
        """Make one that holds nothing yet.

        Args:
            most_bytes: of all pictures together, of which a tenant may fill a quarter; 0 holds nothing.
            ttl_seconds: how long the cache keeps a picture.
        """
        self._held: Held[EditedImage] = Held(lambda image: len(image.data), most_bytes=most_bytes)
        self._seconds = min(SECONDS, ttl_seconds)
        self._epochs: Mapping[str, int] = {}

    @property
    def nbytes(self) -> int:
        """How many bytes are held."""
        return self._held.nbytes

    def get(self, key: str) -> EditedImage | None:
        """Return the finished edit under `key` if it is held."""
        return self._held.get(key)

    def put(self, tenant_id: str, epoch: int, key: str, image: EditedImage) -> None:
        """Hold a finished edit, unless its tenant's data were erased while it was made.

        Args:
            tenant_id: whose it is.
            epoch: the cache epoch that `key` was built with.
            key: where the cache keeps it.
            image: the edit.
        """
        if self._epochs.get(tenant_id) == epoch:
            self._held.put(tenant_id, key, image, seconds=self._seconds)

    def forget_erased(self, epochs: Mapping[str, int]) -> None:
        """Let go of what belongs to tenants whose epoch is another than it was, or who are gone.

        Nothing of it would be found any more; this is so that it is not in memory either.

        Args:
            epochs: tenant id -> cache epoch now.
        """
        for owner in self._held.owners:
            if epochs.get(owner) != self._epochs.get(owner):
                self._held.drop_all(owner)
        self._epochs = epochs
