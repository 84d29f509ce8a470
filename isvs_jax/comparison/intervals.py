"""Confidence intervals of accuracies."""

from math import sqrt


def wilson(successes: int, count: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    With p = successes/count:  (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n).

    Args:
        successes: 0 to `count`.
        count: n, positive.
        z: Quantile of the normal distribution; the default is that of 95%.

    Returns:
        Lower and upper end, in [0, 1].

    Raises:
        ValueError: The numbers are not as above.

    Example:
        >>> [round(end, 3) for end in wilson(90, 100)]
        [0.826, 0.945]

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"successes is {successes} of count {count}; it may be 0 to count, with count 1 or more.")
    share = successes / count
    centre = share + z * z / (2 * count)
    reach = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)
