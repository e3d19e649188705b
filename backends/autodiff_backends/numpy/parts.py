"""A long list of statements as functions of some hundred each, called one after another.

Python compiles a function in one piece, and no other thread runs meanwhile: a second for 50,000 statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from autodiff.background import check

# 10 ms for the compiler. Passing values from part to part costs a fiftieth of what the statements do; where these are
# additions of numbers, parts of 200 took twice the time of 500.
LONGEST_PART = 500

_ASSIGNED = re.compile(r"([a-z]+\d+) = ")
_NAME = re.compile(r"\b[a-z]+\d+\b")


def in_parts(statements: list[str], parameters: Iterable[str], results: list[str]) -> tuple[list[str], list[str]]:
    """Statements as definitions of functions, and the statements that call these.

    Parameters
    ----------
    statements : list of str
        One a line; names are letters and digits, and are assigned at the beginning of a line.
    parameters : iterable of str
        Names that are there before the first.
    results : list of str
        Expressions that are looked at after the last.

    Returns
    -------
    functions : list of str
    calls : list of str
    """
    chunks = [statements[i : i + LONGEST_PART] for i in range(0, len(statements), LONGEST_PART)]
    names = []
    # The last part that looks at a name; the number of parts, if what comes after them does.
    last: dict[str, int] = {}
    for number, chunk in enumerate(chunks):
        check()
        names.append(set(_NAME.findall("\n".join(chunk))))
        last.update(dict.fromkeys(names[-1], number))
    last.update(dict.fromkeys(_NAME.findall("\n".join(results)), len(chunks)))
    known = set(parameters)
    functions, calls = [], []
    for number, (chunk, used) in enumerate(zip(chunks, names, strict=True)):
        check()
        made = {match[1] for line in chunk if (match := _ASSIGNED.match(line))}
        taken = ", ".join(sorted(used & known))
        given = "".join([f"{name}, " for name in sorted(made) if last[name] > number])
        body = "\n".join([f"    {line}" for line in chunk])
        functions.append(f"def part{number}({taken}):\n{body}\n    return ({given})\n")
        calls.append(f"({given}) = part{number}({taken})" if given else f"part{number}({taken})")
        known |= made
    return functions, calls
