"""Stored reports that are kept in memory, up to so many bytes; the longest unasked goes first."""

from collections import OrderedDict

OVERHEAD_BYTES = 300  # of an entry beside its bytes: key, objects, its place in the order


class KeptReports:
    """The bytes of reports by job.

    A report is written once, in the transaction that makes its job final, and never changed: what
    was read is right for good, whoever wrote it. That there is none yet is never kept. Who deletes
    jobs from the database by hand starts the service again.
    """

    def __init__(self, max_bytes: int) -> None:
        """Keep this many bytes at most."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def get(self, job_id: str) -> bytes | None:
        """The report of a job, if it is kept."""
        body = self._bodies.get(job_id)
        if body is not None:
            self._bodies.move_to_end(job_id)
        return body

    def keep(self, job_id: str, body: bytes) -> None:
        """Keep the report of a job, and let others go for it; one that is too large is not kept."""
        size = len(body) + OVERHEAD_BYTES
        if job_id in self._bodies or size > self._max_bytes:
            return
        self._bodies[job_id] = body
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, oldest = self._bodies.popitem(last=False)
            self._bytes -= len(oldest) + OVERHEAD_BYTES
