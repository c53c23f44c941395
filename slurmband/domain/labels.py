"""What workers offer, what tasks require, and what they require after a worker was too small.

A label is any word, such as ``gpu``. A label ``mem=64G`` says how much there is of something, and a
requirement ``mem>=48G`` is met by as much or more of it.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

_OFFER: Final = re.compile(r"(?P<name>[\w-]+)=(?P<value>.+)")
_DEMAND: Final = re.compile(r"(?P<name>[\w-]+)>=(?P<value>.+)")
_AMOUNT: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[KMGT]?)B?", re.IGNORECASE)
#: ``mem:+50%``, ``time:x2``.
_RAISE: Final = re.compile(r"(?P<name>[\w-]+):(?:\+(?P<percent>\d+)%|x(?P<factor>\d+(?:\.\d+)?))")
_UNITS: Final = {unit: 1024**power for power, unit in enumerate(("", "K", "M", "G", "T"))}


def satisfy(labels: Collection[str], requirements: Collection[str]) -> bool:
    """Whether a worker that offers these labels may take a task that requires those."""
    return all(label in labels or _is_enough(labels, label) for label in requirements)


def _is_enough(labels: Collection[str], requirement: str) -> bool:
    name, wanted = _demand(requirement)
    if wanted is None:
        return False
    return any(offered >= wanted for offered in _offered(labels, name))


def _offered(labels: Collection[str], name: str) -> list[float]:
    """Return how much of something labels offer."""
    found = (_OFFER.fullmatch(label) for label in labels)
    amounts = [amount(match["value"]) for match in found if match and match["name"] == name]
    return [value for value in amounts if value is not None]


@lru_cache(maxsize=1024)
def _demand(requirement: str) -> tuple[str, float | None]:
    match = _DEMAND.fullmatch(requirement)
    return (match["name"], amount(match["value"])) if match else ("", None)


def amount(text: str) -> float | None:
    """Read ``64G``, ``1.5T``, ``7200``; None if it is no amount. Units are 1024 each."""
    match = _AMOUNT.fullmatch(text.strip())
    return float(match["number"]) * _UNITS[match["unit"].upper()] if match else None


def demands(requirements: Collection[str]) -> dict[str, float]:
    """Return of what, and how much of it, requirements demand: ``mem>=64G``."""
    found = (_demand(requirement) for requirement in requirements)
    return {name: wanted for name, wanted in found if wanted is not None}


def _written(name: str, value: float) -> str:
    """Write an amount; of memory in the largest unit that leaves it whole."""
    for unit, size in reversed(_UNITS.items()) if name == "mem" else ():
        if value >= size and value % size == 0:
            return f"{value / size:.0f}{unit}"
    return f"{value:.0f}"


def is_rule(rule: str) -> bool:
    """Whether `raised` understands a rule: ``mem:+50%``, ``time:x2``, or a label to require."""
    return _RAISE.fullmatch(rule) is not None or re.fullmatch(r"[\w.=>-]+", rule) is not None


def raised(
    rule: str, requirements: Collection[str], labels: Collection[str]
) -> frozenset[str] | None:
    """Say what a task requires of the next worker, where the last one was too small.

    Parameters
    ----------
    rule : str
        ``mem:+50%`` or ``mem:x2``: so much more than the last worker offered, and than was required.
        Any other word is a label to require.
    requirements : collection of str
        What the task requires until now.
    labels : collection of str
        What the last worker offered.

    Returns
    -------
    frozenset of str or None
        None where it is not known how much the last one had.
    """
    match = _RAISE.fullmatch(rule)
    if match is None:
        return frozenset({*requirements, rule})
    name = match["name"]
    known = _offered(labels, name)
    known += [wanted for of, wanted in demands(requirements).items() if of == name]
    if not known:
        return None
    factor = float(match["factor"]) if match["factor"] else 1 + int(match["percent"]) / 100
    rest = {label for label in requirements if _demand(label)[0] != name}
    return frozenset({*rest, f"{name}>={_written(name, float(round(max(known) * factor)))}"})


def kept(rule: str, had: Collection[str], wanted: Collection[str]) -> frozenset[str]:
    """Say what a task requires that its user describes anew, and that a rule let require more.

    Parameters
    ----------
    rule : str
        As for `raised`.
    had : collection of str
        What it required until now.
    wanted : collection of str
        As its user has it now.
    """
    match = _RAISE.fullmatch(rule)
    if match is None:
        return frozenset({*wanted, *({rule} & {*had})})
    name = match["name"]
    more = {label for label in had if _demand(label)[0] == name}
    if demands(more).get(name, 0.0) <= demands(wanted).get(name, 0.0):
        return frozenset(wanted)
    return frozenset({*more, *(label for label in wanted if _demand(label)[0] != name)})
