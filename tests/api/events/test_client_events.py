"""Both clients ask /predict/events."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from event_versions import DAY

from churn_mlops.client import AsyncChurnClient, ChurnClient, Refused

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from event_versions import EventVersion

    from churn_mlops.client import CustomerEvents

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]


def test_both_clients_score_by_events(start_service: StartService, event_version: EventVersion) -> None:
    """With datetimes and days as Python has them; what became of the events comes back typed, and so do refusals."""
    _, url, _ = start_service(event_version.artifacts)
    last = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) - timedelta(hours=1)
    events = [{"type": "login", "time": last}, {"type": "payment", "time": last - timedelta(days=9), "amount": 9.5}]
    customer: CustomerEvents = {"customer_id": 7, "as_of": DAY, "events": events, "customer": {"plan": "basic"}}

    async def ask_async() -> object:
        async with AsyncChurnClient(url) as client:
            return await client.predict_events(customer, 2)

    with ChurnClient(url) as client:
        answer = client.predict_events(customer, 2)
        assert asyncio.run(ask_async()) == answer
        assert (answer.customer_id, answer.snapshot_date, len(answer.reasons)) == (7, DAY, 2)
        assert (answer.events.used, answer.events.dropped) == (2, {})
        parts = (answer, answer.events, answer.decision, answer.input_quality, *answer.reasons)
        assert [part.model_extra for part in parts] == [{}] * 6  # all that the service says has a name and a type
        with pytest.raises(Refused) as refused:
            client.predict_events({**customer, "as_of": date(2024, 12, 1)})
    assert (refused.value.status, refused.value.error) == (422, "NotAtRisk")
