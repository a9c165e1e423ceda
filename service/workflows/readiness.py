"""May the service be sent work: the database answers, its schema is current, and it takes what the committer writes."""

from __future__ import annotations

from service.errors import StorageUnavailable
from service.store import migrate
from service.workflows.services import Services


def check_ready(services: Services) -> int:
    """The number of model versions in force; raises StorageUnavailable or SchemaOutdated."""
    migrate.require_current(services.database)
    if not services.committer.well:
        raise StorageUnavailable("The last write failed, or writing has stopped.", "See the log for commit_failed.")
    return sum(version.state == "approved" for version in services.registry.current.versions)
