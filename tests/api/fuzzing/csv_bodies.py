"""What schemathesis sends as `text/csv`, of which the document can only say that it is a text."""

from __future__ import annotations

import csv
import io
from typing import Any

import schemathesis
from hypothesis import strategies as st


def write_customers(ids: list[str]) -> bytes:
    """Write customers of whom nothing is known but what they are called."""
    text = io.StringIO()
    csv.writer(text).writerows([("customer_id",), *((name,) for name in ids)])
    return text.getvalue().encode()


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Take the example away: beside a strategy for its media type, schemathesis cannot send one."""
    del raw_schema["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["text/csv"]["example"]


_IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
schemathesis.openapi.media_type("text/csv", st.lists(_IDS, min_size=1).map(write_customers))
