"""Everything refresher raises on purpose.

RefresherError
├── ConfigError           the configuration is wrong                      exit 2
├── CatalogError          the database's catalog is not what we need      exit 1
├── PlanError             definitions that can't be carried out           exit 2
├── RefreshError          a refresh failed, with its FailureReason        exit 1
├── StoreError            the `refresher` schema is unusable              exit 1
└── UnreachableError      no connection to a database                     exit 3

Every message says what happened and what to do next; none carries a secret. Errors are raised
`from` their cause.
"""

from enum import StrEnum


class FailureReason(StrEnum):
    """Why a refresh failed; also the `reason` label of `refresher_refresh_failures_total`."""

    LOCK_TIMEOUT = "lock_timeout"
    STATEMENT_TIMEOUT = "statement_timeout"
    DEADLOCK = "deadlock"
    SERIALIZATION = "serialization"
    CONNECTION = "connection"
    PERMISSION = "permission"
    DEFINITION = "definition"
    NOT_UNIQUE = "not_unique"
    CHECK = "check"
    DISK_FULL = "disk_full"
    RESOURCES = "resources"
    LOST = "lost"
    OTHER = "other"


class RefresherError(Exception):
    """The root: catching it catches everything refresher raises on purpose."""

    exit_code = 1


class ConfigError(RefresherError):
    """The configuration is wrong. The message names file and line and lists every fault found."""

    exit_code = 2


class CatalogError(RefresherError):
    """The database's catalog is not what was asked of it."""


class PlanError(RefresherError):
    """Definitions that can't be carried out as they stand, such as a cycle."""

    exit_code = 2


class RefreshError(RefresherError):
    """A refresh failed; its reason decides whether it is retried."""

    def __init__(self, message: str, *, reason: FailureReason) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(RefresherError):
    """The `refresher` schema is missing, newer than this version, or unusable."""


class UnreachableError(RefresherError):
    """No connection to a database could be made, or it is a read-only replica."""

    exit_code = 3
