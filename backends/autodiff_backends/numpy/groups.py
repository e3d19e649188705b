"""Source for one group: a function that works through a range of blocks, and the call that runs it on threads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff.core.primitives import Primitive, Signature
from autodiff.machine import thread_count
from autodiff.plan.costs import LONGEST_STEPS

from .blocks import BLOCK_BYTES, SMALLEST_THREADED, Group, nanoseconds, rows_fit
from .primitives import NOTHING, OVERRIDES, block_of_ufunc
from .values import SINE, Values

# Operands that are no run of elements are read row by row if rows are this long, and copied if they are shorter:
# 250,000 elements in rows of 10 take 190 us, copied first 205.
SHORTEST_STRIDED_ROW = 8


class GroupWriter:
    """Names and statements inside the function of one group."""

    def __init__(self, writer: Values, group: Group, place: int):
        self.w = writer
        self.program = writer.program
        self.group = group
        self.place = place
        self.members = {number for number, _, _ in group.members}
        self.sums = [n for n, signature, _ in group.members if signature.out.ndim == 0]
        self.names: dict[int, str] = {}
        self.operands: dict[str, str] = {}  # argument text in the plan -> parameter name
        self.sliced: set[str] = set()
        self.lines: list[str] = []
        self.scratch: dict[Any, list[str]] = {}
        self.made: list[tuple[str, np.dtype[Any]]] = []
        used_outside = self._used_outside()
        self.whole = [n for n, _, _ in group.members if n in used_outside and n not in self.sums]
        self.last_use = {a: n for n, _, arguments in group.members for a in arguments if a in self.members}
        itemsize = max(signature.out.dtype.itemsize for _, signature, _ in group.members)
        self.flat = group.flat and not self._strided(itemsize)
        if self.flat and len(group.shape) > 1:
            for number in self.whole:
                self.w.writes.placed.pop(number, None)
        rows = math.prod(group.shape[1:]) if not self.flat else 1
        self.block = max(1, BLOCK_BYTES // max(1, itemsize * rows))

    def _used_outside(self) -> set[int]:
        used = set(self.w.outputs)
        for number, _, arguments in self.w.applications:
            if number not in self.members:
                used.update(arguments)
        return used

    def _strided(self, itemsize: int) -> bool:
        """Whether blocks are better cut from rows, because operands would have to be copied to be runs of elements."""
        shape = self.group.shape
        if len(shape) == 1 or shape[-1] < SHORTEST_STRIDED_ROW or not rows_fit(shape, itemsize):
            return False
        operands = {a for _, _, arguments in self.group.members for a in arguments} - self.members
        return any(self.program.avals[a].shape == shape and not self.w.contiguous(a) for a in operands) or any(
            number in self.w.writes.placed for number in self.whole
        )

    # --- names -------------------------------------------------------------------------------------------------------

    def _parameter(self, text: str, cut: bool) -> str:
        """A parameter of the function for a value of the plan, cut into blocks or not."""
        name = self.operands.get(text)
        if name is None:
            name = self.operands[text] = f"p{len(self.operands)}"
            if cut:
                self.sliced.add(name)
        return name

    def _cut(self, number: int) -> bool:
        """Whether blocks of an operand are cut out of it, rather than all of it used in each."""
        aval = self.program.avals[number]
        if self.flat:
            return aval.shape == self.group.shape
        return aval.ndim == len(self.group.shape) and aval.shape[0] == self.group.shape[0]

    def _flattened(self, text: str) -> str:
        return f"{text}.reshape(-1)" if self.flat and len(self.group.shape) > 1 else text

    def operand(self, number: int, consumer: int) -> str:
        """The name of an operand inside the function."""
        if number in self.names:
            return self.names[number]
        out = self.program.avals[consumer]
        others = [self.program.avals[a] for a in self.program.arguments[consumer] if a != number]
        if self._cut(number):
            return self._parameter(self._flattened(self.w.array(number)), True)
        loop = self.w.loop(consumer)[self.program.arguments[consumer].index(number)]
        text = self.w.operand(number, out, others, loop)
        if self.flat and self.program.avals[number].ndim and text not in self.w.constants:
            # One element, but with axes that a block does not have.
            text = f"{self.w.array(number)}.reshape(())"
        return text if text in self.w.constants else self._parameter(text, False)

    def _temporary(self, number: int) -> str:
        dtype = self.program.avals[number].dtype
        free = self.scratch.setdefault(dtype, [])
        if free:
            return free.pop()
        name = f"t{len(self.made)}"
        self.made.append((name, dtype))
        return name

    def _release(self, number: int) -> None:
        """Scratch of operands that no later member needs."""
        for a in set(self.program.arguments[number]):
            name = self.names.get(a, "")
            if self.last_use.get(a) == number and name.startswith("t"):
                self.scratch[self.program.avals[a].dtype].append(name)

    # --- statements --------------------------------------------------------------------------------------------------

    def _member(self, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        if number in self.w.partners:
            self._pair(number, signature.primitive, arguments)
            return
        words = [self.operand(a, number) for a in arguments]
        if number in self.sums:
            total = f"{self.w.use('add')}.reduce({words[0]}, axis=None)"
            if len(words) == 2:
                total = f"{self.w.helper('inner')}({words[0]}, {words[1]})"
            self.lines.append(f"s{number}.append({total}.item())")
            self._release(number)
            return
        # In place where the operand of an element is read before the element is written, and not needed again.
        in_place = number not in self.whole and not signature.primitive.rereads
        if in_place:
            self._release(number)
        target = self._target(number)
        self.lines += self._statement(signature, words, target)
        self.names[number] = target
        if not in_place:
            self._release(number)

    def _pair(self, number: int, primitive: Primitive, arguments: tuple[int, ...]) -> None:
        """sin and cos of one argument, when the first of them is needed."""
        if number not in self.names:
            pair = (number, self.w.partners[number])
            word = self.operand(arguments[0], number)
            for one in pair:
                self.names[one] = self._target(one)
            first, second = (self.names[one] for one in (pair if primitive is SINE else pair[::-1]))
            self.lines.append(f"{self.w.helper('sine_cosine')}({word}, {first}, {second})")
        self._release(number)

    def _target(self, number: int) -> str:
        """The name of what a member is computed into: an array of the plan, or scratch."""
        return self._parameter(self._whole_name(number), True) if number in self.whole else self._temporary(number)

    def _statement(self, signature: Signature, words: list[str], target: str) -> list[str]:
        primitive = signature.primitive
        block = OVERRIDES.get(primitive, NOTHING).block
        if block is not None:
            return block(self.w, signature, words, target)
        assert primitive.numpy_ufunc is not None
        return block_of_ufunc(self.w, primitive.numpy_ufunc, words, target, primitive.module)

    def _whole_name(self, number: int) -> str:
        """The array of the plan that a member's blocks are written into."""
        return self._flattened(self.w.owned(number))

    def write(self) -> None:
        """Append the function to the plan's module, and its call to the plan."""
        for member in self.group.members:
            self._member(*member)
            self.lines += self.w.after_member(member[0])
        name = f"group{self.place}"
        parameters = ", ".join(["start", "stop", *self.operands.values()])
        body = [f"{t} = {self.w.use('empty')}({self._block_shape()}, {d.name!r})" for t, d in self.made]
        body += [f"s{n} = []" for n in self.sums]
        body += [f"{p} = {p}[start:stop]" for p in self.operands.values() if p in self.sliced]
        body += self._loop()
        body.append(f"return ({''.join(f's{n}, ' for n in self.sums)})")
        self.w.functions += [f"def {name}({parameters}):", *[f"    {line}" for line in body], ""]
        extent = math.prod(self.group.shape) if self.flat else self.group.shape[0]
        threaded = nanoseconds(self.group) >= SMALLEST_THREADED
        in_steps = any(signature.primitive.numpy_ufunc is None for _, signature, _ in self.group.members)
        blocks = len(self.made) + (LONGEST_STEPS if in_steps else 0)
        self.w.scratch = max(self.w.scratch, blocks * BLOCK_BYTES * (thread_count() if threaded else 1))
        arguments = ", ".join([name, str(extent), str(self.block), str(threaded), *self.operands])
        call = f"{self.w.helper('run_blocks')}({arguments})"
        self.w.lines.append(f"parts{self.place} = {call}" if self.sums else call)
        for i, n in enumerate(self.sums):
            self._finish_sum(n, f"{self.w.use('add')}.reduce([s for part in parts{self.place} for s in part[{i}]])")

    def _block_shape(self) -> str:
        return repr((self.block, *self.group.shape[1:])) if not self.flat else repr(self.block)

    def _loop(self) -> list[str]:
        """Blocks of one size, then what is left: scratch is cut to size only there."""
        sliced = sorted(self.sliced, key=lambda p: int(p[1:]))
        names = {p: f"{p}_" for p in sliced}
        cut = [f"{names[p]} = {p}[low:low + {self.block}]" for p in sliced]
        inner = [self._renamed(line, names) for line in self.lines]
        shorten = [f"{t} = {t}[:stop - start - low]" for t, _ in self.made]
        return [
            f"for low in range(0, stop - start, {self.block}):",
            *(
                [f"    if stop - start - low < {self.block}:", *[f"        {line}" for line in shorten]]
                if shorten
                else []
            ),
            *[f"    {line}" for line in [*cut, *self.w.before_block(), *inner]],
        ]

    @staticmethod
    def _renamed(line: str, names: dict[str, str]) -> str:
        """Parameters that are cut into blocks by the names of their blocks."""
        words: list[str] = []
        word = ""
        for character in line + " ":
            if character.isalnum() or character == "_":
                word += character
            else:
                words.append(names.get(word, word) + character)
                word = ""
        return "".join(words)[:-1]

    def _finish_sum(self, number: int, text: str) -> None:
        aval = self.program.avals[number]
        if number in self.w.is_scalar:
            self.w.scalars[number] = f"s{number}"
            self.w.lines.append(f"s{number} = {text}.item()")
        else:
            self.w.arrays[number] = f"v{number}"
            self.w.lines.append(f"v{number} = {self.w.use('array')}({text}, {aval.dtype.name!r})")


def write_group(writer: Values, group: Group, place: int) -> None:
    """Generate a group at its place in the schedule."""
    GroupWriter(writer, group, place).write()
