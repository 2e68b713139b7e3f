"""Which operations of `azure-mgmt-media` the tests of this run have called, and what there is to call."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from azure.core.exceptions import HttpResponseError
from azure.mgmt.media import AzureMediaServices

ANSWERED: set[str] = set()
"""Operations that succeeded."""

REFUSED: set[str] = set()
"""Operations that were refused."""

ALWAYS_REFUSED = {
    # Private links are between Azure's networks, and files in storage are not encrypted.
    "assets.get_encryption_key",
    "private_endpoint_connections.create_or_update",
    "private_endpoint_connections.get",
    "private_link_resources.get",
}
"""What an installation of one's own can only refuse."""


def groups(client: AzureMediaServices) -> Iterator[tuple[str, object]]:
    """The client's operation groups by name."""
    for name, value in vars(client).items():
        if type(value).__module__.startswith("azure.mgmt.media.operations"):
            yield name, value


def methods(group: object) -> list[str]:
    return [name for name in dir(group) if not name.startswith("_") and callable(getattr(group, name))]


def all_operations(client: AzureMediaServices) -> set[str]:
    return {f"{name}.{method}" for name, group in groups(client) for method in methods(group)}


def noted(client: AzureMediaServices) -> AzureMediaServices:
    """The same client, whose calls are noted. A list counts when it was made, for what is read of it is not to be seen here."""
    for name, group in groups(client):
        for method in methods(group):
            setattr(group, method, noting(f"{name}.{method}", getattr(group, method)))
    return client


def noting(operation: str, call):
    @functools.wraps(call)
    def noted_call(*arguments, **options):
        try:
            result = call(*arguments, **options)
        except HttpResponseError:
            REFUSED.add(operation)
            raise
        ANSWERED.add(operation)
        return result

    return noted_call
