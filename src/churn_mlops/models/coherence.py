"""Makes the probabilities of several horizons fit each other: one customer cannot leave sooner than at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


def make_coherent(
    main: npt.NDArray[Any],
    main_days: int,
    further: Mapping[int, npt.NDArray[Any]],
    definition: Literal["inactivity", "cancellation"],
) -> dict[int, npt.NDArray[Any]]:
    """Bound the probabilities of further horizons by those nearer to the main one, which stays as it is.

    Who cancels within 30 days does so within 90: the probability does not fall with the horizon. Who does nothing for
    90 days does nothing for 30: by inactivity it does not rise. Horizons are learnt apart, so that a customer's
    probabilities may break this by what the models are unsure of.

    Args:
        main: [rows], of the main horizon.
        main_days: its length.
        further: [rows], by the length of the horizon.
        definition: what leaving means.

    Returns:
        [rows], by the length of the horizon, in the order in which they were given.
    """
    bounded: dict[int, npt.NDArray[Any]] = {}
    rises = definition == "cancellation"
    for is_longer in (True, False):
        nearest = main
        for days in sorted((days for days in further if (days > main_days) == is_longer), reverse=not is_longer):
            bound = np.maximum if rises == is_longer else np.minimum
            bounded[days] = nearest = bound(further[days], nearest)
    return {days: bounded[days] for days in further}
