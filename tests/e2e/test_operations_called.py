"""Every operation that `azure-mgmt-media` has was called by the tests that ran before."""

from __future__ import annotations

import pytest

import called
from headwater import Account, in_ci, needs_binary


def test_every_operation_was_called(request, account: Account):
    if not request.config.whole_suite:
        part = "only a part of the suite runs: of what is left out, `conftest.py` does not say that it may be"
        pytest.fail(part) if in_ci() else pytest.skip(part)
    # Live events start with a worker only, which needs it.
    needs_binary()
    there = called.all_operations(account.client)
    assert len(there) == 99, "azure-mgmt-media 10.2.1 has so many"
    assert called.ALWAYS_REFUSED <= called.REFUSED
    assert sorted(there - called.ANSWERED - called.ALWAYS_REFUSED) == []
